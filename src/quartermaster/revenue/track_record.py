"""How good were past promises? Bias, error, what correcting the bias would have won, and chances.

Exact: fractions of the decimals that were said. Only promises that could be scored count.
"""

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from quartermaster.kernel.errors import UsageError
from quartermaster.revenue.guidance import Guidance, Verdict


class Errors(msgspec.Struct, frozen=True):
    """Of the middle of the range against what came, in the unit of the figures."""

    count: int
    bias: Fraction
    """Mean of middle minus actual: below zero is promising less than one delivers."""
    mean_absolute: Fraction
    corrected: Fraction | None
    """Mean absolute error after taking off the bias of all *other* promises (leave one out);
    None with fewer than two. Only a drop below `mean_absolute` makes the bias worth correcting."""


class Chances(msgspec.Struct, frozen=True):
    """Stated chances of a miss against misses."""

    count: int
    expected: Fraction
    """Sum of the stated chances: as many misses were announced."""
    misses: int
    brier: Fraction
    """Mean squared distance of chance and outcome: 0 is foresight, and whoever always says one
    half has a quarter."""


def errors(pairs: Sequence[tuple[Fraction, Fraction]]) -> Errors:
    """Errors of (promised middle, actual).

    Raises:
        UsageError: no pairs.
    """
    if not pairs:
        raise UsageError("a track record needs at least one scored promise")
    off = [middle - actual for middle, actual in pairs]
    count, whole = len(off), sum(off, Fraction(0))
    corrected = None
    if count > 1:
        left_out = [error - (whole - error) / (count - 1) for error in off]
        corrected = sum((abs(error) for error in left_out), Fraction(0)) / count
    absolute = sum((abs(error) for error in off), Fraction(0)) / count
    return Errors(count, whole / count, absolute, corrected)


def chances(stated: Sequence[tuple[Fraction, bool]]) -> Chances | None:
    """Calibration of (chance of a miss, missed); None when no chance was ever stated."""
    if not stated:
        return None
    squares = [(chance - (1 if missed else 0)) ** 2 for chance, missed in stated]
    return Chances(
        count=len(stated),
        expected=sum((chance for chance, _ in stated), Fraction(0)),
        misses=sum(missed for _, missed in stated),
        brier=sum(squares, Fraction(0)) / len(stated),
    )


def stated_chances(scored: Sequence[tuple[Guidance, Verdict]]) -> Chances | None:
    """Calibration of the chances that were stated with scored guidance."""
    pairs = [(guidance.chance, verdict.outcome == "miss") for guidance, verdict in scored]
    return chances([(chance, missed) for chance, missed in pairs if chance is not None])
