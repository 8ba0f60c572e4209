"""The scanner of chat completion streams."""

import pytest
from tests.unit.gateway.gateway_fakes import DONE, delta, frame, usage_frame

from quartermaster.gateway.sse import SseScanner
from quartermaster.kernel.errors import UpstreamError


def a_scanner(*, keep_usage: bool = False) -> SseScanner:
    return SseScanner(keep_usage=keep_usage, frame_bytes_max=10_000)


def test_an_ordinary_stream() -> None:
    scanner = a_scanner()
    first = frame({"id": "c-1", "choices": [{"delta": {"role": "assistant", "content": ""}}]})
    words = first + delta("Hel") + delta("lo") + delta("", "stop")
    assert scanner.feed(words + usage_frame(5, 2) + DONE) == words
    assert (scanner.deltas, scanner.finish_reason, scanner.upstream_id) == (2, "stop", "c-1")
    assert scanner.usage == b'{"prompt_tokens": 5, "completion_tokens": 2}'
    assert scanner.done
    assert scanner.held == DONE


def test_usage_is_held_and_kept_when_the_client_asked() -> None:
    scanner = a_scanner(keep_usage=True)
    assert scanner.feed(delta("a") + usage_frame(5, 2)) == delta("a")
    assert scanner.held == usage_frame(5, 2)
    assert scanner.feed(DONE) == b""
    assert scanner.held == usage_frame(5, 2) + DONE


def test_a_frame_with_usage_and_content_is_forwarded() -> None:
    both = frame({"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 1}})
    scanner = a_scanner()
    assert scanner.feed(both) == both
    assert scanner.usage == b'{"prompt_tokens": 1}'


def test_only_whole_frames_are_forwarded() -> None:
    scanner = a_scanner()
    data = delta("Hello")
    assert scanner.feed(data[:20]) == b""
    assert scanner.feed(data[20:-1]) == b""
    assert scanner.feed(data[-1:] + b"data") == data


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_every_line_ending(end: bytes) -> None:
    scanner = a_scanner()
    line = end[: len(end) // 2]
    data = b"event: message" + line + delta("x").strip() + end + b"data: [DONE]" + end
    assert scanner.feed(data) == b"event: message" + line + delta("x").strip() + end
    assert (scanner.deltas, scanner.done) == (1, True)


def test_text_that_looks_like_protocol_is_only_text() -> None:
    scanner = a_scanner()
    trap = delta('"usage": {"prompt_tokens": 9}, "finish_reason": "stop", data: [DONE]\n\n')
    assert scanner.feed(trap) == trap
    assert (scanner.usage, scanner.finish_reason, scanner.done) == (b"", "", False)


@pytest.mark.parametrize(
    ("content", "deltas"),
    [
        ({"content": "x"}, 1),
        ({"content": ""}, 0),
        ({"content": None}, 0),
        ({"role": "assistant"}, 0),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, 1),
        ({"tool_calls": []}, 0),
        ({"reasoning_content": "hm"}, 1),
        ({"refusal": "no"}, 1),
    ],
)
def test_what_counts_as_a_delta(content: dict[str, object], deltas: int) -> None:
    scanner = a_scanner()
    scanner.feed(frame({"choices": [{"index": 0, "delta": content}]}))
    assert scanner.deltas == deltas


@pytest.mark.parametrize(
    ("odd", "deltas"),
    [
        (b": keep-alive\n\n", 0),
        (b"data: not json\n\n", 0),
        (b"data: [1, 2]\n\n", 0),
        (b'data: {"choices": {"0": "odd"}}\n\n', 1),
        (b'data: {"id": 7, "choices": [{"delta": {"content": "x"}}]}\n\n', 1),
        (b'data: {"id": 7, "choices": []}\n\n', 0),
        (b"\n\n", 0),
        (b"event: ping\n\n", 0),
        (b'data: {"choices": [{"delta": "\xff"}]}\n\n', 1),
        (b"data: " + b"[" * 5_000 + b"\n\n", 0),
    ],
)
def test_odd_frames_pass_through_and_their_content_is_counted(odd: bytes, deltas: int) -> None:
    scanner = a_scanner()
    assert scanner.feed(odd + delta("x")) == odd + delta("x")
    assert scanner.deltas == deltas + 1


def test_usage_is_found_beside_choices_of_unknown_shape() -> None:
    scanner = a_scanner()
    odd = frame({"choices": {"odd": 1}, "usage": {"prompt_tokens": 3}})
    assert scanner.feed(odd) == odd
    assert scanner.usage == b'{"prompt_tokens": 3}'


def test_an_error_frame_is_noted() -> None:
    scanner = a_scanner()
    scanner.feed(frame({"error": {"message": "overloaded"}}))
    assert scanner.error


def test_nothing_follows_done() -> None:
    scanner = a_scanner()
    assert scanner.feed(DONE + delta("x")) == b""
    assert scanner.feed(delta("y")) == b""
    assert (scanner.deltas, scanner.held) == (0, DONE)


def test_a_last_frame_without_its_blank_line() -> None:
    scanner = a_scanner()
    assert scanner.feed(delta("x") + b"data: [DONE]\n") == delta("x")
    assert not scanner.done
    assert scanner.finish() == b""
    assert (scanner.done, scanner.held) == (True, DONE)


def test_a_frame_without_end_is_an_upstream_error() -> None:
    scanner = a_scanner()
    assert scanner.feed(b"data: " + b"x" * 9_000) == b""
    with pytest.raises(UpstreamError, match="without end"):
        scanner.feed(b"x" * 1_000)
