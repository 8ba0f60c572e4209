"""Exact closed intervals: what a hedged figure such as "nearly 20" can mean, carried through."""

from fractions import Fraction
from typing import Literal

import msgspec

from quartermaster.kernel.errors import UsageError

Place = Literal["below", "lower_half", "upper_half", "above"]


class Interval(msgspec.Struct, frozen=True):
    """All values from `low` to `high`, both included; a single figure has low == high."""

    low: Fraction
    high: Fraction

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise UsageError(f"an interval cannot run from {self.low} down to {self.high}")

    @property
    def middle(self) -> Fraction:
        """Half-way between the ends."""
        return (self.low + self.high) / 2

    def scaled(self, factor: Fraction) -> "Interval":
        """Every value times a factor of either sign."""
        ends = (self.low * factor, self.high * factor)
        return Interval(min(ends), max(ends))

    def times(self, other: "Interval") -> "Interval":
        """Every product of one value of each."""
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(ends), max(ends))

    def over(self, other: "Interval") -> "Interval":
        """Every quotient of one value of each.

        Raises:
            UsageError: the divisor may be zero.
        """
        if other.low <= 0 <= other.high:
            raise UsageError("cannot divide by an interval that holds zero")
        return self.times(Interval(1 / other.high, 1 / other.low))

    def meets(self, other: "Interval") -> bool:
        """Whether any value lies in both."""
        return self.low <= other.high and other.low <= self.high

    def holds(self, value: Fraction) -> bool:
        """Whether the value lies in it."""
        return self.low <= value <= self.high

    def place(self, value: Fraction) -> Place:
        """Where a value stands; the exact middle counts as the upper half."""
        if value < self.low:
            return "below"
        if value > self.high:
            return "above"
        return "upper_half" if value >= self.middle else "lower_half"


def point(value: Fraction) -> Interval:
    """The interval of one value."""
    return Interval(value, value)
