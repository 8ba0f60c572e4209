"""Recorded guidance in words and rows: what was promised, what came, and the verdict."""

import re
from decimal import Decimal

import msgspec

from quartermaster.console.format import (
    EM_DASH,
    NBSP,
    day,
    money_range,
    money_short,
    month_long,
    number,
)
from quartermaster.console.language import Words
from quartermaster.console.ports import day_or_none
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.money import Money, exponent
from quartermaster.revenue.guidance import Figure, Verdict
from quartermaster.revenue.scorecard import Entry, Scorecard

ROWS_MAX = 8
"""Two years of quarters; all of it is in the CSV."""

_CURRENCY = re.compile("[A-Z]{3}")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class PromiseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One promise as a table shows it."""

    period: str
    metric: str
    guided: str
    basis: str
    came: str
    verdict: str
    kind: str
    """`risk` for a miss, `near` where nobody can tell, or `fine`."""
    source: str


class PromisesView(msgspec.Struct, frozen=True):
    """What the overview shows of recorded guidance."""

    rows: tuple[PromiseRow, ...]
    counts: str
    older: int
    inferred: bool


def view_of(card: Scorecard, words: Words) -> PromisesView:
    """The newest promises first, as the reader's language writes them."""
    said = catalogue("guidance", words.lang)
    entries = sorted(card.entries, key=lambda one: one.promise.guidance.issued_on, reverse=True)
    counts = card.counts
    scored = len(card.entries) - counts["not_comparable"] - counts["pending"]
    return PromisesView(
        rows=tuple(_row(entry, said) for entry in entries[:ROWS_MAX]),
        counts=words(
            "overview.promises_counts",
            scored=number(scored, words.lang),
            refused=number(counts["not_comparable"], words.lang),
            pending=number(counts["pending"], words.lang),
        ),
        older=max(len(entries) - ROWS_MAX, 0),
        inferred=any(entry.promise.guidance.inferred for entry in entries[:ROWS_MAX]),
    )


def newest(card: Scorecard, words: Words) -> PromiseRow:
    """The promise that was made last."""
    return view_of(card, words).rows[0]


def verdict_words(verdict: Verdict, said: Words) -> str:
    """A verdict, and why there is none."""
    if verdict.outcome != "not_comparable":
        return said(f"verdicts.{verdict.outcome}")
    reasons = ", ".join(said(f"reasons.{reason}") for reason in verdict.reasons)
    return said("verdicts.not_comparable", reasons=reasons)


def _row(entry: Entry, said: Words) -> PromiseRow:
    guidance, actual, lang = entry.promise.guidance, entry.promise.actual, said.lang
    figure, outcome = guidance.figure, entry.verdict.outcome
    came = EM_DASH
    if actual is not None:
        came = _figure(actual.value, actual.value, actual.figure, said)
        if actual.figure.basis != figure.basis:
            came = f"{came} ({said(f'bases.{actual.figure.basis}')})"
    on = day_or_none(guidance.issued_on)
    when = guidance.issued_on if on is None else day(on, lang)
    mark = " *" if guidance.inferred else ""
    key = f"metrics.{figure.metric}"
    return PromiseRow(
        period=month_long(figure.period, lang)
        if _MONTH.fullmatch(figure.period)
        else figure.period,
        metric=said(key) if said.has(key) else f"{figure.metric} {figure.metric_version}",
        guided=_figure(guidance.low, guidance.high, figure, said) + mark,
        basis=said(f"bases.{figure.basis}"),
        came=came,
        verdict=verdict_words(entry.verdict, said),
        kind="risk" if outcome == "miss" else "near" if outcome == "not_comparable" else "fine",
        source=f"{guidance.source}, {when}" if when else guidance.source,
    )


def _figure(low: str, high: str, figure: Figure, said: Words) -> str:
    """A range, or a point, in its unit."""
    lang, ends = said.lang, (Decimal(low), Decimal(high))
    if _CURRENCY.fullmatch(figure.unit):
        scale = exponent(figure.unit)
        bottom, top = (Money(int(end.scaleb(scale)), figure.unit) for end in ends)
        text = money_range(bottom, top, lang)
        return text if bottom != top else money_short(bottom, lang)
    text = "–".join(number(end, lang) for end in dict.fromkeys(ends))
    gap = "" if figure.unit == "%" and lang == "en" else NBSP
    return f"{text}{gap}{figure.unit}"
