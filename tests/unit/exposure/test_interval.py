"""Exact intervals."""

from fractions import Fraction

import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.interval import Interval, point


def between(low: int, high: int) -> Interval:
    return Interval(Fraction(low), Fraction(high))


def test_arithmetic_keeps_every_value() -> None:
    assert between(2, 3).times(between(-1, 4)) == between(-3, 12)
    assert between(6, 12).over(between(2, 3)) == between(2, 6)
    assert between(1, 2).scaled(Fraction(-2)) == between(-4, -2)


def test_division_by_what_may_be_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="zero"):
        between(1, 2).over(between(0, 1))


def test_running_backwards_is_refused() -> None:
    with pytest.raises(UsageError, match="down"):
        between(2, 1)


def test_touching_intervals_meet() -> None:
    assert between(1, 2).meets(between(2, 3))
    assert not between(1, 2).meets(between(3, 4))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (29, "below"),
        (30, "lower_half"),
        (Fraction(61, 2), "upper_half"),
        (31, "upper_half"),
        (32, "above"),
    ],
)
def test_place_in_a_range(value: Fraction, place: str) -> None:
    assert between(30, 31).place(Fraction(value)) == place


def test_meeting_a_single_figure_is_not_the_lower_half() -> None:
    assert point(Fraction(37)).place(Fraction(37)) == "upper_half"
