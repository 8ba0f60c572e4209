"""The live book in one currency: what is billed in others at recorded rates, or named and left out.

A currency is converted whole or not at all: a book with some of its months would be neither.
"""

from collections import Counter
from datetime import date

import msgspec

from quartermaster.app.live import Accrued, Charged, LiveBook, MonthRevenue, Owed
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.exchange import ExchangeRate, Rates
from quartermaster.kernel.money import Money


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """A book in one currency."""

    currency: str
    revenue: dict[MonthRevenue, MonthRevenue]
    """What is in it, by the row that it was."""
    owed: tuple[Owed, ...]
    accrued: tuple[Accrued, ...]
    added: tuple[str, ...]
    """Other currencies that were converted."""
    rates: tuple[ExchangeRate, ...]
    """What they were converted at: by pair, the newest of those that counted."""
    left_out: dict[str, NotFoundError]
    """By currency, what was missing."""


def main_currency(book: LiveBook) -> str:
    """The currency of most requests that come to money; empty where nothing does."""
    requests: Counter[str] = Counter()
    for row in book.revenue:
        if row.minor > 0:
            requests[row.currency] += row.requests
    return min(requests, key=lambda currency: (-requests[currency], currency), default="")


def in_one_currency(book: LiveBook, currency: str) -> Worth:
    """Everything of a book that a rate, or none, brings into a currency."""
    rates, today = Rates(book.rates), as_datetime(Instant(book.computed_at)).date()
    revenue = {row: row for row in book.revenue if row.currency == currency}
    used = dict[tuple[str, str], ExchangeRate]()
    left_out = dict[str, NotFoundError]()
    added = list[str]()
    units = {one.currency for one in book.revenue} | {one.currency for one in book.owed}
    units |= {one.currency for one in book.accrued}
    for other in sorted(units - {currency}):
        rows = [row for row in book.revenue if row.currency == other]
        found = dict[MonthRevenue, MonthRevenue]()
        try:
            for row in rows:
                found[row] = _month(row, currency, rates, today, used)
            rates.newest(Money(0, other), currency, today)
        except NotFoundError as error:
            left_out[other] = error
            continue
        revenue |= found
        added.append(other)
    known = {currency, *added}

    def newest(minor: int, of: str) -> int:
        return rates.newest(Money(minor, of), currency, today).money.minor

    return Worth(
        currency=currency,
        revenue=revenue,
        owed=tuple(
            msgspec.structs.replace(one, currency=currency, minor=newest(one.minor, one.currency))
            for one in book.owed
            if one.currency in known
        ),
        accrued=tuple(
            msgspec.structs.replace(one, currency=currency, minor=newest(one.minor, one.currency))
            for one in book.accrued
            if one.currency in known
        ),
        added=tuple(added),
        rates=tuple(used[pair] for pair in sorted(used)),
        left_out=left_out,
    )


def _month(
    row: MonthRevenue,
    currency: str,
    rates: Rates,
    today: date,
    used: dict[tuple[str, str], ExchangeRate],
) -> MonthRevenue:
    whole = rates.month(Money(row.minor, row.currency), currency, row.month, today)
    for rate in whole.rates:
        if rate.pair not in used or used[rate.pair].on < rate.on:
            used[rate.pair] = rate
    charged = tuple(
        Charged(
            one.first,
            one.last,
            rates.month(Money(one.minor, row.currency), currency, row.month, today).money.minor,
        )
        for one in row.charged
    )
    money = whole.money
    return msgspec.structs.replace(
        row, currency=currency, minor=money.minor, amount=money.decimal, charged=charged
    )
