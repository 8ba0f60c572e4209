"""Guidance and its verdict; a comparison across bases or metric versions is refused.

Azure's fiscal fourth quarter of 2024 shows why: 29 % as reported against 30-31 % guided in
constant currency reads as a miss, while the comparable figure was 30 %. Over twelve quarters the
careless comparison gives the wrong verdict three times.
"""

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

import msgspec

from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import exact_decimal
from quartermaster.stats.interval import Interval

Basis = Literal["reported", "constant_currency", "unknown"]
Outcome = Literal["beat", "upper_half", "met", "lower_half", "miss", "not_comparable", "pending"]
Reason = Literal[
    "metric", "unit", "period", "basis_unknown", "basis", "metric_version", "definition"
]

SCORED: tuple[Outcome, ...] = ("beat", "upper_half", "met", "lower_half", "miss")
"""Outcomes that say how good the guidance was; the others say why nobody can tell."""

_OUTCOMES: dict[str, Outcome] = {
    "above": "beat",
    "upper_half": "upper_half",
    "lower_half": "lower_half",
    "below": "miss",
}


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a figure is a figure of. Two figures compare only when everything agrees."""

    metric: str
    unit: str
    """`%` or an ISO 4217 code."""
    period: str
    basis: Basis
    """`unknown` compares with nothing, not even with itself."""
    metric_version: str
    definition: str = ""
    """`definition_hash` of what the metric counts; compared where both figures have one."""


class Guidance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A range that was promised, before the period ended. Bounds are decimal strings.

    A point has equal bounds.
    """

    figure: Figure
    low: str
    high: str
    text: str
    source: str
    issued_on: str
    sample: bool = False
    inferred: bool = False
    """Nobody said these bounds: they were read out of other words. Shown wherever it counts."""
    miss_chance: str = ""
    """The chance of a miss that was stated with it, 0 to 1, where one was."""

    @property
    def interval(self) -> Interval:
        """The range, exact.

        Raises:
            UsageError: bounds are not decimals, or run backwards.
        """
        return Interval(Fraction(exact_decimal(self.low)), Fraction(exact_decimal(self.high)))

    @property
    def chance(self) -> Fraction | None:
        """The stated chance of a miss.

        Raises:
            UsageError: not a decimal from 0 to 1.
        """
        if not self.miss_chance:
            return None
        chance = Fraction(exact_decimal(self.miss_chance))
        if not 0 <= chance <= 1:
            raise UsageError(f"a chance of a miss lies between 0 and 1, not {self.miss_chance}")
        return chance


class Actual(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came in. The value is a decimal string."""

    figure: Figure
    value: str
    source: str

    @property
    def number(self) -> Fraction:
        """The value, exact.

        Raises:
            UsageError: not a decimal.
        """
        return Fraction(exact_decimal(self.value))


class Verdict(msgspec.Struct, frozen=True):
    """How an actual stands against guidance, or which fields forbid the comparison."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()


def definition_hash(words: str) -> str:
    """A name for a definition in words: another wording, another hash; spaces do not count."""
    return hashlib.sha256(" ".join(words.split()).encode()).hexdigest()


def differences(left: Figure, right: Figure) -> tuple[Reason, ...]:
    """Why two figures do not compare, in the order of `Figure`; empty when they do."""
    return tuple(_differences(left, right))


def _differences(left: Figure, right: Figure) -> Iterable[Reason]:
    if left.metric != right.metric:
        yield "metric"
    if left.unit != right.unit:
        yield "unit"
    if left.period != right.period:
        yield "period"
    if "unknown" in (left.basis, right.basis):
        yield "basis_unknown"
    elif left.basis != right.basis:
        yield "basis"
    if left.metric_version != right.metric_version:
        yield "metric_version"
    if left.definition and right.definition and left.definition != right.definition:
        yield "definition"


def score(guidance: Guidance, actual: Actual | None) -> Verdict:
    """The verdict on one figure against its guidance; None has not come in yet.

    A range is beaten, met in its upper or lower half, or missed; its exact middle counts as the
    upper half. A point has no halves: it is beaten, met or missed.

    Raises:
        UsageError: a bound or the value is not a decimal.
    """
    interval = guidance.interval
    if actual is None:
        return Verdict("pending")
    reasons = differences(guidance.figure, actual.figure)
    if reasons:
        return Verdict("not_comparable", reasons)
    value = actual.number
    if interval.low == interval.high == value:
        return Verdict("met")
    return Verdict(_OUTCOMES[interval.place(value)])
