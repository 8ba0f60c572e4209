"""Concentration indices of a list of amounts: pure, exact until the one last division.

Amounts are integer minor units and not negative. Sources: Hirschman 1964 (HHI); Adelman 1969
(effective number); the vectors of R's `ineq` and of PyPI's `concentrationMetrics` in the tests.
The raw index is the headline; the normalised one has its own name, because libraries that
normalise by default print 529 where a regulator reads 652. Theil 1967 (entropy index).
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import msgspec

from quartermaster.kernel.errors import UsageError

HHI_POINTS = 10_000
"""Points are the fraction times 10,000: squares of percentages, as antitrust practice writes it."""

REPORTABLE_SHARE = Fraction(1, 10)
"""10 %, as in ASC 280-10-50-42 and IFRS 8.34. Those rules speak of the revenue of the reporting
entity: of any other denominator the line is a habit, not a disclosure rule."""


RATIO_COUNTS = (1, 2, 4, 8, 20)
"""The n of CR-n: 4 and 8 are what competition authorities print, 1 and 2 what a contract decides,
20 what supervisors of banks ask for as the largest exposures."""


class Concentration(msgspec.Struct, frozen=True):
    """Indices of one denominator; `hhi` is a fraction of one."""

    count: int
    hhi: float
    hhi_points: float
    hhi_normalised: float | None
    """(HHI - 1/n) / (1 - 1/n); None for a single customer, where it is 0/0."""
    effective_number: float
    """1 / HHI: how many equal customers would be as concentrated."""
    cr1: float
    cr4: float
    gini: float
    theil: float
    ratios: tuple[tuple[int, float], ...]
    """(n, CR-n) for every n of `RATIO_COUNTS` that is smaller than the count."""


def total_of(amounts: Sequence[int]) -> int:
    """The sum that shares divide by.

    Raises:
        UsageError: nothing, a negative amount, or a sum of zero.
    """
    if not amounts or min(amounts) < 0:
        raise UsageError("concentration needs amounts that are not negative")
    total = sum(amounts)
    if total == 0:
        raise UsageError("concentration needs revenue, and there is none")
    return total


def hhi(amounts: Sequence[int]) -> Fraction:
    """Herfindahl-Hirschman index, raw: the sum of squared shares, from 1/n to 1."""
    return Fraction(sum(amount * amount for amount in amounts), total_of(amounts) ** 2)


def hhi_normalised(amounts: Sequence[int]) -> Fraction | None:
    """HHI moved to run from 0 (all equal) to 1 (one customer), whatever the count."""
    if len(amounts) == 1:
        return None
    equal = Fraction(1, len(amounts))
    return (hhi(amounts) - equal) / (1 - equal)


def concentration_ratio(amounts: Sequence[int], largest: int) -> Fraction:
    """CR-n: the share of the n largest together."""
    total = total_of(amounts)
    return Fraction(sum(sorted(amounts, reverse=True)[:largest]), total)


def gini(amounts: Sequence[int]) -> Fraction:
    """Gini coefficient of the amounts, without small-sample correction (as R's `ineq`)."""
    total, count = total_of(amounts), len(amounts)
    weighted = sum(rank * amount for rank, amount in enumerate(sorted(amounts), start=1))
    return Fraction(2 * weighted, count * total) - Fraction(count + 1, count)


def theil(amounts: Sequence[int]) -> float:
    """Theil's T, the mean of x/m ln(x/m): 0 when all are equal, ln n when one has everything.

    An amount of zero counts as the limit 0. Logarithms are floats: exact to about 1e-15.
    """
    total, count = total_of(amounts), len(amounts)
    relative = (float(Fraction(amount * count, total)) for amount in amounts if amount)
    return max(0.0, math.fsum(ratio * math.log(ratio) for ratio in relative) / count)


def lorenz(amounts: Sequence[int]) -> list[tuple[float, float]]:
    """Points (share of customers, share of revenue), smallest first, from (0, 0) to (1, 1)."""
    total, count = total_of(amounts), len(amounts)
    points, running = [(0.0, 0.0)], 0
    for number, amount in enumerate(sorted(amounts), start=1):
        running += amount
        points.append((number / count, running / total))
    return points


def hhi_bounds(named: Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    """The range of HHI when only some shares are known.

    Lowest: the rest is split without limit. Highest: the rest is as lumpy as it can be while no
    unnamed customer is larger than the largest named one.

    Args:
        named: known shares of one denominator, summing to at most one.

    Raises:
        UsageError: no share, a share that is not positive, or a sum above one.
    """
    rest = 1 - sum(named, Fraction(0))
    if not named or min(named) <= 0 or rest < 0:
        raise UsageError("known shares must be positive and sum to at most one")
    low = sum((share * share for share in named), Fraction(0))
    largest = max(named)
    whole = rest // largest
    left = rest - whole * largest
    return low, low + whole * largest * largest + left * left


def is_reportable(amount: int, total: int) -> bool:
    """Whether an amount is at least 10 % of the total, decided exactly."""
    return amount * REPORTABLE_SHARE.denominator >= total * REPORTABLE_SHARE.numerator


def concentration(amounts: Sequence[int]) -> Concentration:
    """Every index of one list of amounts.

    Raises:
        UsageError: see `total_of`.
    """
    raw, normalised = hhi(amounts), hhi_normalised(amounts)
    return Concentration(
        count=len(amounts),
        hhi=float(raw),
        hhi_points=float(raw * HHI_POINTS),
        hhi_normalised=None if normalised is None else float(normalised),
        effective_number=float(1 / raw),
        cr1=float(concentration_ratio(amounts, 1)),
        cr4=float(concentration_ratio(amounts, 4)),
        gini=float(gini(amounts)),
        theil=theil(amounts),
        ratios=tuple(
            (largest, float(concentration_ratio(amounts, largest)))
            for largest in RATIO_COUNTS
            if largest < len(amounts)
        ),
    )
