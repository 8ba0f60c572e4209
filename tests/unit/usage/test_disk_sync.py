"""The kernel's background sync: real files, real errors, and what the log does without it."""

import asyncio
import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.usage import usage_facts
from tests.unit.usage.gateway_model import GatewayModel
from tests.unit.usage.simulated_disk import SimulatedDisk
from tests.unit.usage.stepped import SteppedKernel, SteppedOffload

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import IntegrityError
from quartermaster.usage.disk_sync import KernelSync
from quartermaster.usage.group_sync import GroupSync
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.wal import Wal

Outcomes = list[Exception | None]


def kernel_sync() -> KernelSync:
    """Of the running loop; skips where the kernel has none."""
    kernel = KernelSync.open(asyncio.get_running_loop())
    if kernel is None:
        pytest.skip("this kernel, or its sandbox, offers no asynchronous I/O")
    return kernel


async def until(done: Callable[[], bool]) -> None:
    """Wait, but not for ever."""
    async with asyncio.timeout(5.0):
        while not done():
            await asyncio.sleep(0.001)


def test_a_file_is_synced_again_and_again(tmp_path: Path) -> None:
    async def run() -> None:
        kernel = kernel_sync()
        outcomes: Outcomes = []
        descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for turn in range(20):
            os.write(descriptor, b"frame")
            kernel.start(descriptor, outcomes.append)
            await until(lambda turn=turn: len(outcomes) > turn)  # type: ignore[misc]
        assert outcomes == [None] * 20
        kernel.close()
        os.close(descriptor)

    asyncio.run(run())


def test_the_error_of_the_sync_reaches_the_caller() -> None:
    """A pipe can be written and not synced: the kernel says so like `fdatasync` does."""

    async def run() -> None:
        kernel = kernel_sync()
        outcomes: Outcomes = []
        read_end, write_end = os.pipe()
        with pytest.raises(OSError) as expected:
            os.fdatasync(write_end)
        try:
            kernel.start(write_end, outcomes.append)
        except OSError as error:
            outcomes.append(error)
        await until(lambda: bool(outcomes))
        (outcome,) = outcomes
        assert isinstance(outcome, OSError)
        assert outcome.errno == expected.value.errno == errno.EINVAL
        kernel.close()
        os.close(read_end)
        os.close(write_end)

    asyncio.run(run())


def test_a_closed_descriptor_is_refused_at_once_and_the_next_sync_works(tmp_path: Path) -> None:
    async def run() -> None:
        kernel = kernel_sync()
        outcomes: Outcomes = []
        descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        os.close(descriptor)
        with pytest.raises(OSError) as refused:
            kernel.start(descriptor, outcomes.append)
        assert refused.value.errno == errno.EBADF
        descriptor = os.open(tmp_path / "log", os.O_WRONLY)
        kernel.start(descriptor, outcomes.append)
        with pytest.raises(IntegrityError):
            kernel.start(descriptor, outcomes.append)
        kernel.close()
        assert outcomes == [None], "close waits for the sync that runs, and tells its outcome"
        os.close(descriptor)

    asyncio.run(run())


def test_a_signal_does_not_end_the_wait_for_a_sync(tmp_path: Path) -> None:
    async def run() -> None:
        kernel = kernel_sync()
        real = kernel._syscall
        interrupted: list[int] = []

        def syscall(number: int, *arguments: object) -> int:
            if number == kernel._calls.getevents and len(interrupted) < 3:
                interrupted.append(number)
                ctypes.set_errno(errno.EINTR)
                return -1
            return real(number, *arguments)

        kernel._syscall = syscall
        outcomes: Outcomes = []
        descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        kernel.start(descriptor, outcomes.append)
        kernel.close()
        assert (outcomes, len(interrupted)) == ([None], 3)
        os.close(descriptor)

    asyncio.run(run())


def test_the_log_on_a_real_file_is_synced_by_the_kernel_and_sealed(tmp_path: Path) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        kernel = kernel_sync()
        wal = Wal.open(
            tmp_path / "gateway-0",
            settings=UsageSettings(),
            loop=loop,
            now=lambda: Instant(usage_facts.NOON),
            disk_sync=kernel,
        )
        outcomes: Outcomes = []
        for number in range(1, 30):
            handle = wal.opened(usage_facts.opened(number))
            wal.closed(handle, usage_facts.closed(number), outcomes.append)
            await until(lambda number=number: len(outcomes) == number)  # type: ignore[misc]
            wal.delivered(handle)
        assert outcomes == [None] * 29
        assert wal.syncs == 29
        await wal.aclose()

    asyncio.run(run())
    assert [path.name for path in (tmp_path / "gateway-0").glob("*.sealed")] == [
        "0000000001.sealed"
    ]


class RefusingKernel(SteppedKernel):
    """A kernel that takes nothing."""

    def start(self, descriptor: int, when_synced: Callable[[Exception | None], None]) -> None:
        raise OSError(errno.ENOSYS, "not here")


def test_where_the_kernel_takes_no_sync_the_thread_does() -> None:
    disk = SimulatedDisk()
    model = GatewayModel(disk)
    outcomes: Outcomes = []
    thread = SteppedOffload()
    kernel = RefusingKernel(disk.fdatasync)
    group = GroupSync(Path("/var"), disk, model.loop, thread, kernel)
    (active,) = model.wal._files_in_use()
    active.is_new = False
    group.start([active], outcomes.append)
    assert outcomes == []
    thread.step()
    model.loop.turn()
    assert outcomes == [None]


class KernelModel(GatewayModel):
    """A gateway whose kernel syncs in the background."""

    by_kernel = True


def test_closes_gather_until_most_of_those_in_flight_wait_and_never_wait_long() -> None:
    model = KernelModel(SimulatedDisk())
    kernel = model.offloads[-1]
    assert isinstance(kernel, SteppedKernel)
    acked: list[int] = []

    def close(handle: int) -> None:
        model.wal.closed(handle, usage_facts.closed(1), lambda error: acked.append(handle))

    first, *handles = [model.wal.opened(usage_facts.opened(number)) for number in range(1, 10)]
    close(first)
    model.rest()
    assert acked == [first], "on a quiet log a single close is synced at once"
    close(handles[0])
    model.rest()
    assert acked == [first], "one of eight waits for the others"
    for handle in handles[1:7]:
        close(handle)
    model.rest()
    assert acked == [first], "seven of nine in flight are not four fifths"
    close(handles[7])
    model.rest()
    assert acked == [first, *handles], "eight are"
    again = [model.wal.opened(usage_facts.opened(number)) for number in range(10, 13)]
    close(again[0])
    model.rest()
    assert len(acked) == 9
    model.loop.now_s += 0.002
    model.rest()
    assert acked == [first, *handles, again[0]], "after two milliseconds nobody waits for anybody"
