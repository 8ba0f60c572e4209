"""A stream that breaks in the middle of a read: what came before is delivered, and billed."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO_STREAM,
    STREAM_HEAD,
    Bench,
    an_index,
    chunked,
    delta,
    frame,
    raw_request,
    usage_frame,
)

from quartermaster.gateway import stream
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.snapshot import Deployment

MESSAGES: dict[str, Any] = {
    "model": "toy",
    "max_tokens": 9,
    "stream": True,
    "messages": [{"role": "user", "content": "Hello"}],
}
RESPONSES: dict[str, Any] = {"model": "toy", "input": "Hello", "stream": True}
CLAUDE: dict[str, Any] = {"type": "content_block_delta", "index": 0}
NO_EVENT = b"data: {\n\n"
NAMELESS_CALL = {"index": 0, "function": {"arguments": "{}"}}


def piece(text: str) -> bytes:
    """Anthropic's event of some text."""
    return frame({**CLAUDE, "delta": {"type": "text_delta", "text": text}})


def said(content: str, **more: Any) -> bytes:
    """A chunk with text and something beside it."""
    return frame({"choices": [{"index": 0, "delta": {"content": content, **more}}]})


@pytest.mark.parametrize(
    ("target", "body", "api", "frames", "texts"),
    [
        ("/v1/messages", MESSAGES, "openai", [delta("one"), delta("two"), NO_EVENT], 2),
        ("/v1/responses", RESPONSES, "openai", [delta("one"), delta("two"), NO_EVENT], 2),
        ("/v1/responses", RESPONSES, "anthropic", [piece("one"), piece("two"), NO_EVENT], 2),
        ("/v1/messages", MESSAGES, "anthropic", [piece("one"), piece("two"), NO_EVENT], 2),
        ("/v1/chat/completions", HELLO_STREAM, "anthropic", [piece("one"), NO_EVENT], 1),
        # The break is in the middle of one event.
        (
            "/v1/messages",
            MESSAGES,
            "openai",
            [said("one", tool_calls=[NAMELESS_CALL]), said("two", tool_calls=[{"index": -2}])],
            3,
        ),
        ("/v1/responses", RESPONSES, "openai", [said("one", tool_calls=[NAMELESS_CALL])], 1),
    ],
)
def test_what_came_with_a_malformed_event_is_delivered_and_billed(
    target: str, body: dict[str, Any], api: DeploymentApi, frames: Sequence[bytes], texts: int
) -> None:
    url = "http://127.0.0.1:9/v1"
    bench = Bench(an_index(deployments=(Deployment("toy@here", "toy", url, "theirs", api=api),)))
    client = bench.client()
    exchange = bench.request(raw_request("POST", target, body), client)
    assert exchange is not None, client.data
    bench.turn()
    exchange.sent(bench.upstream)
    bench.answer(exchange, STREAM_HEAD + chunked(b"".join(frames)))
    bench.wal.sync()
    told = client.body
    for text in (b"one", b"two"):
        assert (text in told) == any(text in one for one in frames)
    assert told.rindex(b"one") < told.rindex(b"error")
    assert client.done is False
    closed = bench.wal.only_close
    assert closed.failure == "upstream_malformed"
    assert (closed.counts.output, closed.delivered_chunks) == (texts, texts)


@pytest.mark.parametrize("endless", [b"data: " + b"x" * 99, usage_frame(1, 1) * 9])
def test_frames_before_one_without_end_are_delivered(
    endless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where both sides speak the same, and bytes pass as they are."""
    monkeypatch.setattr(stream, "FRAME_BYTES_MAX", 100)
    bench, body = Bench(), {**HELLO_STREAM, "stream_options": {"include_usage": True}}
    client = bench.client()
    exchange = bench.send(body, client)
    bench.answer(exchange, STREAM_HEAD + chunked(frame({"choices": [_TEXT]}) + endless))
    bench.answer(exchange, chunked(b"x"))
    bench.wal.sync()
    frames = client.body.split(b"\n\n")
    assert json.loads(frames[0].removeprefix(b"data: "))["choices"] == [_TEXT]
    assert b"upstream_malformed" in frames[1]
    closed = bench.wal.only_close
    assert (closed.counts.output, closed.delivered_chunks) == (1, 1)


_TEXT = {"delta": {"content": "a"}}
