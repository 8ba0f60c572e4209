"""A customer's own usage and costs: the usage table at its current cut, priced as invoices are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial

from quartermaster.app.api import MeteredUsage
from quartermaster.app.api_fixed_costs import CostItem, fixed_costs
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
        view, cut = self._rooms.book.view(), self._metered.cut()
        rows = self._metered.hourly(cut, customer=customer, period=span)
        draft = partial(self._metered.draft, view, cut)
        fixed = fixed_costs(view, customer, asked, draft, self._rooms.now())
        return day_costs(rows, view, asked, fixed)


def day_costs(
    rows: Iterable[HourlyUsage],
    view: View,
    asked: BucketsAsked,
    fixed: Iterable[CostItem] = (),
) -> list[DayCost]:
    """Hourly rows of one customer at the prices of their own hours, by day and group.

    Args:
        rows: of one customer.
        view: contracts and price books.
        asked: which days and groups.
        fixed: what belongs to no project and no key.
    """
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
    found: dict[_Group, list[CostItem]] = defaultdict(list)
    for one in fixed:
        found[one.start_s, None, None].append(one)
    for group, hours in groups.items():
        found[group] += (_cost(group, line) for line in rate(hours, contracts, books).lines)
    costs: list[DayCost] = []
    for group in sorted(found, key=lambda group: (group[0], group[1] or "", group[2] or "")):
        costs += _of_group(group, found[group], asked)
    return costs


def _of_group(group: _Group, lines: Iterable[CostItem], asked: BucketsAsked) -> list[DayCost]:
    amounts: dict[_Line, Decimal] = defaultdict(Decimal)
    quantities: dict[_Line, int] = defaultdict(int)
    for line in lines:
        if asked.lines and line.name not in asked.lines:
            continue
        key: _Line = (None, line.currency, None)
        if asked.by_line:
            key = (line.name, line.currency, line.unit)
        amounts[key] = EXACT.add(amounts[key], line.amount)
        quantities[key] += line.quantity or 0
    start_s, project, key_id = group
    return [
        DayCost(
            start_s=start_s,
            project=project,
            key_id=key_id,
            line=key[0],
            amount=amount,
            currency=key[1],
            quantity=quantities[key] if key[2] else None,
            unit=key[2],
        )
        for key, amount in sorted(amounts.items(), key=lambda item: (item[0][0] or "", item[0][1]))
    ]


def _cost(group: _Group, line: RatedLine) -> CostItem:
    unit = "images" if line.axis == "image" else "tokens"
    return CostItem(group[0], _name(line), line.currency, line.amount, line.quantity, unit)


def _name(line: RatedLine) -> str:
    """A line item as OpenAI writes it: `gpt-4o, input`, of a batch `gpt-4o, batch input`."""
    axis = line.axis.replace("_", " ")
    what = axis if line.service_class == "standard" else f"{line.service_class} {axis}"
    return f"{line.model}, {what}"
