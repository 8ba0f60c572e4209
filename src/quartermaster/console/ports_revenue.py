"""What the revenue page asks: months by contract, what has accrued, and exchange rates."""

from typing import Protocol

import msgspec

from quartermaster.kernel.exchange import ExchangeRate
from quartermaster.revenue.by_month import RevenueMonths


class RevenueFacts(msgspec.Struct, frozen=True):
    """Always of real usage: the sample has no contracts."""

    months: RevenueMonths | None = None
    """None while nothing was rated."""
    rates: tuple[ExchangeRate, ...] = ()
    """Every recorded rate, by pair, the newest day first."""


class RevenueBook(Protocol):
    """The book behind the revenue page."""

    def revenue(self, currency: str) -> RevenueFacts:
        """The facts, with totals in a currency; empty leaves it to the book.

        Raises:
            UsageError: not a currency.
        """


class NoRevenue:
    """A console without a book."""

    def revenue(self, currency: str) -> RevenueFacts:
        """That nothing was rated."""
        del currency
        return RevenueFacts()
