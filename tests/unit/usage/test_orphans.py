"""Logs that no worker will open again are recovered, and only those."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.usage import sealed_logs, usage_facts

from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import IntegrityError, UnavailableError
from quartermaster.usage import segment
from quartermaster.usage.files import OsFiles
from quartermaster.usage.orphans import ORPHANED_AFTER_S, recover_orphan, untouched_logs
from quartermaster.usage.wal import Wal

DIE = """
import asyncio, os, sys
from pathlib import Path
from tests.unit.usage import usage_facts
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.wal import Wal

async def die():
    loop = asyncio.get_running_loop()
    wal = Wal.open(Path(sys.argv[1]), settings=UsageSettings(), loop=loop, now=lambda: 1)
    durable = loop.create_future()
    wal.opened(usage_facts.opened(1))
    wal.closed(wal.opened(usage_facts.opened(2)), usage_facts.closed(), durable.set_result)
    await durable
    os._exit(9)

asyncio.run(die())
"""
TOUCHED_S = 1_700_000_000
LATER = Instant((TOUCHED_S + ORPHANED_AFTER_S) * US_PER_S)


@pytest.fixture
def orphan(tmp_path: Path) -> Path:
    directory = tmp_path / "gateway-7"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, "-c", DIE, str(directory)], env=environ, check=False)
    assert died.returncode == 9
    return _touched(directory)


def _touched(directory: Path) -> Path:
    for path in directory.iterdir():
        os.utime(path, (TOUCHED_S, TOUCHED_S))
    return directory


def test_a_log_left_behind_is_sealed_and_can_be_shipped(orphan: Path, tmp_path: Path) -> None:
    assert untouched_logs(tmp_path, Instant(LATER + 1)) == [orphan]
    assert recover_orphan(orphan, LATER)
    assert untouched_logs(tmp_path, Instant(LATER + 1)) == []
    path = segment.seal_name(orphan, 1)
    rows, _ = segment.read_sealed(path.read_bytes(), path.name)
    assert [(row.opened.request_id, row.status) for row in rows] == [
        (usage_facts.request_id(1), "aborted"),
        (usage_facts.request_id(2), "closed_unconfirmed"),
    ]
    table = sealed_logs.new_table(tmp_path / "usage")
    (shipped,) = sealed_logs.ship(tmp_path, table)
    assert (shipped.segment, shipped.rows) == (1, 2)


def test_its_number_may_still_be_started_again(orphan: Path) -> None:
    assert recover_orphan(orphan, LATER)
    sealed_logs.write_segment(orphan, sealed_logs.requests(3))
    assert segment.numbers([path.name for path in orphan.iterdir()], segment.SEALED) == [1, 2]


def test_a_worker_that_may_yet_come_back_is_waited_for(orphan: Path, tmp_path: Path) -> None:
    assert untouched_logs(tmp_path, LATER) == []


def test_a_log_without_unsealed_segments_is_no_orphan(tmp_path: Path) -> None:
    sealed_logs.write_segment(tmp_path / "gateway-0", sealed_logs.requests(1))
    _touched(tmp_path / "gateway-0")
    (tmp_path / "stray").write_text("no log")
    assert untouched_logs(tmp_path, Instant(LATER + 1)) == []
    assert untouched_logs(tmp_path / "missing", LATER) == []


def test_the_log_of_a_living_worker_is_left_alone(tmp_path: Path) -> None:
    async def idle() -> None:
        directory = tmp_path / "gateway-0"
        loop = asyncio.get_running_loop()
        settings = sealed_logs.SETTINGS
        wal = Wal.open(directory, settings=settings, loop=loop, now=lambda: LATER)
        _touched(directory)
        assert untouched_logs(tmp_path, Instant(LATER + 1)) == [directory]
        assert not recover_orphan(directory, LATER)
        assert segment.numbers([path.name for path in directory.iterdir()], segment.OPEN) == [1]
        await wal.aclose()

    asyncio.run(idle())


def test_a_worker_that_starts_meanwhile_finds_the_log_in_use_and_then_free(orphan: Path) -> None:
    seen: list[str] = []

    class Meanwhile(OsFiles):
        def rename(self, source: Path, target: Path) -> None:
            with pytest.raises(UnavailableError, match="in use by another process"):
                sealed_logs.write_segment(orphan, sealed_logs.requests(3))
            seen.append(target.suffix)
            super().rename(source, target)

    assert recover_orphan(orphan, LATER, files=Meanwhile())
    assert seen == [segment.RECOVERED, segment.SEALED]
    sealed_logs.write_segment(orphan, sealed_logs.requests(3))


def test_a_disk_that_refuses_is_said_and_gives_the_lock_back(orphan: Path) -> None:
    class Full(OsFiles):
        def write(self, descriptor: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(UnavailableError, match="No space left"):
        recover_orphan(orphan, LATER, files=Full())
    assert recover_orphan(orphan, LATER)


def test_damage_is_not_passed_over(orphan: Path) -> None:
    sealed_logs.write_segment(orphan, sealed_logs.requests(3))
    (sealed,) = orphan.glob("*2.sealed")
    sealed.write_bytes(sealed.read_bytes()[:-1])
    (orphan / "0000000003.open").touch()
    with pytest.raises(IntegrityError, match="damaged"):
        recover_orphan(orphan, LATER)
