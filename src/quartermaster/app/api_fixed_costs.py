"""Costs that belong to a contract and to no key: provisioned units, and what a month's end brings.

With them the days of a month add up to the total of its draft invoice. Units are told by the day.
What usage lacks of a commitment, credits, and what rounding each line has added or taken off stand
on the last day of their month, once it is over. Nothing is told of what is yet to come.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from quartermaster.billing.commitment import billing_version
from quartermaster.billing.invoice import Invoice
from quartermaster.billing.provisioned import with_provisioned
from quartermaster.billing.rate import Rated
from quartermaster.book.views import View
from quartermaster.kernel.clock import US_PER_HOUR, US_PER_S, Instant, Period, month_of
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.money import EXACT, Money
from quartermaster.usage.bucket_rows import BucketsAsked

HOURS: Final = "duration_hours"
"""What OpenAI calls the unit."""

InvoiceOf = Callable[[str, str], Invoice]
"""The draft of a contract and a month."""


class CostItem(NamedTuple):
    """A part of an invoice on one UTC day."""

    start_s: int
    name: str
    currency: str
    amount: Decimal
    """Exact."""
    quantity: int | None = None
    unit: str | None = None


def fixed_costs(
    view: View, customer: str, asked: BucketsAsked, invoice_of: InvoiceOf, now: Instant
) -> list[CostItem]:
    """Everything of a customer's contracts that its requests do not cost.

    Args:
        view: the book.
        customer: whose.
        asked: which days; nothing of a contract is a project's or a key's.
        invoice_of: drafts at the cut at which the requests were read.
        now: what has accrued until then is told, whatever was asked for.
    """
    hour_s = (now - now % US_PER_HOUR) // US_PER_S  # as drafts accrue
    accrued = msgspec.structs.replace(asked, end_s=min(asked.end_s, hour_s))
    if asked.projects or asked.keys or accrued.end_s <= asked.first_s:
        return []
    found = list[CostItem]()
    for name, versions in sorted(view.contracts.items()):
        if versions[-1].customer == customer:
            found += _units(versions, accrued)
            for month in _months_ended(versions, accrued):
                found += _month_end(invoice_of(name, month.label), month, accrued)
    return found


def _units(versions: Sequence[Contract], asked: BucketsAsked) -> Iterator[CostItem]:
    if not any(version.ptu_lines for version in versions):
        return
    first = Instant(asked.first_s * US_PER_S)
    past_us = month_of(first, versions[0].time_zone).start % US_PER_HOUR
    for at in range(asked.first_s - asked.first_s % asked.width_s, asked.end_s, asked.width_s):
        # An hour belongs to the day in which it begins, as an hour of usage does.
        start = _full_hour(max(at, asked.first_s), past_us)
        end = _full_hour(min(at + asked.width_s, asked.end_s), past_us)
        day = Period(start, end, "", "UTC")
        for line in with_provisioned(Rated((), ()), versions, day).lines:
            name = f"{line.model}, provisioned units"
            yield CostItem(at, name, line.currency, line.amount, line.quantity, HOURS)


def _months_ended(versions: Sequence[Contract], asked: BucketsAsked) -> Iterator[Period]:
    """Months of the contract whose last instant was asked for."""
    at, end = asked.first_s * US_PER_S, asked.end_s * US_PER_S
    while at < end:
        month = month_of(Instant(at), versions[0].time_zone)
        if month.end <= end and billing_version(versions, month) is not None:
            yield month
        at = month.end


def _month_end(invoice: Invoice, month: Period, asked: BucketsAsked) -> Iterator[CostItem]:
    last_s = (month.end - 1) // US_PER_S
    start_s, currency = last_s - last_s % asked.width_s, invoice.currency
    for short in invoice.shortfalls:
        name = f"minimum commitment, {short.per}"
        yield CostItem(start_s, name, currency, short.amount)
    for credit in invoice.credits:
        yield CostItem(start_s, "service credit", currency, Money(credit.minor, currency).decimal)
    rounded = Money(invoice.earned_minor, currency).decimal
    exact = [line.amount for line in invoice.lines]
    for amount in (*exact, *(short.amount for short in invoice.shortfalls)):
        rounded = EXACT.subtract(rounded, amount)
    if rounded:
        yield CostItem(start_s, "rounding", currency, rounded)


def _full_hour(second: int, past_us: int) -> int:
    """The first full hour from a second on, in microseconds.

    Args:
        second: since 1970.
        past_us: how long after the UTC hour an hour of the contract's zone begins.
    """
    return -(-(second * US_PER_S - past_us) // US_PER_HOUR) * US_PER_HOUR + past_us
