"""The waterfall of a departure and the tornado of levers: for the what-if and the exposure page."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from quartermaster.console.exposure_loss import rate
from quartermaster.console.exposure_view import picture
from quartermaster.console.figures_tornado import LeverBar, tornado
from quartermaster.console.figures_waterfall import Step, waterfall
from quartermaster.console.format import EM_DASH, money_short, number
from quartermaster.console.language import Words
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture
from quartermaster.console.ports_what_if import (
    PRICED,
    BridgeFacts,
    WhatIfFacts,
    WorldFacts,
)
from quartermaster.console.report_words import refusal
from quartermaster.console.what_if_state import COST_PREFIX
from quartermaster.console.what_if_words import change_words, moved, part, plain
from quartermaster.kernel.money import Money, round_line

Labelled = Callable[[str], str]
"""Marks a sentence where the book is a sample."""


class BridgeView(msgspec.Struct, frozen=True):
    """The waterfall, its rows as a table, and what is said of capacity."""

    picture: Picture
    caption: str
    rows: tuple[tuple[str, str, str], ...]
    """Name, amount, class of the row."""
    notes: tuple[str, ...]


class LeverRow(msgspec.Struct, frozen=True):
    """One lever; `cost` is the name and value of its field."""

    words: str
    shortfall: str
    expected: str
    cost_field: str
    cost_label: str
    cost: str
    per_cost: str


class TornadoView(msgspec.Struct, frozen=True):
    """The tornado and its table."""

    title: str
    picture: Picture
    caption: str
    rows: tuple[LeverRow, ...]
    cost_head: str
    per_cost_head: str
    priced: bool
    """Whether any lever has a cost."""


def conditions_of(facts: WhatIfFacts, words: Words) -> str:
    """Rates, horizon and quantile in one sentence, as they stand beside every figure."""
    return words("loss.conditions", **places_of(facts, words))


def short_conditions(facts: WhatIfFacts, words: Words) -> str:
    """The same without a sentence, for captions and tiles."""
    return words("loss.short", **places_of(facts, words))


def places_of(facts: WhatIfFacts, words: Words) -> dict[str, str]:
    """What the sentences about the loss are filled with."""
    asked, question, lang = facts.asked, facts.asked.question, words.lang
    return {
        "name": asked.name,
        "hazard": rate(asked.hazard, lang),
        "others": rate(asked.others, lang),
        "months": number(question.horizon_months, lang),
        "quantile": rate(question.quantile, lang),
        "worst": rate(1 - question.quantile, lang),
    }


def terms_of(facts: WhatIfFacts, words: Words) -> str:
    """Notice, ramp, backfill and commitment in one sentence."""
    question, lang = facts.asked.question, words.lang
    return words(
        "loss.terms",
        name=facts.asked.name,
        notice=plain(question.notice, lang),
        ramp=plain(question.ramp, lang),
        backfill=part(question.backfill, lang),
        owed=money_short(_major(facts.asked.owed, facts), lang),
        owed_months=number(facts.asked.owed_months, lang),
    )


def bridge_view(
    facts: WhatIfFacts, steps: BridgeFacts, words: Words, labelled: Labelled
) -> BridgeView:
    """The waterfall after the departure, with the stranded capacity where that is known."""
    lang, currency = words.lang, facts.currency
    places = {"months": number(steps.months, lang), "name": facts.asked.name}
    caption = words("bridge.caption", terms=terms_of(facts, words), **places)
    if facts.stranded is not None:
        caption += " " + words("bridge.caption_capacity")
    caption = labelled(caption)
    drawn = _steps(facts, steps, words)
    figures = [
        waterfall(
            drawn,
            title=words("bridge.title"),
            desc=caption,
            width=width,
            name=f"bridge-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    kinds = {"whole": "", "down": "largest", "up": "named", "cost": "rest"}
    rows = tuple((step.label, step.text, kinds[step.kind]) for step in drawn)
    note = words("bridge.stranded_none")
    if facts.stranded_reason:
        note = words("bridge.stranded_refused", reason=refusal(facts.stranded_reason, lang))
    if facts.stranded is not None:
        note = words(
            "bridge.stranded_note",
            month=money_short(Money(facts.stranded.month_minor, currency), lang),
            hours=number(facts.stranded.gpu_hours, lang, decimals=0),
            fleet=facts.stranded.fleet,
            months=plain(facts.stranded.months, lang),
        )
    return BridgeView(picture(figures, caption), words("bridge.table", **places), rows, (note,))


def _steps(facts: WhatIfFacts, found: BridgeFacts, words: Words) -> list[Step]:
    lang, currency = words.lang, facts.currency
    suspended = facts.asked.question.suspend

    def whole(key: str, minor: int, **places: str) -> Step:
        text = money_short(Money(minor, currency), lang)
        return Step(words(f"bridge.{key}", **places), float(minor), text, "whole")

    def signed(label: str, minor: int) -> Step:
        return Step(
            label, float(minor), moved(minor, currency, lang), "down" if minor < 0 else "up"
        )

    months = number(found.months, lang)
    kept = "bridge.kept_suspend" if suspended else "bridge.kept"
    steps = [
        whole("before", found.before_minor, months=months),
        signed(words("bridge.customer", name=facts.asked.name), -found.customer_minor),
    ]
    if found.before_leaving_minor:
        steps.append(signed(words("bridge.before_leaving"), found.before_leaving_minor))
    steps += [
        signed(words(kept), found.kept_minor),
        signed(words("bridge.commitment"), found.commitment_minor),
        signed(words("bridge.backfill"), found.backfill_minor),
        whole("after", found.after_minor),
    ]
    stranded = facts.stranded
    if stranded is not None:
        cost = signed(words("bridge.stranded"), -stranded.minor)
        steps.append(msgspec.structs.replace(cost, kind="cost"))
        steps.append(whole("net", found.after_minor - stranded.minor))
    return steps


def tornado_view(facts: WhatIfFacts, words: Words, labelled: Labelled) -> TornadoView:
    """The levers on the asked customer, the strongest first."""
    lang, currency = words.lang, facts.currency
    short = short_conditions(facts, words)
    caption = labelled(words("tornado.caption", conditions=short))
    title = words("tornado.title", name=facts.asked.name)
    bars = [
        LeverBar(
            change_words(one.key, one.who, one.figures, words),
            float(one.shortfall_moved_minor),
            float(one.shortfall_moved_error_minor),
            moved(one.shortfall_moved_minor, currency, lang),
        )
        for one in facts.tornado
    ]
    figures = [
        tornado(
            bars,
            less=words("tornado.less"),
            more=words("tornado.more"),
            title=title,
            desc=caption,
            width=width,
            name=f"tornado-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    return TornadoView(
        title,
        picture(figures, caption),
        words("tornado.table", conditions=short),
        tuple(_row(one, facts, words) for one in facts.tornado),
        words("tornado.cost", currency=currency),
        words("tornado.per_cost", unit=money_short(_major(Decimal(1), facts), lang)),
        any(one.cost_minor is not None for one in facts.tornado),
    )


def _row(one: WorldFacts, facts: WhatIfFacts, words: Words) -> LeverRow:
    lang, currency = words.lang, facts.currency
    label = change_words(one.key, one.who, one.figures, words)
    costs = {str(name): cost for name, cost in facts.asked.question.costs}
    per = EM_DASH
    if one.cut_per_cost is not None:
        per = number(one.cut_per_cost, lang, decimals=2)
    assert one.name in PRICED, "levers of the tornado have fields of their own"
    return LeverRow(
        label,
        with_error(one.shortfall_moved_minor, one.shortfall_moved_error_minor, currency, words),
        with_error(one.expected_moved_minor, one.expected_moved_error_minor, currency, words),
        f"{COST_PREFIX}{one.name}",
        words("form.cost", lever=label),
        f"{costs[one.name]:f}" if one.name in costs else "",
        per,
    )


def with_error(minor: int, error: int, currency: str, words: Words) -> str:
    """A difference and its standard error."""
    lang = words.lang
    return f"{moved(minor, currency, lang)} ± {money_short(Money(error, currency), lang)}"


def _major(amount: Decimal, facts: WhatIfFacts) -> Money:
    return round_line(amount, facts.currency)
