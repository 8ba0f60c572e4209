"""The overview in words, rows and pictures: from facts to what the template shows.

Nothing here computes an amount or a share, with one exception that a reader can check by eye: the
customers under the last named row are added up as integers.
"""

from decimal import Decimal

import msgspec
from markupsafe import Markup

from quartermaster.console import figures, guidance_view
from quartermaster.console.figures import GuidanceBand, RatePoint, ShareKind, ShareSegment
from quartermaster.console.format import (
    day,
    moment,
    money,
    money_range,
    money_short,
    month_long,
    number,
    percent,
)
from quartermaster.console.guidance_view import PromisesView
from quartermaster.console.language import Words
from quartermaster.console.ports import GroupRevenue, Guidance, OverviewFacts
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.money import Money

NAMED_ROWS_MAX = 8
"""A table that fits beside its picture; the others are one row, and all are in the CSV."""
NAMED_SEGMENTS_MAX = 6
"""Tones of one hue that can still be told apart."""
WIDE_PX, PHONE_PX = 1040, 336
"""Inner widths of a panel on a desk and on a phone of 390 px."""


class Tile(msgspec.Struct, frozen=True):
    """One number with its name; `definition` is its anchor on the help page."""

    definition: str
    label: str
    value: str
    note: str
    risk: bool = False


class Row(msgspec.Struct, frozen=True):
    """One line of the table of customers."""

    rank: str
    name: str
    entities: str
    amount: str
    share: str
    kind: ShareKind


class Picture(msgspec.Struct, frozen=True):
    """A figure for desks and the same for phones, with the sentence under it."""

    wide: Markup
    phone: Markup
    caption: str


class OverviewView(msgspec.Struct, frozen=True):
    """Everything the overview shows of one book."""

    sample: bool
    findings: tuple[str, ...]
    origin: str
    tiles: tuple[Tile, ...]
    rate: Picture
    shares: Picture
    rows: tuple[Row, ...]
    total: Row
    denominator: str
    period: str
    promises: PromisesView | None


def view_of(facts: OverviewFacts, words: Words) -> OverviewView:
    """Lay the facts out for a reader."""
    shares = _shares_finding(facts, words)
    rate = _rate_finding(facts, words)
    return OverviewView(
        sample=facts.sample,
        findings=(shares, rate, *_open_finding(facts, words)),
        origin=_origin(facts, words),
        tiles=_tiles(facts, words),
        rate=_rate_picture(facts, words, rate),
        shares=_share_picture(facts, words, shares),
        rows=_rows(facts, words),
        total=_total(facts, words),
        denominator=words.pick(facts.denominator),
        period=month_long(facts.period, words.lang),
        promises=None if facts.promises is None else guidance_view.view_of(facts.promises, words),
    )


def _origin(facts: OverviewFacts, words: Words) -> str:
    if facts.origin is None:
        return ""
    return words("overview.origin", origin=words.pick(facts.origin).rstrip("."))


def _shares_finding(facts: OverviewFacts, words: Words) -> str:
    largest = facts.revenue[0]
    return words(
        "overview.finding_share",
        name=largest.name,
        share=percent(largest.share, words.lang),
        denominator=words.pick(facts.denominator),
        month=month_long(facts.period, words.lang),
    )


def _rate_finding(facts: OverviewFacts, words: Words) -> str:
    last, guidance = facts.run_rate[-1], facts.guidance
    places = {"rate": _short(last.annual_minor, facts, words)}
    if guidance is None:
        return words("overview.finding_rate", **places)
    places |= {
        "range": _range(guidance, facts, words),
        "first": month_long(guidance.first, words.lang),
    }
    if guidance.reasons:
        said = catalogue("guidance", words.lang)
        places["reasons"] = ", ".join(said(f"reasons.{reason}") for reason in guidance.reasons)
    return words(f"overview.finding_rate_{_verdict(facts, guidance)}", **places)


def _open_finding(facts: OverviewFacts, words: Words) -> tuple[str, ...]:
    if not facts.still_open:
        return ()
    month, at = month_long(facts.period, words.lang), moment(facts.as_of, words.lang)
    return (words("overview.finding_open", month=month, at=at),)


def _verdict(facts: OverviewFacts, guidance: Guidance) -> str:
    period, annual_minor = facts.run_rate[-1].period, facts.run_rate[-1].annual_minor
    if guidance.reasons:
        return "not_comparable"
    if period < guidance.first or (facts.still_open and period == guidance.first):
        return "early"
    if period > guidance.last:
        return "past"
    if annual_minor < guidance.low_minor:
        return "below"
    return "above" if annual_minor > guidance.high_minor else "inside"


def _tiles(facts: OverviewFacts, words: Words) -> tuple[Tile, ...]:
    largest, lang = facts.revenue[0], words.lang
    return (
        Tile(
            "run_rate",
            words("overview.run_rate"),
            _short(facts.run_rate[-1].annual_minor, facts, words),
            words("overview.run_rate_note", month=month_long(facts.run_rate[-1].period, lang)),
        ),
        _guidance_tile(facts, words),
        Tile(
            "share",
            words("overview.largest"),
            percent(largest.share, lang),
            largest.name,
            risk=True,
        ),
        Tile(
            "effective_number",
            words("overview.effective_number"),
            number(facts.effective_number, lang, decimals=1),
            words("overview.effective_number_note", count=number(len(facts.revenue), lang)),
        ),
    )


def _guidance_tile(facts: OverviewFacts, words: Words) -> Tile:
    """The band of the run-rate; else the promise that was made last, and what became of it."""
    guidance, label = facts.guidance, words("overview.guidance")
    if guidance is not None:
        basis = words.pick(guidance.basis)
        return Tile("guidance", label, _range(guidance, facts, words), basis)
    if facts.promises is None:
        none = words("overview.no_guidance")
        return Tile("guidance", label, none, words("overview.no_guidance_note"))
    last = guidance_view.newest(facts.promises, words)
    note = f"{last.metric}, {last.period}: {last.verdict}"
    return Tile("guidance", label, last.guided, note, last.kind == "risk")


def _rate_picture(facts: OverviewFacts, words: Words, finding: str) -> Picture:
    guidance, band = facts.guidance, None
    if guidance is not None:
        band = _band(guidance, facts, words)
    points = [RatePoint(rate.period, rate.annual_minor) for rate in facts.run_rate]
    drawn = [
        figures.run_rate_line(
            points,
            guidance=band,
            title=words("overview.rate_title"),
            desc=_labelled(facts, words, finding),
            lang=words.lang,
            currency=facts.currency,
            width=width,
            name=f"run-rate-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    caption = words("overview.rate_caption")
    if guidance is not None:
        who = guidance.said_by
        if guidance.said_on is not None:
            who = f"{who}, {day(guidance.said_on, words.lang)}"
        caption = words("overview.rate_caption_guided", said_by=who)
    return _picture(drawn, _labelled(facts, words, caption))


def _band(guidance: Guidance, facts: OverviewFacts, words: Words) -> GuidanceBand:
    shown = _range(guidance, facts, words)
    return GuidanceBand(
        guidance.first,
        guidance.last,
        guidance.low_minor,
        guidance.high_minor,
        words("overview.guidance_label", range=shown, basis=words.pick(guidance.basis)),
        words("overview.guidance_short", range=shown),
    )


def _range(guidance: Guidance, facts: OverviewFacts, words: Words) -> str:
    low, high = (
        Money(guidance.low_minor, facts.currency),
        Money(guidance.high_minor, facts.currency),
    )
    return money_range(low, high, words.lang)


def _share_picture(facts: OverviewFacts, words: Words, finding: str) -> Picture:
    drawn = [
        figures.share_bar(
            _segments(facts, words),
            title=words("overview.shares_title"),
            desc=_labelled(facts, words, finding),
            lang=words.lang,
            currency=facts.currency,
            width=width,
            name=f"shares-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    caption = words("overview.shares_caption", denominator=words.pick(facts.denominator))
    return _picture(drawn, _labelled(facts, words, caption))


def _picture(drawn: list[str], caption: str) -> Picture:
    # The figures escape every word they are given; nothing else may be marked as safe.
    wide, phone = (Markup(figure) for figure in drawn)  # noqa: S704
    return Picture(wide, phone, caption)


def _labelled(facts: OverviewFacts, words: Words, sentence: str) -> str:
    return words("sample.sentence", sentence=sentence) if facts.sample else sentence


def _segments(facts: OverviewFacts, words: Words) -> list[ShareSegment]:
    named, others = _named_and_others(facts.revenue, NAMED_SEGMENTS_MAX)
    segments = [
        ShareSegment(group.name, group.minor, group.share, "named" if rank else "largest")
        for rank, group in enumerate(named)
    ]
    if others:
        minor, share = _sum(others)
        segments.append(ShareSegment(_others(others, words), minor, share, "rest"))
    return segments


def _rows(facts: OverviewFacts, words: Words) -> tuple[Row, ...]:
    named, others = _named_and_others(facts.revenue, NAMED_ROWS_MAX)
    rows = [
        Row(
            number(rank, words.lang),
            group.name,
            ", ".join(group.entities),
            money(Money(group.minor, facts.currency), words.lang),
            percent(group.share, words.lang),
            "largest" if rank == 1 else "named",
        )
        for rank, group in enumerate(named, start=1)
    ]
    if others:
        minor, share = _sum(others)
        amount = money(Money(minor, facts.currency), words.lang)
        shown = percent(share, words.lang)
        rows.append(Row("", _others(others, words), "", amount, shown, "rest"))
    return tuple(rows)


def _total(facts: OverviewFacts, words: Words) -> Row:
    amount = money(Money(facts.total_minor, facts.currency), words.lang)
    return Row("", words("overview.total"), "", amount, percent(Decimal(1), words.lang), "rest")


def _named_and_others(
    groups: tuple[GroupRevenue, ...], most: int
) -> tuple[tuple[GroupRevenue, ...], tuple[GroupRevenue, ...]]:
    """The largest by name and the others to add up; a single other is named too."""
    cut = most if len(groups) > most + 1 else len(groups)
    return groups[:cut], groups[cut:]


def _sum(groups: tuple[GroupRevenue, ...]) -> tuple[int, Decimal]:
    share = sum((group.share for group in groups), Decimal(0))
    return sum(group.minor for group in groups), share


def _others(groups: tuple[GroupRevenue, ...], words: Words) -> str:
    return words("overview.others", count=number(len(groups), words.lang))


def _short(minor: int, facts: OverviewFacts, words: Words) -> str:
    return money_short(Money(minor, facts.currency), words.lang)
