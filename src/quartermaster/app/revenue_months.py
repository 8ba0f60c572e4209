"""What months came to: billed and accrued apart, each contract in its currency, totals in one."""

from collections import Counter
from collections.abc import Iterable

from quartermaster.app.live import Accrued, LiveBook, MonthRevenue
from quartermaster.app.one_currency import in_one_currency, main_currency
from quartermaster.kernel.clock import Instant, as_datetime, month_of
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.money import Money, exponent
from quartermaster.revenue.by_month import AccruedLine, ContractMonth, MonthTotal, RevenueMonths


def revenue_months(book: LiveBook | None, *, currency: str = "") -> RevenueMonths:
    """The listing of what the clerk last rated.

    Args:
        book: the clerk's last word.
        currency: of the totals; empty takes that of most requests.

    Raises:
        NotFoundError: nothing has been rated yet.
        UsageError: not a currency.
    """
    if book is None or not book.revenue:
        raise NotFoundError(
            "nothing was rated yet", hint="the clerk rates what was metered within seconds"
        )
    wanted = currency or main_currency(book) or book.revenue[0].currency
    exponent(wanted)
    worth = in_one_currency(book, wanted)
    today = Instant(book.computed_at)
    accrued = iter(worth.accrued)
    return RevenueMonths(
        currency=wanted,
        computed_at=as_datetime(today).isoformat(),
        cut=dict(book.cut),
        totals=_totals(worth.revenue.values(), wanted),
        months=tuple(
            _line(row, worth.revenue.get(row), today)
            for row in sorted(book.revenue, key=lambda row: (row.month, row.contract))
        ),
        accrued=tuple(
            _accrued(one, None if one.currency in worth.left_out else next(accrued))
            for one in book.accrued
        ),
        accrued_total=_said(sum(one.minor for one in worth.accrued), wanted),
        rates=worth.rates,
        left_out={name: error.message for name, error in sorted(worth.left_out.items())},
    )


def _line(row: MonthRevenue, converted: MonthRevenue | None, now: Instant) -> ContractMonth:
    return ContractMonth(
        month=row.month,
        contract=row.contract,
        customer=row.customer,
        customer_name=row.customer_name,
        group=row.group,
        currency=row.currency,
        used=_said(row.used_minor, row.currency),
        shortfall=_said(row.minor - row.used_minor, row.currency),
        billed=_said(row.minor, row.currency),
        running=row.month >= month_of(now, row.time_zone).label,
        requests=row.requests,
        unpriced=row.unpriced,
        converted=None if converted is None else _said(converted.minor, converted.currency),
    )


def _accrued(one: Accrued, converted: Accrued | None) -> AccruedLine:
    return AccruedLine(
        contract=one.contract,
        customer=one.customer,
        group=one.group,
        first=one.first,
        last=one.last,
        currency=one.currency,
        amount=_said(one.minor, one.currency),
        converted=None if converted is None else _said(converted.minor, converted.currency),
    )


def _totals(rows: Iterable[MonthRevenue], currency: str) -> tuple[MonthTotal, ...]:
    used: Counter[str] = Counter()
    billed: Counter[str] = Counter()
    for row in rows:
        used[row.month] += row.used_minor
        billed[row.month] += row.minor
    return tuple(
        MonthTotal(
            month=month,
            used=_said(used[month], currency),
            shortfall=_said(billed[month] - used[month], currency),
            billed=_said(billed[month], currency),
        )
        for month in sorted(billed)
    )


def _said(minor: int, currency: str) -> str:
    return str(Money(minor, currency).decimal)
