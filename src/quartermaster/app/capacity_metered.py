"""Demand of the usage table at its current cut, and what it comes to at the agreed prices."""

from typing import TYPE_CHECKING

import msgspec

from quartermaster.capacity.demand import HourTokens, from_usage
from quartermaster.capacity.fleet import Fleet
from quartermaster.kernel.clock import Period
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.events import Cut
from quartermaster.kernel.money import round_line

if TYPE_CHECKING:
    from quartermaster.app.rooms import Rooms


class Metered(msgspec.Struct, frozen=True):
    """What was used and what it comes to."""

    rows: tuple[HourTokens, ...]
    paid: dict[str, int]
    """Minor units by customer."""
    unpriced: int
    """Quantities without a price."""
    cut: Cut


def metered(rooms: "Rooms", fleet: Fleet, month: Period | None) -> Metered:
    """Demand and revenue of the models that the fleet serves.

    Raises:
        DataError: a contract in another currency than the fleet's.
    """
    from quartermaster.billing.rate import rate
    from quartermaster.usage.cut import current_cut
    from quartermaster.usage.query import hourly

    cut = current_cut(rooms.usage)
    usage = [
        row for row in hourly(rooms.usage, cut, period=month) if row.model not in fleet.elsewhere
    ]
    view = rooms.book.view()
    rated = rate(
        usage,
        [version for versions in view.contracts.values() for version in versions],
        [version for versions in view.price_books.values() for version in versions],
    )
    paid: dict[str, int] = {}
    for line in rated.lines:
        if line.currency != fleet.currency:
            raise DataError(
                f"contract {line.contract} is in {line.currency}, the fleet in {fleet.currency}",
                hint="write the fleet's amounts in the currency of its revenue",
            )
        minor = round_line(line.amount, line.currency).minor
        paid[line.customer] = paid.get(line.customer, 0) + minor
    return Metered(from_usage(usage), paid, len(rated.unpriced), cut)
