"""The exposure page's state is its address: what may stand there, and the same state as a query."""

import re
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlencode

import msgspec

from quartermaster.console.format import number
from quartermaster.console.language import Words
from quartermaster.console.ports_exposure import Asked, Question
from quartermaster.kernel.errors import UsageError

TEXT_CHARS_MAX = 200
"""The longest name of a customer that a book takes is shorter; a longer field is not shown back."""


class Field(msgspec.Struct, frozen=True):
    """A number of the address: `name`, and the least and the most it may be."""

    name: str
    low: Decimal
    high: Decimal


HAZARD = Field("hazard", Decimal("0.01"), Decimal(5))
"""Departures a year of the asked customer. Under 1 % too few of the scenarios hold a departure to
say who makes up the loss; five a year is gone within a quarter, and more is a typing error."""
OTHERS = Field("others", Decimal(0), Decimal(5))
"""The same for everybody else; zero asks for that one customer alone."""
HORIZON = Field("horizon", Decimal(1), Decimal(60))
"""Months. Five years is as far as any plan of this business reaches, and keeps the page fast."""
QUANTILE = Field("quantile", Decimal("0.5"), Decimal("0.99"))
"""Beyond 99 % fewer than 200 of the page's scenarios are left, and shares are noise."""
FIELDS = (HAZARD, OTHERS, HORIZON, QUANTILE)
OTHER_NAMES = ("customer", "format", "table", "lang")

_NUMBER = re.compile(r"\d{1,4}(?:\.\d{1,6})?%?", re.ASCII)
_WHOLE = re.compile(r"\d{1,4}", re.ASCII)


def question_of(query: Mapping[str, str], words: Words) -> Question:
    """What the address asks; an empty field is as if it were not there.

    Raises:
        UsageError: names the field, what it holds, and what it may hold.
    """
    allowed = {field.name for field in FIELDS} | set(OTHER_NAMES)
    for name in query:
        if name not in allowed:
            raise UsageError(
                words("refusal.unknown", field=name[:TEXT_CHARS_MAX]),
                hint=words("refusal.unknown_hint", fields=", ".join(sorted(allowed))),
                field=name,
            )
    horizon, quantile = _of(HORIZON, query, words), _of(QUANTILE, query, words)
    defaults = Question()
    return Question(
        customer=query.get("customer", ""),
        hazard=_of(HAZARD, query, words),
        others=_of(OTHERS, query, words),
        horizon_months=defaults.horizon_months if horizon is None else int(horizon),
        quantile=defaults.quantile if quantile is None else quantile,
    )


def no_such_customer(customer: str, words: Words) -> UsageError:
    """The refusal of a customer that the book does not offer."""
    return UsageError(
        words("refusal.customer", customer=customer[:TEXT_CHARS_MAX]),
        hint=words("refusal.customer_hint"),
        field="customer",
    )


def query_of(asked: Asked, **more: str) -> str:
    """The whole state as a query: the same address gives the same figures to anybody."""
    state = {
        "customer": asked.customer,
        "hazard": f"{asked.hazard:f}",
        "others": f"{asked.others:f}",
        "horizon": str(asked.horizon_months),
        "quantile": f"{asked.quantile:f}",
    }
    return urlencode(state | more)


def _of(field: Field, query: Mapping[str, str], words: Words) -> Decimal | None:
    text = query.get(field.name, "").strip()
    if not text:
        return None
    whole = field is HORIZON
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
