"""The life of plain requests, with the order of what happens."""

import json
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    HELLO_STREAM,
    NOW,
    Bench,
    a_grant,
    an_index,
    chat_request,
    plain_response,
)

from quartermaster.gateway.meter import Life
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import NotDurableError
from quartermaster.kernel.events import UPSTREAM_TEXT_CHARS_MAX, UPSTREAM_USAGE_BYTES_MAX
from quartermaster.kernel.units import Counts

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}


def completion(**more: Any) -> bytes:
    choice = {"index": 0, "message": {"content": "Hi there"}, "finish_reason": "stop"}
    return json.dumps({"id": "chatcmpl-9", "choices": [choice]} | more).encode()


def test_the_order_of_a_request() -> None:
    bench, client = Bench(), Bench().client()
    client.story = bench.story
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(completion(usage=USAGE)))
    assert client.data == b""
    bench.wal.sync()
    bench.turn()
    assert bench.story == [
        "opened",
        "flushed",
        "dialled",
        "closed",
        "synced",
        "wrote",
        "delivered",
    ]
    assert client.status == 200
    assert client.body == completion(usage=USAGE)
    assert client.done is True
    assert exchange.life is Life.DELIVERED
    assert bench.relay.idle


def test_the_open_record() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    opened = bench.wal.open[1]
    assert opened.request_id == exchange.request_id
    assert opened.request_id.startswith("req_")
    assert (opened.customer, opened.key_id, opened.contract) == ("cus_1", "key_1", "con_1")
    assert (opened.contract_version, opened.price_book, opened.price_book_version) == (3, "list", 2)
    assert (opened.model, opened.deployment, opened.stream) == ("toy", "toy@here", False)
    assert (opened.opened_at, opened.attempt) == (NOW, 1)
    assert opened.input_bytes == len(json.dumps(HELLO))


def test_the_close_record() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    bench.answer(exchange, plain_response(completion(usage=USAGE)))
    closed = bench.wal.only_close
    assert closed.counts == Counts(input=6, cached_read=3, output=4)
    assert (closed.count_source, closed.http_status, closed.failure) == ("upstream", 200, "")
    assert (closed.finish_reason, closed.upstream_id) == ("stop", "chatcmpl-9")
    assert json.loads(closed.upstream_usage) == USAGE


def test_what_goes_upstream() -> None:
    bench = Bench()
    bench.request(chat_request({**HELLO, "user": "u"}), bench.client())
    bench.turn()
    ((exchange, fresh),) = bench.dialled
    head, _, body = exchange.sent(bench.upstream).partition(b"\r\n\r\n")
    assert not fresh
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"qm-a-key" not in head
    assert f"x-request-id: {exchange.request_id}".encode() in head
    assert json.loads(body) == {**HELLO, "user": "u", "model": "toy-upstream"}
    assert f"content-length: {len(body)}".encode() in head


def test_the_requests_of_a_turn_share_one_flush() -> None:
    bench = Bench()
    for _ in range(3):
        bench.request(chat_request(HELLO), bench.client())
    bench.turn()
    assert bench.story == ["opened"] * 3 + ["flushed"] + ["dialled"] * 3


@pytest.mark.parametrize(
    ("answer", "output", "failure"),
    [
        # {"content": "Hi there"} has 23 bytes: six tokens, rounded up.
        (completion(), 6, ""),
        (completion(usage={"prompt_tokens": -9, "completion_tokens": 1}), 6, "usage_negative"),
        (completion(usage={"prompt_tokens": 9}), 6, "usage_incomplete"),
        # 21 bytes under "choices": six tokens, rounded up.
        (b'{"id": 7, "choices": [{"text": "Hi there"}]}', 6, ""),
    ],
)
def test_an_answer_without_usable_usage_is_estimated(
    answer: bytes, output: int, failure: str
) -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(answer))
    bench.wal.sync()
    closed = bench.wal.only_close
    input_tokens = -(-len(json.dumps(HELLO)) // 4)
    assert closed.counts == Counts(input=input_tokens, output=output)
    assert (closed.count_source, closed.failure) == ("estimated", failure)
    assert client.body == answer


def test_an_odd_answer_does_not_hide_its_usage() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    bench.answer(exchange, plain_response(completion(id=7, usage=USAGE)))
    closed = bench.wal.only_close
    assert closed.counts == Counts(input=6, cached_read=3, output=4)
    assert (closed.count_source, closed.upstream_id) == ("upstream", "")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"not json", "upstream_malformed"),
        (b"[]", "upstream_malformed"),
        (b'{"error": {"message": "secret"}}', "upstream_error"),
        (b'{"id": 7, "choices": [], "error": "secret"}', "upstream_error"),
    ],
)
def test_what_is_no_answer_is_neither_relayed_nor_charged(answer: bytes, code: str) -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(answer))
    bench.wal.sync()
    assert (client.status, client.error["code"]) == (502, code)
    assert b"secret" not in client.data
    assert (bench.wal.only_close.counts, bench.wal.only_close.failure) == (Counts(), code)


def test_endless_texts_of_the_upstream_are_cut() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    endless = "x" * 5_000_000
    choice = {"message": {"content": "x"}, "finish_reason": endless}
    bench.answer(exchange, plain_response(completion(id=endless, choices=[choice], usage=USAGE)))
    closed = bench.wal.only_close
    texts = (closed.upstream_id, closed.finish_reason)
    assert [len(text) for text in texts] == [UPSTREAM_TEXT_CHARS_MAX] * 2


def test_the_engine_counts_its_own_tokens() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    bench.answer(exchange, plain_response(completion(usage={**USAGE, "count_source": "engine"})))
    assert bench.wal.only_close.count_source == "engine"


def test_an_endless_usage_object_is_cut() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    bench.answer(exchange, plain_response(completion(usage={**USAGE, "x": "y" * 9_000})))
    assert len(bench.wal.only_close.upstream_usage) == UPSTREAM_USAGE_BYTES_MAX


def test_an_upstream_refusal_keeps_its_status_words_and_retry_after() -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    body = b'{"error":{"message":"slow down","type":"t","param":null,"code":"rate_limit_exceeded"}}'
    waits = ("Retry-After: 7", "Retry-After-Ms: 6800")
    bench.answer(exchange, plain_response(body, "429 Too Many Requests", *waits))
    bench.wal.sync()
    assert (client.status, client.body) == (429, body)
    assert b"retry-after: 7\r\nretry-after-ms: 6800\r\n" in client.data
    closed = bench.wal.only_close
    assert (closed.http_status, closed.failure, closed.counts) == (
        429,
        "upstream_rejected",
        Counts(),
    )


def test_an_upstream_refusal_of_another_shape_gets_ours() -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(b"<html>no</html>", "422 Unprocessable"))
    bench.wal.sync()
    assert client.status == 422
    assert client.error["code"] == "upstream_rejected"


@pytest.mark.parametrize(
    "status", ["500 Oops", "503 Busy", "401 No", "402 Pay", "407 No", "302 Away"]
)
def test_upstream_failures_are_502_and_say_nothing_of_its_inside(status: str) -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(b"secret stack trace", status))
    bench.wal.sync()
    assert (client.status, client.error["code"]) == (502, "upstream_error")
    assert b"secret" not in client.data
    assert bench.wal.only_close.failure == "upstream_error"
    assert bench.tallies.failures == {"upstream_error": 1}


def test_a_connection_closed_while_idle_is_tried_once_more() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    exchange.upstream_lost(bench.parser, reused=True)
    assert bench.dialled[1:] == [(exchange, True)]
    assert exchange.awaits_upstream
    exchange.sent(bench.upstream)
    exchange.upstream_lost(bench.parser, reused=True)
    assert bench.wal.only_close.failure == "upstream_dropped"


def test_a_response_that_began_is_never_tried_again() -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")
    exchange.upstream_lost(bench.parser, reused=True)
    bench.wal.sync()
    assert len(bench.dialled) == 1
    assert (client.status, client.error["code"]) == (502, "upstream_dropped")


def test_an_answer_beyond_the_limit_is_dropped() -> None:
    bench = Bench(settings=GatewaySettings(answer_bytes_max=10))
    exchange = bench.send(HELLO, bench.client())
    bench.answer(exchange, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nmore than ten bytes")
    assert bench.upstream.calls == ["abort"]
    assert bench.wal.only_close.failure == "upstream_malformed"


@pytest.mark.parametrize("body", [HELLO, HELLO_STREAM])
def test_a_compressed_answer_cannot_be_metered_and_is_refused(body: dict[str, Any]) -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(body, client)
    bench.answer(exchange, plain_response(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip"))
    bench.wal.sync()
    assert (client.status, client.error["code"]) == (502, "upstream_malformed")


def test_a_client_that_hangs_up_stops_the_upstream() -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.hang_up(exchange)
    bench.wal.sync()
    bench.turn()
    closed = bench.wal.only_close
    assert (closed.failure, closed.http_status) == ("client_gone", 499)
    assert closed.counts == Counts(input=-(-len(json.dumps(HELLO)) // 4))
    assert closed.count_source == "estimated"
    assert bench.upstream.calls == ["resume", "abort"]
    assert (client.data, bench.wal.confirmed) == (b"", [])


def test_a_client_that_hangs_up_before_anything_was_sent_used_nothing() -> None:
    bench = Bench()
    exchange = bench.request(chat_request(HELLO), bench.client())
    assert exchange is not None
    bench.hang_up(exchange)
    bench.turn()
    assert bench.dialled == []
    assert bench.wal.only_close.counts == Counts()


def test_a_client_that_hangs_up_while_the_disk_syncs_is_unconfirmed() -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(completion(usage=USAGE)))
    bench.hang_up(exchange)
    bench.wal.sync()
    bench.turn()
    assert exchange.life is Life.UNCONFIRMED
    assert (client.data, bench.wal.confirmed) == (b"", [])
    assert bench.wal.only_close.failure == ""


def test_delivery_is_confirmed_only_when_the_buffer_is_empty() -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(completion(usage=USAGE)))
    client.drained = False
    bench.wal.sync()
    bench.turn()
    assert (bench.wal.confirmed, bench.relay.idle, len(bench.later)) == ([], False, 1)
    client.drained = True
    bench.later.pop()()
    assert (bench.wal.confirmed, bench.relay.idle, bench.later) == ([1], True, [])


def test_a_client_lost_with_bytes_in_its_buffer_is_never_confirmed() -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(completion(usage=USAGE)))
    client.drained = False
    bench.wal.sync()
    client.lost = True
    bench.turn()
    assert (bench.wal.confirmed, exchange.life) == ([], Life.UNCONFIRMED)
    assert bench.relay.idle


def test_an_answer_whose_record_was_lost_is_not_released() -> None:
    bench, client = Bench(), Bench().client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(completion(usage=USAGE)))
    bench.wal.sync(NotDurableError())
    bench.turn()
    assert (client.status, client.error["code"]) == (503, "meter_unavailable")
    assert b"Hi there" not in client.data
    assert client.done is False
    assert exchange.life is Life.LOST
    assert bench.wal.confirmed == []


def test_a_log_that_breaks_at_the_flush_sends_nothing_upstream() -> None:
    bench, client = Bench(), Bench().client()
    bench.wal.breaks_at_flush = True
    bench.request(chat_request(HELLO), client)
    bench.turn()
    assert bench.dialled == []
    assert (client.status, client.error["code"]) == (503, "meter_unavailable")


def test_a_log_that_cannot_be_written_refuses() -> None:
    bench, client = Bench(), Bench().client()
    bench.wal.writable = False
    assert bench.request(chat_request(HELLO), client) is None
    assert (client.status, client.error["code"]) == (503, "meter_unavailable")
    assert bench.tallies.refusals == {"meter_unavailable": 1}


def test_an_upstream_that_says_nothing_times_out() -> None:
    bench, client = Bench(settings=GatewaySettings(first_byte_timeout_s=10)), Bench().client()
    bench.send(HELLO, client)
    bench.relay.tick(10.0)
    assert bench.wal.closes == {}
    bench.relay.tick(11.0)
    bench.wal.sync()
    assert (client.status, client.error["code"]) == (504, "upstream_timeout")
    assert bench.upstream.calls == ["abort"]


@pytest.mark.parametrize(
    ("index", "code"),
    [
        (an_index(standing={"grp_1": "suspended"}), "account_suspended"),
        (an_index(a_grant(key_id="another")), "invalid_api_key"),
    ],
)
def test_a_new_snapshot_ends_running_requests(index: Any, code: str) -> None:
    bench, client = Bench(), Bench().client()
    bench.send(HELLO, client)
    bench.relay.end_barred(an_index())
    assert bench.wal.closes == {}
    bench.relay.end_barred(index)
    bench.wal.sync()
    assert client.error["code"] == code
    assert bench.wal.only_close.failure == code
