"""Sealed segments on a real disk, written by the real log."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from tests.unit.usage import usage_facts

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import Closed, Opened
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.wal import Wal

Request = tuple[Opened, Closed]
SETTINGS = UsageSettings(drain_seconds=0.01)


def write_segment(directory: Path, requests: Iterable[Request], *, deliver: bool = True) -> None:
    """One more sealed segment of the log in this directory, with one row a request."""
    asyncio.run(_write(directory, list(requests), deliver=deliver))


async def _write(directory: Path, requests: list[Request], *, deliver: bool) -> None:
    loop = asyncio.get_running_loop()
    wal = Wal.open(directory, settings=SETTINGS, loop=loop, now=lambda: Instant(usage_facts.NOON))
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
