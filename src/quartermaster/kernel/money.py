"""Money: exact until the invoice line, rounded there once, integer minor units after it.

Prices are decimal strings; products are `Decimal` at precision 38; `round_line` is the only
rounding. Rounding each event would lose all of it: 100,000 calls of 137 tokens at $0.15 a million
come to $2.055, and to $0.00 when every call is rounded to cents.
"""

import re
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    Subnormal,
)
from typing import Literal

import msgspec

from quartermaster.kernel.errors import UsageError

# 38 digits hold 10**18 micro-units times a price of 12 decimals without rounding.
PRECISION_DIGITS = 38
EXACT = Context(
    prec=PRECISION_DIGITS,
    traps=[InvalidOperation, DivisionByZero, Overflow, FloatOperation],
)

# Reads text without losing a digit: 38 of them, between 10**-37 and 10**38.
_READING = Context(
    prec=PRECISION_DIGITS,
    Emin=1 - PRECISION_DIGITS,
    Emax=PRECISION_DIGITS - 1,
    traps=[InvalidOperation, DivisionByZero, Overflow, FloatOperation, Inexact, Subnormal],
)
# What Python would read as well (underscores, spaces, other scripts' digits) is a typing error.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

# ISO 4217 minor-unit exponents that differ from 2.
_EXPONENTS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"), 0
    ),
    **dict.fromkeys(("VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_TWO_DECIMALS = 2

Rounding = Literal["half_up", "half_even", "down"]
_ROUNDING = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN}


class Money(msgspec.Struct, frozen=True, order=True):
    """An integer amount of minor units (cents) in one currency."""

    minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise UsageError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.minor + other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, exact."""
        return Decimal(self.minor).scaleb(-exponent(self.currency), context=EXACT)

    def __str__(self) -> str:
        return f"{self.decimal} {self.currency}"


def exponent(currency: str) -> int:
    """Decimal places of the currency's minor unit (ISO 4217).

    Raises:
        UsageError: not a three-letter upper-case code.
    """
    if not (len(currency) == len("USD") and currency.isascii() and currency.isupper()):
        raise UsageError(
            f"{currency!r} is not an ISO 4217 code", hint="use three capitals such as EUR"
        )
    return _EXPONENTS.get(currency, _TWO_DECIMALS)


def exact_decimal(text: str) -> Decimal:
    """The decimal that a string says, digit for digit; floats never enter.

    Raises:
        UsageError: not a decimal number, or one that 38 digits cannot hold.
    """
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise UsageError(f"{text!r} is not a decimal number", hint='write it as "0.15"')
    try:
        return _READING.create_decimal(text)
    except (Inexact, InvalidOperation, Overflow, Subnormal) as error:
        raise UsageError(
            f"{text!r} needs more than {PRECISION_DIGITS} digits", hint='write it as "0.15"'
        ) from error


def round_line(amount: Decimal, currency: str, rounding: Rounding = "half_up") -> Money:
    """The one rounding: an exact line amount in major units to minor units.

    Args:
        amount: major units (dollars), any scale.
        currency: ISO 4217 code; its exponent sets the quantum.
        rounding: named in the contract; half up is what invoice recipients expect.
    """
    quantum = Decimal(1).scaleb(-exponent(currency), context=EXACT)
    rounded = amount.quantize(quantum, rounding=_ROUNDING[rounding], context=EXACT)
    return Money(int(rounded.scaleb(exponent(currency), context=EXACT)), currency)


def split(total: int, weights: list[int]) -> list[int]:
    """Divide minor units by weights without losing one (largest remainder, ties to the first).

    Raises:
        UsageError: no weight is positive, or one is negative.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise UsageError("cannot split by these weights", hint="use at least one positive weight")
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    assert sum(shares) == total, "a split conserves its total"
    return shares
