"""Money, numbers, shares, dates: German and English, for pages and figures.

Rules follow CLDR (checked against Babel in the tests) with two stated differences: compact money
moves up a unit where rounding fills it (`$1M`, never `$1000K`), and English dates are written
day first, `31 Mar 2024`, because readers of both languages meet here. Inputs are integers and
`Decimal`; nothing here accepts a float.
"""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal, get_args

from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import EXACT, Money, exponent

Lang = Literal["de", "en"]
LANGS: tuple[Lang, ...] = get_args(Lang)

NBSP = "\N{NO-BREAK SPACE}"
"""What CLDR puts between a number and its unit; an ordinary space would let lines break there."""
MINUS = "-"
EM_DASH = "—"

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_GROUP: dict[Lang, str] = {"de": ".", "en": ","}
_POINT: dict[Lang, str] = {"de": ",", "en": "."}
_MONTHS: dict[Lang, tuple[str, ...]] = {
    "de": ("Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
_MONTHS_LONG: dict[Lang, tuple[str, ...]] = {
    "de": (
        *("Januar", "Februar", "März", "April", "Mai", "Juni"),
        *("Juli", "August", "September", "Oktober", "November", "Dezember"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
_THOUSAND = 1_000
# Power of ten and its word, largest first. German business prose does not shorten thousands.
_COMPACT: dict[Lang, tuple[tuple[int, str], ...]] = {
    "de": ((12, f"{NBSP}Bio."), (9, f"{NBSP}Mrd."), (6, f"{NBSP}Mio.")),
    "en": ((12, "T"), (9, "B"), (6, "M"), (3, "K")),
}


def number(value: int | Decimal, lang: Lang, *, decimals: int | None = None) -> str:
    """A number with group separators.

    Args:
        value: any integer or finite decimal.
        lang: language of the reader.
        decimals: places to round to (half even); None keeps those the value has.
    """
    exact = Decimal(value)
    if decimals is not None:
        exact = _rounded(exact, decimals)
    text = format(exact, ",f")
    return text.replace(",", "\0").replace(".", _POINT[lang]).replace("\0", _GROUP[lang])


def percent(share: Decimal | int, lang: Lang, *, decimals: int = 1) -> str:
    """A share of one as a percentage: 0.241 is `24,1 %` or `24.1%`."""
    hundredfold = Decimal(share).scaleb(2, context=EXACT)
    return number(hundredfold, lang, decimals=decimals) + (f"{NBSP}%" if lang == "de" else "%")


def money(amount: Money, lang: Lang) -> str:
    """The exact amount with all minor digits: `12.400.000,00 $`, `$12,400,000.00`."""
    return _with_symbol(number(amount.decimal, lang), amount.currency, lang)


def money_compact(amount: Money, lang: Lang, *, decimals: int = 1) -> str:
    """The amount in the largest unit that fits: `12,4 Mio. $`, `$12.4M`; zeros at the end drop.

    Below the smallest unit word whole major units are shown, and below 1,000 every minor digit:
    a first request costs cents, and must not read as nothing.
    """
    value = amount.decimal
    if value and abs(value) < _THOUSAND:
        return money(amount, lang)
    return _with_symbol(_compact(value, lang, decimals), amount.currency, lang)


def money_short(amount: Money, lang: Lang) -> str:
    """The amount to three significant digits, for labels in figures: `$987M`, `1,02 Mrd. $`."""
    whole_digits = len(str(int(abs(amount.decimal))))
    return money_compact(amount, lang, decimals=2 - (whole_digits - 1) % 3)


def money_range(low: Money, high: Money, lang: Lang) -> str:
    """Two amounts in the unit of the higher: `$0.98–1.05B`, `0,98–1,05 Mrd. $`."""
    for power, word in _COMPACT[lang]:
        top = _rounded(high.decimal.scaleb(-power, context=EXACT), 2)
        if abs(top) >= 1:
            bottom = _rounded(low.decimal.scaleb(-power, context=EXACT), 2)
            both = f"{_trimmed(bottom, lang)}–{_trimmed(top, lang)}{word}"
            return _with_symbol(both, high.currency, lang)
    # Whole units need no coins: nobody guides to the cent.
    whole = low.decimal == int(low.decimal) and high.decimal == int(high.decimal)
    both = "–".join(number(end.decimal, lang, decimals=0 if whole else None) for end in (low, high))
    return _with_symbol(both, high.currency, lang)


def money_exact(amount: Decimal, currency: str, lang: Lang) -> str:
    """An exact amount in major units with every digit it has, and at least the minor ones.

    Rated usage is exact until the invoice line: one request can cost `$0.0000031`.
    """
    stripped = amount.normalize(EXACT)
    digits = max(-int(stripped.as_tuple().exponent), exponent(currency))
    return _with_symbol(number(stripped, lang, decimals=digits), currency, lang)


def money_shown(amount: Decimal, currency: str, lang: Lang) -> str:
    """An amount in major units for people: to minor units, and what is less to three digits.

    Of what a thousandth of a cent adds up to, every digit is for programs; they are in the CSV.
    """
    least = Decimal(1).scaleb(-exponent(currency))
    small = 0 < abs(amount) < least
    quantum = Decimal(1).scaleb(amount.adjusted() - 2) if small else least
    rounded = amount.quantize(quantum, rounding=ROUND_HALF_EVEN, context=EXACT)
    return money_exact(rounded, currency, lang)


def day(value: date, lang: Lang) -> str:
    """A calendar day: `31.03.2024`, `31 Mar 2024`."""
    if lang == "de":
        return f"{value.day:02d}.{value.month:02d}.{value.year:04d}"
    return f"{value.day} {_MONTHS[lang][value.month - 1]} {value.year:04d}"


def month(period: str, lang: Lang) -> str:
    """A period label `2024-03` as `Mär 2024`, `Mar 2024`.

    Raises:
        UsageError: not `YYYY-MM`.
    """
    year, number_ = month_parts(period)
    return f"{_MONTHS[lang][number_ - 1]} {year:04d}"


def month_long(period: str, lang: Lang) -> str:
    """A period label `2024-03` spelled out for a sentence: `März 2024`, `March 2024`."""
    year, number_ = month_parts(period)
    return f"{_MONTHS_LONG[lang][number_ - 1]} {year:04d}"


def month_name(number_: int, lang: Lang) -> str:
    """The short name of month 1-12, as on an axis."""
    return _MONTHS[lang][number_ - 1]


def month_parts(period: str) -> tuple[int, int]:
    """Year and month of a period label `2024-03`.

    Raises:
        UsageError: not `YYYY-MM`.
    """
    year, _, number_ = period.partition("-")
    if len(year) == 4 and len(number_) == 2 and (year + number_).isdecimal():
        parsed = int(year), int(number_)
        if 1 <= parsed[1] <= len(_MONTHS["en"]):
            return parsed
    raise UsageError(f"{period!r} is not a month", hint="write it as 2024-03")


def moment(at: Instant, lang: Lang) -> str:
    """An instant to the second in UTC: `31.03.2024, 14:05:09 UTC`."""
    when: datetime = as_datetime(at).astimezone(UTC)
    return f"{day(when.date(), lang)}, {when:%H:%M:%S} UTC"


def time_of_day(at: Instant) -> str:
    """The UTC time of an instant, `14:05:09`; the same in both languages."""
    return f"{as_datetime(at):%H:%M:%S}"


def _rounded(value: Decimal, decimals: int) -> Decimal:
    quantum = Decimal(1).scaleb(-decimals, context=EXACT)
    rounded = value.quantize(quantum, rounding=ROUND_HALF_EVEN, context=EXACT)
    return abs(rounded) if rounded.is_zero() else rounded  # minus zero is not for readers


def _compact(value: Decimal, lang: Lang, decimals: int) -> str:
    largest, smallest = _COMPACT[lang][0][0], _COMPACT[lang][-1][0]
    if abs(value) < Decimal(1).scaleb(smallest):
        # To whole millions 600,000 would be one: only what is one to three places moves up.
        decimals = max(decimals, 3)
    for power, word in reversed(_COMPACT[lang]):
        scaled = _rounded(value.scaleb(-power, context=EXACT), decimals)
        if abs(scaled) >= 1 and (abs(scaled) < _THOUSAND or power == largest):
            return _trimmed(scaled, lang) + word
    return number(value, lang, decimals=0)


def _trimmed(value: Decimal, lang: Lang) -> str:
    text = number(value, lang)
    return text.rstrip("0").rstrip(_POINT[lang]) if _POINT[lang] in text else text


def _with_symbol(text: str, currency: str, lang: Lang) -> str:
    symbol = _SYMBOLS.get(currency, currency)
    if lang == "de":
        return f"{text}{NBSP}{symbol}"
    sign, unsigned = (MINUS, text[1:]) if text.startswith(MINUS) else ("", text)
    gap = NBSP if len(symbol) > 1 else ""
    return f"{sign}{symbol}{gap}{unsigned}"
