"""A real gateway worker as a raw socket, a process supervisor and the meter see it."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.gateway_process import (
    Gateway,
    ModelServer,
    free_port,
    planted,
    running_gateway,
    until,
)
from tests.contract.raw_client import TALK, code, raw

from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.worker import run
from quartermaster.kernel.errors import ConfigError, UnavailableError
from quartermaster.kernel.units import Counts

FORBIDDEN = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "duckdb",
    "ibis",
    "sqlalchemy",
    "deltalake",
    "jinja2",
    "rs_bpe",
    "tiktoken",
)
# Out of contact after three seconds and not after five.
SOONER = planted(
    "from quartermaster.gateway import worker as module", "module.OUT_OF_CONTACT_S = 3"
)


@pytest.fixture
def upstream() -> Iterator[ModelServer]:
    with ModelServer().running() as server:
        yield server


@pytest.fixture
def gateway(upstream: ModelServer, tmp_path: Path) -> Iterator[Gateway]:
    with running_gateway(tmp_path, upstream, SOONER, body_bytes_max=5_000, hear_out_s=1) as running:
        yield running


def test_every_request_is_one_row_and_nothing_heavy_is_loaded(
    gateway: Gateway, upstream: ModelServer
) -> None:
    with raw(gateway) as client:
        for _ in range(3):
            client.send(client.chat(TALK))
            assert client.response()[0] == 200
        client.send(client.chat({**TALK, "stream": True}))
        client.until(b"[DONE]\n\n\r\n0\r\n\r\n")
        client.send(client.chat({**TALK, "model": "crash"}))
        assert client.response()[0] == 502
        client.send(client.chat({**TALK, "model": "unknown"}))
        assert client.response()[0] == 404
    rows = gateway.stop()
    metered = Counts(input=7, cached_read=4, output=2, reasoning=1)
    assert [row.closed.counts for row in rows] == [metered] * 4 + [Counts()]
    assert [row.status for row in rows[:4]] == ["closed"] * 4
    assert [row.opened.stream for row in rows] == [False] * 3 + [True, False]
    assert rows[3].closed.delivered_chunks == 3
    assert rows[4].closed.failure == "upstream_error"
    assert len({row.opened.request_id for row in rows}) == 5
    assert len(upstream.asked) == 5
    loaded = {module.partition(".")[0] for module in gateway.modules}
    assert "uvloop" in loaded
    assert loaded.isdisjoint(FORBIDDEN)
    rooms = {module.split(".")[1] for module in gateway.modules if "quartermaster." in module}
    assert rooms == {"gateway", "kernel", "usage"}
    status = gateway.status
    assert (status.state, status.requests, status.refusals) == (
        "stopped",
        5,
        {"model_not_found": 1},
    )


def test_health_and_readiness(gateway: Gateway) -> None:
    with raw(gateway) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n")
        assert client.response() == (200, b'{"status":"ok","snapshot_version":null}')
        client.send(b"GET http://g/readyz?x HTTP/1.1\r\nhost: g\r\n\r\n")
        status, body = client.response()
        assert (status, json.loads(body)["status"]) == (200, "ready")
        client.send(b"PUT /v1/models HTTP/1.1\r\nhost: g\r\n\r\n")
        status, body = client.response()
        assert (status, code(body)) == (405, "method_not_allowed")
        client.send(b"GET /v2/models HTTP/1.1\r\nhost: g\r\n\r\n")
        status, body = client.response()
        assert (status, code(body)) == (404, "unknown_url")


def test_pipelined_requests_are_answered_one_after_the_other(
    gateway: Gateway, upstream: ModelServer
) -> None:
    with raw(gateway) as client:
        one = client.chat({**TALK, "user": "1"})
        client.send(one + one.replace(b'"1"', b'"2"') + b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n")
        client.send(client.chat({**TALK, "user": "3"})[:50])
        assert [client.response()[0] for _ in range(3)] == [200, 200, 200]
        client.send(client.chat({**TALK, "user": "3"})[50:])
        assert client.response()[0] == 200
    assert [asked["user"] for asked in upstream.asked] == ["1", "2", "3"]


def test_expect_continue(gateway: Gateway) -> None:
    with raw(gateway) as client:
        request = client.chat(TALK, "expect: 100-continue")
        head, _, body = request.partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(body)
        assert client.response()[0] == 200


@pytest.mark.parametrize(
    ("headers", "version", "closes"),
    [((), "1.1", False), (("connection: close",), "1.1", True), ((), "1.0", True)],
)
def test_who_closes(gateway: Gateway, headers: tuple[str, ...], version: str, closes: bool) -> None:
    with raw(gateway) as client:
        client.send(client.chat(TALK, *headers, version=version))
        assert client.response()[0] == 200
        if closes:
            assert client.closed() == b""
        else:
            client.send(client.chat(TALK))
            assert client.response()[0] == 200


def test_a_smuggled_request_is_refused_and_the_connection_closed(
    gateway: Gateway, upstream: ModelServer
) -> None:
    with raw(gateway) as client:
        hidden = client.chat(TALK)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 4\r\n"
        client.send(head + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden)
        status, body = client.response()
        assert (status, code(body)) == (400, "malformed_http")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.closed() == b""
    assert upstream.asked == []


def test_an_endless_upload_is_refused_while_it_streams_in(gateway: Gateway) -> None:
    with raw(gateway) as client:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer %b\r\n"
        client.send(head % client.key.encode() + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(50):
            client.send(b"3e8\r\n" + b" " * 1000 + b"\r\n")
        status, body = client.response()
        assert (status, code(body)) == (413, "request_too_large")


@pytest.mark.parametrize("expect", [b"", b"expect: 100-continue\r\n"])
def test_a_strangers_body_is_not_collected(gateway: Gateway, expect: bytes) -> None:
    with raw(gateway) as client:
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer qm-guess\r\n"
        )
        client.send(head + expect + b"content-length: 4000\r\n\r\n")
        status, body = client.response()
        assert (status, code(body)) == (401, "invalid_api_key")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.closed() == b""
    gateway.stop()
    assert gateway.status.refusals == {"invalid_api_key": 1}


def test_a_head_without_end_is_refused(gateway: Gateway) -> None:
    with raw(gateway) as client:
        client.send(b"GET / HTTP/1.1\r\nhost: g\r\n" + b"x: y\r\n" * 10_000)
        status, body = client.response()
        assert (status, code(body)) == (431, "headers_too_large")


def test_a_client_that_leaves_in_mid_stream_is_recorded_and_the_upstream_aborted(
    gateway: Gateway, upstream: ModelServer
) -> None:
    with raw(gateway) as client:
        client.send(client.chat({**TALK, "model": "babble", "stream": True}))
        for _ in range(4):
            client.until(b"\n\n")
    until(lambda: upstream.open == 0)
    (row,) = gateway.stop()
    assert (row.closed.failure, row.closed.http_status) == ("client_gone", 200)
    assert row.closed.delivered_chunks >= 4
    assert row.closed.counts.output == row.closed.delivered_chunks
    assert row.closed.count_source == "estimated"


def test_a_client_that_leaves_before_the_answer_stops_the_upstream(
    upstream: ModelServer, tmp_path: Path
) -> None:
    with running_gateway(tmp_path, upstream, hear_out_s=1) as gateway:
        gateway.publish(gateway.grant("qm-any"))
        until(lambda: gateway.status.snapshot_version == gateway.version)
        with raw(gateway) as client:
            client.key = "qm-any"
            client.send(client.chat({**TALK, "model": "silent"}))
            until(lambda: len(upstream.asked) == 1)
        until(lambda: upstream.open == 0)
        (row,) = gateway.stop()
    assert (row.closed.failure, row.closed.http_status) == ("client_gone", 499)
    assert (row.closed.counts.output, row.closed.count_source) == (0, "estimated")


def test_a_client_that_does_not_read_stops_the_model_server_s_stream(
    gateway: Gateway, upstream: ModelServer
) -> None:
    with raw(gateway) as client:
        wide = {**TALK, "model": "babble", "stream": True, "width": 2_000, "pause": 0}
        client.send(client.chat(wide))
        client.until(b"\n\n")
        memory = _resident_bytes(gateway)
        time.sleep(1.0)
        # The mock writes as fast as it is read: without back-pressure this is hundreds of MB.
        assert _resident_bytes(gateway) - memory < 32 * 1024 * 1024
        for _ in range(50):
            client.until(b"\n\n")


def _resident_bytes(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_a_suspension_bites_within_a_second_also_on_open_streams(gateway: Gateway) -> None:
    with raw(gateway) as client, raw(gateway) as other:
        client.send(client.chat({**TALK, "model": "babble", "stream": True}))
        client.until(b"\n\n")
        began = time.monotonic()
        gateway.publish(standing={"grp_1": "suspended"})
        rest = client.closed()
        assert time.monotonic() - began < 1.0
        assert b'"code":"account_suspended"' in rest
        assert b"[DONE]" not in rest
        assert not rest.endswith(b"0\r\n\r\n")
        other.send(other.chat(TALK))
        status, body = other.response()
        assert (status, code(body)) == (403, "account_suspended")
        gateway.publish()
        until(lambda: gateway.status.snapshot_version == gateway.version)
        other.send(other.chat(TALK))
        assert other.response()[0] == 200


def test_a_broken_or_older_snapshot_leaves_the_last_good_one(gateway: Gateway) -> None:
    path = gateway.var / "snapshot.json"
    good = path.read_bytes()
    prepaid = gateway.grant("sk-prepaid", prepaid=True)
    gateway.publish(prepaid)
    until(lambda: gateway.status.snapshot_version == 2)
    path.write_bytes(b"{")
    until(lambda: gateway.status.snapshot_error != "")
    path.write_bytes(good)
    until(lambda: "older" in gateway.status.snapshot_error)
    assert gateway.status.snapshot_version == 2
    assert gateway.status.ready
    until(lambda: gateway.status.out_of_contact and not gateway.status.ready)
    with raw(gateway) as client:
        client.send(b"GET /readyz HTTP/1.1\r\nhost: g\r\n\r\n")
        status, body = client.response()
        assert (status, code(body)) == (503, "not_ready")
        client.send(client.chat(TALK))
        assert client.response()[0] == 200
        # What a prepaid customer has left may have been spent at another worker.
        with raw(gateway) as other:
            other.key = "sk-prepaid"
            other.send(other.chat(TALK))
            status, body = other.response()
            assert (status, code(body)) == (503, "out_of_contact")
            gateway.publish(prepaid)
            until(lambda: gateway.status.ready)
            other.send(other.chat(TALK))
            assert other.response()[0] == 200
        client.send(b"GET /readyz HTTP/1.1\r\nhost: g\r\n\r\n")
        assert client.response()[0] == 200


def test_a_running_stream_ends_before_the_worker_does(gateway: Gateway) -> None:
    with raw(gateway) as client, raw(gateway) as idle:
        idle.send(idle.chat(TALK))
        assert idle.response()[0] == 200
        client.send(client.chat({**TALK, "stream": True}))
        client.until(b"\r\n\r\n")
        gateway.process.send_signal(signal.SIGTERM)
        assert b"data: [DONE]\n\n" in client.closed()
        assert idle.closed() == b""
    rows = gateway.stop_was_asked()
    assert [row.status for row in rows] == ["closed", "closed"]


def test_a_worker_without_a_snapshot_is_alive_and_not_ready(
    gateway: Gateway, upstream: ModelServer
) -> None:
    snapshot = gateway.var / "snapshot.json"
    good = snapshot.read_bytes()
    gateway.stop()
    snapshot.unlink()
    gateway.start({"app_prefix": "other"})
    with raw(gateway) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n")
        assert client.response()[0] == 200
        client.send(b"GET /readyz HTTP/1.1\r\nhost: g\r\n\r\n")
        status, body = client.response()
        assert (status, code(body)) == (503, "not_ready")
        client.send(client.chat(TALK))
        assert client.response()[0] == 503
        snapshot.write_bytes(good)
        until(lambda: gateway.status.snapshot_version == 1)
        client.send(client.chat(TALK))
        assert client.response()[0] == 200
    assert (gateway.var / "wal" / "other-0").is_dir()


def test_a_taken_port_is_named_with_the_remedy(gateway: Gateway, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=str(port)) as caught:
            run(GatewaySettings(port=port), var=tmp_path, worker=1)
    assert "gateway.port" in caught.value.hint


def test_another_installation_cannot_share_the_port_unnoticed(gateway: Gateway) -> None:
    with pytest.raises(UnavailableError, match=str(gateway.port)):
        run(GatewaySettings(port=gateway.port), var=gateway.var, worker=1)


def test_the_workers_of_one_installation_share_a_port(
    upstream: ModelServer, tmp_path: Path
) -> None:
    port = free_port()
    with (
        running_gateway(tmp_path / "a", upstream, workers=2, port=port) as one,
        running_gateway(tmp_path / "b", upstream, workers=2, port=port) as two,
    ):
        assert one.port == two.port
        assert one.status.state == two.status.state == "serving"


def test_a_second_worker_with_the_same_number_is_refused(gateway: Gateway) -> None:
    with pytest.raises(UnavailableError, match="in use by another process"):
        run(GatewaySettings(port=0), var=gateway.var, worker=0)


def test_a_missing_or_damaged_pepper_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="key_pepper"):
        run(GatewaySettings(port=0), var=tmp_path, worker=0)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key_pepper").write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes instead of 32"):
        run(GatewaySettings(port=0), var=tmp_path, worker=0)
