"""Lines of batches: in their own class, under the runner's request id, held to budgets only."""

from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    NOW,
    PEPPER,
    TOY,
    Bench,
    FakeClient,
    a_grant,
    an_index,
    plain_response,
    raw_request,
)

from quartermaster.gateway.exchange import Exchange
from quartermaster.kernel.batch_run import BatchRun, sign
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.snapshot import Deployment

KEY_ID = a_grant().key_id
RUN = BatchRun(KEY_ID, "req_01BATCH", 101, NOW + US_PER_S)
CHAT = "/batch/v1/chat/completions"


def line(
    bench: Bench, target: str = CHAT, run: BatchRun = RUN, **body: Any
) -> tuple[Exchange | None, FakeClient]:
    """A line that the runner sends."""
    client = bench.client()
    credential = f"Bearer {sign(run, PEPPER)}"
    raw = raw_request("POST", target, {**HELLO, **body}, authorization=credential)
    return bench.request(raw, client), client


def test_a_line_is_metered_in_its_class_under_the_runner_s_id() -> None:
    bench = Bench()
    exchange, client = line(bench)
    assert exchange is not None
    bench.turn()
    assert b"x-request-id: req_01BATCH\r\n" in exchange.sent(bench.upstream)
    usage = b'{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}'
    bench.answer(exchange, plain_response(b'{"id":"a","choices":[],"usage":%b}' % usage))
    bench.wal.sync()
    bench.turn()
    opened = bench.wal.open[1]
    assert (opened.request_id, opened.attempt) == ("req_01BATCH", 101)
    assert (opened.service_class, opened.endpoint) == ("batch", "chat.completions")
    assert (opened.key_id, opened.customer) == (KEY_ID, a_grant().customer)
    assert bench.wal.only_close.counts.input == 5
    assert b"x-request-id: req_01BATCH\r\n" in client.data


def test_an_ordinary_request_stays_what_it_was() -> None:
    bench = Bench()
    bench.send(HELLO, bench.client())
    opened = bench.wal.open[1]
    assert (opened.service_class, opened.attempt) == ("standard", 1)
    assert opened.request_id != "req_01BATCH"


def test_limits_a_minute_are_not_for_batches() -> None:
    limited = a_grant(limits=Limits(requests_per_minute=1))
    bench = Bench(an_index(limited))
    for attempt in range(1, 4):
        run = BatchRun(KEY_ID, f"req_{attempt}", attempt, NOW + US_PER_S)
        assert line(bench, run=run)[0] is not None
    client = bench.client()
    assert bench.request(raw_request("POST", "/v1/chat/completions", HELLO), client) is not None


def test_what_could_not_be_billed_is_refused() -> None:
    bench = Bench(an_index(a_grant(unpriced_batch_models=("toy",))))
    exchange, client = line(bench)
    assert (exchange, client.status, client.error["code"]) == (None, 403, "model_not_priced")
    assert bench.wal.open == {}
    client = bench.client()
    assert bench.request(raw_request("POST", "/v1/chat/completions", HELLO), client) is not None


@pytest.mark.parametrize(
    "run",
    [
        BatchRun("key_none", "req_1", 1, NOW + 1),
        BatchRun(KEY_ID, "req_1", 1, NOW),
    ],
)
def test_credentials_that_are_none(run: BatchRun) -> None:
    exchange, client = line(Bench(), run=run)
    assert (exchange, client.status) == (None, 401)


def test_a_customer_s_key_sends_no_lines_and_the_runner_s_no_requests() -> None:
    bench, client = Bench(), FakeClient([])
    assert bench.request(raw_request("POST", CHAT, HELLO), client) is None
    assert client.status == 401
    client = bench.client()
    credential = f"Bearer {sign(RUN, PEPPER)}"
    raw = raw_request("POST", "/v1/chat/completions", HELLO, authorization=credential)
    assert bench.request(raw, client) is None
    assert client.status == 401


def test_standing_and_expiry_hold_for_lines() -> None:
    exchange, client = line(Bench(an_index(standing={a_grant().group: "suspended"})))
    assert (exchange, client.status) == (None, 403)
    exchange, client = line(Bench(an_index(a_grant(expires_at=NOW))))
    assert (exchange, client.status) == (None, 401)


def test_lines_of_other_endpoints_and_upstreams() -> None:
    elsewhere = Deployment("toy@a", "toy", "http://127.0.0.1:9/v1", "claude", api="anthropic")
    cases: list[tuple[tuple[Deployment, ...], str, dict[str, Any], str]] = [
        ((TOY,), "/batch/v1/embeddings", {"input": "x"}, "embeddings"),
        ((TOY,), "/batch/v1/images/generations", {"prompt": "x"}, "images.generations"),
        ((TOY,), "/batch/v1/responses", {"input": "x"}, "responses"),
        ((elsewhere,), CHAT, {}, "chat.completions"),
    ]
    for deployments, target, body, endpoint in cases:
        bench = Bench(an_index(deployments=deployments))
        exchange, client = line(bench, target, **body)
        assert exchange is not None, client.data
        opened = bench.wal.open[1]
        assert (opened.endpoint, opened.service_class) == (endpoint, "batch")
    exchange, client = line(Bench(), "/batch/v1/nothing")
    assert (exchange, client.status) == (None, 404)
