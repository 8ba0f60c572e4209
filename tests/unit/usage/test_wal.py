"""The log on a simulated disk, one step at a time, and on the real one with real threads."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unit.usage import usage_facts
from tests.unit.usage.gateway_model import DIRECTORY, GatewayModel, sealed_rows
from tests.unit.usage.sealed_logs import requests, write_segment
from tests.unit.usage.simulated_disk import SimulatedDisk

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import IntegrityError, NotDurableError, UnavailableError
from quartermaster.usage import segment
from quartermaster.usage.files import OS_FILES, OsFiles
from quartermaster.usage.policy import CLIENT_GONE
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.wal import Wal


def now() -> Instant:
    return Instant(usage_facts.NOON)


def names(disk: SimulatedDisk) -> list[str]:
    return [name for name in disk.names(DIRECTORY) if name != "lock"]


class Told:
    """Collects what a durability callback was told."""

    def __init__(self) -> None:
        self.outcomes: list[Exception | None] = []

    def __call__(self, error: Exception | None) -> None:
        self.outcomes.append(error)


def test_nobody_is_told_before_the_sync_and_one_sync_tells_all() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    told = Told()
    for number in range(9):
        model.wal.closed(model.wal.opened(usage_facts.opened(number)), usage_facts.closed(), told)
    model.loop.turn()
    assert told.outcomes == []
    before = disk.operations
    model.offloads[0].step()
    assert disk.operations == before + 1, "one fdatasync for nine closes"
    assert told.outcomes == []
    model.loop.turn()
    assert told.outcomes == [None] * 9


def test_a_close_after_the_sync_began_waits_for_the_next() -> None:
    model = GatewayModel(SimulatedDisk())
    early, late = Told(), Told()
    model.wal.closed(model.wal.opened(usage_facts.opened(1)), usage_facts.closed(), early)
    model.loop.turn()
    model.wal.closed(model.wal.opened(usage_facts.opened(2)), usage_facts.closed(), late)
    model.offloads[0].step()
    model.loop.turn()
    assert (early.outcomes, late.outcomes) == ([None], [])
    model.settle()
    assert late.outcomes == [None]


def test_a_request_closed_two_segments_after_it_was_opened_has_one_row() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    wal = model.wal
    long = wal.opened(usage_facts.opened(1))
    wal.progressed(long, usage_facts.progress(5))
    for number in (2, 3):
        handle = wal.opened(usage_facts.opened(number))
        wal.closed(handle, usage_facts.closed(), Told())
        model.settle()
        wal.delivered(handle)
        wal.rotate()
        model.settle()
    wal.closed(long, usage_facts.closed(77), Told())
    wal.delivered(long)
    model.settle()
    wal.rotate()
    model.settle()
    rows = {row.opened.request_id: row for row in sealed_rows(disk)}
    assert len(rows) == len(sealed_rows(disk)) == 3
    row = rows[usage_facts.request_id(1)]
    assert (row.segment, row.status, row.closed.counts.output) == (3, "closed", 77)


def test_a_segment_waits_for_its_deliveries_so_that_they_are_confirmed() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    handle = model.wal.opened(usage_facts.opened(1))
    model.wal.closed(handle, usage_facts.closed(), Told())
    for _ in range(5):
        model.loop.turn()
        model.offloads[0].step()
    assert model.wal.rotate()
    for _ in range(5):
        model.loop.turn()
        model.offloads[0].step()
        model.offloads[1].step()
    assert names(disk) == ["0000000001.open", "0000000002.open"], "draining"
    model.wal.delivered(handle)
    model.settle()
    assert names(disk) == ["0000000001.sealed", "0000000002.open"]
    assert [row.status for row in sealed_rows(disk)] == ["closed"]


def test_a_delivery_that_never_comes_is_unconfirmed_after_a_bounded_wait() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    handle = model.wal.opened(usage_facts.opened(1))
    model.wal.closed(handle, usage_facts.closed(), Told())
    model.settle()
    model.loop.now_s += 60
    model.settle()
    assert [row.status for row in sealed_rows(disk)] == ["closed_unconfirmed"]
    model.wal.delivered(handle)
    assert model.wal.writable


def test_who_left_has_nothing_to_be_delivered() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    handle = model.wal.opened(usage_facts.opened(1))
    model.wal.closed(handle, usage_facts.closed(failure=CLIENT_GONE), Told())
    for _ in range(6):
        model.loop.turn()
        model.offloads[0].step()
    model.wal.rotate()
    for _ in range(6):
        model.loop.turn()
        model.offloads[0].step()
        model.offloads[1].step()
    assert [row.status for row in sealed_rows(disk)] == ["closed"]


def one_more_row(model: GatewayModel, number: int) -> None:
    """A request from open to delivered."""
    handle = model.wal.opened(usage_facts.opened(number))
    model.wal.closed(handle, usage_facts.closed(), Told())
    model.rest()
    model.wal.delivered(handle)


def test_a_carried_request_keeps_its_progress_when_the_old_segment_is_sealed() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    model.wal.progressed(model.wal.opened(usage_facts.opened(1)), usage_facts.progress(6))
    one_more_row(model, 2)
    model.wal.rotate()
    model.rest()
    assert "0000000001.sealed" in names(disk)
    survivors = disk.after_power_loss(1)
    GatewayModel(survivors, first_request=100)
    rows = {row.opened.request_id: row for row in sealed_rows(survivors)}
    row = rows[usage_facts.request_id(1)]
    assert (row.status, row.closed.counts.output) == ("aborted", 6)


def test_a_segment_is_sealed_only_when_what_it_hands_on_is_durable() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    model.wal.opened(usage_facts.opened(1))
    one_more_row(model, 2)
    model.wal.rotate()
    for _ in range(5):
        model.loop.turn()
        model.offloads[1].step()
    assert names(disk) == ["0000000001.open", "0000000002.open"]
    model.rest()
    assert names(disk) == ["0000000001.sealed", "0000000002.open"]


def test_segments_without_rows_are_not_sealed() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    model.wal.opened(usage_facts.opened(1))
    model.loop.now_s += 1_000
    model.settle()
    assert not model.wal.rotate()
    assert names(disk) == ["0000000001.open"]


def test_closing_twice_is_a_defect_and_is_said() -> None:
    model = GatewayModel(SimulatedDisk())
    handle = model.wal.opened(usage_facts.opened(1))
    model.wal.closed(handle, usage_facts.closed(), Told())
    with pytest.raises(IntegrityError, match="is not open"):
        model.wal.closed(handle, usage_facts.closed(), Told())


def test_a_full_disk_refuses_and_tells_whoever_waits() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    told = Told()
    handle = model.wal.opened(usage_facts.opened(1))
    waiting = model.wal.opened(usage_facts.opened(2))
    disk.faults = {disk.operations: "ENOSPC"}
    model.wal.closed(handle, usage_facts.closed(), told)
    model.settle()
    model.wal.closed(waiting, usage_facts.closed(), told)
    model.settle()
    assert not model.wal.writable
    assert [type(outcome) for outcome in told.outcomes] == [NotDurableError, NotDurableError]
    with pytest.raises(NotDurableError, match="cannot be written"):
        model.wal.opened(usage_facts.opened(3))


def test_a_failed_sync_is_not_tried_again() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    told = Told()
    model.wal.closed(model.wal.opened(usage_facts.opened(1)), usage_facts.closed(), told)
    model.loop.turn()
    disk.faults = {disk.operations: "EIO"}
    model.offloads[0].step()
    model.loop.turn()
    before = disk.operations
    model.settle()
    assert disk.operations == before, "the log touched the disk after a failed sync"
    assert len(told.outcomes) == 1
    assert isinstance(told.outcomes[0], NotDurableError)


def test_one_callback_that_fails_does_not_keep_the_outcome_from_the_others() -> None:
    model = GatewayModel(SimulatedDisk())

    def broken(error: Exception | None) -> None:
        raise ValueError("mine")

    told = Told()
    model.wal.closed(model.wal.opened(usage_facts.opened(1)), usage_facts.closed(), broken)
    model.wal.closed(model.wal.opened(usage_facts.opened(2)), usage_facts.closed(), told)
    model.settle()
    assert told.outcomes == [None]
    assert [str(context["exception"]) for context in model.loop.failures] == ["mine"]


def test_recovery_bills_an_interrupted_stream_up_to_its_last_progress() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    handle = model.wal.opened(usage_facts.opened(1))
    for count in (1, 2, 3):
        model.wal.progressed(handle, usage_facts.progress(count))
    model.wal.opened(usage_facts.opened(2))
    model.wal.flush()
    survivors = disk.after_kill()
    GatewayModel(survivors, first_request=100)
    rows = sealed_rows(survivors)
    assert [(row.status, row.closed.counts.output) for row in rows] == [
        ("aborted", 3),
        ("aborted", 0),
    ]
    assert names(survivors) == ["0000000001.sealed", "0000000002.open"]


def test_a_second_process_is_told_which_log_is_in_use(tmp_path: Path) -> None:
    async def twice() -> None:
        loop = asyncio.get_running_loop()
        directory = tmp_path / "gateway-0"
        first = Wal.open(directory, settings=UsageSettings(), loop=loop, now=now)
        with pytest.raises(UnavailableError, match="gateway-0 is in use"):
            Wal.open(directory, settings=UsageSettings(), loop=loop, now=now)
        await first.aclose()
        await Wal.open(directory, settings=UsageSettings(), loop=loop, now=now).aclose()

    asyncio.run(twice())


def test_a_log_continues_number_and_chain_over_restarts(tmp_path: Path) -> None:
    directory = tmp_path / "gateway-0"
    head = segment.CHAIN_START
    for number in (1, 2, 3):
        write_segment(directory, requests(number))
        path = segment.seal_name(directory, number)
        rows, seal = segment.read_sealed(path.read_bytes(), str(path))
        assert (seal.segment, seal.previous_sha256, len(rows)) == (number, head, 1)
        head = seal.sha256
    assert segment.numbers(OS_FILES.names(directory), segment.OPEN) == []


def test_a_copied_log_is_refused(tmp_path: Path) -> None:
    write_segment(tmp_path / "gateway-0", requests(1))
    (tmp_path / "gateway-0").rename(tmp_path / "gateway-1")
    with pytest.raises(IntegrityError, match="is segment 1 of 'gateway-0'"):
        write_segment(tmp_path / "gateway-1", requests(2))


def test_requests_open_at_the_end_are_recorded_as_aborted(tmp_path: Path) -> None:
    async def leave() -> None:
        loop = asyncio.get_running_loop()
        wal = Wal.open(tmp_path / "gateway-0", settings=UsageSettings(), loop=loop, now=now)
        wal.progressed(wal.opened(usage_facts.opened(1)), usage_facts.progress(4))
        await wal.aclose()

    asyncio.run(leave())
    path = segment.seal_name(tmp_path / "gateway-0", 1)
    rows, _ = segment.read_sealed(path.read_bytes(), str(path))
    assert [(row.status, row.closed.counts.output) for row in rows] == [("aborted", 4)]


class SlowFirstSync(OsFiles):
    """The first sync takes long enough for everything else to overtake it."""

    def __init__(self) -> None:
        self.syncs = 0

    def fdatasync(self, descriptor: int) -> None:
        self.syncs += 1
        if self.syncs == 1:
            time.sleep(0.1)
        super().fdatasync(descriptor)


def test_closing_the_log_waits_for_the_sync_under_way(tmp_path: Path) -> None:
    """Also where nobody waits for a delivery."""
    told = Told()

    async def leave() -> None:
        loop = asyncio.get_running_loop()
        wal = Wal.open(
            tmp_path / "gateway-0",
            settings=UsageSettings(),
            loop=loop,
            now=now,
            files=SlowFirstSync(),
        )
        handle = wal.opened(usage_facts.opened(1))
        wal.closed(handle, usage_facts.closed(failure=CLIENT_GONE), told)
        await wal.aclose()

    asyncio.run(leave())
    assert told.outcomes == [None]
    assert segment.seal_name(tmp_path / "gateway-0", 1).exists()


def test_rotation_by_size_under_load_keeps_every_row(tmp_path: Path) -> None:
    async def load() -> None:
        loop = asyncio.get_running_loop()
        settings = UsageSettings(seal_bytes=20_000)
        wal = Wal.open(tmp_path / "gateway-0", settings=settings, loop=loop, now=now)

        async def one(number: int) -> None:
            handle = wal.opened(usage_facts.opened(number))
            await asyncio.sleep(0)
            durable: asyncio.Future[Exception | None] = loop.create_future()
            wal.closed(handle, usage_facts.closed(), durable.set_result)
            assert await durable is None
            wal.delivered(handle)

        for start in range(0, 500, 50):
            await asyncio.gather(*(one(number) for number in range(start, start + 50)))
        await wal.aclose()

    asyncio.run(load())
    ids = []
    for path in sorted((tmp_path / "gateway-0").glob("*.sealed")):
        rows, _ = segment.read_sealed(path.read_bytes(), str(path))
        assert {row.status for row in rows} == {"closed"}
        ids += [row.opened.request_id for row in rows]
    assert sorted(ids) == [usage_facts.request_id(number) for number in range(500)]
    assert len(list((tmp_path / "gateway-0").glob("*.sealed"))) > 3


def test_the_log_imports_nothing_heavy() -> None:
    heavy = "{'pyarrow', 'deltalake', 'ibis', 'duckdb', 'numpy', 'pandas', 'sqlalchemy'}"
    code = f"import sys, quartermaster.usage.wal; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
