"""Anthropic's stream events as chat completion chunks, incrementally.

Source: platform.claude.com/docs/en/build-with-claude/streaming; the OpenAI API reference, chat
completion chunks.
"""

from typing import Final

from quartermaster.gateway.dialects import errors, usage
from quartermaster.gateway.dialects.anthropic_events import (
    Delta,
    Event,
    merged_usage,
    read_event,
)
from quartermaster.gateway.dialects.anthropic_response import FINISH_REASONS, Asked
from quartermaster.gateway.dialects.body import encode
from quartermaster.gateway.dialects.frames import data
from quartermaster.gateway.pieces import BYTES_PER_TOKEN
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.units import Counts

_DONE: Final = data(b"[DONE]")


class ChatFromMessages:
    """Translates one stream; see `translated.Translator` for what the relay reads."""

    __slots__ = (
        "_asked",
        "_started",
        "_tools",
        "deltas",
        "done",
        "error",
        "finish_reason",
        "text_bytes",
        "upstream_id",
        "usage",
    )

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._started = False
        self._tools = 0
        self.deltas = self.text_bytes = 0
        self.done = False
        self.error = False
        self.finish_reason = ""
        self.upstream_id = ""
        self.usage = b""

    def event(self, payload: bytes) -> bytes:
        """The chunks of one Anthropic event.

        Raises:
            UpstreamError: no event.
        """
        seen = read_event(payload)
        kind = seen.type
        if kind == "content_block_delta" and seen.delta is not None:
            return self._delta(seen.delta)
        if kind == "content_block_start":
            return self._block(seen)
        if kind == "message_start" and seen.message is not None:
            self.upstream_id = seen.message.id or ""
            self.usage = merged_usage(self.usage, seen.message.usage)
            return self._first()
        if kind == "message_delta":
            self.usage = merged_usage(self.usage, seen.usage)
            return self._last(seen.delta)
        if kind == "message_stop":
            self.done = True
        elif kind == "error":
            self.error = True
            return data(errors.upstream_body("openai", 500, payload))
        return b""

    def _first(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _block(self, seen: Event) -> bytes:
        block = seen.content_block
        if block is None or block.type != "tool_use":
            return b""
        call = {
            "index": self._tools,
            "id": block.id,
            "type": "function",
            "function": {"name": block.name or "", "arguments": ""},
        }
        self._tools += 1
        self.deltas += 1
        self.text_bytes += BYTES_PER_TOKEN
        return self._chunk({"tool_calls": [call]})

    def _delta(self, delta: Delta) -> bytes:
        if delta.text:
            said: dict[str, object] = {"content": delta.text}
        elif delta.partial_json:
            piece = {"index": self._tools - 1, "function": {"arguments": delta.partial_json}}
            said = {"tool_calls": [piece]}
        elif delta.thinking:
            said = {"reasoning_content": delta.thinking}
        else:
            return b""  # signatures and citations have no place in a chunk
        self.deltas += 1
        self.text_bytes += delta.text_bytes
        return self._chunk(said)

    def _last(self, delta: Delta | None) -> bytes:
        if delta is None or not delta.stop_reason:
            return b""
        self.finish_reason = FINISH_REASONS.get(delta.stop_reason, "stop")
        return self._chunk({}, self.finish_reason)

    def _chunk(self, delta: dict[str, object], finish_reason: str | None = None) -> bytes:
        asked = self._asked
        body: dict[str, object] = {
            "id": asked.id,
            "object": "chat.completion.chunk",
            "created": asked.created_s,
            "model": asked.model,
            "choices": [
                {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            ],
        }
        if asked.asks_usage:
            body["usage"] = None
        return data(encode(body))

    def closing(self, counts: Counts) -> bytes:
        """The usage chunk, where the client asked for it, and `[DONE]`."""
        if not self._asked.asks_usage:
            return _DONE
        asked = self._asked
        body: dict[str, object] = {
            "id": asked.id,
            "object": "chat.completion.chunk",
            "created": asked.created_s,
            "model": asked.model,
            "choices": [],
            "usage": usage.as_chat(counts),
        }
        return data(encode(body)) + _DONE

    def cut(self) -> bytes:
        """The output ends at its cap."""
        self.finish_reason = "length"
        return self._chunk({}, self.finish_reason)

    def broken(self, refusal: RefusedError) -> bytes:
        """An error frame; no `[DONE]` follows it."""
        return data(errors.refusal_body("openai", refusal))
