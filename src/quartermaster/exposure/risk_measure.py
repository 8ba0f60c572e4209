"""Revenue at risk of a book: tail measures, who makes them up, and the same at equal hazards.

A share of the loss hangs on the hazards that were assumed, so the figure at one hazard for all
stands beside it everywhere; `Risk` cannot be made without it.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.exposure.risk_book import (
    Against,
    Book,
    Payer,
    build,
    equal_hazards,
)
from quartermaster.exposure.risk_checks import Checks, closed_forms
from quartermaster.exposure.simulate import Run, contributions, losses, monthly_values
from quartermaster.exposure.simulate_rest import reduce
from quartermaster.kernel.errors import UsageError
from quartermaster.stats.tail import (
    TAIL_SCENARIOS_MIN,
    Estimate,
    Tail,
    checked_quantile,
    measure_tail,
    tail_weights,
)

Engine = Literal["full", "reduced"]

FAN_SCENARIOS = 4_000
"""Scenarios of the fan by month: its outer quantiles have 200 of them beyond."""

FAN_CELLS_MAX = 1_000_000_000
"""Customers times months times scenarios of the fan: about a second."""

FAN_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Doubles = npt.NDArray[np.float64]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's part; shares are of the whole, and sum to one with `Risk.pooled_share`."""

    name: str
    per_month: float
    revenue_share: float
    hazard_per_year: float
    expected_loss_share: float
    shortfall: Estimate
    """Its Euler contribution to the expected shortfall, major units."""
    shortfall_share: float
    shortfall_share_at_equal_hazard: float
    expected_loss_share_at_equal_hazard: float


class Measured(msgspec.Struct, frozen=True):
    """One simulated book: tail in the book's scale, contributions by simulated customer."""

    tail: Tail
    means: Doubles
    parts: Doubles
    variances: Doubles
    tail_scenarios: int


class MonthFan(msgspec.Struct, frozen=True):
    """Quantiles of one month's value at `FAN_QUANTILES`, and the value planned, major units."""

    month: int
    """Counted from 1."""
    planned: float
    quantiles: tuple[float, ...]


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """What is at risk and on whom it hangs; amounts in major units."""

    assumptions: Assumptions
    against: Against
    engine: Engine
    seed: int
    scale: float
    plan: float
    tail: Tail
    """In units of `scale`."""
    equal_tail: Tail
    equal_hazard_per_year: float
    parts: tuple[Part, ...]
    pooled: int
    """Customers in closed form; 0 in the full engine."""
    pooled_share: float
    """Their part of the shortfall."""
    checks: Checks
    months: tuple[MonthFan, ...]
    """Value of each month, departures included; of the first scenarios of the full engine. Empty
    where nobody asked for them."""

    @property
    def top(self) -> Part:
        """The customer that pays most."""
        return self.parts[0]


def measure_risk(
    payers: Sequence[Payer],
    assumptions: Assumptions,
    run: Run,
    *,
    engine: Engine = "full",
    against: Against = "path",
    fan: bool = True,
) -> Risk:
    """Simulate a book under its assumptions, and once more at one hazard for all.

    Without `fan` the values of the months are left out: half of the work in the reduced engine.

    Raises:
        UsageError: too few scenarios for the quantile, or nothing at risk.
    """
    checked_quantile(assumptions.quantile, run.scenarios)
    book = build(payers, assumptions, against=against)
    amounts = np.array(sorted((float(payer.per_month) for payer in payers), reverse=True))
    equal = equal_hazards(amounts, book.hazards)
    level = build(payers, assumptions, hazards=equal, against=against)
    found, rows, pooled = measure_book(book, assumptions.quantile, run, engine)
    beside, _, _ = measure_book(level, assumptions.quantile, run, engine)
    if found.tail.expected_shortfall.value <= 0 or found.tail.expected.value <= 0:
        raise UsageError(
            "under these assumptions nothing is lost", hint="are all hazards zero?", field="hazard"
        )
    parts = _parts(book, amounts, rows, found, beside)
    return Risk(
        assumptions=assumptions,
        against=against,
        engine=engine,
        seed=run.seed,
        scale=book.scale,
        plan=float(book.plan.sum()) * book.scale,
        tail=found.tail,
        equal_tail=beside.tail,
        equal_hazard_per_year=float(equal[0]),
        parts=parts,
        pooled=pooled,
        pooled_share=1 - sum(part.shortfall_share for part in parts) if pooled else 0.0,
        checks=closed_forms(book, assumptions.departure.frailty_variance, assumptions.quantile),
        months=_fan(payers, assumptions, run) if fan else (),
    )


def _fan(payers: Sequence[Payer], assumptions: Assumptions, run: Run) -> tuple[MonthFan, ...]:
    book = build(payers, assumptions, against="plan")
    affordable = max(TAIL_SCENARIOS_MIN, FAN_CELLS_MAX // book.world.usage.size)
    few = min(run.scenarios, FAN_SCENARIOS, affordable)
    first = msgspec.structs.replace(run, scenarios=few, progress=None)
    values = monthly_values(book, first).astype(np.float64) * book.scale
    found = np.quantile(values, FAN_QUANTILES, axis=1)
    planned = book.planned_by_month * book.scale
    return tuple(
        MonthFan(at + 1, float(planned[at]), tuple(float(x) for x in found[:, at]))
        for at in range(book.months)
    )


def measure_book(
    book: Book, quantile: float, run: Run, engine: Engine = "full"
) -> tuple[Measured, npt.NDArray[np.int64], int]:
    """Tail and contributions; the places of the simulated customers; how many are pooled."""
    rows, rest, pooled, simulated = np.arange(len(book.names)), None, 0, book
    if engine == "reduced":
        small = reduce(book)
        rows, rest, pooled, simulated = small.rows, small.rest, small.pooled, small.book
    found, means = losses(simulated, run, rest, float(book.reference.sum()))
    tail = measure_tail(found, quantile)
    scenarios, weights = tail_weights(found, quantile)
    quiet = msgspec.structs.replace(run, progress=None)
    parts, variances = contributions(simulated, quiet, scenarios, weights)
    return Measured(tail, means, parts, variances, scenarios.size), rows, pooled


def _parts(
    book: Book,
    amounts: Doubles,
    rows: npt.NDArray[np.int64],
    found: Measured,
    beside: Measured,
) -> tuple[Part, ...]:
    whole, beside_whole = found.tail.expected_shortfall.value, beside.tail.expected_shortfall.value
    expected, beside_expected = found.tail.expected.value, beside.tail.expected.value
    errors = np.sqrt(found.variances / max(1, found.tail_scenarios)) * book.scale
    return tuple(
        Part(
            name=book.names[i],
            per_month=float(amounts[i]),
            revenue_share=float(amounts[i] / amounts.sum()),
            hazard_per_year=float(book.hazards[i]),
            expected_loss_share=float(found.means[at] / expected),
            shortfall=Estimate(float(found.parts[at] * book.scale), float(errors[at])),
            shortfall_share=float(found.parts[at] / whole),
            shortfall_share_at_equal_hazard=_share(beside.parts[at], beside_whole),
            expected_loss_share_at_equal_hazard=_share(beside.means[at], beside_expected),
        )
        for at, i in enumerate(rows.tolist())
    )


def _share(part: float, whole: float) -> float:
    """A part of a loss. Nobody has a share of nothing, as at an equal hazard of next to nothing."""
    return float(part / whole) if whole > 0 else 0.0
