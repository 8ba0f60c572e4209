"""Model servers that ignore the output cap: who has a budget is not served beyond it."""

import json
from typing import Any

import pytest
from tests.unit.gateway.dialect_cases import events
from tests.unit.gateway.gateway_fakes import (
    DONE,
    HELLO,
    HELLO_STREAM,
    NOW,
    STREAM_HEAD,
    Bench,
    FakeClient,
    a_grant,
    chunked,
    delta,
    frame,
    raw_request,
    usage_frame,
)

from quartermaster.gateway.budget import Purses
from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.index import build
from quartermaster.gateway.output_cap import ABOVE_CAP, PIECES_SPARE
from quartermaster.kernel.budget import BudgetGrant, Epoch, RateCard, Rates
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.lease import GrantedLease, Life
from quartermaster.kernel.snapshot import Deployment, Snapshot

CAP = 4
BEYOND = CAP + PIECES_SPARE + 1
BUDGET = BudgetGrant("key", "key_1", "EUR", (Epoch("e", "", 0, 2 * NOW),))
CARD = {"list": RateCard("EUR", {"toy": Rates(*(1_000_000,) * 8)})}
MESSAGES = {"model": "toy", "max_tokens": CAP, "messages": HELLO["messages"], "stream": True}
RESPONSES = {"model": "toy", "max_output_tokens": CAP, "input": "Hello", "stream": True}
COMPLETIONS = {"model": "toy", "max_tokens": CAP, "prompt": "Hello", "stream": True}
CHAT = {**HELLO_STREAM, "max_tokens": CAP, "stream_options": {"include_usage": True}}
PIECE = frame(
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " aa"}}
)
BEGIN = frame(
    {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 9}}}
) + frame({"type": "content_block_start", "index": 0, "content_block": {"type": "text"}})
SAID = frame({"type": "response.output_text.delta", "delta": " aa"})
TEXT = frame({"id": "cmpl-1", "choices": [{"index": 0, "text": " aa"}]})


def budgeted(api: DeploymentApi = "openai") -> Bench:
    """A bench whose one key has a budget, and money."""
    toy = Deployment("toy@here", "toy", "http://127.0.0.1:9/v1", "theirs", api=api)
    snapshot = Snapshot(
        7, 0, (a_grant(),), {}, (toy,), budgets={BUDGET.id: BUDGET}, rate_cards=CARD
    )
    bench = Bench(build(snapshot, {}))
    purses = bench.dispatcher.purses = Purses("life", 1)
    purses.follow({BUDGET.id: BUDGET}, lambda: 1)
    assert purses.ask() is not None
    purses.granted(Life("life", 1, 1, (GrantedLease(BUDGET.id, "e", 1, 10**12, 10**12, 0),)))
    return bench


def asked(bench: Bench, target: str, body: dict[str, Any]) -> tuple[Exchange, FakeClient]:
    client = bench.client()
    exchange = bench.request(raw_request("POST", target, body), client)
    assert exchange is not None, client.data
    bench.turn()
    exchange.sent(bench.upstream)
    return exchange, client


@pytest.mark.parametrize(
    ("target", "body", "api", "frames"),
    [
        ("/v1/chat/completions", CHAT, "openai", [b""] + [delta(" aa")] * BEYOND),
        ("/v1/chat/completions", CHAT, "anthropic", [BEGIN] + [PIECE] * BEYOND),
        ("/v1/messages", MESSAGES, "openai", [b""] + [delta(" aa")] * BEYOND),
        ("/v1/messages", MESSAGES, "anthropic", [BEGIN] + [PIECE] * BEYOND),
        ("/v1/responses", RESPONSES, "openai", [b""] + [delta(" aa")] * BEYOND),
        ("/v1/responses", RESPONSES, "anthropic", [BEGIN] + [PIECE] * BEYOND),
        ("/v1/responses", RESPONSES, "openai-responses", [b""] + [SAID] * BEYOND),
        ("/v1/completions", COMPLETIONS, "openai", [b""] + [TEXT] * BEYOND),
    ],
)
def test_a_stream_beyond_the_cap_ends_as_one_at_the_cap(
    target: str, body: dict[str, Any], api: DeploymentApi, frames: list[bytes]
) -> None:
    bench = budgeted(api)
    exchange, client = asked(bench, target, body)
    bench.answer(exchange, STREAM_HEAD + chunked(b"".join(frames[:-1])))
    assert bench.wal.closes == {}
    bench.answer(exchange, chunked(frames[-1]))
    assert bench.upstream.calls == ["abort"]
    bench.wal.sync()
    closed = bench.wal.only_close
    assert (closed.failure, closed.finish_reason) == (ABOVE_CAP, "length")
    # The customer owes the cap; the seller owes what came.
    assert (closed.counts.output, closed.http_status) == (CAP, 200)
    assert closed.upstream_counts is not None
    assert closed.upstream_counts.output == BEYOND
    told = client.body.decode()
    if target == "/v1/messages":
        names = [name for name, _ in events(client.body)]
        assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert '"max_tokens"' in told
    elif api == "openai-responses":
        assert events(client.body)[-1][0] == "error"
    elif target == "/v1/responses":
        name, last = events(client.body)[-1]
        assert name == "response.incomplete"
        assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
        assert last["response"]["usage"]["output_tokens"] == CAP
    else:
        assert '"finish_reason":"length"' in told
        assert told.endswith("data: [DONE]\n\n")
    if body is CHAT:
        usage = json.loads(told.split("\n\n")[-3].removeprefix("data: "))["usage"]
        assert usage["completion_tokens"] == CAP
    assert client.done is (api != "openai-responses")
    assert client.data.endswith(b"0\r\n\r\n")


def test_a_crash_bills_no_more_than_the_cap() -> None:
    bench = budgeted()
    exchange, _client = asked(bench, "/v1/chat/completions", CHAT)
    bench.answer(exchange, STREAM_HEAD + chunked(delta(" aa") * (CAP + 2)))
    bench.relay.tick(1.0)
    (told,) = bench.wal.progress
    assert (told.counts.output, told.delivered_chunks) == (CAP, CAP + 2)


def test_every_alternative_ends() -> None:
    bench = budgeted()
    exchange, client = asked(
        bench, "/v1/chat/completions", {**HELLO_STREAM, "max_tokens": 9, "n": 2}
    )
    many = delta(" aa") * (2 * 9 + 1 + PIECES_SPARE + 1)
    bench.answer(exchange, STREAM_HEAD + chunked(many))
    bench.wal.sync()
    last = json.loads(client.body.split(b"\n\n")[-3].removeprefix(b"data: "))
    assert [(one["index"], one["finish_reason"]) for one in last["choices"]] == [
        (0, "length"),
        (1, "length"),
    ]


def test_a_server_that_obeys_is_left_alone() -> None:
    """Also one that tells some pieces more than tokens, and whose frames are long."""
    bench = budgeted()
    exchange, client = asked(bench, "/v1/chat/completions", CHAT)
    bench.answer(exchange, STREAM_HEAD)
    for _ in range(BEYOND - 1):
        bench.answer(exchange, chunked(delta(" aa") + b": " + b"x" * 2_000 + b"\n\n"))
    bench.answer(exchange, chunked(delta("", "length") + usage_frame(9, CAP) + DONE))
    bench.wal.sync()
    assert bench.wal.only_close.failure == ""
    assert client.body.endswith(DONE)


def test_large_pieces_are_bounded_by_their_bytes() -> None:
    bench = budgeted()
    exchange, _client = asked(bench, "/v1/chat/completions", CHAT)
    bench.answer(exchange, STREAM_HEAD + chunked(delta("a" * 70_000)))
    assert bench.wal.only_close.failure == ABOVE_CAP


def test_an_answer_may_repeat_what_it_was_asked() -> None:
    """A response has the instructions and tools of its request in it."""
    bench = budgeted("openai-responses")
    body = {"model": "toy", "input": "Hi", "max_output_tokens": CAP, "instructions": "x" * 90_000}
    exchange, _client = asked(bench, "/v1/responses", body)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n"
    bench.answer(exchange, head + b" " * 160_000)
    assert bench.wal.closes == {}


@pytest.mark.parametrize("more", [{}, {"logprobs": True}])
def test_a_plain_answer_is_bounded_by_its_bytes(more: dict[str, Any]) -> None:
    bench = budgeted()
    exchange, client = asked(bench, "/v1/chat/completions", {**HELLO, "max_tokens": CAP, **more})
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n"
    bench.answer(exchange, head + b" " * 65_000)
    assert bench.wal.closes == {}
    bench.answer(exchange, b" " * 2_000)
    if more:
        assert bench.wal.closes == {}
        return
    bench.wal.sync()
    assert bench.upstream.calls == ["abort"]
    assert (client.status, client.error["code"]) == (502, "upstream_malformed")
    closed = bench.wal.only_close
    assert (closed.failure, closed.counts.tokens) == (ABOVE_CAP, 0)
    assert closed.upstream_counts is not None
    assert closed.upstream_counts.output == 67_000 // 4


def test_who_has_no_budget_is_not_looked_at() -> None:
    bench = Bench()
    exchange, _client = asked(bench, "/v1/chat/completions", CHAT)
    bench.answer(exchange, STREAM_HEAD + chunked(delta(" aa") * 9 * BEYOND))
    assert bench.wal.closes == {}
