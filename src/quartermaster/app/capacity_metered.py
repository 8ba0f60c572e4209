"""Demand of the usage table at its current cut, and what it comes to at the agreed prices.

What is owed without a request counts too: hours of provisioned units, and what usage lacks of a
commitment, by the hours of its month, year or term that lie in the window.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from quartermaster.capacity.answer import OtherCurrency, span_of
from quartermaster.capacity.demand import HourTokens, from_usage
from quartermaster.capacity.fleet import Fleet
from quartermaster.kernel.clock import US_PER_HOUR, Period
from quartermaster.kernel.events import Cut
from quartermaster.kernel.money import round_line

if TYPE_CHECKING:
    from quartermaster.app.rooms import Rooms
    from quartermaster.book.views import View


class Metered(msgspec.Struct, frozen=True):
    """What was used and what it comes to."""

    rows: tuple[HourTokens, ...]
    paid: dict[str, int]
    """Minor units by customer, in the fleet's currency."""
    elsewhere: tuple[OtherCurrency, ...]
    """What customers pay in other currencies; never added to the fleet's."""
    unpriced: int
    """Quantities without a price."""
    cut: Cut


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
    paid: dict[tuple[str, str], int] = defaultdict(int)
    for line in rated.lines:
        rounding = view.contracts[line.contract][-1].rounding
        paid[line.customer, line.currency] += round_line(line.amount, line.currency, rounding).minor
    if found:
        first, hours = span_of(found, month if whole_month else None)
        within = Period(first, first + hours * US_PER_HOUR, "", "UTC")
        for customer, currency, minor in _owed(rooms, view, fleet, cut, within):
            paid[customer, currency] += minor
    return Metered(
        found,
        {who: minor for (who, currency), minor in paid.items() if currency == fleet.currency},
        tuple(
            OtherCurrency(who, currency, minor)
            for (who, currency), minor in sorted(paid.items())
            if currency != fleet.currency and minor
        ),
        len(rated.unpriced),
        cut,
    )


def _owed(
    rooms: "Rooms", view: "View", fleet: Fleet, cut: Cut, within: Period
) -> Iterator[tuple[str, str, int]]:
    """Customer, currency and minor units of what real contracts owe without a request."""
    from quartermaster.billing.commitment import lacked
    from quartermaster.billing.provisioned import with_provisioned
    from quartermaster.billing.rate import Rated
    from quartermaster.kernel.commitment import parts
    from quartermaster.usage.query import hourly

    for versions in view.contracts.values():
        newest = versions[-1]
        if newest.sample:
            continue
        units = with_provisioned(Rated((), ()), versions, within, until=rooms.now()).lines
        for line in units:
            if line.model not in fleet.elsewhere:
                minor = round_line(line.amount, line.currency, newest.rounding).minor
                yield newest.customer, line.currency, minor
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
                    minor = round_line(short.amount, newest.currency, newest.rounding).minor
                    yield newest.customer, newest.currency, minor * inside // part.lasts_us
