"""Limits that two machines share, on real gateway workers and a real server, which may die."""

import asyncio
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.gateway_process import Gateway, ModelServer, running_gateway, until
from tests.redis_server import RedisServer, running_redis

from quartermaster.kernel.ids import new_key_secret
from quartermaster.kernel.limit import Limits

ASK = b'{"model":"talk","messages":[{"role":"user","content":"Hi"}],"max_tokens":10}'


@pytest.fixture(scope="module")
def upstream() -> Iterator[ModelServer]:
    with ModelServer().running() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="module")
def machines(
    upstream: ModelServer, server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Gateway]]:
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    with (
        running_gateway(folders[0], upstream, shared_limits_url=server.url) as one,
        running_gateway(folders[1], upstream, shared_limits_url=server.url) as two,
    ):
        until(lambda: peers(one) == 2 and peers(two) == 2)
        yield one, two


def peers(gateway: Gateway) -> int:
    """Workers of all machines, as this one knows them."""
    shared = gateway.status.shared
    return 0 if shared is None or shared.alone else shared.workers


def limited(machines: tuple[Gateway, Gateway], **fields: Any) -> str:
    """A key that both machines know, with these limits."""
    secret = new_key_secret()
    for gateway in machines:
        gateway.publish(gateway.grant(secret, group=f"grp_{secret[-6:]}", **fields))
        until(lambda gateway=gateway: gateway.status.snapshot_version == gateway.version)  # type: ignore[misc]
    return secret


async def ask(port: int, key: str) -> str:
    """One request over its own connection; the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b" % (key.encode(), len(ASK), ASK)
    )
    head = (await reader.read()).split(b" ", 2)
    writer.close()
    return head[1].decode()


def storm(machines: tuple[Gateway, Gateway], key: str, rounds: int, pause_s: float) -> Counter[str]:
    """Requests at both machines; how they ended."""

    async def run() -> Counter[str]:
        ends: Counter[str] = Counter()
        for _ in range(rounds):
            asked = [ask(one.port, key) for one in machines for _ in range(4)]
            ends.update(await asyncio.gather(*asked))
            await asyncio.sleep(pause_s)
        return ends

    return asyncio.run(run())


@pytest.mark.long
def test_two_machines_let_pass_what_one_limit_lets_pass(
    machines: tuple[Gateway, Gateway],
) -> None:
    key = limited(machines, limits=Limits(requests_per_minute=40))
    ends = storm(machines, key, rounds=20, pause_s=0.05)
    # A minute's worth at once, two of it in the seconds of the test, and what first meetings may.
    assert 36 <= ends["200"] <= 40 + 4 + 2 * (40 // 16 + 1)
    assert ends["200"] + ends["429"] == 160


@pytest.mark.long
def test_open_requests_are_counted_on_both_machines(
    machines: tuple[Gateway, Gateway], upstream: ModelServer
) -> None:
    key = limited(machines, limits=Limits(concurrent=2))

    async def run() -> Counter[str]:
        streams = [await open_stream(one.port, key) for one in machines for _ in range(4)]
        ends = Counter(head for head, _ in streams)
        for _, writer in streams:
            writer.close()
        return ends

    ends = asyncio.run(run())
    assert 2 <= ends["200"] <= 4, ends
    until(lambda: storm(machines, key, rounds=1, pause_s=0)["200"] >= 1)


async def open_stream(port: int, key: str) -> tuple[str, asyncio.StreamWriter]:
    """A stream that does not end by itself; its status."""
    body = b'{"model":"babble","messages":[{"role":"user","content":"Hi"}],"stream":true}'
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
        % (key.encode(), len(body), body)
    )
    head = await reader.readuntil(b"\r\n")
    await asyncio.sleep(0.15)
    return head.split(b" ")[1].decode(), writer


@pytest.mark.long
def test_without_the_server_each_keeps_to_its_part_and_comes_back(
    machines: tuple[Gateway, Gateway], server: RedisServer
) -> None:
    key = limited(machines, limits=Limits(requests_per_minute=600))
    began = time.monotonic()
    assert storm(machines, key, rounds=1, pause_s=0.2)["200"] == 8
    server.kill()
    try:
        for one in machines:
            until(lambda one=one: alone(one))  # type: ignore[misc]
            assert "does not answer" in readiness(one)["note"]
        # Half of the limit for each of two, without what the other one held a moment ago.
        ends = storm(machines, key, rounds=85, pause_s=0)
        assert 280 <= ends["200"] <= 600 + 60
    finally:
        server.start()
    for one in machines:
        until(lambda one=one: peers(one) == 2)  # type: ignore[misc]
        assert "note" not in readiness(one)
    # What they let pass alone is told to the new server: nothing is let pass twice.
    after = storm(machines, key, rounds=50, pause_s=0)
    first_meetings = 2 * (600 // 16 + 1)
    most = 600 + 10 * (time.monotonic() - began) + first_meetings
    assert 8 + ends["200"] + after["200"] <= most
    assert after["429"] > 0


def readiness(gateway: Gateway) -> dict[str, Any]:
    """What `/readyz` says, of a worker that is ready."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/readyz") as answer:
        told: dict[str, Any] = json.load(answer)
    assert told["status"] == "ready"
    return told


def alone(gateway: Gateway) -> bool:
    """Whether it goes on by itself, and says why."""
    shared = gateway.status.shared
    return shared is not None and shared.alone and bool(shared.error) and shared.failures > 0


@pytest.mark.long
def test_a_server_that_hangs_is_one_that_is_gone(
    machines: tuple[Gateway, Gateway], server: RedisServer
) -> None:
    key = limited(machines, limits=Limits(requests_per_minute=600))
    prepaid = new_key_secret()
    for one in machines:
        paying = one.grant(prepaid, prepaid=True)
        one.publish(paying, one.grant(key, limits=Limits(requests_per_minute=600)))
        until(lambda one=one: one.status.snapshot_version == one.version)  # type: ignore[misc]
    server.freeze()
    try:
        for one in machines:
            until(lambda one=one: alone(one))  # type: ignore[misc]
        assert storm(machines, key, rounds=1, pause_s=0)["200"] == 8
        # Who pays before may have spent the balance elsewhere: after five seconds, nothing passes.
        until(lambda: storm(machines, prepaid, rounds=1, pause_s=0.2)["200"] == 0)
        assert storm(machines, key, rounds=1, pause_s=0)["200"] == 8
    finally:
        server.thaw()
    until(lambda: storm(machines, prepaid, rounds=1, pause_s=0.2)["200"] == 8)


def test_a_worker_starts_without_the_server(upstream: ModelServer, tmp_path: Path) -> None:
    with running_gateway(
        tmp_path, upstream, shared_limits_url="redis://127.0.0.1:1", workers=2
    ) as gateway:
        until(lambda: alone(gateway))
        assert "does not answer" in readiness(gateway)["note"]
        secret = new_key_secret()
        gateway.publish(gateway.grant(secret, limits=Limits(requests_per_minute=20)))
        until(lambda: gateway.status.snapshot_version == gateway.version)
        ends = storm((gateway, gateway), secret, rounds=3, pause_s=0)
    assert 9 <= ends["200"] <= 12
