"""Capacity on the board report: what stays when the largest customer goes, and payback."""

from decimal import Decimal
from fractions import Fraction

import msgspec

from quartermaster.capacity.cost import decimal
from quartermaster.capacity.series import stack
from quartermaster.capacity.statement import Statement
from quartermaster.console.board_facts import CapacityFacts, Payback
from quartermaster.console.board_parts import (
    DESK_PX,
    PHONE_PX,
    Desk,
    Line,
    Picture,
    Section,
    Table,
    picture,
)
from quartermaster.console.capacity_words import beside_revenue
from quartermaster.console.figures_capacity import CapacityWords, capacity_stack, from_series
from quartermaster.console.format import money_short, number, percent
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.money import Money

PARTS = ("busy", "reserved_idle", "idle", "stranded")
"""What a GPU-hour is for; they sum to the capacity."""


def capacity_section(on: Desk, found: CapacityFacts) -> Section:
    """What was built, what is busy, what would be stranded, and when the money is back."""
    words = on.words
    lead, notes, table, shown = list[str](), list[str](), None, None
    if found.before is not None:
        lead.append(_stranded(found.before, found.after, on))
        table = _table(found.before, found.after, on)
        shown = _picture(found.after or found.before, found, on)
        notes.append(words("capacity.note"))
    if found.payback is not None:
        lead.append(_payback(found.payback, found.currency, on))
        notes.append(words("capacity.payback_note"))
        if found.payback.owes:
            notes.append(_payback_owed(found.payback, on))
    on_page = catalogue("capacity", words.lang)
    notes += beside_revenue(found.elsewhere, found.owed, found.names, on_page)
    notes += [words(f"capacity.missing_{why}", name=_name(on)) for why in found.missing]
    return Section(
        id="capacity",
        title=words("capacity.title", fleet=found.fleet),
        lead=tuple(lead),
        picture=shown,
        table=table,
        notes=tuple(notes),
    )


def _name(on: Desk) -> str:
    return on.name(on.facts.report.largest)


def _stranded(before: Statement, after: Statement | None, on: Desk) -> str:
    places = {
        "cost": _short(before.cost_minor, before, on),
        "busy": _part(sum(before.time.busy.values()), before, on),
        "stranded": _part(before.time.stranded, before, on),
        "stranded_cost": _short(before.money.stranded, before, on),
    }
    if after is None:
        return on.words("capacity.lead", **places)
    return on.words(
        "capacity.lead_without",
        **places,
        name=_name(on),
        after=_part(after.time.stranded, after, on),
        after_cost=_short(after.money.stranded, after, on),
    )


def _table(before: Statement, after: Statement | None, on: Desk) -> Table:
    words = on.words
    both = [before] if after is None else [before, after]
    head = [words("capacity.part"), words("capacity.hours"), words("capacity.cost")]
    if after is not None:
        name = _name(on)
        head += [words("capacity.hours_without", name=name), words("capacity.cost_without")]
    lines = []
    for part in PARTS:
        cells = [words(f"capacity.{part}")]
        for one in both:
            us, minor = _uses(one)[part]
            cells += [_part(us, one, on), _short(minor, one, on)]
        lines.append(Line(tuple(cells), "risk" if part == "stranded" else ""))
    total = [words("capacity.total")]
    for one in both:
        total += [percent(Decimal(1), words.lang), _short(one.cost_minor, one, on)]
    return Table(head=tuple(head), lines=(*lines, Line(tuple(total), "total")))


def _uses(one: Statement) -> dict[str, tuple[int, int]]:
    return {
        "busy": (sum(one.time.busy.values()), one.customer_minor),
        "reserved_idle": (sum(one.time.reserved_idle.values()), one.reserved_idle_minor),
        "idle": (one.time.idle, one.money.idle),
        "stranded": (one.time.stranded, one.money.stranded),
    }


def _picture(one: Statement, found: CapacityFacts, on: Desk) -> Picture:
    words, name, gone = on.words, _name(on), found.after is not None
    names = CapacityWords(
        reserved_idle=words("capacity.reserved_idle"),
        idle=words("capacity.idle"),
        stranded=words("capacity.stranded"),
        provisioned=words("capacity.provisioned"),
        axis=words("capacity.axis"),
    )
    caption = words("capacity.caption_without" if gone else "capacity.caption", name=name)
    caption = on.labelled(caption)
    layers = from_series(stack(one), after_departure=gone)
    named = tuple(
        msgspec.structs.replace(layer, label=words("capacity.others"))
        if layer.kind == "rest"
        else msgspec.structs.replace(layer, label=found.names.get(layer.label, layer.label))
        for layer in layers.layers
    )
    drawn = [
        capacity_stack(
            msgspec.structs.replace(layers, layers=named),
            names,
            title=words("capacity.title", fleet=one.fleet.name),
            desc=caption,
            lang=words.lang,
            width=width,
            name=f"capacity-{width}",
        )
        for width in (DESK_PX, PHONE_PX)
    ]
    return picture(drawn, caption)


def _payback(found: Payback, currency: str, on: Desk) -> str:
    words, lang = on.words, on.words.lang

    def months(value: Decimal) -> str:
        return number(value, lang, decimals=1)

    places = {
        "capex": money_short(Money(found.capex_minor, currency), lang),
        "contribution": percent(found.contribution, lang, decimals=0),
        "name": _name(on),
        "with_everybody": months(found.with_everybody),
        "within": number(found.within, lang, decimals=0),
    }
    if found.without is None or found.stretch is None:
        return words("capacity.payback_never", **places)
    key = "capacity.payback"
    if found.break_even is None:
        key = "capacity.payback_late"
    elif not found.break_even:
        key = "capacity.payback_safe"
    part = "" if found.break_even is None else percent(found.break_even, lang)
    return words(
        key,
        **places,
        without=months(found.without),
        stretch=number(found.stretch, lang, decimals=3),
        break_even=part,
    )


def _payback_owed(found: Payback, on: Desk) -> str:
    months = found.without_owed
    if months is None:
        return on.words("capacity.payback_owed_never", name=_name(on))
    said = number(months, on.words.lang, decimals=1)
    return on.words("capacity.payback_owed", name=_name(on), without=said)


def _part(us: int, one: Statement, on: Desk) -> str:
    return percent(decimal(Fraction(us, one.gpu_us or 1)), on.words.lang)


def _short(minor: int, one: Statement, on: Desk) -> str:
    return money_short(Money(minor, one.fleet.currency), on.words.lang)
