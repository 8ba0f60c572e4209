"""One segment while its log writes it: buffer, what is durable of it, and its end.

The file is filled with zeros ahead of what is written: a sync of bytes inside the file has no new
length and no new blocks to make durable, which spares it the file system's journal. Zero is no kind
of frame, so a reader stops where the zeros begin; the seal cuts them off.
"""

from pathlib import Path

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import NotDurableError
from quartermaster.kernel.events import Closed, Opened, Progress
from quartermaster.usage import frames, segment
from quartermaster.usage.files import FileLayer, write_all
from quartermaster.usage.segment import Head

FILL_BYTES_MIN = 16 * 1024
"""What a quiet worker's segment of a few requests fills: four pages."""

FILL_BYTES_MAX = 256 * 1024
"""What a busy one fills at a time: some 500 requests or 15 syncs, and a few milliseconds of the
disk for the one sync that pays for it."""

PAGE_BYTES = 4096
"""Of the page cache; part of a page would be written twice."""


class SegmentFile:
    """An open file of a log; everything but `seal` runs on the loop's thread."""

    __slots__ = (
        "closes", "deadline", "delivered", "descriptor", "filled", "is_new", "number", "opens",
        "path", "progresses", "rows", "synced", "syncing", "unsynced", "waiting", "written",
    )  # fmt: skip

    def __init__(self, number: int, path: Path, descriptor: int) -> None:
        self.number = number
        self.path = path
        self.descriptor = descriptor
        self.opens: list[tuple[int, Opened]] = []
        """Records that are not written yet, by handle; so are the next two."""
        self.progresses: list[tuple[int, Progress]] = []
        self.closes: list[tuple[int, Closed]] = []
        self.delivered: list[int] = []
        """Handles delivered since the last `delivered` frame."""
        self.rows = 0
        self.waiting = 0
        """Closes whose last byte has not left."""
        self.written = 0
        """Bytes in the page cache or on the disk."""
        self.filled = 0
        """Length of the file with the zeros behind what is written."""
        self.synced = 0
        """Bytes known to be on the disk."""
        self.unsynced = False
        """Holds closes, or carried opens, that no sync has started for."""
        self.syncing = False
        self.is_new = True
        """Its name, or what was carried into it, is not durable yet."""
        self.deadline = 0.0
        """When a draining segment stops waiting for deliveries, on the loop's clock."""

    def write(self, files: FileLayer) -> None:
        """Hand what is buffered to the kernel.

        Raises:
            OSError: the disk refuses; part of it may be written.
        """
        pieces: list[bytes] = []
        if self.opens:
            pieces += frames.record_frames(frames.OPEN, self.opens)
            self.opens = []
        if self.progresses:
            pieces += frames.record_frames(frames.PROGRESS, self.progresses)
            self.progresses = []
        if self.closes:
            pieces += frames.record_frames(frames.CLOSE, self.closes)
            self.closes = []
        if self.delivered:
            pieces.append(frames.frame(frames.DELIVERED, (self.synced, self.delivered)))
            self.delivered = []
        if pieces:
            data = b"".join(pieces)
            if self.written + len(data) > self.filled:
                self._fill(files, self.written + len(data))
            write_all(files, self.descriptor, data)
            self.written += len(data)

    def _fill(self, files: FileLayer, needed: int) -> None:
        ahead = min(max(self.written, FILL_BYTES_MIN), FILL_BYTES_MAX)
        end = -(-(needed + ahead) // PAGE_BYTES) * PAGE_BYTES
        files.fill(self.descriptor, self.filled, end - self.filled)
        self.filled = end

    def seal(self, files: FileLayer, head: Head, now: Instant) -> Head:
        """Write the seal, sync, and give the file its sealed name; blocks.

        Args:
            files: the file layer.
            head: of the chain so far.
            now: stands in the seal.

        Returns:
            The new head.

        Raises:
            OSError: the disk refuses.
            NotDurableError: the file does not hold what was written.
        """
        files.cut(self.descriptor, self.written)
        content = files.read(self.path)
        if len(content) != self.written:
            raise NotDurableError(
                f"{self.path} has {len(content)} bytes, {self.written} were written",
                hint="something else writes to this file",
            )
        seal = frames.Seal(
            app_id=self.path.parent.name,
            segment=self.number,
            rows=self.rows,
            previous_sha256=head.sha256,
            sha256=segment.chain(head.sha256, content),
            sealed_at=now,
        )
        write_all(files, self.descriptor, frames.frame(frames.SEAL, seal))
        files.fdatasync(self.descriptor)
        files.close(self.descriptor)
        files.rename(self.path, segment.seal_name(self.path.parent, self.number))
        files.sync_directory(self.path.parent)
        return Head(self.number, seal.sha256)
