"""Anthropic's stream events as the gateway reads them, and the usage that they tell in pieces.

`message_start` has the input; `message_delta` has cumulative counts that replace what was said
before. Kept is one usage object: the start's, with the delta's values over it.

Source: platform.claude.com/docs/en/build-with-claude/streaming.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects.body import ABSENT, EMPTY, NULL, UNREADABLE, encode
from quartermaster.gateway.dialects.messages_blocks import Block
from quartermaster.gateway.pieces import BYTES_PER_TOKEN
from quartermaster.kernel.errors import UpstreamError

USAGE_BYTES_MAX: Final = 64 * 1024
"""A usage object has a few hundred bytes; one that every event adds names to would fill memory."""


class Delta(msgspec.Struct, gc=False):
    """What an event adds: to a block, or to the message at its end."""

    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None

    @property
    def text_bytes(self) -> int:
        """Of what is added to a block; signatures and citations count as one token."""
        text = self.text or self.partial_json or self.thinking
        return BYTES_PER_TOKEN if text is None else len(text.encode())


class Started(msgspec.Struct, gc=False):
    """The message as it begins."""

    id: str | None = None
    usage: msgspec.Raw = ABSENT


class Event(msgspec.Struct, gc=False):
    """One event of any type."""

    type: str
    index: int | None = None
    message: Started | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_decode = msgspec.json.Decoder(Event).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_event(payload: bytes) -> Event:
    """One event.

    Raises:
        UpstreamError: it is not one.
    """
    try:
        return _decode(payload)
    except UNREADABLE as error:
        raise UpstreamError(f"the model server sent no message event: {error}") from error


def merged_usage(before: bytes, news: msgspec.Raw) -> bytes:
    """The usage object so far, with what an event says over it; nulls say nothing.

    What is no object replaces the whole, so that the meter sees that it is not one.

    Raises:
        UpstreamError: it grows without end.
    """
    later = bytes(news)
    if later in EMPTY:
        return before
    try:
        over = _decode_object(later)
        under = _decode_object(before) if before else {}
    except UNREADABLE:
        return later
    under.update({name: value for name, value in over.items() if bytes(value) != bytes(NULL)})
    merged = encode(under)
    if len(merged) > USAGE_BYTES_MAX:
        raise UpstreamError("the model server's usage does not end")
    return merged
