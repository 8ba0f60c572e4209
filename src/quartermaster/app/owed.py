"""Commitments of the shown book as other rooms take them: floors of a forecast, terms of a loss."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import msgspec

from quartermaster.app.live import Owed
from quartermaster.billing.provisioned import with_provisioned
from quartermaster.billing.rate import Rated
from quartermaster.book.views import View
from quartermaster.capacity.cost import HOURS_PER_MONTH
from quartermaster.capacity.payback import Owing
from quartermaster.exposure.months import month_number
from quartermaster.exposure.risk_assumptions import (
    HORIZON_MONTHS_MAX,
    Assumptions,
    CustomerTerms,
)
from quartermaster.kernel.clock import US_PER_HOUR, Instant, Period, month_of
from quartermaster.kernel.money import Money, round_line
from quartermaster.revenue.floors import Floor

_HOURS_A_DAY = 24


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


def units_ahead(view: View, now: Instant) -> tuple[Owed, ...]:
    """Provisioned units that are still to be paid for, of real contracts.

    Where a commitment counts them they draw it down, and what is owed for it holds them.
    """
    found = list[Owed]()
    for name, versions in sorted(view.contracts.items()):
        newest = versions[-1]
        counted = any("provisioned" in one.service_classes for one in newest.commitments)
        end = max((line.end for line in newest.ptu_lines), default=0)
        if newest.sample or counted or end <= now:
            continue
        first = now - now % US_PER_HOUR
        ahead_of = Period(first, end, "", newest.time_zone)
        lines = with_provisioned(Rated((), ()), versions, ahead_of).lines
        minor = sum(round_line(line.amount, line.currency, newest.rounding).minor for line in lines)
        who = view.customers[newest.customer]
        begins = month_of(Instant(first), newest.time_zone).label
        ends = month_of(Instant(end - 1), newest.time_zone).label
        if minor:
            found.append(Owed(name, who.id, who.group, newest.currency, begins, ends, minor))
    return tuple(found)


def notices(view: View, now: Instant) -> dict[str, int]:
    """The shortest notice of each group's real contracts that are in force, in days."""
    found = dict[str, int]()
    for name in view.contracts:
        agreed = view.contract_at(name, now)
        if agreed is not None and not agreed.sample:
            group = view.customers[agreed.customer].group
            found[group] = min(agreed.notice_days, found.get(group, agreed.notice_days))
    return found


def owing(minor: int, months: int, notice_days: int) -> Owing:
    """What payback counts of a group that gives notice now, and uses nothing after it.

    Args:
        minor: still owed in all, from now on.
        months: over which.
        notice_days: in which it goes on as before, and draws down what it owes.
    """
    notice = Fraction(notice_days * _HOURS_A_DAY) / HOURS_PER_MONTH
    left = max(months - notice, Fraction(0))
    after = int(minor * left / months) if months else 0
    return Owing(after, left if after else Fraction(0), notice)


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
