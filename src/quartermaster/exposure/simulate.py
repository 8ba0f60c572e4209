"""Running scenarios: in batches, on threads, with the same answer however many there are.

A batch writes its own slice of the losses; sums over scenarios are made per batch and added in
the order of the batches. Memory holds one number a scenario and the scratch of a batch per thread:
which customer lost what is simulated again for the tail alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.exposure.risk_book import Book
from quartermaster.exposure.simulate_kernel import simulate_passes
from quartermaster.exposure.simulate_rest import no_rest
from quartermaster.exposure.simulate_world import LANES, Rest, kinds_of
from quartermaster.kernel.errors import UsageError
from quartermaster.stats.random_stream import key_of

SCENARIOS_MAX = 2**31
"""A scenario's number is one word of the random counter; half of it is beyond any need."""

BATCH_SCENARIOS = 4 * LANES
"""Scenarios a call of the compiled loop: a thousand customers take a tenth of a second, so that
progress moves and an interrupt is heard."""

THREADS_MAX = 256
"""More threads than any machine we know has cores."""

Doubles = npt.NDArray[np.float64]
Progress = Callable[[int], None]
"""Called with the number of scenarios that were just finished."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How a book is simulated; the figures depend on `seed` and `scenarios` only."""

    scenarios: int
    seed: int
    threads: int = 0
    """0: as many as the machine offers."""
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.scenarios <= SCENARIOS_MAX:
            raise UsageError(
                f"scenarios must be between 1 and {SCENARIOS_MAX}",
                hint="20000 tell the tail beyond 95 % to half a per cent",
                field="scenarios",
            )
        if not 0 <= self.threads <= THREADS_MAX:
            raise UsageError(
                f"threads must be between 0 (all) and {THREADS_MAX}",
                hint="leave it out: figures do not depend on it",
                field="threads",
            )
        key_of(self.seed)

    @property
    def workers(self) -> int:
        """Threads that work."""
        return self.threads or os.cpu_count() or 1


class _Batch(msgspec.Struct):
    ids: npt.NDArray[np.uint32]
    weights: Doubles
    total: Doubles
    by_customer: Doubles
    by_month: npt.NDArray[np.float32]
    count: int


def losses(
    book: Book, run: Run, rest: Rest | None = None, reference: float | None = None
) -> tuple[Doubles, Doubles]:
    """Loss of every scenario, and mean loss of every simulated customer, in the book's scale.

    Args:
        book: customers that are simulated one by one.
        run: how many scenarios, of which seed.
        rest: customers in closed form, or nobody.
        reference: of everybody; the simulated customers' by default.
    """
    found = np.empty(run.scenarios, np.float64)
    whole = float(book.reference.sum()) if reference is None else reference
    ids = np.arange(run.scenarios, dtype=np.int64)
    weights = np.full(run.scenarios, 1 / run.scenarios)
    means = np.zeros(len(book.names))
    batches = _batches(ids, weights, customers=len(book.names))
    for first, batch in _run(book, run, rest, batches):
        found[first : first + batch.count] = whole - batch.total[: batch.count]
        means += batch.by_customer[:, 0]
    return found, means


def contributions(
    book: Book, run: Run, scenarios: npt.NDArray[np.int64], weights: Doubles
) -> tuple[Doubles, Doubles]:
    """Weighted mean of each customer's loss over chosen scenarios, and the weighted variance.

    The scenarios are simulated again, bit for bit; nothing was kept of them.
    """
    sums = np.zeros((len(book.names), 2))
    batches = _batches(scenarios, weights, customers=len(book.names))
    for _, batch in _run(book, run, None, batches):
        sums += batch.by_customer
    return sums[:, 0], np.maximum(sums[:, 1] - sums[:, 0] ** 2, 0.0)


def monthly_values(book: Book, run: Run) -> npt.NDArray[np.float32]:
    """Value of each month and scenario, (months, scenarios): four bytes each are kept."""
    found = np.empty((book.months, run.scenarios), np.float32)
    ids = np.arange(run.scenarios, dtype=np.int64)
    months = book.world.usage.shape[1]
    for first, batch in _run(book, run, None, _batches(ids, months=months)):
        found[:, first : first + batch.count] = batch.by_month[: book.months, : batch.count]
    return found


def _batches(
    scenarios: npt.NDArray[np.int64],
    weights: Doubles | None = None,
    *,
    customers: int = 0,
    months: int = 0,
) -> Iterator[_Batch]:
    """Batches padded to whole passes; padded scenarios weigh nothing."""
    for first in range(0, scenarios.size, BATCH_SCENARIOS):
        part = scenarios[first : first + BATCH_SCENARIOS]
        padded = -(-part.size // LANES) * LANES
        ids = np.zeros(padded, np.uint32)
        ids[: part.size] = part
        weigh = np.zeros(padded)
        if weights is not None:
            weigh[: part.size] = weights[first : first + BATCH_SCENARIOS]
        yield _Batch(
            ids,
            weigh,
            np.zeros(padded),
            np.zeros((customers, 2)),
            np.zeros((months, padded if months else 0), np.float32),
            part.size,
        )


def _run(
    book: Book, run: Run, rest: Rest | None, batches: Iterable[_Batch]
) -> Iterator[tuple[int, _Batch]]:
    """Simulate batches on threads; yield them in order with the place of their first scenario."""
    others = no_rest(book) if rest is None else rest
    kinds = kinds_of(book.world, others)
    key = key_of(run.seed)
    reference = book.reference

    def one(batch: _Batch) -> _Batch:
        simulate_passes(
            batch.ids,
            batch.weights,
            book.world,
            others,
            kinds,
            reference,
            key,
            batch.total,
            batch.by_customer,
            batch.by_month,
        )
        return batch

    waiting, first = iter(batches), 0
    with ThreadPoolExecutor(run.workers) as pool:
        # No more batches exist at a time than keep the threads busy.
        running = [pool.submit(one, batch) for batch in islice(waiting, 2 * run.workers)]
        while running:
            done = running.pop(0).result()
            upcoming = next(waiting, None)
            if upcoming is not None:
                running.append(pool.submit(one, upcoming))
            yield first, done
            first += done.count
            if run.progress is not None:
                run.progress(done.count)
