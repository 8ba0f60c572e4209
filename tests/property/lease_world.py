"""A small world of workers, logs, files and a grantor: anything may happen in any order."""

import random
from collections.abc import Callable
from typing import Any

import msgspec

from quartermaster.billing.leases import LeaseLedger, Name, Spending
from quartermaster.gateway.budget import Budgeted, BudgetSpentError, Hold, Purses
from quartermaster.gateway.budget_bound import Bound
from quartermaster.gateway.meter import Metered
from quartermaster.kernel.budget import PICOS_PER_NANO, BudgetGrant, Epoch, Rates
from quartermaster.kernel.lease import Ask, Grant
from quartermaster.kernel.units import Counts

EPOCHS = (Epoch("now@1", "now", 0, 1_000), Epoch("next@1", "next", 1_000, 2_000))
GRANT = BudgetGrant("key", "k", "USD", EPOCHS)
RATE = 1_000
"""Picos a token: a nano, so that sums can be read."""
OWN = Budgeted((GRANT,), {"m": Rates(*[RATE] * 8)})


class Running(msgspec.Struct):
    """A request that a worker has opened."""

    hold: Hold
    bound: Bound
    epoch: str
    progress: int = 0


class FakeLog:
    """What a worker's log holds, segment by segment: what each row costs, by period."""

    def __init__(self) -> None:
        self.number = 1
        self.rows: dict[int, list[tuple[str, int]]] = {1: []}
        self.shipped_to = 0

    def rotate(self) -> int:
        """Seal what there is; the number of the next segment."""
        self.number += 1
        self.rows[self.number] = []
        return self.number


class FakeWorker:
    """One worker number with all its lives."""

    def __init__(self, app_id: str) -> None:
        self.app_id = app_id
        self.log = FakeLog()
        self.lives = 0
        self.ask: Ask | None = None
        self.grant: Grant | None = None
        self.begin()

    def begin(self) -> None:
        """A new life: what the last one left is sealed, and what ran is aborted."""
        self.lives += 1
        self.purses = Purses(f"{self.app_id}.{self.lives}", self.log.number)
        self.running: list[Running] = []
        self.purses.follow({GRANT.id: GRANT}, self.log.rotate)

    def open(self, tokens: int, now: int) -> bool:
        """A request arrives; whether it passes."""
        bound = Bound(tokens, tokens // 2)
        try:
            hold = self.purses.hold(OWN, "m", bound, "bill_delivered", now)
        except BudgetSpentError:
            return False
        epoch = next(one.id for one in EPOCHS if one.start <= now < one.end)
        self.running.append(Running(hold, bound, epoch))
        return True

    def progress(self, request: Running, claimed: int) -> None:
        """A durable progress record: what a crash would bill."""
        counts = request.hold.within(Metered(Counts(claimed, output=claimed), "upstream")).counts
        request.progress = counts.tokens * RATE

    def close(self, request: Running, claimed: int) -> None:
        """The model server claims so much on both sides; the close record is on disk."""
        metered = request.hold.within(Metered(Counts(claimed, output=claimed), "upstream"))
        request.hold.closing(metered.counts, "")
        self.log.rows[self.log.number].append((request.epoch, metered.counts.tokens * RATE))
        request.hold.settle()
        self.running.remove(request)

    def die(self) -> None:
        """Killed: recovery bills what runs by its last progress, in a segment of its own."""
        for request in self.running:
            self.log.rows[self.log.number].append((request.epoch, request.progress))
        self.log.rotate()
        self.begin()

    def look(self) -> None:
        """What a worker does every look."""
        if self.grant is not None:
            self.purses.granted(self.grant.now)
        self.ask = self.purses.ask() or self.ask


class World:
    """Some workers and one grantor.

    Args:
        seed: of every choice.
        amount: of the budget in each period, nanos.
        ledger: makes the grantor; a planted bug is a class of its own.
        quiet: nothing happens much more often than anything else.
    """

    def __init__(
        self, seed: int, amount: int, ledger: Any = LeaseLedger, *, quiet: bool = False
    ) -> None:
        self.random = random.Random(seed)
        self.amount = amount
        self.make_ledger = ledger
        self.workers = [FakeWorker(f"gateway-{number}") for number in range(3)]
        self.shipped: dict[str, int] = dict.fromkeys((epoch.id for epoch in EPOCHS), 0)
        self.now = 0
        self.passed = 0
        deeds: dict[Callable[[FakeWorker], None], float] = {
            self._open: 40,
            self._close: 20,
            self._progress: 5,
            FakeWorker.look: 40,
            lambda _: self.hear(): 15,
            lambda _: self.grant(): 15,
            self.ship: 8,
            lambda worker: worker.purses.next_second(): 2,
            FakeWorker.die: 2,
            lambda _: self.start_grantor(): 1,
            self._clocks_jump: 2,
        }
        self.deeds = list(deeds)
        # Some worlds hardly ever ship, others die all the time: rare meetings become likely.
        self.weights = [
            weight if quiet else weight * self.random.choice((0.1, 1, 4))
            for weight in deeds.values()
        ]
        self.start_grantor()

    @property
    def cut(self) -> dict[str, int]:
        """Where the table is."""
        return {one.app_id: one.log.shipped_to for one in self.workers}

    def start_grantor(self) -> None:
        """The grantor starts, from nothing but the files and the table."""
        self.ledger: LeaseLedger = self.make_ledger()
        self.ledger.agree({(GRANT.id, epoch.id): self.amount for epoch in EPOCHS})
        for worker in self.workers:
            if worker.grant is not None:
                since = range(worker.grant.shipped_segment + 1, worker.log.shipped_to + 1)
                self.ledger.restore(
                    worker.app_id, worker.grant, self._spending(worker, since), self.cut
                )
        for epoch in EPOCHS:
            self.ledger.settle((GRANT.id, epoch.id), self.shipped[epoch.id])
        self.ledger.cut = self.cut

    def _spending(self, worker: FakeWorker, segments: Any) -> list[Spending]:
        return [
            Spending(worker.app_id, number, (GRANT.id, epoch), picos)
            for number in segments
            for epoch, picos in worker.log.rows[number]
        ]

    def ship(self, worker: FakeWorker) -> None:
        """Everything sealed goes to the table."""
        worker.log.rotate()
        segments = range(worker.log.shipped_to + 1, worker.log.number)
        spending = self._spending(worker, segments)
        worker.log.shipped_to = worker.log.number - 1
        for one in spending:
            self.shipped[one.name[1]] += one.picos
        self.ledger.ship(spending, self.cut)

    def hear(self) -> None:
        """The grantor reads all asks."""
        for worker in self.workers:
            if worker.ask is not None:
                self.ledger.ask(worker.app_id, worker.ask)

    def grant(self) -> None:
        """The grantor writes its answers; sometimes it dies between two files."""
        for app_id, grant in self.ledger.grants().items():
            if self.random.random() < 0.05:
                self.start_grantor()
                return
            next(one for one in self.workers if one.app_id == app_id).grant = grant

    def step(self) -> None:
        """Anything happens."""
        (do,) = self.random.choices(self.deeds, self.weights)
        do(self.random.choice(self.workers))

    def _open(self, worker: FakeWorker) -> None:
        self.passed += worker.open(self.random.choice((1, 3, 10, 60)), self.now)

    def _close(self, worker: FakeWorker) -> None:
        if worker.running:
            # Model servers claim anything, also far more than was set aside.
            request = self.random.choice(worker.running)
            worker.close(request, self.random.choice((0, 2, 1_000, 1_000)))

    def _progress(self, worker: FakeWorker) -> None:
        if worker.running:
            worker.progress(self.random.choice(worker.running), self.random.choice((1, 500)))

    def _clocks_jump(self, worker: FakeWorker) -> None:
        """Also back, and far out of any period."""
        self.now = self.random.choice((0, 0, 0, 999, 1_000, 5_000))

    def charged(self, epoch: str) -> int:
        """Nanos that all rows of a period come to, wherever they are."""
        picos = sum(
            cost
            for worker in self.workers
            for rows in worker.log.rows.values()
            for of, cost in rows
            if of == epoch
        )
        return picos // PICOS_PER_NANO

    def overrun(self) -> int:
        """By how much a budget is exceeded, if everything that runs cost its worst case."""
        return max(
            self.charged(epoch.id)
            + sum(
                request.bound.input_tokens + request.bound.output_tokens
                for worker in self.workers
                for request in worker.running
                if request.epoch == epoch.id
            )
            - self.amount
            for epoch in EPOCHS
        )

    def names(self) -> list[Name]:
        """Both budgets."""
        return [(GRANT.id, epoch.id) for epoch in EPOCHS]
