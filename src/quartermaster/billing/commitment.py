"""Commitments: what usage lacks of an agreed floor, charged with the month in which its part ends.

What counts towards a floor are the rounded lines that invoices bill, so a customer that uses less
pays the floor to the cent. It is owed when the part is over: until then usage may still come, and
what it lacks is told beside the invoice, where it only shrinks.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from quartermaster.billing.provisioned import with_provisioned
from quartermaster.billing.rate import rate
from quartermaster.kernel.clock import Instant, Period, month_of
from quartermaster.kernel.commitment import Part, due_in
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.money import EXACT, exponent, round_line
from quartermaster.kernel.price import PriceBook


class Shortfall(msgspec.Struct, frozen=True):
    """A part whose floor usage did not reach; `amount` is not rounded."""

    part: Part
    floor: Decimal
    counted_minor: int
    """What invoice lines count towards it, rounded as they are billed."""
    amount: Decimal


def billing_version(versions: Sequence[Contract], period: Period) -> Contract | None:
    """The version that bills a month: the newest that begins before it ends, or None."""
    begun = [version for version in versions if version.valid_from < period.end]
    return begun[-1] if begun else None


def shortfalls(
    versions: Sequence[Contract],
    price_books: Sequence[PriceBook],
    hourly: Sequence[HourlyUsage],
    period: Period,
) -> tuple[Shortfall, ...]:
    """What a month's invoice charges for commitments, beside what was used.

    Args:
        versions: of the contract, in ascending order.
        price_books: all versions of all its price books.
        hourly: the contract's usage since the first start of `due_in`, at least.
        period: a local month in the contract's time zone.
    """
    found = (lacked(part, versions, price_books, hourly) for part in due_in(versions, period))
    return tuple(one for one in found if one is not None)


def lacked(
    part: Part,
    versions: Sequence[Contract],
    price_books: Sequence[PriceBook],
    hourly: Sequence[HourlyUsage],
) -> Shortfall | None:
    """What usage lacks of a part's floor, or None where it has enough; arguments as `spent`."""
    currency = versions[0].currency
    counted, floor = spent(part, versions, price_books, hourly), part.floor(currency)
    amount = EXACT.subtract(floor, Decimal(counted).scaleb(-exponent(currency), EXACT))
    return Shortfall(part, floor, counted, amount) if amount > 0 else None


def spent(
    part: Part,
    versions: Sequence[Contract],
    price_books: Sequence[PriceBook],
    hourly: Sequence[HourlyUsage],
) -> int:
    """Minor units that count towards a part: invoice lines, each rounded once a month.

    Args:
        part: of one of the contract's commitments.
        versions: of the contract, in ascending order.
        price_books: all versions of all its price books.
        hourly: the contract's usage in the part, at least.
    """
    minor, at = 0, part.start
    while at < part.end:
        month = month_of(Instant(at), versions[0].time_zone)
        within = msgspec.structs.replace(month, start=at, end=min(month.end, part.end))
        used = [row for row in hourly if row.hour in within]
        rated = with_provisioned(rate(used, versions, price_books), versions, within)
        rounding = (billing_version(versions, month) or versions[0]).rounding
        minor += sum(
            round_line(line.amount, line.currency, rounding).minor
            for line in rated.lines
            if part.commitment.counts(line.model, line.service_class)
        )
        at = month.end
    return minor
