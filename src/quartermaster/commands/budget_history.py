"""What became of a budget: spending against it day by day, and everything that happened to it.

Days are those of the budget's time zone; an hour of usage belongs to the day in which it begins.
Leases change by the second and are known for the present only.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from quartermaster.billing.spend import Spender, Watched
from quartermaster.book.views import BudgetEvent, View
from quartermaster.commands.budget import Budgeting
from quartermaster.commands.budget_shown import BudgetStates, major, shown
from quartermaster.commands.scope import customer_of
from quartermaster.kernel.budget import PICO_DIGITS, Budget, epochs
from quartermaster.kernel.clock import (
    US_PER_HOUR,
    Instant,
    Period,
    as_datetime,
    month_named,
    month_of,
    zone,
)
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.events import BudgetCrossed, BudgetSet, BudgetToppedUp, HourlyUsage
from quartermaster.kernel.limit import LimitScope
from quartermaster.kernel.money import EXACT, Money

Kind = Literal["set", "changed", "paused", "resumed", "removed", "paid", "alert"]
UsageOf = Callable[[str | None, Period], Sequence[HourlyUsage]]
"""Hourly usage of a customer, or of all, in a period."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a budget."""

    at: Instant
    kind: Kind
    by: str
    reason: str
    """Of a payment what it is called; else what was given, or nothing."""
    amount: Decimal | None
    """From then on; of a payment what was paid; None of a budget that is lifted."""
    percent: int
    """Of an alert; else 0."""


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day of a budget; amounts in major units, exact."""

    on: date
    spent: Decimal
    total: Decimal
    """Of its period, up to the end of the day."""
    amount: Decimal | None
    """At the end of the day; None before the budget was set."""
    paused: bool
    """At the end of the day, or at some time of it."""
    alerts: tuple[int, ...]
    """Per cents that were announced."""


class BudgetHistory(msgspec.Struct, frozen=True, kw_only=True):
    """One month of a budget, and everything that happened to it."""

    scope: LimitScope
    name: str
    currency: str
    time_zone: str
    month: str
    """`2026-11`."""
    earlier: str
    """The month before it; empty where the budget was not there yet."""
    later: str
    """The month after it; empty where it has not begun."""
    days: tuple[Day, ...]
    """Up to today; empty where the budget is lifted."""
    length: int
    """Days of the month."""
    leased: Decimal | None
    """Now, where the month runs; None where it does not, or is not known."""
    moments: tuple[Moment, ...]
    """Oldest first."""


def history(
    view: View,
    scope: LimitScope,
    name: str,
    month: str,
    usage: UsageOf,
    states: BudgetStates,
    now: Instant,
) -> BudgetHistory | None:
    """A month of a budget; the running one where none is named.

    Args:
        view: the book.
        scope: of whom.
        name: of whom.
        month: `2026-11`, or empty.
        usage: reads the usage table.
        states: what the clerk last knew of budgets.
        now: microseconds UTC.

    Returns:
        None where there never was a budget.

    Raises:
        UsageError: not a month in which the budget was there.
        UnavailableError: usage cannot be read on this machine.
    """
    found = view.budget_events.get((scope, name), ())
    if not found:
        return None
    budget = view.budgets.get((scope, name))
    agreed = budget or _last(found)
    running = month_of(now, agreed.time_zone)
    asked = month_named(month, agreed.time_zone) if month else running
    first = month_of(Instant(agreed.since), agreed.time_zone)
    if not first.start <= asked.start <= running.start:
        raise UsageError(f"the budget was not there in {asked.label}", field="month")
    moments = _moments(found)
    leased = None
    if budget is not None and asked.label == running.label:
        leased = shown(Budgeting(scope, name, budget), states, now).leased
    days: tuple[Day, ...] = ()
    if budget is not None:
        days = _days(view, Budgeting(scope, name, budget), asked, moments, usage, now)
    before = month_of(Instant(asked.start - 1), agreed.time_zone)
    after = month_of(Instant(asked.end), agreed.time_zone)
    return BudgetHistory(
        scope=scope,
        name=name,
        currency=agreed.currency,
        time_zone=agreed.time_zone,
        month=asked.label,
        earlier=before.label if before.start >= first.start else "",
        later=after.label if after.start <= running.start else "",
        days=days,
        length=(_local(asked.end - 1, asked) - _local(asked.start, asked)).days + 1,
        leased=leased,
        moments=moments,
    )


def _last(found: Sequence[BudgetEvent]) -> Budget:
    """The terms of a budget that is lifted."""
    terms = [one.fact.budget for one in found if isinstance(one.fact, BudgetSet)]
    return next(one for one in reversed(terms) if one is not None)


def _days(
    view: View,
    found: Budgeting,
    month: Period,
    moments: Sequence[Moment],
    usage: UsageOf,
    now: Instant,
) -> tuple[Day, ...]:
    budget = found.budget
    at = Instant(min(month.end - 1, max(now, month.start)))
    epoch = epochs(budget, at)[0]
    watched = Watched(found.scope, found.name, epoch)
    groups = {one.id: one.group for one in view.customers.values()}
    spender = Spender((watched,), groups, view.price_books, view.budgeted_before())
    # A budget that begins within the hour counts all of it, as its leases do.
    begun = epoch.start - epoch.start % US_PER_HOUR
    customer = _customer(view, found)
    total = 0
    if begun < month.start:
        total = spender.total(watched, usage(customer, Period(begun, month.start, "", "UTC")))
    start = max(begun, month.start)
    rows: dict[date, list[HourlyUsage]] = {}
    for row in usage(customer, Period(start, month.end, month.label, month.zone)):
        rows.setdefault(_local(row.hour, month), []).append(row)
    days, on, last = list[Day](), _local(month.start, month), _local(at, month)
    while on <= last:
        spent = spender.total(watched, rows.get(on, ()))
        total += spent
        days.append(_day(on, spent, total, budget.currency, moments, month))
        on += timedelta(days=1)
    return tuple(days)


def _day(
    on: date, spent: int, total: int, currency: str, moments: Sequence[Moment], month: Period
) -> Day:
    amount, paused_before, paused, alerts = None, False, False, list[int]()
    ever = False
    for one in moments:
        then = _local(one.at, month)
        if then > on:
            break
        match one.kind:
            case "alert":
                alerts += [one.percent] if then == on else []
            case "paid":
                amount = EXACT.add(amount or Decimal(0), one.amount or Decimal(0))
            case "paused" | "resumed":
                paused_before, paused = paused, one.kind == "paused"
                ever = ever or (then == on and (paused or paused_before))
            case "removed":
                amount, paused = None, False
            case "set" | "changed":
                amount, paused = one.amount, paused and one.kind == "changed"
    return Day(
        on=on,
        spent=major(spent, PICO_DIGITS, currency),
        total=major(total, PICO_DIGITS, currency),
        amount=amount,
        paused=paused or ever,
        alerts=tuple(alerts),
    )


def _moments(found: Sequence[BudgetEvent]) -> tuple[Moment, ...]:
    moments, before = list[Moment](), None
    for one in found:
        kind: Kind
        amount: Decimal | None
        fact, reason, percent = one.fact, "", 0
        if isinstance(fact, BudgetCrossed):
            kind, percent = "alert", fact.percent
            amount = Money(fact.amount_minor, fact.currency).decimal
        elif isinstance(fact, BudgetToppedUp):
            kind, reason = "paid", fact.top_up
            amount = Money(fact.amount_minor, fact.currency).decimal
            if before is not None:
                paid = before.amount_minor + fact.amount_minor
                before = msgspec.structs.replace(before, amount_minor=paid)
        else:
            kind, reason = _kind(before, fact.budget), fact.reason
            before = fact.budget
            amount = None if before is None else Money(before.amount_minor, before.currency).decimal
        moments.append(
            Moment(
                at=Instant(one.at),
                kind=kind,
                by=one.actor,
                reason=reason,
                amount=amount,
                percent=percent,
            )
        )
    return tuple(moments)


def _kind(before: Budget | None, after: Budget | None) -> Kind:
    """What setting a budget did."""
    if after is None:
        return "removed"
    if before is None:
        return "set"
    if before.paused != after.paused:
        return "paused" if after.paused else "resumed"
    return "changed"


def _customer(view: View, found: Budgeting) -> str | None:
    """The only customer whose usage can spend it; None where several can."""
    customer = customer_of(view, found.scope, found.name)
    if customer:
        return customer
    members = [one.id for one in view.customers.values() if one.group == found.name]
    return members[0] if len(members) == 1 else None


def _local(at: int, month: Period) -> date:
    return as_datetime(Instant(at)).astimezone(zone(month.zone)).date()
