"""The exposure page's state is its address: what may stand there, and the same state as a query."""

from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlencode

from quartermaster.console.language import Words
from quartermaster.console.number_field import TEXT_CHARS_MAX, Field, number_of
from quartermaster.console.ports_exposure import Asked, Question
from quartermaster.kernel.errors import UsageError

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
    horizon, quantile = (
        number_of(HORIZON, query, words, whole=True),
        number_of(QUANTILE, query, words),
    )
    defaults = Question()
    return Question(
        customer=query.get("customer", ""),
        hazard=number_of(HAZARD, query, words),
        others=number_of(OTHERS, query, words),
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
