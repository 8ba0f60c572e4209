"""Commitments of the shown book as other rooms take them: floors of a forecast, terms of a loss."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from quartermaster.app.live import Owed
from quartermaster.exposure.months import month_number
from quartermaster.exposure.risk_assumptions import (
    HORIZON_MONTHS_MAX,
    Assumptions,
    CustomerTerms,
)
from quartermaster.kernel.money import Money
from quartermaster.revenue.floors import Floor


def floors_from(owed: Iterable[Owed], first: int) -> dict[str, list[Floor]]:
    """Floors by group, evenly over their months and rounded down.

    Args:
        owed: of one currency.
        first: the month that periods are counted from, as a number.
    """
    found: dict[str, list[Floor]] = defaultdict(list)
    for one in owed:
        begins, ends = month_number(one.first), month_number(one.last)
        minor = one.minor // (ends - begins + 1)
        if minor > 0:
            found[one.group].append(Floor(begins - first, ends - first, minor))
    return dict(found)


def joined(
    stated: Mapping[str, Sequence[Floor]],
    agreed: Mapping[str, Sequence[Floor]],
    known: Iterable[str],
) -> dict[str, list[Floor]]:
    """Floors of rows and of contracts together, of customers that have a series.

    Who owes and has not used anything yet is not in the book: nobody forecasts from nothing.
    """
    names = set(known) & {*stated, *agreed}
    return {name: [*stated.get(name, ()), *agreed.get(name, ())] for name in sorted(names)}


def ahead(owed: Iterable[Owed], group: str, month: str) -> tuple[int, int]:
    """What a group still owes from a month on if it uses nothing: minor units, and for how long.

    Args:
        owed: of one currency.
        group: id of who leaves.
        month: the first month ahead.
    """
    minor = months = 0
    for one in owed:
        begins, ends, now = (month_number(text) for text in (one.first, one.last, month))
        if one.group == group and ends >= now:
            left = ends - max(begins, now) + 1
            minor += one.minor * left // (ends - begins + 1)
            months = max(months, ends - now + 1)
    return minor, months


def terms_of(owed: Sequence[Owed], month: str, groups: Iterable[str]) -> tuple[CustomerTerms, ...]:
    """What each group owes from a month on, as one even amount for as long as it owes anything.

    Args:
        owed: of one currency.
        month: the first month ahead.
        groups: who is in the book of the loss.
    """
    found = []
    for group in sorted({one.group for one in owed} & set(groups)):
        minor, months = ahead(owed, group, month)
        if minor >= months > 0:
            amount = Money(minor // months, owed[0].currency).decimal
            found.append(
                CustomerTerms(
                    group=group,
                    commitment_per_month=f"{amount:f}",
                    commitment_months=min(months, HORIZON_MONTHS_MAX),
                )
            )
    return tuple(found)


def named_terms(
    terms: Iterable[CustomerTerms], names: Mapping[str, str]
) -> tuple[CustomerTerms, ...]:
    """The terms by what groups are called."""
    return tuple(
        msgspec.structs.replace(one, group=names.get(one.group, one.group)) for one in terms
    )


def bound(assumptions: Assumptions, terms: Iterable[CustomerTerms]) -> Assumptions:
    """The assumptions with commitments of the book, where nobody stated others."""
    own = {one.group: one for one in assumptions.customer}
    for one in terms:
        stated = own.get(one.group, CustomerTerms(group=one.group))
        if not stated.commitment_months:
            own[one.group] = msgspec.structs.replace(
                stated,
                commitment_per_month=one.commitment_per_month,
                commitment_months=one.commitment_months,
            )
    return msgspec.structs.replace(assumptions, customer=tuple(own.values()))
