"""A real gateway worker as Prometheus, a collector, a log shipper and its clients see it."""

import http.client
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.contract.gateway_process import Gateway, ModelServer, free_port, running_gateway, until
from tests.contract.raw_client import TALK, raw

from quartermaster.app.live_traffic import LiveTraffic
from quartermaster.capacity.scrapes import read_scrape
from quartermaster.gateway import metrics_text
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.worker import run
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.errors import UnavailableError

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STREAM = {**TALK, "stream": True}


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        super().__init__(("127.0.0.1", 0), _Take)


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        """One batch."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        (resource,) = body["resourceSpans"]
        self.server.spans += resource["scopeSpans"][0]["spans"]
        self.server.keys.add(self.headers["authorization"])
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[ModelServer]:
    with ModelServer().running() as server:
        yield server


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, daemon=True)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def scrape(port: int, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        assert answer.headers["content-type"] == metrics_text.CONTENT_TYPE
        text: str = answer.read().decode()
        return text


def seen(port: int) -> dict[str, float]:
    return read_scrape(scrape(port), "scrape")


def some_traffic(gateway: Gateway) -> None:
    """Two answers, one stream, one refusal, and a model server with a bug."""
    with raw(gateway) as client:
        for body in (TALK, TALK):
            client.send(client.chat(body))
            assert client.response()[0] == 200
        client.send(client.chat(STREAM))
        client.until(b"[DONE]\n\n\r\n0\r\n\r\n")
        client.send(client.chat({**TALK, "model": "nobody"}))
        assert client.response()[0] == 404
        client.send(client.chat({**TALK, "model": "crash"}))
        assert client.response()[0] == 502


def test_scrapes_and_the_log_tell_what_passed_and_a_successor_goes_on(
    upstream: ModelServer, tmp_path: Path
) -> None:
    port = free_port()
    settings: dict[str, Any] = {"metrics_port": port, "access_log": True}
    with running_gateway(tmp_path, upstream, **settings) as gateway:
        some_traffic(gateway)
        until(lambda: seen(port).get(metrics_text.REQUESTS) == 4)
        found = seen(port)
        assert found[metrics_text.REFUSALS] == 1
        assert found[metrics_text.UPSTREAM_ERRORS] == 1
        assert found[f"{metrics_text.FIRST_TOKEN}_count"] == 1
        assert found[f"{metrics_text.DURATION}_count"] == 4
        assert found[f"{metrics_text.SYNC_WAIT}_count"] == 4
        assert 1 <= found[metrics_text.SYNCS] <= 4
        assert found[metrics_text.READY] == found[metrics_text.UP] == 1
        assert found[metrics_text.SNAPSHOT_VERSION] == 1
        assert 0 <= found[metrics_text.SNAPSHOT_AGE] < 5
        assert found[metrics_text.RESIDENT] > 10e6
        assert 'axis="reasoning"} 3' in scrape(port)
        nothing_but_metrics(gateway, port)
        rows = gateway.stop()
        logged(tmp_path, gateway, {row.opened.request_id for row in rows})
        gateway.start(settings)
        some_traffic(gateway)
        until(lambda: seen(port).get(metrics_text.REQUESTS) == 8)
        assert 'worker="gateway-0"' in scrape(port, "/metrics?by=worker")
        facts = LiveTraffic(tmp_path).traffic(system_clock())
        assert (facts.workers, facts.refusals[0].requests) == (1, 1)
        assert {one.status for one in facts.requests} == {200, 502}
        assert facts.customers[0].requests == 4


def nothing_but_metrics(gateway: Gateway, port: int) -> None:
    """Each port answers what it is for."""
    for method, path, status in (
        ("GET", "/", 404),
        ("GET", "/v1/models", 404),
        ("POST", "/metrics", 405),
        ("HEAD", "/metrics", 200),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        assert (answer.status, answer.read() == b"") == (status, method == "HEAD")
        connection.close()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/metrics", timeout=10)


def logged(var: Path, gateway: Gateway, metered: set[str]) -> None:
    """The access log has every request, and no word of it."""
    text = (var / "log" / "access-gateway-0.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 200, 404, 502, 404]
    assert [lines[n]["reason"] for n in (3, 5)] == ["model_not_found", "unknown_url"]
    assert {line["request_id"] for line in lines if "model" in line} == metered
    for secret in (gateway.key, json.dumps(TALK["messages"])[1:-1], "quick"):
        assert secret not in text


def test_a_metrics_port_that_is_taken_is_said_before_serving(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key_pepper").write_bytes(bytes(32))
    with Collector() as other:
        settings = GatewaySettings(port=0, metrics_port=other.server_address[1])
        with pytest.raises(UnavailableError, match="for metrics"):
            run(settings, var=tmp_path, worker=0)


def test_a_trace_goes_from_the_client_through_us_to_the_model_and_to_the_collector(
    upstream: ModelServer, tmp_path: Path
) -> None:
    with collecting() as collector:
        endpoint = f"http://127.0.0.1:{collector.server_address[1]}"
        (tmp_path / "otlp").write_text("authorization: Bearer abc\n")
        settings: dict[str, Any] = {
            "otlp_endpoint": endpoint,
            "otlp_headers_file": "otlp",
            "otlp_share": 0.0,
        }
        with running_gateway(tmp_path, upstream, **settings) as gateway:
            with raw(gateway) as client:
                client.send(client.chat(TALK, f"traceparent: 00-{TRACE}-{SPAN}-01"))
                assert client.response()[0] == 200
                client.send(client.chat(TALK))
                assert client.response()[0] == 200
            until(lambda: len(collector.spans) == 2)
            ours, model = collector.spans
            assert (ours["traceId"], ours["parentSpanId"]) == (TRACE, SPAN)
            assert model["parentSpanId"] == ours["spanId"]
            sent = [_traceparent(head) for head in upstream.heads]
            assert sent[0] == f"00-{TRACE}-{model['spanId']}-01"
            assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", sent[1])
            assert collector.keys == {"Bearer abc"}


def test_a_trace_is_passed_on_as_it_came_and_answers_say_how_long_they_took(
    upstream: ModelServer, tmp_path: Path
) -> None:
    header = f"00-{TRACE}-{SPAN}-00"
    with running_gateway(tmp_path, upstream) as gateway, raw(gateway) as client:
        traced = client.chat(TALK, f"Traceparent: {header}")
        forged = client.chat(TALK, "traceparent: 00-nonsense")
        for request in (traced, traced, forged, client.chat(TALK)):
            client.send(request)
            assert client.response()[0] == 200
        assert [_traceparent(head) for head in upstream.heads] == [header, header, "", ""]
        for body in (STREAM, TALK):
            client.send(client.chat(body))
            head = client.until(b"\r\n\r\n")
            found = re.search(rb"\r\nopenai-processing-ms: (\d+)\r\n", head)
            assert found is not None
            assert int(found[1]) < 10_000
            if body is STREAM:
                client.until(b"0\r\n\r\n")


def _traceparent(head: str) -> str:
    found = re.search(r"\r\ntraceparent: ([^\r]*)", head)
    return found[1] if found else ""
