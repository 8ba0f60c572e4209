"""A number in an address: what it may be, and how one that it may not be is refused."""

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from quartermaster.console.format import number
from quartermaster.console.language import Words
from quartermaster.kernel.errors import UsageError

TEXT_CHARS_MAX = 200
"""The longest name of a customer that a book takes is shorter; a longer field is not shown back."""


class Field(msgspec.Struct, frozen=True):
    """A number of the address: `name`, and the least and the most it may be."""

    name: str
    low: Decimal
    high: Decimal


# Thirteen digits hold every amount that a page asks for; more would only be computed with.
_NUMBER = re.compile(r"-?\d{1,13}(?:\.\d{1,6})?%?", re.ASCII)
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
