"""What if, on the board report: the departure step by step, and the levers against the shortfall.

Words and figures are those of the what-if page.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from quartermaster.console.board_parts import (
    DESK_PX,
    PHONE_PX,
    Desk,
    Section,
    picture,
    rate,
)
from quartermaster.console.figures_tornado import LeverBar, tornado
from quartermaster.console.figures_waterfall import Step, waterfall
from quartermaster.console.format import number, percent
from quartermaster.console.report_words import catalogue, statistic
from quartermaster.console.what_if_words import change_words, moved
from quartermaster.exposure.departure_bridge import Bridge
from quartermaster.kernel.money import exponent

if TYPE_CHECKING:
    from quartermaster.exposure.risk_levers import Effect, WhatIf


def bridge_section(on: Desk, found: Bridge) -> Section:
    """The plan after notice, clause by clause; it adds up."""
    words, shared = on.words, catalogue("what_if", on.words.lang)
    name, lang = on.name(on.facts.report.largest), on.words.lang
    months = number(found.months, lang)
    lost = _minor(found.before - found.after, on)
    share = percent(statistic(1 - found.after / found.before), lang)
    steps = [
        _whole(shared("bridge.before", months=months), found.before, on),
        _signed(shared("bridge.customer", name=name), -found.customer, on),
        *(
            _signed(shared(f"bridge.{clause}"), value, on)
            for clause, value in (
                ("kept", found.kept),
                ("commitment", found.commitment),
                ("backfill", found.backfill),
            )
            if value
        ),
        _whole(shared("bridge.after"), found.after, on),
    ]
    lead = words("leaving.lead", name=name, months=months, lost=on.short(lost), share=share)
    caption = words("leaving.caption")
    drawn = [
        waterfall(
            steps,
            title=words("leaving.title", name=name),
            desc=on.labelled(lead),
            width=width,
            name=f"leaving-{width}",
        )
        for width in (DESK_PX, PHONE_PX)
    ]
    return Section(
        id="leaving",
        title=words("leaving.title", name=name),
        lead=(lead,),
        picture=picture(drawn, on.labelled(caption)),
    )


def levers_section(on: Desk, found: "WhatIf") -> Section:
    """What each usual lever on the largest customer would change, the strongest first."""
    words, lang = on.words, on.words.lang
    shared = catalogue("what_if", lang)
    assumptions = found.assumptions
    conditions = shared(
        "loss.short",
        hazard=rate(found.top_hazard_per_year, words),
        others=rate(assumptions.hazard_per_year.rest, words),
        months=number(assumptions.horizon_months, lang),
        quantile=rate(assumptions.quantile, words),
    )
    caption = shared("tornado.caption", conditions=conditions)
    bars = [_bar(effect, on) for effect in found.effects]
    drawn = [
        tornado(
            bars,
            less=shared("tornado.less"),
            more=shared("tornado.more"),
            title=shared("tornado.title", name=found.top),
            desc=on.labelled(caption),
            width=width,
            name=f"levers-{width}",
        )
        for width in (DESK_PX, PHONE_PX)
    ]
    return Section(
        id="levers",
        title=shared("tornado.title", name=found.top),
        picture=picture(drawn, on.labelled(caption)),
    )


def _bar(effect: "Effect", on: Desk) -> LeverBar:
    change, difference = effect.change, effect.shortfall_difference
    figures = {name: Decimal(f"{value:.12g}") for name, value in change.figures.items()}
    minor, lang = _minor(difference.value, on), on.words.lang
    return LeverBar(
        change_words(change.key, change.who, figures, on.words),
        float(minor),
        float(_minor(difference.standard_error, on)),
        moved(minor, on.facts.currency, lang),
    )


def _minor(value: float, on: Desk) -> int:
    return round(value * int(10 ** exponent(on.facts.currency)))


def _whole(label: str, value: float, on: Desk) -> Step:
    return Step(label, value, on.short(_minor(value, on)), "whole")


def _signed(label: str, value: float, on: Desk) -> Step:
    shown = moved(_minor(value, on), on.facts.currency, on.words.lang)
    return Step(label, value, shown, "down" if value < 0 else "up")
