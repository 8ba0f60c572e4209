"""Rows of revenue as the gapless series that forecasts and suggestions start from."""

from collections import defaultdict
from collections.abc import Sequence

from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.rows import RevenueRow, data_sha256
from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.revenue.book import Book


def book_of(rows: Sequence[RevenueRow], *, name: str, steps: int, as_of: str | None = None) -> Book:
    """Rows as gapless series by customer group; a month without a row is zero.

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
        series[row.group][month_number(row.month) - first] += row.minor
    return Book(
        series=dict(series),
        months=months,
        ahead=tuple(month_text(last + step) for step in range(1, steps + 1)),
        currency=kept[0].currency,
        name=name,
        sha256=data_sha256(kept),
        sample=any(row.sample for row in kept),
        missing=tuple(month for month in months if month not in seen),
    )


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
