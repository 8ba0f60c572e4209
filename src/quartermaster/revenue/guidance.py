"""Guidance and its verdict; a comparison across bases or metric versions is refused.

Azure's fiscal fourth quarter of 2024 shows why: 29 % as reported against 30-31 % guided in
constant currency reads as a miss, while the comparable figure was 30 %. Over twelve quarters the
careless comparison gives the wrong verdict three times.
"""

from fractions import Fraction
from typing import Literal

import msgspec

from quartermaster.kernel.money import exact_decimal
from quartermaster.stats.interval import Interval

Basis = Literal["reported", "constant_currency"]
Outcome = Literal["beat", "upper_half", "lower_half", "miss", "not_comparable"]
Reason = Literal["metric", "unit", "period", "basis", "metric_version"]

_OUTCOMES: dict[str, Outcome] = {
    "above": "beat",
    "upper_half": "upper_half",
    "lower_half": "lower_half",
    "below": "miss",
}


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a figure is a figure of. Two figures compare only when all five fields agree."""

    metric: str
    unit: str
    """`%` or an ISO 4217 code."""
    period: str
    basis: Basis
    metric_version: str


class Guidance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A range that was promised, before the period ended. Bounds are decimal strings."""

    figure: Figure
    low: str
    high: str
    text: str
    source: str
    issued_on: str
    sample: bool = False

    @property
    def interval(self) -> Interval:
        """The range, exact.

        Raises:
            UsageError: bounds are not decimals, or run backwards.
        """
        return Interval(Fraction(exact_decimal(self.low)), Fraction(exact_decimal(self.high)))


class Actual(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came in. The value is a decimal string."""

    figure: Figure
    value: str
    source: str


class Verdict(msgspec.Struct, frozen=True):
    """How an actual stands against guidance, or which fields forbid the comparison."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()


def differences(left: Figure, right: Figure) -> tuple[Reason, ...]:
    """The fields in which two figures differ, in the order of `Figure`."""
    reasons: tuple[Reason, ...] = ("metric", "unit", "period", "basis", "metric_version")
    return tuple(name for name in reasons if getattr(left, name) != getattr(right, name))


def score(guidance: Guidance, actual: Actual) -> Verdict:
    """The verdict on one figure against its guidance.

    Raises:
        UsageError: a bound or the value is not a decimal.
    """
    reasons = differences(guidance.figure, actual.figure)
    if reasons:
        return Verdict("not_comparable", reasons)
    value = Fraction(exact_decimal(actual.value))
    return Verdict(_OUTCOMES[guidance.interval.place(value)])
