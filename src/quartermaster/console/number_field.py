"""A number in an address or a form: what it may be, and how one that it may not be is refused."""

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from quartermaster.console.format import Lang, number
from quartermaster.console.language import Words
from quartermaster.kernel.errors import UsageError

TEXT_CHARS_MAX = 200
"""The longest name of a customer that a book takes is shorter; a longer field is not shown back."""

DIGITS_MAX = 18
"""Of a whole number in a form: more than any limit, and small enough to compute with."""


class Field(msgspec.Struct, frozen=True):
    """A number of the address: `name`, and the least and the most it may be."""

    name: str
    low: Decimal
    high: Decimal


# Thirteen digits hold every amount that a page asks for; more would only be computed with.
_NUMBER = re.compile(r"-?\d{1,13}(?:\.\d{1,6})?%?", re.ASCII)
_AMOUNT = re.compile(r"\d{1,13}(?:\.\d{1,9})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,4}", re.ASCII)


def number_of(
    field: Field, query: Mapping[str, str], words: Words, *, whole: bool = False
) -> Decimal | None:
    """The number that the address gives, or None where the field is absent or empty.

    Args:
        field: which one.
        query: the address's fields; a per cent sign divides by a hundred.
        words: of the refusal.
        whole: only whole numbers are taken.

    Raises:
        UsageError: names the field, what it holds, and what it may hold.
    """
    text = query.get(field.name, "").strip()
    if not text:
        return None
    if not (_WHOLE if whole else _NUMBER).fullmatch(text):
        raise _refused("refusal.whole" if whole else "refusal.number", field, text, words)
    value = Decimal(text.rstrip("%"))
    value = value.scaleb(-2) if text.endswith("%") else value
    if not field.low <= value <= field.high:
        raise _refused("refusal.range", field, text, words)
    return value


def _refused(key: str, field: Field, text: str, words: Words) -> UsageError:
    return UsageError(
        words(key, field=field.name, value=text[:TEXT_CHARS_MAX]),
        hint=words(
            "refusal.range_hint",
            field=field.name,
            low=number(field.low, words.lang),
            high=number(field.high, words.lang),
        ),
        field=field.name,
    )


def amount_of(text: str, lang: Lang) -> str | None:
    """An amount of a form as plain digits: `1.234,50` and `1,234.50` are `1234.50`.

    Args:
        text: as it was written.
        lang: whose marks count: a German point groups thousands where it can, an English comma.

    Returns:
        None where it is none.
    """
    group, point = (".", ",") if lang == "de" else (",", ".")
    written = "".join(text.split())
    grouped = rf"\d{{1,3}}(?:\{group}\d{{3}})+(?:\{point}\d+)?"
    if re.fullmatch(grouped, written, re.ASCII):
        written = written.replace(group, "")
    plain = written.replace(",", ".")
    return plain if _AMOUNT.fullmatch(plain) else None


def whole_of(text: str, field: str) -> int | None:
    """A whole number of a form; None where nothing is said.

    Raises:
        UsageError: it is none; names the field.
    """
    written = text.strip()
    if not written:
        return None
    if not (written.isdecimal() and written.isascii() and len(written) <= DIGITS_MAX):
        raise UsageError(f"{field} is no whole number", field=field)
    return int(written)
