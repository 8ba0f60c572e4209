"""Closed forms beside the simulation: CreditRisk+ and the granularity adjustment.

Both see a simpler world: each customer leaves or stays, and a departure costs its mean loss; no
growth, floors, prices, or exchange rates. They are there to catch a simulation that is wrong by
much, not to agree to the last per cent; where the simplification is exact they do agree
(`tests/simulation/test_risk_engine.py`).
"""

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.exposure.risk_book import Book
from quartermaster.stats.credit_risk import (
    asymptotic_quantile,
    banded,
    granularity_adjustment,
    loss_distribution,
)

UNITS = 4_000
"""The largest loss a customer can bring is that many units of the grid: rounding below 0.02 %."""

Doubles = npt.NDArray[np.float64]


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """Closed-form figures in the book's scale."""

    expected_loss: float
    value_at_risk: float
    expected_shortfall: float
    asymptotic_quantile: float | None
    """Of an infinitely fine book; None without a common factor."""
    granularity_adjustment: float | None


def mean_departures(book: Book) -> tuple[Doubles, Doubles]:
    """Each customer's chance to leave, and its mean loss if it does, at a frailty of one."""
    world = book.world
    times = np.arange(world.usage.shape[1]) + 0.5
    hazard = np.maximum(world.hazard.astype(np.float64), 1e-12)[:, None]
    ramp = world.ramp.astype(np.float64)[:, None]
    at = times - world.notice.astype(np.float64)[:, None]
    gone = (_line(hazard, at) - _line(hazard, at - ramp)) / ramp
    cost = world.serving_cost.astype(np.float64)[:, None]
    margin = world.usage.astype(np.float64) * (world.price.astype(np.float64) - cost)
    kept = world.kept.astype(np.float64)[:, None]
    lost = (margin * gone * (1 - kept) * (1 - world.refill.astype(np.float64))).sum(axis=1)
    chance = -np.expm1(-hazard[:, 0] * book.months)
    return chance, lost / chance


def closed_forms(book: Book, variance: float, quantile: float) -> Checks:
    """CreditRisk+ and granularity adjustment of a book without given departures."""
    chance, severity = mean_departures(book)
    obligors = banded(list(severity), list(chance), float(severity.max()) / UNITS)
    level, coherent, _ = loss_distribution(obligors, variance).tail(quantile)
    fine = granular = None
    if variance > 0:
        fine = asymptotic_quantile(obligors, variance, quantile)
        granular = granularity_adjustment(list(severity), list(chance), variance, quantile)
    return Checks(
        expected_loss=obligors.expected,
        value_at_risk=level,
        expected_shortfall=coherent,
        asymptotic_quantile=fine,
        granularity_adjustment=granular,
    )


def _line(hazard: Doubles, at: Doubles) -> Doubles:
    """Integral of the chance to have left, from 0 to `at`; 0 before 0."""
    late = np.maximum(at, 0.0)
    found: Doubles = late + np.expm1(-hazard * late) / hazard
    return found
