"""One group sync at a time: by the kernel for one known file, else in a thread."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from quartermaster.usage.disk_sync import DiskSync, WhenSynced
from quartermaster.usage.files import FileLayer
from quartermaster.usage.offload import Loop, Offload
from quartermaster.usage.segment_file import SegmentFile


class GroupSync:
    """Makes segments durable in the background.

    Args:
        directory: of the segments.
        files: the file layer that the thread uses.
        loop: where callbacks run.
        offload: the thread.
        disk_sync: the kernel's background sync, where there is one.
    """

    def __init__(
        self,
        directory: Path,
        files: FileLayer,
        loop: Loop,
        offload: Offload,
        disk_sync: DiskSync | None,
    ) -> None:
        self.count = 0
        """Syncs begun."""
        self._directory = directory
        self._files = files
        self._loop = loop
        self._offload = offload
        self._disk_sync = disk_sync

    def start(self, covered: list[SegmentFile], when_synced: WhenSynced) -> None:
        """Begin; the callback comes on the loop, with None or what went wrong.

        Args:
            covered: what to sync; a new file's name is made durable too.
            when_synced: called once.
        """
        self.count += 1
        if len(covered) > 1 or covered[0].is_new or not self._by_kernel(covered[0], when_synced):
            self._offload.submit(partial(self._in_thread, covered, when_synced))

    def _by_kernel(self, one: SegmentFile, when_synced: WhenSynced) -> bool:
        if self._disk_sync is None:
            return False
        try:
            self._disk_sync.start(one.descriptor, when_synced)
        except OSError:
            # Nothing has begun: this kernel, or this file system, does not offer it after all.
            self._close_disk_sync()
            return False
        return True

    def _in_thread(self, covered: list[SegmentFile], when_synced: WhenSynced) -> None:
        failure: Exception | None = None
        try:
            for each in covered:
                self._files.fdatasync(each.descriptor)
            if any(each.is_new for each in covered):
                self._files.sync_directory(self._directory)
        except Exception as error:  # noqa: BLE001 - told to the loop, and the log stops
            failure = error
        self._loop.call_soon_threadsafe(when_synced, failure)

    def _close_disk_sync(self) -> None:
        disk_sync, self._disk_sync = self._disk_sync, None
        if disk_sync is not None:
            disk_sync.close()

    def close(self) -> None:
        """Return when the sync that is running has ended."""
        self._close_disk_sync()
        self._offload.stop()


MakeGroupSync = Callable[[Path, FileLayer, Loop, Offload, DiskSync | None], GroupSync]
