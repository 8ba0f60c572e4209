"""Real workers: a failing deployment is passed over, and a successor takes the port in peace."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.gateway_process import SERVE, Gateway, ModelServer, free_port, until
from tests.contract.raw_client import TALK, raw

from quartermaster.gateway.status import read_status
from quartermaster.gateway.trace_socket import ask
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.events import UsageEvent
from quartermaster.kernel.ids import new_key_secret
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.routing import Routing
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot, write
from quartermaster.usage.segment import read_sealed

SUCCEED = SERVE.replace("worker=0)", "worker=0, successor=int(sys.argv[3]))")


class Pool(Gateway):
    """A gateway whose models have two deployments each, the first of which nobody listens at."""

    def publish(self, *grants: KeyGrant, standing: dict[str, Standing] | None = None) -> int:
        """The ordinary key, and a key for which nothing lies in the right zone."""
        self.version += 1
        up, down = (f"http://127.0.0.1:{port}/v1" for port in (self.upstream_port, self.down_port))
        deployments = [
            Deployment(f"{model}@{name}", model, url, model, routing=Routing(priority=priority))
            for model in ("talk", "babble")
            for priority, (name, url) in enumerate((("down", down), ("up", up)))
        ]
        keys = (self.grant(self.key), *grants)
        write(
            self.var / "snapshot.json",
            Snapshot(self.version, 0, keys, standing or {}, tuple(deployments)),
        )
        return self.version


@pytest.fixture
def upstream() -> Iterator[ModelServer]:
    with ModelServer().running() as server:
        yield server


@pytest.fixture
def pool(upstream: ModelServer, tmp_path: Path) -> Iterator[Pool]:
    # Deeper than a socket's name may be long.
    var = tmp_path / ("deep" * 20) / "var"
    settings = {"port": free_port(), "drain_timeout_s": 0}
    gateway = Pool(var, upstream.port, settings)
    try:
        yield gateway
    finally:
        gateway.process.kill()
        gateway.process.communicate()


def rows_of(var: Path, app_id: str) -> list[UsageEvent]:
    sealed = sorted((var / "wal" / app_id).glob("*.sealed"))
    return [row for path in sealed for row in read_sealed(path.read_bytes(), path.name)[0]]


def successor_of(pool: Pool, number: int) -> "subprocess.Popen[str]":
    """Start the next worker beside the one that serves, and wait until it serves too."""
    given = json.dumps({"port": pool.port})
    command = [sys.executable, "-c", SUCCEED, str(pool.var), given, str(number)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    app_id = "gateway-0-b" if number % 2 else "gateway-0"
    path = pool.var / "status" / f"{app_id}.json"

    def serves() -> bool:
        assert process.poll() is None, "the successor ended"
        if not path.exists():
            return False
        status = read_status(path)
        return status.pid == process.pid and status.state == "serving"

    until(serves)
    return process


def end(process: "subprocess.Popen[str]", number: int) -> None:
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_request_goes_elsewhere_and_the_worker_tells_why(pool: Pool) -> None:
    with raw(pool) as client:
        client.send(client.chat(TALK))
        head = client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        request_id = head.partition(b"x-request-id: ")[2].split(b"\r\n")[0].decode()
    socket = pool.var / "status" / "gateway-0.sock"
    trace = ask(socket, request_id)
    assert trace is not None
    told = [(one.deployment, one.outcome) for one in trace.attempts]
    assert told == [("talk@down", "upstream_unreachable"), ("talk@up", "served")]
    assert ask(socket, "req_of_nobody") is None
    until(lambda: pool.status.failovers == 1)
    rows = pool.stop()
    assert [(row.opened.attempt, row.closed.cost_only) for row in rows] == [(1, True), (2, False)]
    assert {row.status for row in rows} == {"closed"}
    assert ask(socket, request_id) is None


def test_a_successor_takes_over_without_a_dropped_stream_or_request(pool: Pool) -> None:
    """Requests on new connections go on all the time, and one stream from before to after."""
    stop, seen = threading.Event(), []

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                with raw(pool) as client:
                    client.send(client.chat(TALK, "connection: close"))
                    seen.append(client.response()[0])
            except ConnectionError:
                seen.append(0)

    streaming: dict[str, Any] = {**TALK, "model": "babble", "stream": True, "pause": 0.02}
    with raw(pool) as client:
        client.send(client.chat(streaming))
        client.until(b"word")
        asking = threading.Thread(target=keep_asking)
        asking.start()
        successor = successor_of(pool, 1)
        pool.process.send_signal(signal.SIGHUP)
        until(lambda: pool.status.state == "draining")
        before = len(seen)
        until(lambda: len(seen) >= before + 10)
        client.until(b"word")
        assert pool.process.poll() is None
        # Its patience is over now, and the stream says why.
        pool.process.send_signal(signal.SIGTERM)
        stop.set()
        asking.join()
        assert set(seen) == {200}
        rest = client.closed()
        assert b"not_ready" in rest
        assert b"[DONE]" not in rest
        pool.process.communicate(timeout=20)
        assert pool.process.returncode == 0
    end(successor, signal.SIGTERM)
    rows = [*rows_of(pool.var, "gateway-0"), *rows_of(pool.var, "gateway-0-b")]
    served = [row for row in rows if not row.closed.cost_only and row.opened.model == "talk"]
    assert len(served) == len(seen)
    assert len({row.opened.request_id for row in served}) == len(seen)
    (stream,) = [row for row in rows if row.opened.model == "babble" and not row.closed.cost_only]
    assert (stream.closed.failure, stream.status) == ("not_ready", "closed")
    assert stream.closed.counts.output == stream.closed.delivered_chunks > 1


def test_a_successor_lets_pass_what_its_predecessor_left(pool: Pool) -> None:
    """Also while a stream still runs over there, and no more than one may."""
    key = new_key_secret()
    limits = Limits(requests_per_minute=12, concurrent=2)
    limited = msgspec.structs.replace(pool.grant(key), key_id="key_limited", limits=limits)
    version = pool.publish(limited)
    until(lambda: pool.status.snapshot_version == version)

    def ask() -> int:
        with raw(pool) as client:
            client.key = key
            client.send(client.chat(TALK, "connection: close"))
            return client.response()[0]

    streaming: dict[str, Any] = {**TALK, "model": "babble", "stream": True, "pause": 0.02}
    with raw(pool) as client:
        client.key = key
        client.send(client.chat(streaming))
        client.until(b"word")
        begun = time.monotonic()
        before = [ask() for _ in range(5)]
        successor = successor_of(pool, 1)
        pool.process.send_signal(signal.SIGHUP)
        until(lambda: not answering(pool))
        after = [ask() for _ in range(12)]
        # One came with the stream, and a fifth of one comes back a second.
        passed = 1 + (before + after).count(200)
        assert passed <= 12 + 1 + (time.monotonic() - begun) / 5
        assert before == [200] * 5
        assert after[0] == 200
        assert after[-1] == 429
        pool.process.send_signal(signal.SIGTERM)
        client.closed()
    pool.process.communicate(timeout=20)
    end(successor, signal.SIGTERM)
    assert not list((pool.var / "status").glob("*.next"))
    assert not list((pool.var / "status").glob("*.handed"))


def answering(pool: Pool) -> bool:
    """Whether the predecessor still takes requests."""
    handed = pool.var / "status" / "gateway-0.handed"
    return b'"closed":true' not in (handed.read_bytes() if handed.exists() else b"")
