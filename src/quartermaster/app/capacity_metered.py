"""Demand of the usage table at its current cut, and what it comes to at the agreed prices.

What is owed without a request counts too: hours of provisioned units, and what usage lacks of a
commitment, by the hours of its month, year or term that lie in the window.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from quartermaster.capacity.answer import OtherCurrency, span_of
from quartermaster.capacity.demand import HourTokens, from_usage
from quartermaster.capacity.fleet import Fleet
from quartermaster.kernel.clock import US_PER_HOUR, Instant, Period, as_datetime, month_of
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.events import Cut
from quartermaster.kernel.exchange import ExchangeRate
from quartermaster.kernel.money import Money, Rounding, round_line

if TYPE_CHECKING:
    from quartermaster.app.rooms import Rooms
    from quartermaster.book.views import View


class Metered(msgspec.Struct, frozen=True):
    """What was used and what it comes to."""

    rows: tuple[HourTokens, ...]
    paid: dict[str, int]
    """Minor units by customer, in the fleet's currency."""
    elsewhere: tuple[OtherCurrency, ...]
    """What customers pay in other currencies without a recorded rate; added to nothing."""
    unpriced: int
    """Quantities without a price."""
    cut: Cut
    rates: tuple[ExchangeRate, ...] = ()
    """At which other currencies were converted: by pair, the newest that counted."""


def metered(
    rooms: "Rooms", fleet: Fleet, month: Period | None, *, whole_month: bool = True
) -> Metered:
    """Demand and revenue of the models that the fleet serves; a floor is of no model.

    Args:
        rooms: of the data folder.
        fleet: what serves.
        month: None is all there is.
        whole_month: whether what is owed without a request counts in all of the month, or only
            from the first to the last hour with demand.
    """
    from quartermaster.billing.rate import rate
    from quartermaster.usage.cut import current_cut
    from quartermaster.usage.query import hourly

    cut, view = current_cut(rooms.usage), rooms.book.view()
    usage = [
        row for row in hourly(rooms.usage, cut, period=month) if row.model not in fleet.elsewhere
    ]
    rated = rate(
        usage,
        [version for versions in view.contracts.values() for version in versions],
        [version for versions in view.price_books.values() for version in versions],
    )
    found = from_usage(usage)
    due: _Due = defaultdict(lambda: defaultdict(int))
    for line in rated.lines:
        versions = view.contracts[line.contract]
        if versions[-1].sample:
            continue
        minor = round_line(line.amount, line.currency, _rounding(versions, line.period.start)).minor
        due[line.customer, line.currency][line.period.label] += minor
    if found:
        first, hours = span_of(found, month if whole_month else None)
        within = Period(first, first + hours * US_PER_HOUR, "", "UTC")
        for customer, currency, label, minor in _owed(rooms, view, fleet, cut, within):
            due[customer, currency][label] += minor
    paid, elsewhere, used = _in_currency(rooms, view, due, fleet.currency)
    return Metered(found, paid, elsewhere, len(rated.unpriced), cut, used)


def _in_currency(
    rooms: "Rooms", view: "View", due: "_Due", currency: str
) -> tuple[dict[str, int], tuple[OtherCurrency, ...], tuple[ExchangeRate, ...]]:
    """By customer, in the fleet's currency; what no rate converts; and the rates."""
    from quartermaster.commands.rate import rates_of

    rates, today = rates_of(view), as_datetime(rooms.now()).date()
    paid: dict[str, int] = defaultdict(int)
    elsewhere, used = list[OtherCurrency](), dict[tuple[str, str], ExchangeRate]()
    for (customer, unit), months in sorted(due.items()):
        try:
            worth = [
                rates.month(Money(minor, unit), currency, label, today)
                for label, minor in sorted(months.items())
            ]
        except NotFoundError:
            # Named beside the sums: which rate is missing says `quartermaster revenue`.
            if any(months.values()):
                elsewhere.append(OtherCurrency(customer, unit, sum(months.values())))
            continue
        paid[customer] += sum(one.money.minor for one in worth)
        used |= {rate.pair: rate for one in worth for rate in one.rates}
    return dict(paid), tuple(elsewhere), tuple(used[pair] for pair in sorted(used))


_Due = dict[tuple[str, str], dict[str, int]]
"""Minor units by customer, currency and month."""


def _owed(
    rooms: "Rooms", view: "View", fleet: Fleet, cut: Cut, within: Period
) -> Iterator[tuple[str, str, str, int]]:
    """Customer, currency, month and minor units of what real contracts owe without a request."""
    from quartermaster.billing.commitment import lacked
    from quartermaster.billing.provisioned import with_provisioned
    from quartermaster.billing.rate import Rated
    from quartermaster.kernel.commitment import parts
    from quartermaster.usage.query import hourly

    for versions in view.contracts.values():
        newest = versions[-1]
        if newest.sample:
            continue
        for month in _months(within, newest.time_zone) if newest.ptu_lines else ():
            units = with_provisioned(Rated((), ()), versions, month, until=rooms.now()).lines
            for line in units:
                if line.model not in fleet.elsewhere:
                    rounding = _rounding(versions, month.start)
                    minor = round_line(line.amount, line.currency, rounding).minor
                    yield newest.customer, line.currency, month.label, minor
        floors = [
            part for part in parts(versions) if part.start < within.end and part.end > within.start
        ]
        # Until a part is over nobody knows what usage will lack of it.
        over = [part for part in floors if part.end <= rooms.now()]
        if over:
            span = msgspec.structs.replace(
                within, start=min(part.start for part in over), end=max(part.end for part in over)
            )
            rows = hourly(rooms.usage, cut, customer=newest.customer, period=span)
            mine = [row for row in rows if row.contract == newest.id]
            for part in over:
                short = lacked(part, versions, view.price_books_of(versions), mine)
                if short is not None:
                    inside = min(part.end, within.end) - max(part.start, within.start)
                    month = month_of(Instant(part.end - 1), newest.time_zone)
                    rounding = _rounding(versions, month.start)
                    minor = round_line(short.amount, newest.currency, rounding).minor
                    share = minor * inside // part.lasts_us
                    yield newest.customer, newest.currency, month.label, share


def _rounding(versions: Sequence[Contract], at: int) -> Rounding:
    """As the invoice of the month rounds that holds the instant."""
    from quartermaster.billing.commitment import billing_version

    month = month_of(Instant(at), versions[0].time_zone)
    return (billing_version(versions, month) or versions[0]).rounding


def _months(within: Period, zone_name: str) -> Iterator[Period]:
    """The months of a zone that a span touches, cut to it."""
    at = within.start
    while at < within.end:
        month = month_of(Instant(at), zone_name)
        end = min(month.end, within.end)
        yield msgspec.structs.replace(month, start=at, end=end)
        at = month.end
