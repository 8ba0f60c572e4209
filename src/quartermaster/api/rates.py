"""Revenue by month, billed and accrued apart, and the exchange rates that totals hang on."""

import msgspec

from quartermaster.api.operation import STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.commands import rate
from quartermaster.kernel.exchange import ExchangeRate
from quartermaster.revenue.by_month import RevenueMonths

TAG = "revenue"


class RatePut(msgspec.Struct, frozen=True):
    """The rate as it is recorded."""

    rate: ExchangeRate
    new: bool
    """Whether it said something new."""


class RevenueMonthsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """In which currency."""

    currency: str = ""
    """Of the totals; that of most requests unless told."""


def months(call: Call) -> RevenueMonths:
    """What months came to."""
    return call.ports.answers.revenue_months(call.asked(RevenueMonthsAsked).currency)


def list_rates(call: Call) -> Page[ExchangeRate]:
    """Every rate, by pair, the newest day first."""
    found = rate.recorded(call.ports.book.view())
    return page(found, call.asked(Paged), lambda one: f"{one.base}:{one.quote}:{one.on}")


def record_rate(call: Call) -> RatePut:
    """Record one."""
    said = call.given(ExchangeRate)
    return RatePut(said, rate.record(call.ports.book, call.actor, said, call.now))


OPERATIONS = (
    Operation(
        method="GET",
        path="/revenue",
        name="showRevenue",
        summary="What months came to by contract: billed, accrued and not billed, in one currency.",
        tag=TAG,
        roles=STAFF,
        handler=months,
        answer=RevenueMonths,
        query=RevenueMonthsAsked,
        lacks=True,
    ),
    Operation(
        method="GET",
        path="/rates",
        name="listRates",
        summary="Exchange rates by which amounts of several currencies are added up.",
        tag=TAG,
        roles=STAFF,
        handler=list_rates,
        answer=Page[ExchangeRate],
        query=Paged,
    ),
    Operation(
        method="POST",
        path="/rates",
        name="recordRate",
        summary="Record an exchange rate from a day on; the same pair and day again corrects it.",
        tag=TAG,
        roles=frozenset({"finance", "admin"}),
        handler=record_rate,
        answer=RatePut,
        body=Body(kind=ExchangeRate),
        writes=True,
    ),
)
