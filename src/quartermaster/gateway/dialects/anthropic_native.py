"""Anthropic's stream for a client that speaks it: events go on as they are, usage is noted.

`message_delta`, which tells the final usage, and `message_stop` wait for the close record.

Source: platform.claude.com/docs/en/build-with-claude/streaming.
"""

from quartermaster.gateway.dialects import errors
from quartermaster.gateway.dialects.anthropic_events import merged_usage, read_event
from quartermaster.gateway.dialects.body import encode
from quartermaster.gateway.dialects.frames import event
from quartermaster.gateway.pieces import BYTES_PER_TOKEN, tokens_of
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.units import Counts


class NativeMessages:
    """Passes one stream on; see `translated.Translator` for what the relay reads."""

    __slots__ = (
        "_block",
        "_held",
        "deltas",
        "done",
        "error",
        "finish_reason",
        "text_bytes",
        "upstream_id",
        "usage",
    )

    def __init__(self) -> None:
        self._held = b""
        self._block: int | None = None
        self.deltas = self.text_bytes = 0
        self.done = False
        self.error = False
        self.finish_reason = ""
        self.upstream_id = ""
        self.usage = b""

    def event(self, payload: bytes) -> bytes:
        """The same event, or nothing yet when it must wait.

        Raises:
            UpstreamError: no event.
        """
        seen = read_event(payload)
        frame = event(seen.type, payload)
        kind = seen.type
        if kind == "content_block_delta":
            self.deltas += 1
            self.text_bytes += BYTES_PER_TOKEN if seen.delta is None else seen.delta.text_bytes
            self._block = seen.index
        elif kind == "content_block_stop":
            self._block = None
        elif kind == "message_start" and seen.message is not None:
            self.upstream_id = seen.message.id or ""
            self.usage = merged_usage(self.usage, seen.message.usage)
        elif kind == "message_delta":
            self.usage = merged_usage(self.usage, seen.usage)
            if seen.delta is not None and seen.delta.stop_reason:
                self.finish_reason = seen.delta.stop_reason
            # Only the last one waits: an upstream that repeats it cannot fill our memory.
            frame, self._held = self._held, frame
        elif kind == "message_stop":
            self.done = True
            self._held += frame
            return b""
        elif kind == "error":
            self.error = True
        return frame

    def closing(self, counts: Counts) -> bytes:
        """What was held back; the vendor's own counts stay in it."""
        del counts
        return self._held

    def cut(self) -> bytes:
        """The output ends at its cap: the block that is open, and the message."""
        usage = {"output_tokens": tokens_of(self.deltas, self.text_bytes)}
        last = {"delta": {"stop_reason": "max_tokens", "stop_sequence": None}, "usage": usage}
        self._held = event("message_delta", encode({"type": "message_delta", **last}))
        self._held += event("message_stop", b'{"type":"message_stop"}')
        if self._block is None:
            return b""
        stop = {"type": "content_block_stop", "index": self._block}
        return event("content_block_stop", encode(stop))

    def broken(self, refusal: RefusedError) -> bytes:
        """An error event; nothing follows it."""
        return event("error", errors.refusal_body("anthropic", refusal))
