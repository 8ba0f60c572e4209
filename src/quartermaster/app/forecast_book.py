"""Rows of revenue as the gapless series that forecasts and suggestions start from."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from quartermaster.app.live import Owed
from quartermaster.app.owed import floors_from, joined
from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.rows import RevenueRow, data_sha256
from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.kernel.money import EXACT, exact_decimal, exponent
from quartermaster.revenue.book import Book
from quartermaster.revenue.floors import Floor


def book_of(
    rows: Sequence[RevenueRow],
    *,
    name: str,
    steps: int,
    as_of: str | None = None,
    owed: Sequence[Owed] = (),
) -> Book:
    """Rows as gapless series by customer group; a month without a row is zero.

    Args:
        rows: of one currency, in any order.
        name: of where they come from.
        steps: months ahead.
        as_of: the last month that is known.
        owed: what contracts ask for beside what rows state, in the same currency.

    Raises:
        UsageError: no month up to `as_of`.
    """
    last = month_number(as_of) if as_of else max(month_number(row.month) for row in rows)
    kept = [row for row in rows if month_number(row.month) <= last]
    if not kept:
        raise UsageError(f"there is no month up to {as_of}")
    first = min(month_number(row.month) for row in kept)
    last = min(last, max(month_number(row.month) for row in kept))
    series: dict[str, list[int]] = defaultdict(lambda: [0] * (last - first + 1))
    seen = {row.month for row in kept}
    months = tuple(month_text(number) for number in range(first, last + 1))
    for row in kept:
        series[row.group][month_number(row.month) - first] += row.steady
    return Book(
        series=dict(series),
        months=months,
        ahead=tuple(month_text(last + step) for step in range(1, steps + 1)),
        currency=kept[0].currency,
        name=name,
        sha256=data_sha256(kept),
        sample=any(row.sample for row in kept),
        missing=tuple(month for month in months if month not in seen),
        floors=joined(floors_of(kept, first), floors_from(owed, first), series),
    )


_Statement = frozenset[tuple[int, int]]
# The last month and the least amount of each contract of a customer that states one.


def floors_of(rows: Sequence[RevenueRow], first: int) -> dict[str, list[Floor]]:
    """What each group owes at least, from what its customers' rows state month by month.

    A statement holds until its contract ends, or until a later month of the customer states
    something else; a customer without later rows has left, and still owes.

    Args:
        rows: of one currency, in any order.
        first: the month that periods are counted from, as a number.
    """
    stated: dict[str, dict[int, _Statement]] = defaultdict(dict)
    groups = dict[str, str]()
    for row in sorted(rows, key=lambda row: row.month):
        month = month_number(row.month)
        found = {(month_number(row.contract_end), row.least)} if row.least else set()
        stated[row.customer][month] = stated[row.customer].get(month, frozenset()) | found
        groups[row.customer] = row.group
    floors: dict[str, list[Floor]] = defaultdict(list)
    for customer, months in stated.items():
        floors[groups[customer]] += _floors(months, first)
    return {group: found for group, found in floors.items() if found}


def _floors(months: dict[int, _Statement], first: int) -> list[Floor]:
    """The floors of one customer, each from the month that first states it."""
    found, begun = list[Floor](), dict[tuple[int, int], int]()
    for month in sorted(months):
        for contract in [one for one in begun if one not in months[month]]:
            start, last = begun.pop(contract), min(contract[0], month - 1)
            if last >= start:
                found.append(Floor(start - first, last - first, contract[1]))
        for contract in months[month]:
            begun.setdefault(contract, month)
    return sorted(
        found
        + [
            Floor(start - first, end - first, minor)
            for (end, minor), start in begun.items()
            if end >= start
        ]
    )


def committed(book: Book, texts: Sequence[str]) -> Book:
    """The book with commitments that somebody names: `GROUP=AMOUNT:MONTHS`, from the next month.

    Raises:
        UsageError: not of that form.
    """
    floors = {name: list(found) for name, found in book.floors.items()}
    begins = len(book.months)
    for text in texts:
        group, equals, terms = text.rpartition("=")
        amount, colon, months = terms.partition(":")
        if not (equals and colon and group and months.isdecimal() and int(months)):
            raise UsageError(
                f"commitment {text!r} cannot be read",
                hint='GROUP=AMOUNT:MONTHS, as "Acme=150000:12"',
                field="commitment",
            )
        minor = EXACT.scaleb(exact_decimal(amount), exponent(book.currency))
        if minor != minor.to_integral_value():
            raise UsageError(f"{amount} has more decimals than {book.currency}", field="commitment")
        floor = Floor(begins, begins + int(months) - 1, int(minor))
        floors.setdefault(group, []).append(floor)
    return msgspec.structs.replace(book, floors=floors)


def group_of(rows: Sequence[RevenueRow], customer: str) -> str:
    """The name to leave out: a group under common control leaves together.

    Raises:
        NotFoundError: it is one entity of a group.
    """
    for row in rows:
        if row.customer == customer and row.group != customer:
            raise NotFoundError(
                f"{customer!r} is under the control of {row.group!r}",
                hint=f"entities of a group leave together: --customer-without {row.group!r}",
            )
    return customer
