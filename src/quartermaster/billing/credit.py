"""Service credits: granted for a contract, redeemed by its next invoices, never below zero.

What an invoice cannot take is carried to the next one. Each month takes what the months before it
left, in the order in which credits were granted, so the same usage at the same cut gives the same
lines whichever month is drafted first.
"""

from collections.abc import Sequence

import msgspec

from quartermaster.kernel.case import CreditGrant


class CreditLine(msgspec.Struct, frozen=True):
    """What an invoice redeems of one credit."""

    number: int
    case: str
    granted: str
    """The month in which it was granted."""
    minor: int
    """Below zero."""
    left_minor: int
    """What is carried to the next invoice."""


def redeemed(
    grants: Sequence[CreditGrant], earned: Sequence[tuple[str, int]], *, first_number: int = 1
) -> tuple[CreditLine, ...]:
    """The credit lines of the last of some months.

    Args:
        grants: of one contract, in the order in which they were granted.
        earned: month and minor units before credits, without a gap from the month of the first
            grant on.
        first_number: of the first line.
    """
    left = [grant.credit.minor for grant in grants]
    taken = [0] * len(grants)
    for month, minor in earned:
        open_minor = minor
        for at, grant in enumerate(grants):
            taken[at] = min(left[at], open_minor) if grant.credit.period <= month else 0
            left[at] -= taken[at]
            open_minor -= taken[at]
    used = [at for at, minor in enumerate(taken) if minor > 0]
    return tuple(
        CreditLine(number, grants[at].case, grants[at].credit.period, -taken[at], left[at])
        for number, at in enumerate(used, start=first_number)
    )
