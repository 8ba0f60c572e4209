"""Run-rate and growth of monthly revenue; every figure states its method.

A run-rate is one month or one quarter held still for a year. It is not revenue, and of a peak
month it is not even an honest guess, so a peak is flagged.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

import msgspec

Method = Literal["last_month_x12", "trailing_3_months_x4"]

MONTHS_A_YEAR = 12
TRAILING_MONTHS = 3

PEAK_RATIO_MAX = Fraction(5, 4)
"""A last month above 1.25 times the mean of the three before it is a peak until shown otherwise.
Steady growth of 10 % a month, which doubles revenue in seven months, reaches only 1.21."""


class RunRate(msgspec.Struct, frozen=True):
    """Revenue a year if the named months went on unchanged; integer minor units."""

    method: Method
    minor: int
    currency: str
    months: tuple[str, ...]


class RunRates(msgspec.Struct, frozen=True):
    """Both methods beside each other, and whether the last month stands out."""

    last_month: RunRate
    trailing: RunRate | None
    """None with fewer than three months."""
    peak_ratio: float | None
    """Last month over the mean of the three months before it; None with fewer than four months
    or no revenue before."""
    is_peak: bool


class Growth(msgspec.Struct, frozen=True):
    """Growth of the last `span_months` over the same months one year earlier, as reported."""

    ratio: float
    """0.29 is 29 %."""
    span_months: int
    last: str
    basis: Literal["reported"] = "reported"
    """A book in one currency knows growth as reported; constant currency needs the rates."""


def run_rates(totals: Mapping[str, int], currency: str) -> RunRates | None:
    """Run-rates of a gapless series of months (`YYYY-MM` to minor units); None without months."""
    months = sorted(totals)
    if not months:
        return None
    last = RunRate(
        "last_month_x12", totals[months[-1]] * MONTHS_A_YEAR, currency, tuple(months[-1:])
    )
    recent = tuple(months[-TRAILING_MONTHS:])
    trailing = None
    if len(recent) == TRAILING_MONTHS:
        quarters = MONTHS_A_YEAR // TRAILING_MONTHS
        annual = sum(totals[month] for month in recent) * quarters
        trailing = RunRate("trailing_3_months_x4", annual, currency, recent)
    ratio = _peak_ratio([totals[month] for month in months])
    return RunRates(
        last_month=last,
        trailing=trailing,
        peak_ratio=None if ratio is None else float(ratio),
        is_peak=ratio is not None and ratio > PEAK_RATIO_MAX,
    )


def _peak_ratio(series: list[int]) -> Fraction | None:
    before = series[-TRAILING_MONTHS - 1 : -1]
    if len(before) < TRAILING_MONTHS or sum(before) <= 0:
        return None
    return Fraction(series[-1] * TRAILING_MONTHS, sum(before))


def growth(totals: Mapping[str, int], span_months: int = TRAILING_MONTHS) -> Growth | None:
    """Year-over-year growth of the last months; None where the year before is missing or empty.

    Args:
        totals: gapless months (`YYYY-MM`) to minor units.
        span_months: 3 compares quarters, 12 compares years.
    """
    months = sorted(totals)
    if len(months) < MONTHS_A_YEAR + span_months:
        return None
    now = sum(totals[month] for month in months[-span_months:])
    before = months[-MONTHS_A_YEAR - span_months : -MONTHS_A_YEAR]
    base = sum(totals[month] for month in before)
    if base <= 0:
        return None
    return Growth(float(Fraction(now, base) - 1), span_months, months[-1])
