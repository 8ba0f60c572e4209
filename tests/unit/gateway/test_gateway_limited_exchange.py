"""Requests of limited customers: when a permit is taken, and when it ends."""

from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import (
    DONE,
    HELLO,
    HELLO_STREAM,
    STREAM_HEAD,
    Bench,
    FakeClient,
    a_grant,
    an_index,
    chat_request,
    chunked,
    delta,
    plain_response,
    usage_frame,
)

from quartermaster.gateway.dispatch import Dispatcher
from quartermaster.gateway.limits import Limiter
from quartermaster.kernel.limit import Limits

ANSWER = (
    b'{"id":"1","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":1}}'
)
WHOLE = STREAM_HEAD + b"".join(
    chunked(part) for part in (delta("Hi"), delta("", "stop"), usage_frame(9, 1), DONE)
)


def bench_of(**limits: int) -> Bench:
    return Bench(an_index(a_grant(limits=Limits(**limits))))


def refused(bench: Bench, body: dict[str, Any] = HELLO) -> FakeClient:
    """A request that is answered at once, with 429."""
    client = bench.client()
    assert bench.request(chat_request(body), client) is None
    assert client.status == 429
    return client


def durable(bench: Bench) -> None:
    """The close records are on disk."""
    waiting, bench.wal.waiting = bench.wal.waiting, []
    for when_durable in waiting:
        when_durable(None)


@pytest.mark.parametrize(
    ("body", "data"), [(HELLO, plain_response(ANSWER)), (HELLO_STREAM, WHOLE + b"0\r\n\r\n")]
)
def test_open_until_the_last_byte_has_left(body: dict[str, Any], data: bytes) -> None:
    bench = bench_of(concurrent=1)
    client = bench.client()
    exchange = bench.send(body, client)
    refused(bench)
    bench.answer(exchange, data)
    refused(bench)  # the close record is not on disk
    client.drained = False
    durable(bench)
    bench.turn()
    refused(bench)  # the client has not taken it all
    client.drained = True
    for confirm in bench.later:
        confirm()
    bench.send(HELLO, bench.client())


def test_open_until_a_client_that_takes_nothing_is_lost() -> None:
    bench = bench_of(concurrent=1)
    client = bench.client()
    bench.answer(bench.send(HELLO, client), plain_response(ANSWER))
    client.drained = False
    durable(bench)
    refused(bench)
    client.lost = True
    bench.turn()
    bench.send(HELLO, bench.client())


def test_open_until_the_client_hangs_up() -> None:
    bench = bench_of(concurrent=1)
    exchange = bench.send(HELLO_STREAM, bench.client())
    bench.answer(exchange, STREAM_HEAD + chunked(delta("Hi")))
    bench.hang_up(exchange)
    refused(bench)  # what it received is being written down
    durable(bench)
    bench.send(HELLO, bench.client())


def test_a_log_that_fails_ends_the_permit_too() -> None:
    bench = bench_of(concurrent=1)
    bench.answer(bench.send(HELLO, bench.client()), plain_response(ANSWER))
    bench.wal.waiting.pop()(OSError())
    bench.send(HELLO, bench.client())


def test_tokens_are_corrected_when_the_answer_is_metered() -> None:
    bench = bench_of(tokens_per_minute=1_000)
    asks = {**HELLO, "max_tokens": 900}
    first = bench.client()
    exchange = bench.send(asks, first)
    error = refused(bench, asks).error
    assert (error["type"], error["code"]) == ("tokens", "rate_limit_exceeded")
    bench.answer(exchange, plain_response(ANSWER))
    durable(bench)
    assert b"\r\nx-ratelimit-limit-tokens: 1000\r\n" in first.data
    bench.send({**HELLO, "max_tokens": 970 - len(str(HELLO))}, bench.client())


def test_a_stream_says_what_is_left_in_its_head() -> None:
    bench = bench_of(requests_per_minute=5)
    client = bench.client()
    bench.answer(bench.send(HELLO_STREAM, client), STREAM_HEAD + chunked(delta("Hi")))
    assert b"\r\nx-ratelimit-remaining-requests: 4\r\n" in client.data.partition(b"\r\n\r\n")[0]


def test_what_is_refused_otherwise_takes_nothing() -> None:
    bench = bench_of(requests_per_minute=1)
    wrong: tuple[dict[str, Any] | bytes, ...] = ({"model": "toy"}, {**HELLO, "model": "x"}, b"{")
    for body in wrong:
        client = bench.client()
        assert bench.request(chat_request(body), client) is None
        assert client.status in (400, 404)
    bench.wal.writable = False
    client = bench.client()
    assert bench.request(chat_request(HELLO), client) is None
    assert client.status == 503
    bench.wal.writable = True
    bench.send(HELLO, bench.client())


def test_a_worker_without_a_share_sends_the_client_to_another() -> None:
    bench = bench_of(requests_per_minute=1)
    index = bench.dispatcher.index
    bench.dispatcher = Dispatcher(bench.relay, b"p" * 32, Limiter(workers=2, number=1))
    bench.dispatcher.index = index
    data = refused(bench).data
    assert b"\r\nconnection: close\r\n" in data
    assert b"\r\nretry-after: 1\r\n" in data


def test_who_has_no_limits_gets_no_permit_and_no_headers() -> None:
    bench = Bench()
    client = bench.client()
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(ANSWER))
    durable(bench)
    assert exchange.permit is None
    assert b"ratelimit" not in client.data


def test_what_fails_after_the_last_byte_holds_no_permit() -> None:
    """A client's next request begins where its last one ends; a defect there is not this one's."""

    class Clumsy(FakeClient):
        def finish(self, data: bytes, *, keep_alive: bool) -> None:
            super().finish(data, keep_alive=keep_alive)
            raise RuntimeError("the next request hit a defect")

    bench = bench_of(concurrent=1)
    client = Clumsy(bench.story)
    exchange = bench.send(HELLO, client)
    bench.answer(exchange, plain_response(ANSWER))
    with pytest.raises(RuntimeError, match="defect"):
        durable(bench)
    bench.turn()
    assert client.status == 200
    assert bench.relay.idle
    assert bench.request(chat_request(HELLO), bench.client()) is not None
