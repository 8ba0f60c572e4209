"""The write-ahead log of one gateway worker: nothing is answered in full before it is on disk.

    loop     opened  progressed  closed ──┐        callbacks  delivered
                 └──── buffer ─ write() ──┤            ↑          │
    background                        fdatasync ───────┘          └─ drained → seal

`closed` hands its frame to the next group sync: one `fdatasync` in the background covers every
close that was written before it started, thousands under load, and one call back onto the loop
tells them all. On a quiet log it begins at once; when the last one began a moment ago, it waits
for most of the requests in flight or for `GATHER_S`, because a sync costs what it costs however
much it carries. A failed write or sync is never repeated as if it could still succeed (after a
failed `fsync` the kernel forgets which pages were dirty): the log stops, and the gateway refuses.

A segment that is old or large enough is *rotated*: its successor starts with the `open` frames of
the requests in flight and their last progress, so that each file can be recovered by itself. The
old one drains: it is sealed when the last bytes of its closed requests have left, so that an
ordinary close is never recorded as unconfirmed. A request is closed in exactly one segment, and
its row comes from its close.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

from quartermaster.kernel.clock import Clock
from quartermaster.kernel.errors import IntegrityError, NotDurableError, UnavailableError
from quartermaster.kernel.events import Closed, Opened, Progress
from quartermaster.usage import policy, segment
from quartermaster.usage.disk_sync import DiskSync
from quartermaster.usage.files import OS_FILES, FileLayer, write_all
from quartermaster.usage.group_sync import GroupSync, MakeGroupSync
from quartermaster.usage.offload import Cancellable, Loop, Offload, ThreadOffload
from quartermaster.usage.recover import recover
from quartermaster.usage.segment import Head
from quartermaster.usage.segment_file import SegmentFile
from quartermaster.usage.settings import UsageSettings

WhenDurable = Callable[[Exception | None], None]

LOCK_NAME = "lock"

PROBE_NAME = "probe"

ROOM_TO_GO_ON_BYTES = 1024 * 1024
"""Free space beyond what recovery copies; with less the log would fail again within seconds."""

GATHER_S = 0.002
"""Between the beginnings of two syncs, while fewer than `GATHER_SHARE` wait: a sync takes a tenth
of a millisecond of CPU, so that at most a twentieth of a core goes to the disk; no client sees two
milliseconds at the end of an answer that took a model hundreds."""

GATHER_SHARE = 0.8
"""So many waiting closes, of the requests that the last sync found in flight, are worth a sync at
once: those that it covered come again while the next gathers."""

LAST_DRAIN_S = 0.5
"""When the log closes, the connections have: only callbacks of the last sync may still deliver."""


class Wal:
    """See the module's text. Every method runs on the loop's thread."""

    make_group_sync: MakeGroupSync = GroupSync

    def __init__(
        self,
        directory: Path,
        settings: UsageSettings,
        files: FileLayer,
        loop: Loop,
        now: Clock,
        offload: Callable[[str], Offload],
        disk_sync: DiskSync | None,
        lock: int,
        head: Head,
    ) -> None:
        self.app_id = directory.name
        self.writable = True
        self._directory = directory
        self._settings = settings
        self._files = files
        self._loop = loop
        self._now = now
        self._lock = lock
        self._head = head
        self._error: NotDurableError | None = None
        self._next_handle = 1
        self._open: dict[int, Opened] = {}
        self._progress: dict[int, Progress] = {}
        self._undelivered: dict[int, SegmentFile] = {}
        self._pending: list[WhenDurable] = []
        self._sync_due = False
        self._sync_began = -GATHER_S
        self._in_flight = 0
        self._gathering: Cancellable | None = None
        self._syncing = False
        self._sealing = False
        self._draining: deque[SegmentFile] = deque()
        self._last: SegmentFile | None = None
        self._drained: asyncio.Future[None] | None = None
        self._active = self._create(head.segment + 1)
        self._files.sync_directory(directory)
        self._active.is_new = False
        thread = offload(f"wal-sync-{self.app_id}")
        self._group_sync = self.make_group_sync(directory, files, loop, thread, disk_sync)
        self._seal_offload = offload(f"wal-seal-{self.app_id}")

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        settings: UsageSettings,
        loop: Loop,
        now: Clock,
        files: FileLayer = OS_FILES,
        offload: Callable[[str], Offload] = ThreadOffload,
        disk_sync: DiskSync | None = None,
    ) -> Self:
        """Lock the directory, recover what a crash left, and start a fresh segment.

        The directory's name is the `app_id`: one directory a worker, never copied or renamed.
        Syncs run in a thread, through `files`, unless `disk_sync` takes them.

        Raises:
            UnavailableError: another process writes this log.
            NotDurableError: the disk refuses.
            IntegrityError: durable data of an earlier run is damaged.
        """
        try:
            files.make_directory(directory)
            lock = files.lock(directory / LOCK_NAME)
        except BlockingIOError as error:
            raise UnavailableError(
                f"the write-ahead log {directory} is in use by another process",
                hint="give every gateway worker its own number, or stop the other one",
            ) from error
        except OSError as error:
            raise _not_durable(directory, error) from error
        try:
            head = recover(directory, files, now())
            return cls(directory, settings, files, loop, now, offload, disk_sync, lock, head)
        except OSError as error:
            files.close(lock)
            raise _not_durable(directory, error) from error
        except IntegrityError:
            files.close(lock)
            raise

    @property
    def syncs(self) -> int:
        """Group syncs since the log was opened."""
        return self._group_sync.count

    @property
    def segment(self) -> int:
        """Number of the segment that is being written."""
        return self._active.number

    def opened(self, opened: Opened) -> int:
        """Record that a request starts; the frame is buffered until `flush`.

        Returns:
            A handle, valid until the request is delivered, whatever segment that happens in.

        Raises:
            NotDurableError: the log has failed; the request must be refused.
        """
        if self._error is not None:
            raise self._error
        handle = self._next_handle
        self._next_handle = handle + 1
        self._open[handle] = opened
        self._active.opens.append((handle, opened))
        return handle

    def progressed(self, handle: int, progress: Progress) -> None:
        """Record how far a stream has been delivered; buffered, and never waits for a sync."""
        if self._error is None:
            self._progress[handle] = progress
            self._active.progresses.append((handle, progress))

    def closed(self, handle: int, closed: Closed, when_durable: WhenDurable) -> None:
        """Record a request's final counts.

        Args:
            handle: from `opened`.
            closed: the final record.
            when_durable: called on the loop, once, with None when the record would survive a power
                loss, or with the error. The last byte may leave only after None.

        Raises:
            IntegrityError: the handle is not open; closing twice would count twice.
        """
        if self._error is not None:
            self._loop.call_soon(when_durable, self._error)
            return
        if self._open.pop(handle, None) is None:
            raise IntegrityError(f"handle {handle} of {self.app_id} is not open")
        if self._progress:
            self._progress.pop(handle, None)
        active = self._active
        active.closes.append((handle, closed))
        active.rows += 1
        active.unsynced = True
        if closed.failure != policy.CLIENT_GONE:
            active.waiting += 1
            self._undelivered[handle] = active
        self._pending.append(when_durable)
        if active.rows == 1:
            self._loop.call_later(self._settings.seal_seconds, self._grow_old, active)
        if not (self._sync_due or self._syncing):
            self._request_sync()

    def delivered(self, *handles: int) -> None:
        """Record that last bytes went to the kernel; buffered, never synced for its own sake.

        A handle whose segment has been sealed meanwhile is ignored: its row says unconfirmed.
        """
        undelivered, active = self._undelivered, self._active
        for handle in handles:
            closed_in = undelivered.pop(handle, None)
            if closed_in is None:
                continue
            closed_in.delivered.append(handle)
            closed_in.waiting -= 1
            if closed_in.waiting == 0 and closed_in is not active:
                self._loop.call_soon(self._seal_next)

    def flush(self) -> None:
        """Hand everything buffered to the kernel, where it survives the death of this process.

        Look at `writable` afterwards: a full disk shows here first.
        """
        if self._error is not None:
            return
        active = self._active
        try:
            for draining in self._draining:
                draining.write(self._files)
            active.write(self._files)
        except OSError as error:
            self._fail(error)
            return
        if active.written >= self._settings.seal_bytes:
            self.rotate()

    def rotate(self) -> bool:
        """Start the next segment and let this one drain; False where there is nothing to seal."""
        old = self._active
        if self._error is not None or not old.rows or self._last is not None:
            return False
        try:
            old.write(self._files)
            new = self._create(old.number + 1)
            new.opens = list(self._open.items())
            new.progresses = list(self._progress.items())
            self._active = new
            new.write(self._files)
        except OSError as error:
            self._fail(error)
            return False
        new.unsynced = True
        self._drain(old, self._settings.drain_seconds)
        self._sync_soon()
        return True

    def disk_takes_writes(self) -> bool:
        """Whether a failed log could be recovered now; blocks, so ask from a thread.

        A failed log stays failed. This is for its worker, which ends when the answer is yes: its
        successor recovers the log before it serves.
        """
        size = sum(each.written for each in self._files_in_use()) + ROOM_TO_GO_ON_BYTES
        path = self._directory / PROBE_NAME
        try:
            self._files.unlink(path)
            descriptor = self._files.create(path)
            try:
                write_all(self._files, descriptor, bytes(size))
                self._files.fdatasync(descriptor)
            finally:
                self._files.close(descriptor)
                self._files.unlink(path)
        except OSError:
            return False
        return True

    async def aclose(self) -> None:
        """Seal everything and give up the lock.

        Requests that are still open get the record that recovery would give them.
        """
        self.writable = False
        if self._error is None:
            for handle, opened in list(self._open.items()):
                self._abort(handle, opened)
            self._last = self._active
            if self._last.rows:
                self._drain(self._last, LAST_DRAIN_S)
                self._sync_soon()
            if self._draining:
                await self._until_drained()
        self._group_sync.close()
        self._seal_offload.stop()
        if self._error is None and self._active.rows == 0:
            self._files.close(self._active.descriptor)
            self._files.unlink(self._active.path)
        self._files.close(self._lock)

    async def _until_drained(self) -> None:
        soon = self._loop.time() + LAST_DRAIN_S
        for draining in self._draining:
            draining.deadline = min(draining.deadline, soon)
        self._loop.call_later(LAST_DRAIN_S, self._seal_next)
        self._drained = self._loop.create_future()
        await self._drained

    def _abort(self, handle: int, opened: Opened) -> None:
        self.closed(handle, policy.aborted(opened, self._progress.get(handle)), _nobody_waits)
        self.delivered(handle)

    # -- writing ---------------------------------------------------------------------------------

    def _create(self, number: int) -> SegmentFile:
        path = self._directory / segment.file_name(number, segment.OPEN)
        return SegmentFile(number, path, self._files.create(path))

    def _files_in_use(self) -> list[SegmentFile]:
        if self._draining and self._draining[-1] is self._active:
            return list(self._draining)
        return [*self._draining, self._active]

    def _fail(self, error: Exception) -> None:
        """Stop for good: nothing is acknowledged any more."""
        if self._error is None:
            self._error = _not_durable(self._directory, error)
            self._error.__cause__ = error
            self.writable = False
        pending, self._pending = self._pending, []
        if pending:
            self._loop.call_soon(self._tell, pending)
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _tell(self, waiting: list[WhenDurable]) -> None:
        """Call back with the outcome; one caller's failure does not keep it from the others."""
        error = self._error
        for when_durable in waiting:
            try:
                when_durable(error)
            except Exception as failure:  # noqa: BLE001 - reported to the loop's handler
                context = {"message": "a durability callback failed", "exception": failure}
                self._loop.call_exception_handler(context)

    # -- group sync ------------------------------------------------------------------------------

    def _request_sync(self) -> None:
        """Begin a sync when enough has gathered."""
        if self._sync_due or self._syncing:
            return
        if len(self._pending) < GATHER_SHARE * self._in_flight:
            if self._gathering is not None:
                return
            wait_s = self._sync_began + GATHER_S - self._loop.time()
            if wait_s > 0:
                self._gathering = self._loop.call_later(wait_s, self._begin_sync)
                return
        self._sync_soon()

    def _sync_soon(self) -> None:
        """Begin a sync in the next turn; one that runs asks again at its end."""
        if not self._sync_due and not self._syncing:
            self._sync_due = True
            self._loop.call_soon(self._begin_sync)

    def _begin_sync(self) -> None:
        self._sync_due = False
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if self._syncing:
            return
        self.flush()
        if self._error is not None:
            return
        covered = [s for s in self._files_in_use() if s.unsynced]
        if not covered:
            return
        lengths = [s.written for s in covered]
        for each in covered:
            each.unsynced = False
            each.syncing = True
        waiting, self._pending = self._pending, []
        self._in_flight = len(waiting) + len(self._open)
        self._syncing = True
        self._sync_began = self._loop.time()
        self._group_sync.start(covered, partial(self._synced, covered, lengths, waiting))

    def _synced(
        self,
        covered: list[SegmentFile],
        lengths: list[int],
        waiting: list[WhenDurable],
        failure: Exception | None,
    ) -> None:
        self._syncing = False
        if failure is not None:
            self._fail(failure)
        else:
            for each, length in zip(covered, lengths, strict=True):
                each.synced = length
                each.syncing = False
                each.is_new = False
        self._tell(waiting)
        if any(s.unsynced for s in self._draining):
            self._sync_soon()
        elif self._active.unsynced:
            self._request_sync()
        self.flush()
        self._seal_next()

    # -- rotation and sealing --------------------------------------------------------------------

    def _grow_old(self, grown: SegmentFile) -> None:
        """The first row of this segment has waited long enough."""
        if grown is self._active:
            self.rotate()

    def _drain(self, full: SegmentFile, seconds: float) -> None:
        full.deadline = self._loop.time() + seconds
        self._draining.append(full)
        self._loop.call_soon(self._seal_next)
        self._loop.call_later(seconds, self._seal_next)

    def _seal_next(self) -> None:
        """Seal the oldest draining segment if it is complete, and its successor durable."""
        if self._sealing or not self._draining or self._error is not None:
            return
        oldest = self._draining[0]
        successor = self._draining[1] if len(self._draining) > 1 else self._active
        if oldest.unsynced or oldest.syncing or (successor is not oldest and successor.is_new):
            return
        if oldest.waiting:
            if self._loop.time() < oldest.deadline:
                return
            self._give_up(oldest)
        try:
            oldest.write(self._files)
        except OSError as error:
            self._fail(error)
            return
        self._sealing = True
        self._seal_offload.submit(partial(self._seal, oldest, self._head))

    def _give_up(self, oldest: SegmentFile) -> None:
        """Whoever has not been delivered by now stays unconfirmed."""
        waiting = [handle for handle, where in self._undelivered.items() if where is oldest]
        for handle in waiting:
            del self._undelivered[handle]

    def _seal(self, full: SegmentFile, head: Head) -> None:
        """In the thread: chain, sync, and give the segment its sealed name."""
        failure: Exception | None = None
        try:
            head = full.seal(self._files, head, self._now())
        except Exception as error:  # noqa: BLE001 - told to the loop, and the log stops
            failure = error
        self._loop.call_soon_threadsafe(self._sealed, head, failure)

    def _sealed(self, head: Head, failure: Exception | None) -> None:
        self._sealing = False
        if failure is not None:
            self._fail(failure)
            return
        self._head = head
        self._draining.popleft()
        self._seal_next()
        if not self._draining and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


def _nobody_waits(error: Exception | None) -> None:
    """The outcome shows in `Wal.writable`."""
    del error


def _not_durable(directory: Path, error: Exception) -> NotDurableError:
    return NotDurableError(
        f"the write-ahead log {directory} cannot be written: {error}",
        hint="free space or replace the disk; the gateway worker then starts again by itself",
    )
