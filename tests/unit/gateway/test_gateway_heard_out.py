"""Who hangs up is gone; the model server is heard out for a moment, and then told to stop."""

from typing import Any

import msgspec
import pytest
from tests.unit.gateway.gateway_fakes import (
    DONE,
    HELLO,
    HELLO_STREAM,
    NOW,
    STREAM_HEAD,
    Bench,
    a_grant,
    an_index,
    chunked,
    delta,
    plain_response,
    usage_frame,
)

from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.meter import Life
from quartermaster.gateway.settings import HEAR_OUT_FULL_S, HEAR_OUT_S
from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.units import Counts

THREE = delta(" aa") + delta(" bb") + delta(" cc")
SEVEN_MORE = b"".join(delta(letter) for letter in "defghij")
REST = SEVEN_MORE + delta("", "stop") + usage_frame(50, 20) + DONE


def left(policy: CancelledStream = "bill_delivered", **body: Any) -> tuple[Bench, Exchange]:
    """A stream of which three deltas had been handed over when its client hung up."""
    bench = Bench(an_index(a_grant(cancelled_stream=policy)))
    exchange = bench.send({**HELLO_STREAM, **body}, bench.client())
    bench.answer(exchange, STREAM_HEAD + chunked(THREE))
    exchange.client_gone()
    return bench, exchange


def test_what_was_handed_over_is_owed_and_what_was_counted_is_kept() -> None:
    bench, exchange = left()
    bench.answer(exchange, chunked(REST))
    bench.wal.sync()
    bench.turn()
    closed = bench.wal.only_close
    assert (closed.failure, closed.http_status, closed.delivered_chunks) == ("client_gone", 200, 3)
    assert (closed.counts, closed.count_source) == (Counts(input=50, output=6), "estimated")
    assert closed.upstream_counts == Counts(input=50, output=20)
    assert msgspec.json.decode(closed.upstream_usage)["completion_tokens"] == 20
    assert exchange.life is Life.UNCONFIRMED
    assert bench.relay.idle


def test_in_full_is_what_was_counted() -> None:
    bench, exchange = left("bill_full")
    bench.relay.tick(float(HEAR_OUT_S + 5))
    bench.answer(exchange, chunked(REST))
    closed = bench.wal.only_close
    assert (closed.counts, closed.count_source) == (Counts(input=50, output=20), "upstream")
    assert (closed.upstream_counts, closed.delivered_chunks) == (None, 3)


@pytest.mark.parametrize(
    ("policy", "patience_s"),
    [("bill_delivered", HEAR_OUT_S), ("bill_full", HEAR_OUT_FULL_S)],
)
def test_nobody_is_heard_out_for_ever(policy: CancelledStream, patience_s: int) -> None:
    bench, exchange = left(policy)
    bench.answer(exchange, chunked(delta(" dd")))
    bench.relay.tick(float(patience_s))
    assert bench.wal.closes == {}
    bench.relay.tick(float(patience_s + 1))
    assert bench.upstream.calls[-1] == "abort"
    closed = bench.wal.only_close
    # Of four that the server made, three had been handed over.
    owed, made = (3, 4) if policy == "bill_delivered" else (4, 4)
    assert closed.counts.output == owed
    assert (closed.upstream_counts or closed.counts).output == made
    assert closed.failure == "client_gone"


def test_for_whom_it_is_free_the_server_stops_at_once() -> None:
    bench, _ = left("free")
    assert bench.upstream.calls == ["abort"]
    assert bench.wal.only_close.counts.output == 3


def test_a_crash_while_hearing_out_bills_what_was_handed_over() -> None:
    bench, exchange = left()
    bench.answer(exchange, chunked(SEVEN_MORE))
    bench.relay.tick(1.0)
    assert [progress.counts.output for progress in bench.wal.progress] == [3]
    assert bench.wal.progress[0].delivered_chunks == 3


def test_a_client_that_stood_still_does_not_keep_its_server_waiting() -> None:
    bench = Bench()
    exchange = bench.send(HELLO_STREAM, bench.client())
    bench.answer(exchange, STREAM_HEAD + chunked(THREE))
    exchange.pause()
    exchange.client_gone()
    assert bench.upstream.calls == ["pause", "resume"]
    bench.answer(exchange, chunked(REST))
    assert bench.wal.only_close.upstream_counts == Counts(input=50, output=20)


def test_a_plain_answer_that_nobody_waits_for_is_counted_and_its_output_not_owed() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    exchange.client_gone()
    answer = {
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 20},
    }
    bench.answer(exchange, plain_response(msgspec.json.encode(answer)))
    closed = bench.wal.only_close
    assert (closed.http_status, closed.failure) == (499, "client_gone")
    assert (closed.counts, closed.upstream_counts) == (
        Counts(input=50),
        Counts(input=50, output=20),
    )


@pytest.mark.parametrize("policy", ["bill_delivered", "bill_full"])
@pytest.mark.parametrize("end", ["500 Internal Server Error", "not json", "dropped"])
def test_who_left_owes_nothing_for_a_plain_answer_that_failed(
    policy: CancelledStream, end: str
) -> None:
    """Who stays until a model server fails owes nothing; nor does who hung up before."""
    bench = Bench(an_index(a_grant(cancelled_stream=policy)))
    exchange = bench.send(HELLO, bench.client())
    exchange.client_gone()
    if end == "dropped":
        exchange.upstream_lost(bench.parser, reused=False)
    elif end == "not json":
        bench.answer(exchange, plain_response(b"not json"))
    else:
        bench.answer(exchange, plain_response(b"{}", end))
    closed = bench.wal.only_close
    assert (closed.failure, closed.http_status) == ("client_gone", 499)
    assert (closed.counts, closed.upstream_counts) == (Counts(), None)


@pytest.mark.parametrize("end", ["drops", "errs", "is suspended"])
def test_however_the_hearing_ends_it_is_the_client_that_left(end: str) -> None:
    bench, exchange = left()
    if end == "drops":
        exchange.upstream_lost(bench.parser, reused=True)
    elif end == "errs":
        bench.answer(exchange, chunked(b'data: {"error": {"message": "x"}}\n\n') + b"0\r\n\r\n")
    else:
        exchange.fail("account_suspended", "This account is suspended.")
    closed = bench.wal.only_close
    assert (closed.failure, closed.counts.output, closed.delivered_chunks) == ("client_gone", 3, 3)
    assert bench.now == NOW
