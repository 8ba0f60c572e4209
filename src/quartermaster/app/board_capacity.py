"""Capacity for the board report: the fleet, its demand with and without one customer, payback."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal

import msgspec

from quartermaster.app.console_capacity import ShownCapacity
from quartermaster.capacity.cost import capex, decimal
from quartermaster.capacity.demand import HourTokens, without
from quartermaster.capacity.fleet import Fleet
from quartermaster.capacity.payback import (
    NOTHING_OWED,
    Loss,
    Owing,
    Plan,
    break_even_backfill,
    months_without,
    stretch,
)
from quartermaster.capacity.statement import Statement, state, window, without_reservations
from quartermaster.console.board_facts import CapacityFacts, Payback
from quartermaster.console.ports_capacity import CapacityMissing, CapacityQuestion
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.report import InputFile
from quartermaster.exposure.rollup import Exposure
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import DataError, UsageError

Missing = Literal["demand", "named", "contribution", "leased"]


class FleetGiven(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet and what was given with it."""

    fleet: Fleet
    inputs: tuple[tuple[str, InputFile], ...]
    """What each file is (a key of the catalogue), and its name and hash."""
    demand: tuple[HourTokens, ...] = ()
    contribution: Decimal | None = None
    """Margin on revenue, of one."""


def capacity_of(given: FleetGiven, exposure: Exposure) -> CapacityFacts:
    """What the fleet does with and without the largest customer of the revenue.

    Raises:
        DataError: the fleet's amounts and the revenue are in different currencies.
    """
    missing: list[Missing] = []
    before = after = None
    if given.demand:
        before, after = _statements(given.fleet, given.demand, exposure)
        if after is None:
            missing.append("named")
    else:
        missing.append("demand")
    payback = None
    spent = capex(given.fleet)
    if not spent.minor:
        missing.append("leased")
    elif given.contribution is None:
        missing.append("contribution")
    else:
        payback = _payback(given.fleet, spent.minor, given.contribution, exposure)
    return CapacityFacts(
        fleet=given.fleet.name,
        currency=given.fleet.currency,
        inputs=given.inputs,
        before=before,
        after=after,
        payback=payback,
        missing=tuple(missing),
    )


def shown_capacity(
    capacity: ShownCapacity, customer: str, revenue: Exposure, now: Instant
) -> CapacityFacts | None:
    """What the capacity page shows, for the report of the same book; None where it shows nothing.

    Args:
        capacity: the port of that page.
        customer: id of the largest group.
        revenue: of the report.
        now: decides which month is the last whole one.

    Raises:
        DataError: the configured fleet cannot be accounted for.
    """
    missing: tuple[Missing, ...] = ()
    try:
        found = capacity.capacity(CapacityQuestion(customer=customer), now)
    except UsageError:  # the customer is not in the window; nothing else can be wrong with it
        found, missing = capacity.capacity(CapacityQuestion(), now), ("named",)
    if isinstance(found, CapacityMissing) or found.sample != revenue.sample:
        return None
    fleet, earned = found.before.fleet, found.payback
    if fleet.currency != revenue.denominator.currency:
        return None
    return CapacityFacts(
        fleet=fleet.name,
        currency=fleet.currency,
        inputs=(("fleet", InputFile(fleet.name, found.fleet_sha256)),),
        before=found.before,
        after=None if missing else found.after,
        payback=None
        if missing or earned is None
        else _of(earned.plan, earned.loss, fleet, earned.owing),
        missing=missing,
        names=found.names,
        elsewhere=found.elsewhere,
        owed=None if missing else found.owed,
    )


def _statements(
    fleet: Fleet, demand: Sequence[HourTokens], exposure: Exposure
) -> tuple[Statement, Statement | None]:
    span = window(demand)
    before = state(fleet, demand, span=span)
    largest = exposure.groups[0]
    named = {largest.group, *(member.customer for member in largest.members)}
    leavers = _known(fleet, demand, named)
    if not leavers:
        return before, None
    left = without_reservations(fleet, leavers)
    return before, state(left, without(demand, leavers, 0), span=span)


def _known(fleet: Fleet, demand: Sequence[HourTokens], named: Collection[str]) -> list[str]:
    """Who of the largest group is in the demand or holds a reservation."""
    known = {row.customer for row in demand} | {
        reservation.customer for pool in fleet.pools for reservation in pool.reservations
    }
    return sorted(known.intersection(named))


def _payback(fleet: Fleet, spent: int, contribution: Decimal, exposure: Exposure) -> Payback:
    denominator, largest = exposure.denominator, exposure.groups[0]
    if denominator.currency != fleet.currency:
        raise DataError(
            f"the revenue is in {denominator.currency}, the fleet in {fleet.currency}",
            hint="write the fleet's amounts in the currency of the revenue",
        )
    annual = denominator.measure == "annual_rate"
    months = MONTHS_A_YEAR if annual else denominator.months
    plan = Plan(spent, denominator.minor * MONTHS_A_YEAR // months, Fraction(contribution))
    loss = Loss(Fraction(largest.minor, denominator.minor))
    return _of(plan, loss, fleet)


def _of(plan: Plan, loss: Loss, fleet: Fleet, owing: Owing = NOTHING_OWED) -> Payback:
    within = max(pool.depreciation_months for pool in fleet.pools)
    return Payback(
        capex_minor=plan.capex_minor,
        contribution=decimal(plan.contribution),
        with_everybody=decimal(plan.months),
        without=_decimal(months_without(plan, loss)),
        stretch=_decimal(stretch(loss)),
        within=Decimal(within),
        break_even=_decimal(break_even_backfill(plan, loss, Fraction(within))),
        owes=bool(owing),
        without_owed=_decimal(months_without(plan, loss, owing)),
    )


def _decimal(value: Fraction | None) -> Decimal | None:
    return None if value is None else decimal(value)
