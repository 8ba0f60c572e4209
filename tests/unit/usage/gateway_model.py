"""A gateway in a few lines, a seeded schedule of what happens to it, and the checker.

The checker knows only what clients know: which responses they received in full. Everything else it
reads from the sealed segments.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.unit.usage import usage_facts
from tests.unit.usage.stepped import SteppedKernel, SteppedLoop, SteppedOffload

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import Closed, Progress, UsageEvent
from quartermaster.usage import segment
from quartermaster.usage.files import FileLayer
from quartermaster.usage.policy import CLIENT_GONE
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.wal import Wal

DIRECTORY = Path("/var/wal/gateway-0")


class GatewayModel:
    """Requests in flight on one log; `received` is what clients have in full."""

    wal_class: type[Wal] = Wal
    by_kernel = False
    """Whether the kernel syncs in the background, or a thread."""

    def __init__(self, files: FileLayer, *, first_request: int = 1) -> None:
        self.loop = SteppedLoop()
        self.offloads: list[SteppedOffload | SteppedKernel] = []
        kernel = SteppedKernel(files.fdatasync) if self.by_kernel else None
        self.received: dict[str, Closed] = {}
        self.acked_after_stop = 0
        self.progress: dict[str, Progress] = {}
        self.open: dict[int, str] = {}
        self.opened: set[str] = set()
        self.certain: set[str] = set()
        """Opened before a close that is durable: these must have a row, whatever happens."""
        self.closing: dict[int, tuple[str, Closed]] = {}
        self.undelivered: list[int] = []
        self._request = first_request
        self.wal = self.wal_class.open(
            DIRECTORY,
            settings=UsageSettings(seal_bytes=4_000),
            loop=self.loop,
            now=lambda: Instant(usage_facts.NOON),
            files=files,
            offload=self._offload,
            disk_sync=kernel,
        )
        if kernel is not None:
            self.offloads.append(kernel)

    def _offload(self, name: str) -> SteppedOffload:
        thread = SteppedOffload()
        self.offloads.append(thread)
        return thread

    def open_one(self) -> None:
        if self.wal.writable:
            record = usage_facts.opened(self._request)
            self._request += 1
            handle = self.wal.opened(record)
            self.open[handle] = record.request_id
            self.opened.add(record.request_id)

    def progress_one(self, luck: random.Random) -> None:
        if self.open:
            handle = luck.choice(sorted(self.open))
            last = self.progress.get(self.open[handle])
            told = usage_facts.progress(last.delivered_chunks + 1 if last else 1)
            self.wal.progressed(handle, told)
            self.progress[self.open[handle]] = told

    def close_one(self, luck: random.Random) -> None:
        if self.open:
            handle = luck.choice(sorted(self.open))
            request = self.open.pop(handle)
            gone = luck.random() < 0.1
            record = usage_facts.closed(luck.randint(10, 90), failure=CLIENT_GONE if gone else "")
            self.closing[handle] = request, record
            before = frozenset(self.opened)
            self.wal.closed(handle, record, lambda error: self.durable(handle, before, error))

    def durable(self, handle: int, before: frozenset[str], error: Exception | None) -> None:
        """The releaser: the last byte leaves when the close record is durable."""
        request, record = self.closing.pop(handle)
        if error is None:
            self.acked_after_stop += not self.wal.writable
            self.received[request] = record
            self.certain |= before
            self.undelivered.append(handle)

    def deliver_one(self, luck: random.Random) -> None:
        if self.undelivered:
            self.wal.delivered(self.undelivered.pop(luck.randrange(len(self.undelivered))))

    def step(self, luck: random.Random) -> None:
        """One thing happens."""
        choice = luck.randrange(14)
        if choice < 3:
            self.open_one()
        elif choice == 3:
            self.progress_one(luck)
        elif choice < 6:
            self.close_one(luck)
        elif choice < 8:
            self.deliver_one(luck)
        elif choice < 10:
            self.loop.turn()
        elif choice < 12:
            luck.choice(self.offloads).step()
        elif choice == 12:
            self.wal.flush()
        else:
            self.loop.now_s += luck.choice((0.5, 2.5, 6.0))

    def rest(self) -> None:
        """Everything that is due now is done and delivered; no time passes."""
        for _ in range(10):
            self.loop.turn()
            for offload in self.offloads:
                offload.step()
            while self.undelivered:
                self.wal.delivered(self.undelivered.pop())

    def settle(self) -> None:
        """Let everything that is under way come to its end."""
        for _ in range(50):
            moved = self.loop.turn()
            for offload in self.offloads:
                moved = offload.step() or moved
            while self.undelivered:
                self.wal.delivered(self.undelivered.pop())
            if not moved:
                self.loop.now_s += 2.5
                if not self.loop.turn():
                    return


def run_schedule(model: GatewayModel, seed: int, steps: int) -> None:
    """A seeded day of a gateway."""
    luck = random.Random(seed)
    for _ in range(steps):
        model.step(luck)
    model.settle()


def sealed_rows(files: FileLayer) -> list[UsageEvent]:
    """Rows of every sealed segment, the chain checked."""
    rows: list[UsageEvent] = []
    head = segment.CHAIN_START
    numbers = segment.numbers(files.names(DIRECTORY), segment.SEALED)
    assert numbers == list(range(1, len(numbers) + 1)), "a gap in the segment numbers"
    for number in numbers:
        path = segment.seal_name(DIRECTORY, number)
        events, seal = segment.read_sealed(files.read(path), str(path))
        assert seal.previous_sha256 == head, "the chain is broken"
        assert len(events) == seal.rows > 0
        head = seal.sha256
        rows += events
    return rows


@dataclass
class Known:
    """What is known of the lives of a gateway, besides its log."""

    received: dict[str, Closed] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    certain: set[str] = field(default_factory=set)
    progress: dict[str, Progress] = field(default_factory=dict)

    def learn(self, model: GatewayModel) -> None:
        """Add what one life has seen."""
        self.received |= model.received
        self.opened |= model.opened
        self.certain |= model.certain
        self.progress |= model.progress


def check(known: Known, rows: list[UsageEvent]) -> None:
    """Everything received in full is there once, as it was; nothing else is more than it may be."""
    received, progress = known.received, known.progress
    ids = Counter(row.opened.request_id for row in rows)
    doubled = [request for request, count in ids.items() if count > 1]
    assert not doubled, f"counted twice: {doubled}"
    assert ids.keys() <= known.opened, "rows of requests that never were"
    by_id = {row.opened.request_id: row for row in rows}
    lost = [request for request in received if request not in by_id]
    assert not lost, f"received in full and not metered: {lost}"
    gone = known.certain - by_id.keys()
    assert not gone, f"opened durably and not metered: {gone}"
    for request, record in received.items():
        assert by_id[request].closed == record, f"{request} is not metered as it was"
        assert by_id[request].status in ("closed", "closed_unconfirmed")
    for request, row in by_id.items():
        if row.status == "aborted":
            told = progress.get(request)
            limit = told.counts.output if told else 0
            assert row.closed.counts.output <= limit, "billed more than the last progress"
            assert row.closed.counts.input == 0
