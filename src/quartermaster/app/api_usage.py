"""A customer's own usage and costs: the usage table at its current cut, priced as invoices are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from quartermaster.app.api import MeteredUsage
from quartermaster.app.rooms import Rooms
from quartermaster.billing.rate import RatedLine, rate
from quartermaster.book.views import View
from quartermaster.kernel.clock import US_PER_S, Period
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.money import EXACT
from quartermaster.usage.bucket_rows import BucketRow, BucketsAsked, DayCost

_Group = tuple[int, str | None, str | None]
"""The day in seconds since 1970, the project and the key, where they are told apart."""
_Line = tuple[str | None, str, str | None]
"""The line, where lines are told apart; the currency; the unit of its quantity."""


class OwnUsage:
    """Answers for one customer at a time."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._metered = MeteredUsage(rooms)

    def buckets(self, customer: str, asked: BucketsAsked) -> Sequence[BucketRow]:
        """What was used, by bucket and group."""
        cut = self._metered.cut()
        from quartermaster.usage.buckets import buckets

        return buckets(self._rooms.usage, cut, customer, asked)

    def costs(self, customer: str, asked: BucketsAsked) -> Sequence[DayCost]:
        """What it comes to; a quantity that waits for a price is not in it."""
        span = Period(asked.first_s * US_PER_S, asked.end_s * US_PER_S, "", "UTC")
        rows = self._metered.hourly(self._metered.cut(), customer=customer, period=span)
        return day_costs(rows, self._rooms.book.view(), asked)


def day_costs(rows: Iterable[HourlyUsage], view: View, asked: BucketsAsked) -> list[DayCost]:
    """Hourly rows of one customer at the prices of their own hours, by day and group."""
    contracts = [contract for versions in view.contracts.values() for contract in versions]
    books = [book for versions in view.price_books.values() for book in versions]
    groups: dict[_Group, list[HourlyUsage]] = defaultdict(list)
    for row in rows:
        if asked.projects and row.project not in asked.projects:
            continue
        if asked.keys and row.key_id not in asked.keys:
            continue
        second = row.hour // US_PER_S
        groups[
            second - second % asked.width_s,
            row.project if "project" in asked.by else None,
            row.key_id if "key_id" in asked.by else None,
        ].append(row)
    costs: list[DayCost] = []
    for group in sorted(groups, key=lambda group: (group[0], group[1] or "", group[2] or "")):
        costs += _of_group(group, rate(groups[group], contracts, books).lines, asked)
    return costs


def _of_group(group: _Group, lines: Iterable[RatedLine], asked: BucketsAsked) -> list[DayCost]:
    amounts: dict[_Line, Decimal] = defaultdict(Decimal)
    quantities: dict[_Line, int] = defaultdict(int)
    for line in lines:
        unit = "images" if line.axis == "image" else "tokens"
        key: _Line = (None, line.currency, None)
        if asked.by_line:
            key = (_name(line), line.currency, unit)
        amounts[key] = EXACT.add(amounts[key], line.amount)
        quantities[key] += line.quantity
    start_s, project, key_id = group
    return [
        DayCost(
            start_s=start_s,
            project=project,
            key_id=key_id,
            line=key[0],
            amount=amount,
            currency=key[1],
            quantity=quantities[key] if asked.by_line else None,
            unit=key[2],
        )
        for key, amount in sorted(amounts.items(), key=lambda item: (item[0][0] or "", item[0][1]))
    ]


def _name(line: RatedLine) -> str:
    """A line item as OpenAI writes it: `gpt-4o, input`, of a batch `gpt-4o, batch input`."""
    axis = line.axis.replace("_", " ")
    what = axis if line.service_class == "standard" else f"{line.service_class} {axis}"
    return f"{line.model}, {what}"
