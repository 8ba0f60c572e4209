"""The life of streaming requests."""

import json

import pytest
from tests.unit.gateway.gateway_fakes import (
    DONE,
    HELLO_STREAM,
    STREAM_HEAD,
    Bench,
    FakeClient,
    an_index,
    chunked,
    delta,
    frame,
    plain_response,
    usage_frame,
)

from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import NotDurableError
from quartermaster.kernel.units import Counts

END = b"0\r\n\r\n"
INPUT = -(-len(json.dumps(HELLO_STREAM)) // 4)


def a_stream(*frames: bytes, body: dict[str, object] | None = None) -> tuple[Bench, FakeClient]:
    """A stream whose head and some frames have arrived."""
    bench = Bench()
    client = bench.client()
    exchange = bench.send(body or HELLO_STREAM, client)
    bench.answer(exchange, STREAM_HEAD + b"".join(chunked(one) for one in frames))
    return bench, client


def more(bench: Bench, data: bytes) -> None:
    bench.answer(bench.dialled[0][0], data)


def test_the_last_frames_wait_for_the_disk() -> None:
    bench, client = a_stream(delta("Hel"), delta("lo", "stop"))
    assert client.body == delta("Hel") + delta("lo", "stop")
    more(bench, chunked(usage_frame(9, 2)) + chunked(DONE) + END)
    assert client.body == delta("Hel") + delta("lo", "stop")
    assert not client.data.endswith(END)
    bench.wal.sync()
    bench.turn()
    assert client.body == delta("Hel") + delta("lo", "stop") + DONE
    assert client.data.endswith(END)
    assert client.done is True
    assert bench.story[-4:] == ["closed", "synced", "wrote", "delivered"]
    closed = bench.wal.only_close
    assert closed.counts == Counts(input=9, output=2)
    assert (closed.count_source, closed.delivered_chunks, closed.failure) == ("upstream", 2, "")


def test_the_usage_frame_is_passed_on_to_a_client_that_asked() -> None:
    body = {**HELLO_STREAM, "stream_options": {"include_usage": True}}
    bench, client = a_stream(delta(" xx", "stop"), usage_frame(9, 1), DONE, body=body)
    bench.wal.sync()
    assert client.body == delta(" xx", "stop") + usage_frame(9, 1) + DONE


def test_the_head_goes_out_before_the_first_frame() -> None:
    _bench, client = a_stream()
    assert client.data.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream")
    assert b"transfer-encoding: chunked" in client.data
    assert client.body == b""


def test_done_closes_the_record_and_the_rest_is_read_unseen() -> None:
    bench, _ = a_stream(delta(" xx", "stop"), DONE)
    assert bench.upstream.calls == ["detach"]
    assert len(bench.wal.closes) == 1
    more(bench, END)
    assert len(bench.wal.closes) == 1


def test_a_stream_without_usage_is_estimated_by_its_deltas() -> None:
    bench, _ = a_stream(delta(" aa"), delta(" bb"), delta("", "stop"), DONE)
    closed = bench.wal.only_close
    assert closed.counts == Counts(input=INPUT, output=2)
    assert closed.count_source == "estimated"


def test_a_stream_that_finished_without_done_ends_cleanly_without_inventing_it() -> None:
    bench, client = a_stream(delta(" aa", "stop"))
    more(bench, END)
    bench.wal.sync()
    assert client.body == delta(" aa", "stop")
    assert client.data.endswith(END)
    assert bench.wal.only_close.failure == ""


@pytest.mark.parametrize("how", ["lost", "ended early"])
def test_a_dropped_stream_ends_with_an_error_frame_and_no_end(how: str) -> None:
    bench, client = a_stream(delta(" aa"), delta(" bb"))
    exchange = bench.dialled[0][0]
    if how == "lost":
        exchange.upstream_lost(bench.parser, reused=True)
    else:
        more(bench, END)
    bench.wal.sync()
    frames = client.body.split(b"\n\n")
    assert json.loads(frames[2].removeprefix(b"data: "))["error"]["code"] == "upstream_dropped"
    assert b"[DONE]" not in client.data
    assert not client.data.endswith(END)
    assert client.done is False
    closed = bench.wal.only_close
    assert (closed.failure, closed.counts) == ("upstream_dropped", Counts(input=INPUT, output=2))
    assert (closed.upstream_id, closed.upstream_usage) == ("chatcmpl-1", b"")


def test_running_usage_does_not_make_a_dropped_stream_look_whole() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1}
    running = frame({"choices": [{"delta": {"content": "a"}}], "usage": usage})
    bench, client = a_stream(running)
    more(bench, END)
    bench.wal.sync()
    assert b"upstream_dropped" in client.body
    assert bench.wal.only_close.counts == Counts(input=9, output=1)


def test_a_stream_that_cannot_begin_is_answered_plainly() -> None:
    bench = Bench()
    client = bench.client()
    exchange = bench.send(HELLO_STREAM, client)
    bench.answer(exchange, plain_response(b"{}", "500 Oops"))
    bench.wal.sync()
    assert (client.status, client.error["code"]) == (502, "upstream_error")
    assert client.done is True


def test_an_error_frame_of_the_upstream_is_passed_on_and_no_done_follows() -> None:
    error = frame({"error": {"message": "overloaded"}})
    bench, client = a_stream(delta(" aa"), error, DONE)
    bench.wal.sync()
    assert client.body == delta(" aa") + error
    assert client.done is False
    assert bench.wal.only_close.failure == "upstream_error"


def test_a_client_that_leaves_pays_for_what_it_got() -> None:
    bench, _ = a_stream(delta(" aa"), delta(" bb"), delta(" cc"))
    bench.hang_up(bench.dialled[0][0])
    closed = bench.wal.only_close
    assert (closed.failure, closed.http_status, closed.delivered_chunks) == ("client_gone", 200, 3)
    assert (closed.counts, closed.count_source) == (Counts(input=INPUT, output=3), "estimated")
    assert bench.upstream.calls == ["resume", "abort"]


def test_a_client_that_leaves_after_the_usage_frame_is_metered_by_it() -> None:
    bench, _ = a_stream(delta(" aa", "stop"), usage_frame(50, 7))
    bench.hang_up(bench.dialled[0][0])
    closed = bench.wal.only_close
    assert (closed.counts, closed.count_source) == (Counts(input=50, output=7), "upstream")
    assert closed.upstream_id == "chatcmpl-1"
    assert json.loads(closed.upstream_usage) == {"prompt_tokens": 50, "completion_tokens": 7}


def test_a_lost_record_ends_the_stream_with_an_error_frame() -> None:
    bench, client = a_stream(delta(" aa", "stop"), DONE)
    bench.wal.sync(NotDurableError())
    assert b"meter_unavailable" in client.body
    assert b"[DONE]" not in client.data
    assert client.done is False


def test_a_slow_client_pauses_the_upstream() -> None:
    bench, client = a_stream(delta(" aa"))
    exchange = bench.dialled[0][0]
    exchange.pause()
    exchange.resume()
    assert bench.upstream.calls == ["pause", "resume"]
    exchange.pause()
    bench.relay.tick(1_000_000.0)
    assert client.aborted
    assert bench.wal.closes == {}  # the lost connection reports client_gone


def test_a_silent_stream_times_out_and_a_talking_one_does_not() -> None:
    bench = Bench(settings=GatewaySettings(idle_timeout_s=5))
    client = bench.client()
    exchange = bench.send(HELLO_STREAM, client)
    bench.answer(exchange, STREAM_HEAD)
    for second in range(0, 20, 4):
        bench.relay.tick(float(second))
        more(bench, chunked(delta(" xx")))
    assert bench.wal.closes == {}
    bench.relay.tick(30.0)
    assert bench.wal.only_close.failure == "upstream_timeout"


def test_progress_is_recorded_once_a_second_and_only_when_there_is_some() -> None:
    bench, _ = a_stream(delta(" aa"), delta(" bb"))
    bench.relay.tick(1.0)
    bench.relay.tick(2.0)
    more(bench, chunked(delta(" cc")))
    bench.relay.tick(3.0)
    assert [p.delivered_chunks for p in bench.wal.progress] == [2, 3]
    assert bench.wal.progress[0].counts == Counts(input=INPUT, output=2)
    assert bench.story[-1] == "flushed"


def test_a_suspended_customer_s_stream_ends_with_the_reason() -> None:
    bench, client = a_stream(delta(" aa"))
    bench.relay.end_barred(an_index(standing={"grp_1": "suspended"}))
    bench.wal.sync()
    assert b"account_suspended" in client.body
    assert client.done is False
    assert bench.wal.only_close.counts.output == 1


def test_an_http_1_0_client_gets_the_bare_stream() -> None:
    bench = Bench()
    client = bench.client()
    exchange = bench.send(HELLO_STREAM, client, version="1.0", connection="keep-alive")
    bench.answer(exchange, STREAM_HEAD + chunked(delta(" aa", "stop")) + chunked(DONE) + END)
    bench.wal.sync()
    head, _, body = client.data.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == delta(" aa", "stop") + DONE
    assert client.done is False


def test_frames_split_anywhere_arrive_whole() -> None:
    bench, client = a_stream()
    data = b"".join(chunked(one) for one in (delta(" aa"), delta(" bb", "stop"), DONE)) + END
    for at in range(len(data)):
        more(bench, data[at : at + 1])
    bench.wal.sync()
    assert client.body == delta(" aa") + delta(" bb", "stop") + DONE
