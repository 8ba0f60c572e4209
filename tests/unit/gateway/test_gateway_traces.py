"""Traces: whose they are, what a collector reads, and what happens while it is away."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import HELLO, SECRET, Bench, raw_request
from tests.unit.gateway.observed import AT, AnEnd, a_call, a_close

from quartermaster.gateway import otlp_export
from quartermaster.gateway.metrics_worker import span_of
from quartermaster.gateway.otlp import Ended, Service, export
from quartermaster.gateway.otlp_context import Parent, TraceContext, context, parent_of
from quartermaster.gateway.otlp_export import (
    BATCH_MAX,
    Collector,
    Exporter,
    TryAgainError,
    read_headers,
)
from quartermaster.gateway.requests import RequestParser
from quartermaster.kernel.errors import ConfigError
from quartermaster.kernel.units import Counts

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{SPAN}-01".encode()
RANDOM = bytes(range(32))
US = Service("quartermaster-gateway", "gateway-0", "1.0")
CONTEXT = context(Parent(TRACE, SPAN, sampled=True), RANDOM, 0)


def a_span(**fields: Any) -> Ended:
    found = span_of(AnEnd(**{"trace_context": CONTEXT, **fields}), AT + 84_000)
    assert found is not None
    return found


def read(body: bytes) -> list[dict[str, Any]]:
    (resource,) = json.loads(body)["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    spans: list[dict[str, Any]] = scope["spans"]
    return spans


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


# -- whose trace -----------------------------------------------------------------------------------


def test_a_client_s_trace_goes_on_with_our_span_as_the_parent() -> None:
    parent = parent_of(HEADER)
    assert parent == Parent(TRACE, SPAN, sampled=True)
    found = context(parent, RANDOM, 0)
    assert (found.trace_id, found.parent_span_id, found.sampled) == (TRACE, SPAN, True)
    assert found.traceparent == f"00-{TRACE}-{found.model_span_id}-01".encode()
    assert len({found.server_span_id, found.model_span_id, SPAN}) == 3


@pytest.mark.parametrize(
    "header",
    [
        b"",
        HEADER[:-1],
        HEADER.upper(),
        b"ff" + HEADER[2:],
        HEADER + b"-more",
        b"00-" + b"0" * 32 + HEADER[35:],
        HEADER[:36] + b"0" * 16 + b"-01",
        HEADER + b"\r\nauthorization: stolen",
    ],
)
def test_a_header_that_is_none_is_as_if_it_were_absent(header: bytes) -> None:
    assert parent_of(header) is None


def test_a_later_version_is_read_as_ours_is() -> None:
    assert parent_of(b"cc" + HEADER[2:] + b"-what-the-future-brings") is not None


@pytest.mark.parametrize(("flags", "sampled"), [(b"00", False), (b"01", True), (b"03", True)])
def test_the_client_says_whether_it_is_recorded(flags: bytes, sampled: bool) -> None:
    assert context(parent_of(HEADER[:-2] + flags), RANDOM, 1).sampled is sampled


def test_without_a_parent_the_share_says_it_by_the_id() -> None:
    ids = [bytes(8) + (n << 56).to_bytes(8) + bytes(16) for n in range(256)]
    assert sum(context(None, one, 0.25).sampled for one in ids) == 64
    assert not any(context(None, one, 0).sampled for one in ids)
    assert all(context(None, one, 1).sampled for one in ids)
    assert context(None, RANDOM, 1).parent_span_id == ""


STATE = "rojo=00f067aa0ba902b7,congo@t61rcw=a b/c"


@pytest.mark.parametrize("exports", [False, True])
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/completions"])
def test_vendors_notes_go_on_beside_the_trace(target: str, exports: bool) -> None:
    bench = Bench()
    if exports:
        bench.dispatcher.tracer = lambda header: context(parent_of(header), RANDOM, 1)
    body = HELLO if "chat" in target else {"model": "toy", "prompt": "x"}
    raw = raw_request("POST", target, body, traceparent=HEADER.decode(), tracestate="rojo=00f067aa")
    # Several lines are one list, in their order.
    raw = raw.replace(b"tracestate: ", b"TraceState: congo@t61rcw=a b/c\r\ntracestate: ", 1)
    exchange = bench.request(raw, bench.client())
    assert exchange is not None
    bench.turn()
    sent = exchange.sent(bench.upstream).split(b"\r\n")
    assert sent[0].startswith(b"POST ")
    assert b"tracestate: congo@t61rcw=a b/c,rojo=00f067aa" in sent
    assert (b"traceparent: " + HEADER in sent) is not exports


@pytest.mark.parametrize(
    ("parent", "state"),
    [
        ("", STATE),
        ("00-nonsense", STATE),
        (HEADER.decode(), "no list"),
        (HEADER.decode(), "Rojo=1"),
        (HEADER.decode(), "a=1=2"),
        (HEADER.decode(), ", ,"),
        (HEADER.decode(), ",".join(f"k{n}=1" for n in range(33))),
        (HEADER.decode(), ",".join(f"k{n}={'x' * 250}" for n in range(20))),
    ],
)
@pytest.mark.parametrize("exports", [False, True])
def test_notes_without_their_trace_and_what_are_none_stay_here(
    parent: str, state: str, exports: bool
) -> None:
    bench = Bench()
    if exports:
        bench.dispatcher.tracer = lambda header: context(parent_of(header), RANDOM, 1)
    raw = raw_request("POST", "/v1/chat/completions", HELLO, traceparent=parent, tracestate=state)
    exchange = bench.request(raw, bench.client())
    assert exchange is not None
    bench.turn()
    assert b"tracestate" not in exchange.sent(bench.upstream)


def test_notes_of_one_request_are_not_those_of_the_next() -> None:
    parser = RequestParser(head_bytes_max=9_999, body_bytes_max=9_999)
    first = raw_request("POST", "/x", HELLO, traceparent=HEADER.decode(), tracestate=STATE)
    second = raw_request("POST", "/x", HELLO, traceparent=HEADER.decode())
    third = raw_request("POST", "/x", HELLO, tracestate=STATE)
    for together in (True, False):
        parts = [first + third + second] if together else [first, third, second]
        requests = [one for part in parts for one in parser.feed(part)]
        assert [one.tracestate for one in requests] == [STATE.encode(), b"", b""]


# -- what a collector reads ------------------------------------------------------------------------


def test_a_request_is_two_spans_with_the_genai_names() -> None:
    counts = Counts(input=10, cached_read=4, cache_write=2, output=6, reasoning=3)
    ours, model = read(
        export([a_span(call=a_call(stream=True), closed=a_close(counts=counts))], US)
    )
    assert (ours["traceId"], ours["parentSpanId"], ours["kind"]) == (TRACE, SPAN, 2)
    assert (model["traceId"], model["parentSpanId"], model["kind"]) == (TRACE, ours["spanId"], 3)
    assert (ours["name"], model["name"]) == ("POST chat.completions", "chat llama")
    assert ours["startTimeUnixNano"] == model["startTimeUnixNano"] == str(AT * 1000)
    assert model["endTimeUnixNano"] == str((AT + 80_000) * 1000)
    assert ours["endTimeUnixNano"] == str((AT + 84_000) * 1000)
    assert attributes(model) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "llama",
        "gen_ai.request.stream": True,
        "gen_ai.response.id": "chatcmpl-7",
        "gen_ai.response.finish_reasons": {"values": [{"stringValue": "stop"}]},
        "gen_ai.response.time_to_first_chunk": 0.03,
        "gen_ai.usage.input_tokens": "16",
        "gen_ai.usage.output_tokens": "9",
        "gen_ai.usage.cache_read.input_tokens": "4",
        "gen_ai.usage.cache_write.input_tokens": "2",
        "gen_ai.usage.reasoning.output_tokens": "3",
        "server.address": "10.0.0.5",
        "server.port": "8000",
        "quartermaster.deployment": "llama@rack-1",
        "quartermaster.usage.source": "upstream",
    }
    assert attributes(ours)["quartermaster.customer"] == "cus_1"
    assert (ours["status"], model["status"]) == ({}, {})


def test_an_error_is_the_model_server_s_or_the_client_s() -> None:
    failed = a_close(status=502, failure="upstream_dropped")
    left = a_close(status=499, failure="client_gone")
    ours, model, mine, theirs = read(export([a_span(closed=failed), a_span(closed=left)], US))
    assert ours["status"] == model["status"] == {"code": 2, "message": "upstream_dropped"}
    assert attributes(model)["error.type"] == "upstream_dropped"
    assert mine["status"] == {}, "4xx is no error of the server"
    assert theirs["status"]["code"] == 2


def test_a_stream_that_says_its_error_after_200_is_an_error() -> None:
    broken = a_close(failure="upstream_error")
    server, model = read(export([a_span(closed=broken)], US))
    assert server["status"] == model["status"] == {"code": 2, "message": "upstream_error"}
    assert attributes(model)["error.type"] == "upstream_error"
    # Whose client left, and whose usage was not believed, did not fail.
    for failure in ("client_gone", "usage_negative"):
        spans = read(export([a_span(closed=a_close(failure=failure))], US))
        assert [span["status"] for span in spans] == [{}, {}]


def test_no_content_and_no_secret_is_exported() -> None:
    body = export([a_span()], US)
    for secret in (b"SECRET", SECRET.encode(), AnEnd().grant.key_hash.encode(), b"prompt_tokens"):
        assert secret not in body


def test_a_clock_that_was_set_back_makes_no_span_that_ends_before_it_begins() -> None:
    _, model = read(export([a_span(closed=a_close(took_ms=-5))], US))
    assert int(model["endTimeUnixNano"]) >= int(model["startTimeUnixNano"])


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_context": None},
        {"closed": None},
        {"trace_context": TraceContext(TRACE, SPAN, SPAN, "", sampled=False)},
    ],
)
def test_what_is_not_traced_has_no_span(fields: dict[str, Any]) -> None:
    assert span_of(AnEnd(**{"trace_context": CONTEXT, **fields}), AT) is None


# -- on the way ------------------------------------------------------------------------------------


class Thread:
    """Runs jobs when the test says so, and brings callbacks back at once."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []

    def submit(self, job: Callable[[], None]) -> None:
        """Keep it."""
        self.jobs.append(job)

    def run(self) -> None:
        """Run what was submitted."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()

    def stop(self) -> None:
        """Run the rest."""
        self.run()


class FakeCollector:
    """Takes bodies, or says why not."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.away = False
        self.refuses = ""

    def send(self, body: bytes) -> str | None:
        """Take one."""
        if self.away:
            raise TryAgainError("away")
        self.sizes.append(len(read(body)) // 2)
        return self.refuses or None


def exporter(collector: FakeCollector, thread: Thread) -> Exporter:
    return Exporter(US, collector.send, thread, lambda callback: callback())


def test_spans_go_in_batches_and_one_batch_at_a_time() -> None:
    collector, thread = FakeCollector(), Thread()
    one = exporter(collector, thread)
    for _ in range(2 * BATCH_MAX + 5):
        one.take(a_span())
    one.tick(1.0)
    one.tick(2.0)
    assert len(thread.jobs) == 1
    while thread.jobs:
        thread.run()
    one.tick(3.0)
    thread.run()
    assert collector.sizes == [BATCH_MAX, BATCH_MAX, 5]
    assert (one.dropped, one.problem) == (0, "")


def test_a_collector_that_is_away_is_asked_again_ever_more_slowly() -> None:
    collector, thread = FakeCollector(), Thread()
    collector.away = True
    one = exporter(collector, thread)
    one.take(a_span())
    tried = []
    for second in range(20):
        one.tick(float(second))
        if thread.jobs:
            tried.append(second)
            thread.run()
    assert tried == [0, 1, 3, 7, 15]
    assert one.problem == "away"
    collector.away = False
    one.tick(100.0)
    thread.run()
    assert (collector.sizes, one.dropped, one.problem) == ([1], 0, "")


def test_a_full_queue_drops_the_newest_and_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_export, "QUEUE_MAX", 3)
    collector, thread = FakeCollector(), Thread()
    one = exporter(collector, thread)
    for _ in range(5):
        one.take(a_span())
    assert one.dropped == 2
    one.stop()
    assert collector.sizes == [3]


def test_what_a_collector_refuses_for_good_is_dropped_and_said() -> None:
    collector, thread = FakeCollector(), Thread()
    collector.refuses = "the collector answered 400"
    one = exporter(collector, thread)
    one.take(a_span())
    one.tick(1.0)
    thread.run()
    assert (one.dropped, one.problem) == (1, "the collector answered 400")
    one.tick(2.0)
    assert not thread.jobs


def test_what_is_left_at_the_end_is_sent_once() -> None:
    collector, thread = FakeCollector(), Thread()
    one = exporter(collector, thread)
    for _ in range(BATCH_MAX + 1):
        one.take(a_span())
    one.stop()
    assert collector.sizes == [BATCH_MAX, 1]
    collector.away = True
    one.take(a_span())
    one.stop()
    assert one.dropped == 1


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://x", "http://", "http://x:port"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="otlp_endpoint"):
        Collector(endpoint, {})


def test_nobody_at_the_collector_s_port_means_later() -> None:
    with pytest.raises(TryAgainError, match="cannot be reached"):
        Collector("http://127.0.0.1:1", {}).send(b"{}")


def test_headers_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("Authorization: Bearer abc\n\nx-tenant: 7\n")
    assert read_headers(path) == {"authorization": "Bearer abc", "x-tenant": "7"}
    path.write_text("no header\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_headers(path)
    with pytest.raises(ConfigError, match="missing"):
        read_headers(tmp_path / "missing")
