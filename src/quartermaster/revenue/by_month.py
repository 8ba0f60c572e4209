"""Revenue by month and contract as one document: billed and accrued apart, totals in one currency.

Billed is what draft invoices come to before service credits, and it is what is recognised: use in
the month of the use, provisioned hours as they pass, and what a commitment lacked in the month in
which the right to use it ends (IFRS 15.B46, ASC 606-10-55-48). Nothing is spread back over months
that are closed. Accrued is what running commitments lack so far: neither billed nor revenue.
"""

import msgspec

from quartermaster.kernel.exchange import ExchangeRate

SCHEMA = "quartermaster.revenue/1"


class ContractMonth(msgspec.Struct, frozen=True, kw_only=True):
    """What a month's draft invoice comes to before service credits: decimal strings."""

    month: str
    contract: str
    customer: str
    customer_name: str
    group: str
    currency: str
    used: str
    """Usage and the hours of provisioned units."""
    shortfall: str
    """What commitments lacked whose month, year or term ended in the month."""
    billed: str
    """Both: what is billed, and what is recognised as revenue of the month."""
    running: bool
    """Whether the month is not over: what has accrued until now."""
    requests: int
    unpriced: int
    """Quantities that wait for a price, in no amount."""
    converted: str | None
    """`billed` in the currency of the totals; null where there is no rate."""


class AccruedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a running commitment lacks for hours that have passed: neither billed nor revenue."""

    contract: str
    customer: str
    group: str
    first: str
    last: str
    currency: str
    amount: str
    converted: str | None


class MonthTotal(msgspec.Struct, frozen=True, kw_only=True):
    """A month of every contract that can be added up."""

    month: str
    used: str
    shortfall: str
    billed: str


class RevenueMonths(msgspec.Struct, frozen=True, kw_only=True):
    """Revenue by month and contract."""

    schema: str = SCHEMA
    currency: str
    """Of the totals: the one that was asked for, or that of most requests."""
    computed_at: str
    cut: dict[str, int]
    totals: tuple[MonthTotal, ...]
    months: tuple[ContractMonth, ...]
    accrued: tuple[AccruedLine, ...]
    accrued_total: str
    rates: tuple[ExchangeRate, ...]
    """By pair, the newest that counted."""
    left_out: dict[str, str]
    """Currencies that are in no total, and what is missing."""
