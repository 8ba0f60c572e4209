"""A disk with a page cache: what was not synced may be gone after a power loss.

It is harsher than most: unsynced pages are kept or lost one by one and in any order, so are names
that were not synced with their directory, and after a failed sync the pages count as clean
although they never reached the disk, as Linux has it.
"""

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PAGE_BYTES = 64

Fault = Literal["power", "EIO", "ENOSPC", "short"]


class PowerLoss(BaseException):
    """The machine is off. Not an `Exception`: nothing may catch it and carry on."""


Names = dict[Path, "File"]
NameStep = Callable[[Names], None]
"""One change to a directory; a lost one leaves nothing for a later one to work on."""


@dataclass
class File:
    """Bytes as programs see them, and bytes as they are on the disk."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    at: int = 0
    """Where writing goes on."""
    dirty: set[int] = field(default_factory=set)
    """Starts of the pages that no sync has started for."""

    def put(self, start: int, data: bytes) -> None:
        self.data.extend(bytes(max(0, start - len(self.data))))
        self.data[start : start + len(data)] = data
        first = start - start % PAGE_BYTES
        self.dirty.update(range(first, start + len(data), PAGE_BYTES))

    def write(self, data: bytes) -> None:
        self.put(self.at, data)
        self.at += len(data)

    def cut(self, length: int) -> None:
        del self.data[length:]
        self.dirty = {start for start in self.dirty if start < length}

    def sync(self) -> None:
        self.resize(self.durable, len(self.data))
        for start in self.dirty:
            self.durable[start : start + PAGE_BYTES] = self.data[start : start + PAGE_BYTES]
        self.dirty.clear()

    def sync_fails(self) -> None:
        """The pages count as clean, and never reached the disk."""
        self.dirty.clear()

    @staticmethod
    def resize(content: bytearray, length: int) -> None:
        content.extend(bytes(max(0, length - len(content))))
        del content[length:]


class SimulatedDisk:
    """A file layer in memory; `faults` maps the number of an operation to what happens in it."""

    def __init__(self, seed: int = 0, faults: dict[int, Fault] | None = None) -> None:
        self.random = random.Random(seed)
        self.faults = faults or {}
        self.operations = 0
        self.failed_at: int | None = None
        self._names: Names = {}
        self._durable_names: Names = {}
        self._unsynced_names: list[NameStep] = []
        self._open: dict[int, File] = {}
        self._locks: dict[int, Path] = {}
        self._next_descriptor = 3
        self.is_off = False

    # -- faults ----------------------------------------------------------------------------------

    def _step(self) -> Fault | None:
        if self.is_off:
            raise PowerLoss
        fault = self.faults.get(self.operations)
        self.operations += 1
        if fault == "power":
            self.is_off = True
            # Some operations get half-way: a write may reach the page cache before the light goes.
            if self.random.random() < 0.5:
                return "power"
            raise PowerLoss
        if fault is not None and fault != "short":
            self.failed_at = self.operations
        return fault

    def _fail(self, fault: Fault | None) -> None:
        if fault == "power":
            raise PowerLoss
        if fault in ("EIO", "ENOSPC"):
            raise OSError(errno.EIO if fault == "EIO" else errno.ENOSPC, f"simulated {fault}")

    def after_power_loss(self, seed: int) -> "SimulatedDisk":
        """What a machine finds that starts again after this one lost its power."""
        disk = SimulatedDisk(seed)
        names = dict(self._durable_names)
        orderly = disk.random.random() < 0.3
        for step in self._unsynced_names:
            if disk.random.random() < 0.5:
                step(names)
            elif orderly:
                break
        for path, file in names.items():
            survived = File(data=self._survivors(file, disk.random))
            survived.durable = bytearray(survived.data)
            disk._names[path] = survived
        disk._durable_names = dict(disk._names)
        return disk

    def after_kill(self) -> "SimulatedDisk":
        """This disk for a process that starts after its user was killed: the page cache stays."""
        self._open.clear()
        self._locks.clear()
        self.faults = {}
        self.is_off = False
        return self

    @staticmethod
    def _survivors(file: File, luck: random.Random) -> bytearray:
        kept = bytearray(file.durable)
        shorter, longer = sorted((len(kept), len(file.data)))
        File.resize(kept, luck.randint(shorter, longer))
        whole = luck.random() < 0.5
        for start in sorted(file.dirty):
            end = min(start + PAGE_BYTES, len(kept), len(file.data))
            if start < end and (whole or luck.random() < 0.6):
                kept[start:end] = file.data[start:end]
        return kept

    # -- the file layer --------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        self._fail(self._step())

    def lock(self, path: Path) -> int:
        self._fail(self._step())
        if path in self._locks.values():
            raise BlockingIOError(errno.EAGAIN, "held")
        self._next_descriptor += 1
        self._locks[self._next_descriptor] = path
        return self._next_descriptor

    def create(self, path: Path) -> int:
        self._fail(self._step())
        if path in self._names:
            raise FileExistsError(errno.EEXIST, str(path))
        file = File()
        self._change_names(lambda names: names.__setitem__(path, file))
        self._next_descriptor += 1
        self._open[self._next_descriptor] = file
        return self._next_descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        fault = self._step()
        taken = len(data)
        if fault is not None:
            taken = self.random.randint(1 if fault == "short" else 0, len(data))
        self._open[descriptor].write(data[:taken])
        self._fail(fault)
        return taken

    def fill(self, descriptor: int, start: int, length: int) -> None:
        fault = self._step()
        whole = fault in (None, "short")
        taken = length if whole else self.random.randint(0, length)
        self._open[descriptor].put(start, bytes(taken))
        self._fail(fault)

    def cut(self, descriptor: int, length: int) -> None:
        fault = self._step()
        if fault in (None, "short", "power"):
            self._open[descriptor].cut(length)
        self._fail(fault)

    def fdatasync(self, descriptor: int) -> None:
        fault = self._step()
        file = self._open[descriptor]
        if fault in ("EIO", "ENOSPC"):
            file.sync_fails()
        elif fault != "power":
            file.sync()
        self._fail(fault)

    def close(self, descriptor: int) -> None:
        self._fail(self._step())
        self._locks.pop(descriptor, None)
        self._open.pop(descriptor, None)

    def rename(self, source: Path, target: Path) -> None:
        self._fail(self._step())

        def step(names: Names) -> None:
            if source in names:
                names[target] = names.pop(source)

        assert source in self._names
        self._change_names(step)

    def sync_directory(self, path: Path) -> None:
        fault = self._step()
        if fault in (None, "short"):
            self._durable_names = dict(self._names)
            self._unsynced_names.clear()
        self._fail(fault)

    def sync_file(self, path: Path) -> None:
        fault = self._step()
        if fault in (None, "short"):
            self._names[path].sync()
        self._fail(fault)

    def unlink(self, path: Path) -> None:
        self._fail(self._step())

        def step(names: Names) -> None:
            names.pop(path, None)

        self._change_names(step)

    def names(self, path: Path) -> list[str]:
        self._fail(self._step())
        return sorted(name.name for name in self._names if name.parent == path)

    def read(self, path: Path) -> bytes:
        self._fail(self._step())
        return bytes(self._names[path].data)

    def _change_names(self, step: NameStep) -> None:
        step(self._names)
        self._unsynced_names.append(step)
