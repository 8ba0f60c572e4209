"""What customers owe whether they use it or not: commitments and minimum charges, with their dates.

A floor binds a customer's revenue of a period from below, from its first period to its last, both
included. Periods are counted from the first one of the series; those ahead go on counting. A past
forecast knows a floor from its first period on; today's knows every floor that is given, also one
that begins later.
"""

from collections.abc import Mapping, Sequence

import msgspec

from quartermaster.kernel.errors import UsageError


class Floor(msgspec.Struct, frozen=True, order=True):
    """The least that a customer owes for each period from `first` to `last`, in minor units."""

    first: int
    last: int
    minor: int

    def __post_init__(self) -> None:
        if self.minor < 0:
            raise UsageError("a floor is not below zero")
        if self.last < self.first:
            raise UsageError("a floor ends before it begins")


Floors = Mapping[str, Sequence[Floor]]
"""By customer; contracts beside each other add up."""


def owed(floors: Sequence[Floor], origin: int, steps: int, *, today: bool) -> list[int]:
    """The least owed for each of the `steps` periods from `origin` on.

    Args:
        floors: of one customer.
        origin: the first period ahead.
        steps: periods ahead.
        today: whether floors count that begin later; a past origin did not know them.
    """
    known = [floor for floor in floors if today or floor.first <= origin]
    return [
        sum(floor.minor for floor in known if floor.first <= at <= floor.last)
        for at in range(origin, origin + steps)
    ]


def bound(path: Sequence[int], least: Sequence[int]) -> list[int]:
    """Each period, at least what is owed for it; where nothing is, a credit stays one."""
    return [max(value, owes) if owes else value for value, owes in zip(path, least, strict=True)]
