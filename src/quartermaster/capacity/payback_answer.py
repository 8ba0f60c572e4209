"""What is asked about payback, read exactly, and the answer as one document."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from quartermaster.capacity.cost import capex as fleet_capex
from quartermaster.capacity.cost import decimal
from quartermaster.capacity.fleet import parse_fleet
from quartermaster.capacity.payback import (
    Loss,
    Owing,
    Plan,
    break_even_backfill,
    months_without,
    stretch,
)
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.money import EXACT, Money, exact_decimal, exponent, round_line

BACKFILLS = (0, 25, 50, 75, 100)
"""Percent; the curve of the answer, so that nobody has to ask five times."""
DIGITS_MAX = 15
"""Under a quadrillion: more than any currency's whole investment in computing."""
DECIMALS_MAX = 6
"""A share to a millionth; what is finer is not known."""
_MONTHS = Decimal("0.0001")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """An investment, what it earns, who leaves. Amounts in major units, shares of one."""

    spent: Money
    annual_revenue: Decimal
    contribution: Decimal
    share: Decimal
    backfill: Decimal = Decimal(0)
    leaves_after: Decimal = Decimal(0)
    within: Decimal | None = None
    """Months by which the money must be back."""
    still_owed: Decimal = Decimal(0)
    """By the leaver, after its notice, used or not."""
    owed_months: Decimal = Decimal(0)
    """Over which that comes in."""
    notice_months: Decimal = Decimal(0)
    """In which it goes on as before."""


def number(text: str, *, percent: bool = False) -> Decimal:
    """A decimal, exact; with `percent`, `24%` is 0.24.

    Raises:
        UsageError: not a decimal, or finer or larger than anything known.
    """
    text = text.strip()
    part = percent and text.endswith("%")
    found = exact_decimal(text[:-1] if part else text)
    if found.adjusted() >= DIGITS_MAX or -int(found.as_tuple().exponent) > DECIMALS_MAX:
        raise UsageError(f"{text!r}: at most {DIGITS_MAX} digits and {DECIMALS_MAX} decimals")
    return found.scaleb(-2, context=EXACT) if part else found


def of_amount(capex: Decimal, currency: str) -> Money:
    """Capex that is stated.

    Raises:
        UsageError: not a currency.
    """
    exponent(currency)
    return round_line(capex, currency)


def of_fleet(data: bytes, name: str) -> tuple[Money, int]:
    """Capex of a fleet, and the longest time over which a pool of it is written off, in months.

    Raises:
        DataError: not a fleet, or every pool is leased.
    """
    found = parse_fleet(data, name)
    spent = fleet_capex(found)
    if not spent.minor:
        raise DataError(f"{name}: every pool is leased", hint="state the capex instead")
    return spent, max(pool.depreciation_months for pool in found.pools)


def answer(asked: Question) -> dict[str, Any]:
    """Everything that is asked, as decimal strings; null where the money never comes back.

    Raises:
        UsageError: a figure that has no meaning.
    """
    currency = asked.spent.currency
    revenue = round_line(asked.annual_revenue, currency).minor
    plan = Plan(asked.spent.minor, revenue, Fraction(asked.contribution))
    loss = Loss(Fraction(asked.share), Fraction(asked.backfill), Fraction(asked.leaves_after))
    curve = [Loss(loss.share, Fraction(part, 100), loss.after_months) for part in BACKFILLS]
    owing = Owing(
        round_line(asked.still_owed, currency).minor,
        Fraction(asked.owed_months),
        Fraction(asked.notice_months),
    )
    within = asked.within
    needed = None if within is None else break_even_backfill(plan, loss, Fraction(within))
    return {
        "schema": "quartermaster.payback/1",
        "currency": currency,
        "capex": str(Money(plan.capex_minor, currency).decimal),
        "annual_revenue": str(Money(plan.annual_revenue_minor, currency).decimal),
        "contribution": _number(plan.contribution),
        "share": _number(loss.share),
        "backfill": _number(loss.backfill),
        "leaves_after_months": _number(loss.after_months),
        "months_with": _number(plan.months),
        "months_without": _number(months_without(plan, loss)),
        "stretch": _number(stretch(loss)),
        "by_backfill": [
            {
                "backfill": _number(one.backfill),
                "months_without": _number(months_without(plan, one)),
            }
            for one in curve
        ],
        "within_months": None if within is None else _number(Fraction(within)),
        "break_even_backfill": _number(needed),
        "still_owed": _owed(plan, loss, owing, within, currency) if owing else None,
    }


def _owed(
    plan: Plan, loss: Loss, owing: Owing, within: Decimal | None, currency: str
) -> dict[str, Any]:
    """The same where what the leaver still owes is counted."""
    curve = [Loss(loss.share, Fraction(part, 100), loss.after_months) for part in BACKFILLS]
    needed = None
    if within is not None:
        needed = break_even_backfill(plan, loss, Fraction(within), owing)
    return {
        "amount": str(Money(owing.minor, currency).decimal),
        "months": _number(owing.months),
        "notice_months": _number(owing.notice_months),
        "months_without": _number(months_without(plan, loss, owing)),
        "by_backfill": [
            {
                "backfill": _number(one.backfill),
                "months_without": _number(months_without(plan, one, owing)),
            }
            for one in curve
        ],
        "break_even_backfill": _number(needed),
    }


def _number(value: Fraction | None) -> str | None:
    return None if value is None else str(decimal(value).quantize(_MONTHS, context=EXACT))
