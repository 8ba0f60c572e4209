"""Logs that a worker left behind and that no worker will open again.

A dead worker's log is recovered when the worker starts again under its number. A number that is
never started again (fewer workers, a machine taken over) would keep its last segment for ever; so
the clerk recovers such a log itself. It does so under the log's own lock, which a living worker
holds, and only after the log has not been touched for longer than any supervisor waits before a
restart. A worker that starts in the milliseconds of the recovery is told that its log is in use,
as by a second worker of its number; after its restart delay there is nothing left to recover.
"""

from pathlib import Path

from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import UnavailableError
from quartermaster.usage import segment
from quartermaster.usage.files import OS_FILES, FileLayer
from quartermaster.usage.recover import recover
from quartermaster.usage.wal import LOCK_NAME

ORPHANED_AFTER_S = 60
"""Our supervisor starts a dead worker again within 5 s, systemd by default within 0.1 s, and
Kubernetes within seconds unless it has crashed several times."""

_UNSEALED = (segment.OPEN, segment.RECOVERING, segment.RECOVERED)
_NS_PER_US = 1_000


def untouched_logs(wal_root: Path, now: Instant) -> list[Path]:
    """Logs with unsealed segments that nobody has written to for `ORPHANED_AFTER_S`.

    Args:
        wal_root: the folder with one folder a worker.
        now: microseconds UTC, compared with the files' times.

    Returns:
        Also the logs of living workers that had nothing to do; these hold their lock.
    """
    if not wal_root.is_dir():
        return []
    latest = now - ORPHANED_AFTER_S * US_PER_S
    return [
        directory
        for directory in sorted(wal_root.iterdir())
        if directory.is_dir() and _touched_at(directory) in range(1, latest)
    ]


def _touched_at(directory: Path) -> int:
    """When an unsealed segment was last written, in microseconds UTC; 0 where there is none."""
    touched = 0
    for path in directory.iterdir():
        if path.suffix in _UNSEALED:
            try:
                touched = max(touched, path.stat().st_mtime_ns // _NS_PER_US)
            except FileNotFoundError:
                continue  # sealed since it was listed, so its worker lives
    return touched


def recover_orphan(directory: Path, now: Instant, *, files: FileLayer = OS_FILES) -> bool:
    """Seal what a dead worker left in its log, unless a living one holds it.

    Args:
        directory: the log, one of `untouched_logs`.
        now: stands in the seal.
        files: the file layer.

    Returns:
        Whether the log was recovered; False where a worker holds it.

    Raises:
        IntegrityError: durable data of the log is damaged.
        UnavailableError: the disk refuses.
    """
    try:
        lock = files.lock(directory / LOCK_NAME)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unavailable(directory, error) from error
    try:
        recover(directory, files, now)
    except OSError as error:
        raise _unavailable(directory, error) from error
    finally:
        files.close(lock)
    return True


def _unavailable(directory: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"the write-ahead log {directory} cannot be recovered: {error}",
        hint="free space or replace the disk; nothing is lost, recovery is repeated",
    )
