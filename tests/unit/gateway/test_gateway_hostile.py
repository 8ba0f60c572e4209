"""Clients who would rather not pay, and model servers that do not keep to their dialect."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    STREAM_HEAD,
    Bench,
    chunked,
    plain_response,
    raw_request,
)
from tests.unit.gateway.test_gateway_planned import MESSAGES, RESPONSES, asked, deployed, finished

from quartermaster.gateway.dialects.anthropic_events import USAGE_BYTES_MAX
from quartermaster.gateway.dialects.anthropic_native import NativeMessages
from quartermaster.gateway.dialects.form import read_form
from quartermaster.gateway.dialects.messages_response import Asked as AskedMessage
from quartermaster.gateway.dialects.messages_stream import MessagesFromChat
from quartermaster.gateway.dialects.responses_object import Asked
from quartermaster.gateway.dialects.responses_stream import ITEM_BYTES, ResponsesFromChat
from quartermaster.gateway.settings import ANSWER_BYTES_MAX
from quartermaster.gateway.sse import SseScanner
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.units import Counts

WORDS = 40
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "usage": {"input_tokens": 50, "cache_read_input_tokens": 7, "output_tokens": 1},
    },
}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
WORD = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "word "},
}
LAST = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 45},
}
STOP = {"type": "message_stop"}


def told(*all_events: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in all_events
    )


# -- who leaves early ------------------------------------------------------------------------------


@pytest.mark.parametrize("client_leaves", [True, False])
@pytest.mark.parametrize(
    ("target", "body"),
    [("/v1/messages", MESSAGES), ("/v1/chat/completions", HELLO), ("/v1/responses", RESPONSES)],
)
def test_the_usage_of_the_beginning_is_not_the_price_of_what_was_read(
    target: str, body: dict[str, Any], client_leaves: bool
) -> None:
    bench = deployed("anthropic")
    exchange, _, _ = asked(bench, target, {**body, "stream": True})
    bench.answer(exchange, STREAM_HEAD + chunked(told(START, BLOCK, *[WORD] * WORDS)))
    if client_leaves:
        bench.hang_up(exchange)
    else:
        exchange.upstream_lost(bench.parser, reused=False)
    finished(bench)
    closed = bench.wal.only_close
    assert closed.counts == Counts(50, 7, 0, WORDS)
    assert closed.count_source == "estimated"


def test_the_usage_of_the_end_is_believed_whatever_the_deltas() -> None:
    bench = deployed("anthropic")
    exchange, _, _ = asked(bench, "/v1/messages", {**MESSAGES, "stream": True})
    last = {**LAST, "usage": {"output_tokens": 3}}
    bench.answer(exchange, STREAM_HEAD + chunked(told(START, BLOCK, *[WORD] * WORDS, last)))
    bench.hang_up(exchange)
    finished(bench)
    closed = bench.wal.only_close
    assert (closed.counts, closed.count_source) == (Counts(50, 7, 0, 3), "upstream")


def test_a_chat_server_that_tells_its_usage_first() -> None:
    bench = Bench()
    exchange, _, _ = asked(bench, "/v1/chat/completions", {**HELLO, "stream": True})
    word = b'data: {"choices":[{"delta":{"content":" on"}}]}\n\n'
    usage = b'"usage":{"prompt_tokens":9,"completion_tokens":0}}\n\n'
    first = b'data: {"choices":[{"delta":{"content":" on"}}],' + usage
    bench.answer(exchange, STREAM_HEAD + chunked(first + word * 9))
    bench.hang_up(exchange)
    finished(bench)
    assert bench.wal.only_close.counts == Counts(9, 0, 0, 10)


def test_nobody_streams_what_was_not_to_be_streamed() -> None:
    bench = deployed("anthropic")
    exchange, client, _ = asked(bench, "/v1/messages", MESSAGES)
    whole = told(START, BLOCK, *[WORD] * WORDS, LAST, STOP)
    bench.answer(exchange, STREAM_HEAD + chunked(whole) + b"0\r\n\r\n")
    finished(bench)
    assert (client.status, client.error["type"]) == (502, "api_error")
    assert b"word" not in client.data
    assert bench.wal.only_close.failure == "upstream_malformed"


# -- forms -----------------------------------------------------------------------------------------

MODEL = (b'Content-Disposition: form-data; name="model"', b"toy")
END = b"--xX--\r\n"


def form(*parts: tuple[bytes, bytes], end: bytes = END) -> bytes:
    return b"".join(b"--xX\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + end


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Type: a\n%b\r\nContent-Disposition: form-data; name="x"' % MODEL[0],
        b'Content-Type: a\r%b\r\nContent-Disposition: form-data; name="x"' % MODEL[0],
        b'Content-Disposition: form-data; name="mo\\del"',
        b'Content-Disposition: form-data; name="=?utf-8?q?model?="',
        b'Content-Disposition: form-data; name="model\x00"',
        b'Content-Disposition: form-data; name="mod%65l"',
        b'Content-Disposition: form-data; name=""',
    ],
)
def test_no_other_reader_sees_a_second_model(head: bytes) -> None:
    with pytest.raises(RefusedError):
        read_form(form((head, b"dearer"), MODEL))


@pytest.mark.parametrize("end", [END + form(MODEL), b"--xX--junk\r\n"])
def test_nothing_stands_behind_a_form(end: bytes) -> None:
    with pytest.raises(RefusedError):
        read_form(form(MODEL, end=end))


@pytest.mark.parametrize("name", [b"timestamp_granularities[]", b"a[b][]", b"x-y.z"])
def test_what_sdks_call_their_fields(name: bytes) -> None:
    part = (b'Content-Disposition: form-data; name="%b"' % name, b"1")
    assert read_form(form(part, MODEL, end=b"--xX--\r\n")).model == "toy"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b'{"text":"hi","usage":{"type":"duration","seconds":9}}', "usage_unit_unknown"),
        (b'{"text":"hi","usage":{"input_tokens":"many"}}', "usage_unreadable"),
        (b"", "client_gone"),
    ],
)
def test_the_bytes_of_a_recording_are_no_tokens(answer: bytes, failure: str) -> None:
    bench = Bench()
    sound = b'Content-Disposition: form-data; name="file"; filename="a.mp3"'
    exchange, _, _ = asked(bench, "/v1/audio/transcriptions", form(MODEL, (sound, bytes(400_000))))
    if answer:
        bench.answer(exchange, plain_response(answer))
    else:
        bench.hang_up(exchange)
    finished(bench)
    closed = bench.wal.only_close
    assert (closed.counts, closed.failure) == (Counts(), failure)
    assert closed.count_source == "estimated"


# -- what costs more -------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["anthropic", "openai"])
@pytest.mark.parametrize(
    "more", [{"speed": "fast"}, {"service_tier": "priority"}, {"inference_geo": "us"}]
)
def test_what_makes_every_token_dearer_is_refused(api: Any, more: dict[str, Any]) -> None:
    bench = deployed(api)
    client = bench.client()
    assert bench.request(raw_request("POST", "/v1/messages", {**MESSAGES, **more}), client) is None
    assert client.error["type"] == "invalid_request_error"


@pytest.mark.parametrize("more", [{"speed": "fast"}, {"inference_geo": "us"}])
@pytest.mark.parametrize(
    ("target", "body"), [("/v1/chat/completions", HELLO), ("/v1/responses", RESPONSES)]
)
def test_the_same_by_way_of_another_dialect(
    target: str, body: dict[str, Any], more: dict[str, Any]
) -> None:
    bench = deployed("anthropic")
    client = bench.client()
    assert bench.request(raw_request("POST", target, {**body, **more}), client) is None
    assert client.error["param"] == next(iter(more))


def test_a_form_of_the_output_without_a_schema_is_refused() -> None:
    bench = Bench()
    client = bench.client()
    asks = {**MESSAGES, "output_config": {"format": {"type": "json_schema"}}}
    assert bench.request(raw_request("POST", "/v1/messages", asks), client) is None
    assert "output_config.format.schema" in client.error["message"]


# -- what would fill memory ------------------------------------------------------------------------


def every(feed: Callable[[bytes], bytes], payloads: Iterable[bytes]) -> None:
    for payload in payloads:
        feed(payload)


def saying(delta: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"choices": [{"delta": delta, **more}]}).encode()


def test_usage_that_grows_with_every_event() -> None:
    grown = ({f"name{turn}": "x" * 100} for turn in range(USAGE_BYTES_MAX // 100))
    payloads = (json.dumps({"type": "message_delta", "usage": one}).encode() for one in grown)
    with pytest.raises(UpstreamError, match="usage"):
        every(NativeMessages().event, payloads)


def test_usage_frames_that_do_not_end() -> None:
    scanner = SseScanner(keep_usage=True, frame_bytes_max=1_000)
    with pytest.raises(UpstreamError, match="usage"):
        every(scanner.feed, [b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'] * 100)


def test_calls_that_do_not_end() -> None:
    stream = ResponsesFromChat(Asked("resp_1", "toy", 0, {}))
    stream._kept_bytes = ANSWER_BYTES_MAX - 10 * ITEM_BYTES
    calls = ({"index": index, "id": "c", "function": {"name": "f"}} for index in range(20))
    with pytest.raises(UpstreamError, match="too large"):
        every(stream.event, (saying({"tool_calls": [call]}) for call in calls))


def test_log_probabilities_count_as_what_is_kept() -> None:
    stream = ResponsesFromChat(Asked("resp_1", "toy", 0, {}))
    stream._kept_bytes = ANSWER_BYTES_MAX - 10_000
    said = saying({"content": "a"}, logprobs={"content": [{"token": "x" * 1_000}]})
    with pytest.raises(UpstreamError, match="too large"):
        every(stream.event, [said] * 20)


def test_arguments_of_a_call_without_a_name_do_not_grow_for_ever() -> None:
    stream = MessagesFromChat(AskedMessage("msg_1", "toy"))
    call = {"index": 0, "function": {"arguments": "x" * (ANSWER_BYTES_MAX // 4)}}
    with pytest.raises(UpstreamError, match="without a name"):
        every(stream.event, [saying({"tool_calls": [call]})] * 6)
