"""Server-sent events from an upstream: split into frames as the bytes come, names and payloads.

Source: html.spec.whatwg.org, 9.2.6 (event stream interpretation).
"""

import re
from typing import Final

from quartermaster.kernel.errors import UpstreamError

_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n|\r\r")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
DONE: Final = b"[DONE]"
_NAME: Final = re.compile(r"[A-Za-z0-9_.]+")
_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")
# What clients skip, because they do not know it.
UNNAMED: Final = "unknown"


class BrokenStreamError(UpstreamError):
    """A stream cannot be read on.

    Args:
        message: why.
        before: what the client still gets: it came whole before the break.
    """

    def __init__(self, message: str, before: bytes) -> None:
        super().__init__(message)
        self.before = before


class Frames:
    """Splits one stream into frames.

    Args:
        frame_bytes_max: bound of one frame and so of what is kept between two feeds.
    """

    __slots__ = ("_max", "_tail")

    def __init__(self, frame_bytes_max: int) -> None:
        self._max = frame_bytes_max
        self._tail = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that these bytes complete, each with its blank line.

        Raises:
            UpstreamError: a frame longer than the bound; whole ones before it are given first.
        """
        tail_bytes = len(self._tail)
        if tail_bytes:
            data = self._tail + data
        frames: list[bytes] = []
        start = 0
        # A blank line may straddle the border, by at most three bytes.
        search_from = max(tail_bytes - 3, 0)
        returns = b"\r" in data
        while True:
            if returns:
                found = _BLANK_LINE.search(data, max(start, search_from))
                end = found.end() if found else -1
            else:
                end = data.find(b"\n\n", max(start, search_from)) + 2
                end = end if end > 1 else -1
            if end < 0:
                break
            frames.append(data[start:end])
            start = end
        self._tail = data[start:]
        if len(self._tail) > self._max and not frames:
            raise UpstreamError("the model server sent a stream frame without end")
        return frames

    def finish(self) -> list[bytes]:
        """The stream ended: a last frame whose blank line is missing."""
        rest, self._tail = self._tail.strip(b"\r\n"), b""
        return [rest + b"\n\n"] if rest else []


def payload_of(frame: bytes) -> bytes:
    """The joined data lines of a frame; empty for a comment or an event without data."""
    if frame.startswith(b"data:") and frame.find(b"\n") >= len(frame) - 2 and b"\r" not in frame:
        return frame[5:].strip()
    lines = [
        line[5:].removeprefix(b" ") for line in _LINE.split(frame) if line.startswith(b"data:")
    ]
    return b"\n".join(lines).strip()


def event(name: str, payload: bytes) -> bytes:
    """One named event.

    Args:
        name: what an upstream may have chosen; a name that could break the frame is not passed on.
        payload: JSON; a line break in it can only be white space between two values.
    """
    if _NAME.fullmatch(name) is None:
        name = UNNAMED
    return b"event: %b\ndata: %b\n\n" % (name.encode(), payload.translate(_SPACES))


def data(payload: bytes) -> bytes:
    """One event without a name."""
    return b"data: %b\n\n" % payload.translate(_SPACES)
