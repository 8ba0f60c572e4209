"""The what-if page's state is its address: what may stand there, and the same state as a query."""

from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlencode

import msgspec

from quartermaster.console.exposure_state import (
    HAZARD,
    HORIZON,
    OTHERS,
    QUANTILE,
)
from quartermaster.console.language import Words
from quartermaster.console.number_field import TEXT_CHARS_MAX, Field, number_of
from quartermaster.console.ports_what_if import (
    LEVERS,
    PRICED,
    Lever,
    Priced,
    WhatIfAsked,
    WhatIfQuestion,
)
from quartermaster.kernel.errors import UsageError

COST_MAX = Decimal(1_000_000_000_000)
"""A trillion: beyond any price that a customer is paid for staying."""

MONTH = Field("month", Decimal(0), Decimal(60))
"""When it happens; no later than the horizon may reach."""
UNTIL = Field("until", Decimal(1), Decimal(60))
DISCOUNT = Field("discount", Decimal(0), Decimal("0.9"))
ELASTICITY = Field("elasticity", Decimal(-10), Decimal(0))
"""Minus ten: a price rise of a tenth takes two thirds of the usage. Steeper is a typing error."""
NOTICE = Field("notice", Decimal(0), Decimal(36))
RAMP = Field("ramp", Decimal(0), Decimal(60))
BACKFILL = Field("backfill", Decimal(0), Decimal(1))
OWED = Field("owed", Decimal(0), COST_MAX)
OWED_MONTHS = Field("owed_months", Decimal(0), Decimal(60))
SIZES: dict[Lever, Field] = {
    "cut": Field("size", Decimal(0), Decimal(1)),
    "price": Field("size", Decimal("-0.9"), Decimal(3)),
    "commit": Field("size", Decimal(0), Decimal(1)),
    "diversify": Field("size", Decimal(0), Decimal(1)),
}
"""A cut price of less than a tenth, or one four times as high, is a typing error."""
SIZE_USUAL: dict[Lever, Decimal] = {
    "cut": Decimal("0.5"),
    "price": Decimal("-0.1"),
    "commit": Decimal("0.5"),
}
"""Where the reader names none; diversify then takes half of today's share."""

OF_LEVER: dict[Lever, tuple[Field, ...]] = {
    "leave": (MONTH,),
    "cut": (SIZES["cut"], MONTH),
    "price": (SIZES["price"], MONTH, ELASTICITY),
    "commit": (SIZES["commit"], UNTIL, DISCOUNT),
    "diversify": (SIZES["diversify"],),
}
"""The numbers that each lever has, in the order of the form."""
ASSUMED = (HAZARD, OTHERS, HORIZON, QUANTILE, NOTICE, RAMP, BACKFILL, OWED, OWED_MONTHS)
WHOLE = frozenset({MONTH.name, UNTIL.name, HORIZON.name, OWED_MONTHS.name})
COST_PREFIX = "cost_"
SWITCHES = ("suspend", "everybody")
OTHER_NAMES = ("lever", "customer", "format", "table", "lang", *SWITCHES)


def question_of(query: Mapping[str, str], words: Words) -> WhatIfQuestion:
    """What the address asks; an empty field is as if it were not there.

    Raises:
        UsageError: names the field, what it holds, and what it may hold.
    """
    _known(query, words)
    usual = WhatIfQuestion()
    lever = _lever(query, words)

    def told(field: Field, default: Decimal) -> Decimal:
        found = number_of(field, query, words, whole=field.name in WHOLE)
        return default if found is None else found

    # Numbers of other levers are read, so that a mistake is named, and left out of the question.
    own = {field.name for field in OF_LEVER[lever]}
    values = {
        field.name: told(field, Decimal(str(getattr(usual, field.name))))
        for field in (MONTH, UNTIL, DISCOUNT, ELASTICITY)
    }
    kept = {name: value for name, value in values.items() if name in own}
    months = number_of(OWED_MONTHS, query, words, whole=True)
    return WhatIfQuestion(
        lever=lever,
        customer=query.get("customer", ""),
        size=number_of(SIZES[lever], query, words) if lever in SIZES else None,
        month=int(kept.get("month", usual.month)),
        until=int(kept.get("until", usual.until)),
        suspend=lever == "leave" and _switch("suspend", query, words),
        everybody=lever == "price" and _switch("everybody", query, words),
        discount=kept.get("discount", usual.discount),
        elasticity=kept.get("elasticity", usual.elasticity),
        hazard=number_of(HAZARD, query, words),
        others=number_of(OTHERS, query, words),
        horizon_months=int(told(HORIZON, Decimal(usual.horizon_months))),
        quantile=told(QUANTILE, usual.quantile),
        notice=told(NOTICE, usual.notice),
        ramp=told(RAMP, usual.ramp),
        backfill=told(BACKFILL, usual.backfill),
        owed=number_of(OWED, query, words),
        owed_months=None if months is None else int(months),
        costs=_costs(query, words),
    )


def query_of(asked: WhatIfAsked, lever: Lever | None = None, **more: str) -> str:
    """The whole state as a query: the same address gives the same figures to anybody.

    With another `lever` the address asks for that one, at its usual size.
    """
    question = asked.question
    state = {"lever": lever or question.lever, "customer": question.customer}
    if lever in {None, question.lever}:
        for field in OF_LEVER[question.lever]:
            value = getattr(question, field.name)
            if value is not None:
                state[field.name] = f"{value:f}" if isinstance(value, Decimal) else str(value)
        state |= {name: "1" for name in SWITCHES if getattr(question, name)}
    state |= {
        "hazard": f"{asked.hazard:f}",
        "others": f"{asked.others:f}",
        "horizon": str(question.horizon_months),
        "quantile": f"{question.quantile:f}",
        "notice": f"{question.notice:f}",
        "ramp": f"{question.ramp:f}",
        "backfill": f"{question.backfill:f}",
        "owed": f"{asked.owed:f}",
        "owed_months": str(asked.owed_months),
    }
    state |= {f"{COST_PREFIX}{name}": f"{cost:f}" for name, cost in question.costs}
    return urlencode(state | more)


def refused_by_book(error: UsageError, asked: WhatIfQuestion, words: Words) -> UsageError:
    """What this book cannot be asked, in the reader's words where there are some."""
    if error.field == "customer":
        return UsageError(
            words("refusal.customer", customer=asked.customer[:TEXT_CHARS_MAX]),
            hint=words("refusal.customer_hint"),
            field="customer",
        )
    if error.field == "size":
        return UsageError(words("refusal.size"), hint=words("refusal.size_hint"), field="size")
    return error


def _known(query: Mapping[str, str], words: Words) -> None:
    fields = {field.name for fields in OF_LEVER.values() for field in fields}
    fields |= {field.name for field in ASSUMED} | {f"{COST_PREFIX}{name}" for name in PRICED}
    allowed = fields | set(OTHER_NAMES)
    for name in query:
        if name not in allowed:
            raise UsageError(
                words("refusal.unknown", field=name[:TEXT_CHARS_MAX]),
                hint=words("refusal.unknown_hint", fields=", ".join(sorted(allowed))),
                field=name,
            )


def _lever(query: Mapping[str, str], words: Words) -> Lever:
    text = query.get("lever", "") or LEVERS[0]
    found = next((lever for lever in LEVERS if lever == text), None)
    if found is None:
        raise UsageError(
            words("refusal.lever", value=text[:TEXT_CHARS_MAX]),
            hint=words("refusal.lever_hint", levers=", ".join(LEVERS)),
            field="lever",
        )
    return found


def _switch(name: str, query: Mapping[str, str], words: Words) -> bool:
    text = query.get(name, "")
    if text not in {"", "0", "1"}:
        raise UsageError(
            words("refusal.switch", field=name, value=text[:TEXT_CHARS_MAX]),
            hint=words("refusal.switch_hint", field=name),
            field=name,
        )
    return text == "1"


def _costs(query: Mapping[str, str], words: Words) -> tuple[tuple[Priced, Decimal], ...]:
    found: list[tuple[Priced, Decimal]] = []
    for name in PRICED:
        cost = number_of(Field(f"{COST_PREFIX}{name}", Decimal(0), COST_MAX), query, words)
        if cost:
            found.append((name, cost))
    return tuple(found)


def filled(question: WhatIfQuestion, **fields: object) -> WhatIfQuestion:
    """The question with what the book had to fill in."""
    return msgspec.structs.replace(question, **fields)
