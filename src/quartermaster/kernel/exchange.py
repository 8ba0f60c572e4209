"""Exchange rates as facts: what one unit of a currency was worth in another from a day on.

A month is converted at the mean of the rates in force on its days, which stands for the rates of
its transactions (IAS 21.22, ASC 830-10-55-10); what is owed ahead at the newest rate. All of it is
exact until one rounding to a minor unit. A pair has one direction; the other one is its inverse.
Rates are never chained over a third currency, and a day without a rate is refused, not guessed.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import msgspec

from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.kernel.fact import Fact
from quartermaster.kernel.money import EXACT, Money, exact_decimal, exponent, round_line

RATE_DIGITS_MAX = 18
"""Central banks publish six digits; above it is a typing error."""
SOURCE_CHARS_MAX = 200
"""A name and an address; what is longer is a document of its own."""
FIRST_YEAR_MIN = 1970
"""No usage is older."""

_ONE_DAY = timedelta(days=1)


class ExchangeRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From a day on, one unit of `base` is worth `rate` units of `quote`."""

    base: str
    quote: str
    rate: str
    """A decimal string."""
    on: str
    """The first day on which it holds, `2026-11-01`."""
    source: str

    def __post_init__(self) -> None:
        for currency in (self.base, self.quote):
            exponent(currency)
        if self.base == self.quote:
            raise UsageError(f"{self.base} in {self.quote} is no exchange rate", field="quote")
        value = exact_decimal(self.rate)
        if value <= 0 or len(value.as_tuple().digits) > RATE_DIGITS_MAX:
            raise UsageError(
                f"{self.rate!r} is not above zero, or has over {RATE_DIGITS_MAX} digits",
                field="rate",
            )
        if day_named(self.on).year < FIRST_YEAR_MIN:
            raise UsageError(f"{self.on} is before {FIRST_YEAR_MIN}", field="on")
        if not self.source.strip() or len(self.source) > SOURCE_CHARS_MAX:
            raise UsageError(
                "whose rate is it?",
                field="source",
                hint=f"name the source in up to {SOURCE_CHARS_MAX} characters",
            )

    @property
    def pair(self) -> tuple[str, str]:
        """What it is a rate of."""
        return self.base, self.quote


class RateRecorded(Fact, frozen=True, tag=True):
    """An exchange rate; one of the same pair and day takes the place of the one before it."""

    rate: ExchangeRate


class Converted(msgspec.Struct, frozen=True):
    """An amount in another currency, and what it was converted at."""

    money: Money
    rates: tuple[ExchangeRate, ...]
    """In force in the month, oldest first."""


def day_named(text: str) -> date:
    """The day that is written as `2026-11-01`.

    Raises:
        UsageError: not such a day.
    """
    found = None
    with suppress(ValueError):
        found = date.fromisoformat(text)
    if found is None or text != found.isoformat():
        raise UsageError(f"{text!r} is not a day", field="on", hint="write it as 2026-11-01")
    return found


class Rates:
    """Every recorded rate, asked by pair and day.

    Args:
        recorded: one of each pair and day.
    """

    def __init__(self, recorded: Iterable[ExchangeRate]) -> None:
        self._means: dict[
            tuple[str, str, date, date], tuple[Fraction, tuple[ExchangeRate, ...]]
        ] = {}
        self._by_pair: dict[tuple[str, str], list[ExchangeRate]] = {}
        for one in sorted(recorded, key=lambda one: one.on):
            self._by_pair.setdefault(one.pair, []).append(one)

    def month(self, money: Money, currency: str, label: str, today: date) -> Converted:
        """What a month's amount is worth.

        Args:
            money: of the month.
            currency: wanted.
            label: the month `2026-11`; of one that runs, the days up to `today` count.
            today: nothing after it is known.

        Raises:
            NotFoundError: no rate was in force on one of its days.
        """
        first = day_named(f"{label}-01")
        after = (first.replace(day=28) + 4 * _ONE_DAY).replace(day=1)
        return self._mean(money, currency, first, min(after, max(today, first) + _ONE_DAY))

    def newest(self, money: Money, currency: str, today: date) -> Converted:
        """What an amount is worth on a day, such as one that is owed ahead.

        Raises:
            NotFoundError: no rate is in force on that day.
        """
        return self._mean(money, currency, today, today + _ONE_DAY)

    def _mean(self, money: Money, currency: str, first: date, after: date) -> Converted:
        if money.currency == currency:
            return Converted(money, ())
        asked = money.currency, currency, first, after
        if asked not in self._means:
            # A book asks for the same month of every contract.
            self._means[asked] = self._mean_of(*asked)
        rate, used = self._means[asked]
        return Converted(_rounded(money, currency, rate), used)

    def _mean_of(
        self, base: str, quote: str, first: date, after: date
    ) -> tuple[Fraction, tuple[ExchangeRate, ...]]:
        known, inverse = self._of(base, quote)
        days = [one.on for one in known]
        start, total, used = first, Fraction(0), list[ExchangeRate]()
        while start < after:
            at = bisect_right(days, start.isoformat()) - 1
            if at < 0:
                raise NotFoundError(
                    f"no exchange rate of {base} and {quote} is in force on {start}",
                    hint=f"quartermaster rate add {base} {quote} RATE --on {start} --source WHOSE",
                    field="rate",
                )
            later = [day_named(days[at + 1])] if at + 1 < len(known) else []
            until = min([after, *later])
            worth = Fraction(exact_decimal(known[at].rate))
            if inverse:
                worth = Fraction(worth.denominator, worth.numerator)
            total += worth * (until - start).days
            used.append(known[at])
            start = until
        return total * Fraction(1, (after - first).days), tuple(used)

    def _of(self, base: str, quote: str) -> tuple[Sequence[ExchangeRate], bool]:
        known = self._by_pair.get((base, quote))
        return (known, False) if known else (self._by_pair.get((quote, base), ()), True)


def _rounded(money: Money, currency: str, rate: Fraction) -> Money:
    exact = Fraction(money.decimal) * rate
    amount = EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))
    return round_line(amount, currency)
