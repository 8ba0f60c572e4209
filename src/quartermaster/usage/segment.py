"""Segments: the numbered files of one write-ahead log, and what their frames say together.

    0000000007.open        being written, or waiting for its last deliveries
    0000000007.recovering  what a crash left, being put in order
    0000000007.recovered   the same, complete and synced; replaces every `.open` file
    0000000007.sealed      complete, synced, chained to its predecessor; to be shipped
    0000000007.shipped     in the usage table; the newest is kept because it holds number and hash

Rows of a segment are its `close` records, one row each. An `open` without a `close` in the same
segment has been carried over into the next one.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import Closed, Opened, Progress, UsageEvent
from quartermaster.usage import frames
from quartermaster.usage.frames import Frame, Seal
from quartermaster.usage.policy import status_of

OPEN = ".open"
RECOVERING = ".recovering"
RECOVERED = ".recovered"
SEALED = ".sealed"
SHIPPED = ".shipped"

NUMBER_DIGITS = 10
"""One segment a second fills ten digits in three centuries; fixed width sorts by name."""

CHAIN_START = "0" * 64
"""`previous_sha256` of a log's first segment."""


class Head(NamedTuple):
    """The last sealed segment of a log; number 0 where there is none yet."""

    segment: int
    sha256: str


def file_name(number: int, suffix: str) -> str:
    """The name of a segment's file in one of its states."""
    return f"{number:0{NUMBER_DIGITS}d}{suffix}"


def numbers(names: Iterable[str], suffix: str) -> list[int]:
    """Segment numbers in this state, ascending."""
    return sorted(
        int(name[:NUMBER_DIGITS])
        for name in names
        if name[NUMBER_DIGITS:] == suffix and name[:NUMBER_DIGITS].isdigit()
    )


def chain(previous_sha256: str, content: bytes) -> str:
    """The hash that stands in the seal: it covers the content and everything before it."""
    digest = sha256(previous_sha256.encode())
    digest.update(content)
    return digest.hexdigest()


class Content:
    """What a run of frames says about each request, by handle."""

    __slots__ = ("closed", "delivered", "opened", "progress")

    def __init__(self, run: Iterable[Frame]) -> None:
        self.opened: dict[int, Opened] = {}
        self.progress: dict[int, Progress] = {}
        self.closed: dict[int, Closed] = {}
        self.delivered: set[int] = set()
        for frame in run:
            try:
                self._add(frame)
            except msgspec.DecodeError as error:
                raise IntegrityError(
                    f"the frame at offset {frame.start} is whole but cannot be read: {error}",
                    hint="it was written by a newer version; upgrade",
                ) from error

    def _add(self, frame: Frame) -> None:
        if frame.kind == frames.OPEN:
            self.opened.update(frames.decode_open(frame))
        elif frame.kind == frames.CLOSE:
            self.closed.update(frames.decode_close(frame))
        elif frame.kind == frames.PROGRESS:
            self.progress.update(frames.decode_progress(frame))
        elif frame.kind == frames.DELIVERED:
            self.delivered.update(frames.decode_delivered(frame)[1])

    def unfinished(self) -> list[int]:
        """Handles that were opened and not closed, in order."""
        return sorted(self.opened.keys() - self.closed.keys())


def read_sealed(data: bytes, name: str) -> tuple[list[UsageEvent], Seal]:
    """The usage rows of a sealed segment, in the order of their handles.

    Raises:
        IntegrityError: the file is damaged, or does not hold what its seal says.
    """
    run, seal = frames.read_sealed(data, name)
    end = run[-1].end if run else 0
    if chain(seal.previous_sha256, data[:end]) != seal.sha256:
        raise IntegrityError(f"{name} does not have the content that was sealed")
    content = Content(run)
    if len(content.closed) != seal.rows or not content.closed.keys() <= content.opened.keys():
        raise IntegrityError(
            f"{name} holds {len(content.closed)} closed requests, its seal says {seal.rows}"
        )
    return [_event(seal, handle, content) for handle in sorted(content.closed)], seal


_encode = msgspec.msgpack.Encoder().encode


def _event(seal: Seal, handle: int, content: Content) -> UsageEvent:
    opened, closed = content.opened[handle], content.closed[handle]
    return UsageEvent(
        app_id=seal.app_id,
        segment=seal.segment,
        sequence=handle,
        status=status_of(closed, delivered=handle in content.delivered),
        opened=opened,
        closed=closed,
        event_hash=sha256(_encode((opened, closed))).hexdigest(),
    )


def seal_name(directory: Path, number: int) -> Path:
    """Path of a sealed segment."""
    return directory / file_name(number, SEALED)
