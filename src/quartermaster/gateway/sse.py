"""Incremental scanner of a chat completion stream.

It forwards whole frames as they come, counts content deltas, keeps the vendor's usage, and holds
back the last frames (usage, `[DONE]`) until the relay may release them. Decoding the few fields
with msgspec takes 0.3 µs a frame, less than three substring searches, and cannot be fooled by
text that looks like JSON.

Source: html.spec.whatwg.org, 9.2.6 (event stream framing).
"""

import re
from typing import Final, Protocol

import msgspec

from quartermaster.gateway.dialects.frames import BrokenStreamError
from quartermaster.gateway.pieces import BYTES_PER_TOKEN, text_bytes_of
from quartermaster.kernel.errors import UpstreamError

_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n|\r\r")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_QUOTE: Final = 0x22
DONE: Final = b"[DONE]"

_ABSENT: Final = msgspec.Raw(b"")
# What carries no content: absent, null, an empty string, an empty list.
_EMPTY: Final = frozenset((b"", b"null", b'""', b"[]"))


class Scanner(Protocol):
    """What a streaming exchange reads of its stream, whatever the dialects."""

    @property
    def deltas(self) -> int:
        """Content deltas forwarded."""

    @property
    def text_bytes(self) -> int:
        """Bytes of the text in them."""

    @property
    def done(self) -> bool:
        """Whether the upstream said its end."""

    @property
    def error(self) -> bool:
        """Whether the upstream said that it failed; the client has read it."""

    @property
    def finish_reason(self) -> str:
        """Why the model stopped; empty while it has not."""

    @property
    def upstream_id(self) -> str:
        """The upstream's id of the answer."""

    @property
    def usage(self) -> bytes:
        """The upstream's usage object; empty until it came."""

    @property
    def held(self) -> bytes:
        """The last frames, which wait for the close record."""

    def feed(self, data: bytes) -> bytes:
        """The bytes to forward now.

        Raises:
            UpstreamError: a frame without end, or one that cannot be; where something came before
                it, a `BrokenStreamError` that holds it.
        """

    def finish(self) -> bytes:
        """The stream ended: take a last frame whose blank line is missing."""


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = _ABSENT
    tool_calls: msgspec.Raw = _ABSENT
    reasoning_content: msgspec.Raw = _ABSENT
    reasoning: msgspec.Raw = _ABSENT
    refusal: msgspec.Raw = _ABSENT
    function_call: msgspec.Raw = _ABSENT
    audio: msgspec.Raw = _ABSENT


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Frame(msgspec.Struct, gc=False):
    id: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


class _OddFrame(msgspec.Struct, gc=False):
    """The parts of a frame that matter even when its choices have a shape we do not know."""

    choices: msgspec.Raw = _ABSENT
    usage: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_odd_frame = msgspec.json.Decoder(_OddFrame).decode


def _other_bytes(delta: _Delta) -> int:
    """Bytes of a delta that has no content: of thoughts, and one token of everything else."""
    for field in (
        delta.tool_calls,
        delta.reasoning_content,
        delta.reasoning,
        delta.refusal,
        delta.function_call,
        delta.audio,
    ):
        raw = bytes(field)
        if raw not in _EMPTY:
            return text_bytes_of(raw)
    return 0


class SseScanner:
    """Scans one stream.

    Args:
        keep_usage: the client asked for the usage frame; otherwise a frame that holds nothing
            but usage is dropped.
        frame_bytes_max: bound of one frame and so of what is kept between two feeds.
    """

    __slots__ = (
        "_keep_usage",
        "_max",
        "_tail",
        "deltas",
        "done",
        "error",
        "finish_reason",
        "held",
        "text_bytes",
        "upstream_id",
        "usage",
    )

    def __init__(self, *, keep_usage: bool, frame_bytes_max: int) -> None:
        self._keep_usage = keep_usage
        self._max = frame_bytes_max
        self._tail = b""
        self.deltas = self.text_bytes = 0
        self.done = False
        self.error = False
        self.finish_reason = ""
        self.upstream_id = ""
        self.usage = b""
        self.held = b""

    def feed(self, data: bytes) -> bytes:
        """The bytes to forward now; what must wait is appended to `held`.

        Bytes after `[DONE]` are dropped.

        Raises:
            UpstreamError: a frame longer than `frame_bytes_max`.
        """
        if self.done:
            return b""
        tail_bytes = len(self._tail)
        if tail_bytes:
            data = self._tail + data
        # A blank line may straddle the border, by at most three bytes.
        forward, rest = self._scan(data, max(tail_bytes - 3, 0))
        if len(rest) > self._max and not forward:
            # Whole frames before it go on first; the next bytes end here.
            raise UpstreamError("the model server sent a stream frame without end")
        self._tail = rest
        return forward

    def finish(self) -> bytes:
        """The stream ended: take a last frame whose blank line is missing."""
        rest, self._tail = self._tail.strip(b"\r\n"), b""
        if not rest or self.done:
            return b""
        return self.feed(rest + b"\n\n")

    def _scan(self, data: bytes, search_from: int) -> tuple[bytes, bytes]:
        forward: list[bytes] = []
        with_returns = b"\r" in data
        start = kept = 0
        while not self.done:
            if with_returns:
                match = _BLANK_LINE.search(data, max(start, search_from))
                if match is None:
                    break
                stop, end = match.span()
            else:
                stop = data.find(b"\n\n", max(start, search_from))
                if stop < 0:
                    break
                end = stop + 2
            if not self._frame(data[start:stop]):
                forward.append(data[kept:start])
                self._hold(data[start:end], forward)
                kept = end
            start = end
        if kept == 0 and start == len(data):
            return data, b""
        forward.append(data[kept:start])
        return b"".join(forward), b"" if self.done else data[start:]

    def _hold(self, frame: bytes, forward: list[bytes]) -> None:
        if self.done or self._keep_usage:
            self.held += frame
            if len(self.held) > self._max:
                words = "the model server sends usage without end"
                raise BrokenStreamError(words, b"".join(forward))

    def _frame(self, frame: bytes) -> bool:
        """Look at one frame; whether it may be forwarded now."""
        payload = _payload(frame)
        if payload is None:
            return True
        if payload == DONE:
            self.done = True
            return False
        try:
            seen = _decode_frame(payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return self._odd_frame(payload)
        if seen.id and not self.upstream_id:
            self.upstream_id = seen.id
        choices = seen.choices
        if choices:
            for choice in choices:
                if choice.finish_reason:
                    self.finish_reason = choice.finish_reason
                delta = choice.delta
                if delta is None:
                    continue
                content = bytes(delta.content)
                size = len(content) - 2
                if size <= 2 and content in _EMPTY:  # the longest of which is `null`
                    size = _other_bytes(delta)
                    if not size:
                        continue
                elif content[0] != _QUOTE or b"\\" in content:
                    size = text_bytes_of(content)
                self.deltas += 1
                self.text_bytes += size
        return self._note(bytes(seen.usage), bytes(seen.error), bare=not choices)

    def _odd_frame(self, payload: bytes) -> bool:
        try:
            odd = _decode_odd_frame(payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return True
        bare = bytes(odd.choices) in _EMPTY
        if not bare:
            # Something was delivered; not to count it would give it away.
            self.deltas += 1
            self.text_bytes += BYTES_PER_TOKEN
        return self._note(bytes(odd.usage), bytes(odd.error), bare=bare)

    def _note(self, usage: bytes, error: bytes, *, bare: bool) -> bool:
        if error not in _EMPTY:
            self.error = True
        if usage in _EMPTY:
            return True
        self.usage = usage
        return not bare


def _payload(frame: bytes) -> bytes | None:
    """The joined data lines of a frame, or None for a comment or an event without data."""
    if frame.startswith(b"data:") and b"\n" not in frame and b"\r" not in frame:
        return frame[5:].strip()
    lines = [
        line[5:].removeprefix(b" ") for line in _LINE.split(frame) if line.startswith(b"data:")
    ]
    return b"\n".join(lines).strip() if lines else None
