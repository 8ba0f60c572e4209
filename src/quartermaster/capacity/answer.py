"""A capacity question: what it is asked of, with and without somebody, and its answer."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from quartermaster.capacity import document
from quartermaster.capacity.demand import HourTokens, read_demand, without
from quartermaster.capacity.fleet import Fleet, parse_fleet, pool_models
from quartermaster.capacity.points_csv import read_points
from quartermaster.capacity.revenue_csv import read_revenue
from quartermaster.capacity.statement import Statement, state, window, without_reservations
from quartermaster.kernel.clock import Period
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.exchange import ExchangeRate
from quartermaster.kernel.money import Money


class Given(msgspec.Struct, frozen=True):
    """Everything that was read, and which bytes it was."""

    fleet: Fleet
    rows: tuple[HourTokens, ...]
    revenue: dict[str, int] | None
    span: tuple[int, int]
    inputs: tuple[dict[str, str], ...]
    elsewhere: tuple["OtherCurrency", ...] = ()
    """Revenue that is not in `revenue`, because nobody recorded a rate for it."""
    rates: tuple[ExchangeRate, ...] = ()
    """At which revenue in other currencies was converted."""


class OtherCurrency(msgspec.Struct, frozen=True):
    """What a customer pays in another currency than the fleet's."""

    customer: str
    currency: str
    minor: int


class File(msgspec.Struct, frozen=True):
    """A file's bytes and what messages call it."""

    name: str
    data: bytes

    @property
    def stamp(self) -> dict[str, str]:
        """Name and hash."""
        return {"name": self.name, "sha256": hashlib.sha256(self.data).hexdigest()}


def fleet_of(file: File) -> Fleet:
    """The fleet that a file describes."""
    return parse_fleet(file.data, file.name)


def read(fleet: File, demand: File, revenue: File | None, month: Period | None) -> Given:
    """A fleet with the demand of a file.

    Raises:
        DataError: a file cannot be used.
    """
    found = fleet_of(fleet)
    models = pool_models(found.pools)
    rows = read_demand(demand.data, demand.name, model=models[0] if len(models) == 1 else "")
    rows = tuple(row for row in rows if month is None or row.hour in month)
    takings = None
    inputs = [fleet.stamp, demand.stamp]
    if revenue is not None:
        inputs.append(revenue.stamp)
        takings = read_revenue(revenue.data, revenue.name, found.currency)
    return Given(found, rows, takings, span_of(rows, month), tuple(inputs))


def span_of(rows: Sequence[HourTokens], month: Period | None) -> tuple[int, int]:
    """First hour and number of hours: the month, or from the first to the last row."""
    return window(rows) if month is None else (month.start, month.hours)


def with_points(given: Given, points: File) -> Given:
    """The same with points that were measured elsewhere.

    Raises:
        DataError: the file cannot be used.
    """
    measured = (*given.fleet.points, *read_points(points.data, points.name))
    return msgspec.structs.replace(
        given,
        fleet=msgspec.structs.replace(given.fleet, points=measured),
        inputs=(*given.inputs, points.stamp),
    )


def stated(given: Given) -> Statement:
    """The statement as things are."""
    return state(
        given.fleet,
        given.rows,
        span=given.span,
        revenue=given.revenue,
        unknown={one.customer for one in given.elsewhere},
    )


def departed(given: Given, leavers: tuple[str, ...], backfill: int) -> Statement:
    """The statement without somebody, a part of whose use others take over.

    Raises:
        NotFoundError: a leaver who uses and reserves nothing.
    """
    known = {row.customer for row in given.rows} | {
        reservation.customer for pool in given.fleet.pools for reservation in pool.reservations
    }
    for who in leavers:
        if who not in known:
            raise NotFoundError(f"{who!r} is neither in the demand nor in a reservation")
    revenue = given.revenue
    return state(
        without_reservations(given.fleet, leavers),
        without(given.rows, leavers, backfill),
        span=given.span,
        revenue=None
        if revenue is None
        else {who: minor for who, minor in revenue.items() if who not in leavers},
        unknown={one.customer for one in given.elsewhere} - set(leavers),
    )


def tree(
    given: Given,
    before: Statement,
    after: Statement | None,
    leavers: Sequence[str],
    backfill: int,
) -> dict[str, Any]:
    """One document: as things are and, where somebody leaves, without them."""
    found: dict[str, Any] = {
        "schema": document.SCHEMA,
        "inputs": list(given.inputs),
        **document.as_tree(before),
    }
    if given.rates:
        found["rates"] = [msgspec.to_builtins(one) for one in given.rates]
    if given.elsewhere:
        found["other_currencies"] = [
            {
                "customer": one.customer,
                "revenue": str(Money(one.minor, one.currency).decimal),
                "currency": one.currency,
            }
            for one in given.elsewhere
        ]
    if after is not None:
        found["without"] = {
            "left": list(leavers),
            "backfill_percent": backfill,
            "change": document.change(before, after),
            **document.as_tree(after),
        }
    return found
