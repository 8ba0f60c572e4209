"""The Responses API's own stream for a client that speaks it: events go on, usage is noted.

The usage stands in the last event, which waits for the close record.

Source: the OpenAI API reference, streaming events of the Responses API.
"""

from typing import Final

from quartermaster.gateway.dialects import responses_shapes as shapes
from quartermaster.gateway.dialects.body import EMPTY, UNREADABLE, encode
from quartermaster.gateway.dialects.frames import DONE, event
from quartermaster.gateway.pieces import text_bytes_of
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.units import Counts

_LAST: Final = frozenset(("response.completed", "response.incomplete"))


class NativeResponses:
    """Passes one stream on; see `translated.Translator` for what the relay reads."""

    __slots__ = (
        "_held",
        "_sequence",
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
        self._sequence = 0
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
        if payload == DONE:
            return b""
        try:
            seen = shapes.decode_event(payload)
        except UNREADABLE as error:
            raise UpstreamError("the model server sent no response event") from error
        kind = seen.type
        self._sequence = seen.sequence_number or self._sequence
        frame = event(kind, payload)
        response = seen.response
        if response is not None:
            self.upstream_id = self.upstream_id or response.id or ""
            if bytes(response.usage) not in EMPTY:
                self.usage = bytes(response.usage)
        if kind.endswith(".delta"):
            self.deltas += 1
            self.text_bytes += text_bytes_of(bytes(seen.delta))
        elif kind in _LAST:
            self.done = True
            self.finish_reason = (response.status if response is not None else None) or "completed"
            self._held = frame
            return b""
        elif kind == "response.failed":
            self.error = True
        return frame

    def closing(self, counts: Counts) -> bytes:
        """The last event; the vendor's own counts stay in it."""
        del counts
        return self._held

    def cut(self) -> None:
        """The last event holds the whole response, which only the upstream knows."""

    def broken(self, refusal: RefusedError) -> bytes:
        """An `error` event; nothing follows it."""
        words = {
            "type": "error",
            "code": refusal.code,
            "message": refusal.message,
            "param": None,
            "sequence_number": self._sequence + 1,
        }
        return event("error", encode(words))
