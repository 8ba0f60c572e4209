"""Sealed segments on a real disk, written by the real log."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from tests.unit.usage import usage_facts

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import Closed, Opened, SegmentShipped
from quartermaster.usage.files import OsFiles
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.ship import ship_sealed
from quartermaster.usage.table import UsageTable
from quartermaster.usage.wal import Wal


class UnsyncedFiles(OsFiles):
    """The operating system's files, without waiting for a busy disk; no test here loses power."""

    def fdatasync(self, descriptor: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass

    def sync_file(self, path: Path) -> None:
        pass


UNSYNCED = UnsyncedFiles()

Request = tuple[Opened, Closed]
SETTINGS = UsageSettings(drain_seconds=0.01)


def write_segment(directory: Path, requests: Iterable[Request], *, deliver: bool = True) -> None:
    """One more sealed segment of the log in this directory, with one row a request."""
    asyncio.run(_write(directory, list(requests), deliver=deliver))


def new_table(path: Path) -> UsageTable:
    """A usage table in this folder."""
    return UsageTable(path, files=UNSYNCED)


def ship(wal_root: Path, table: UsageTable) -> list[SegmentShipped]:
    """Ship what is sealed."""
    return ship_sealed(wal_root, table, files=UNSYNCED)


async def _write(directory: Path, requests: list[Request], *, deliver: bool) -> None:
    loop = asyncio.get_running_loop()
    wal = Wal.open(
        directory,
        settings=SETTINGS,
        loop=loop,
        now=lambda: Instant(usage_facts.NOON),
        files=UNSYNCED,
    )
    for opened, closed in requests:
        handle = wal.opened(opened)
        durable: asyncio.Future[Exception | None] = loop.create_future()
        wal.closed(handle, closed, durable.set_result)
        if deliver:
            assert await durable is None
            wal.delivered(handle)
    await wal.aclose()


def requests(*numbers: int, at: int = usage_facts.NOON) -> list[Request]:
    """Ordinary requests with these numbers; output tokens are ten times the number."""
    return [(usage_facts.opened(n, at=at), usage_facts.closed(10 * n, at=at + 9)) for n in numbers]
