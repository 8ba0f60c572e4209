"""The reliability page in words, rows and pictures: how good our own probabilities were."""

from collections.abc import Callable

import msgspec

from quartermaster.console.exposure_view import picture
from quartermaster.console.figures_reliability import StatedBin, reliability_diagram
from quartermaster.console.format import EM_DASH, day, number
from quartermaster.console.language import Words
from quartermaster.console.overview_view import PHONE_PX, Picture, Tile
from quartermaster.console.ports_warning import EventRecord, ReliabilityFacts, Scored
from quartermaster.console.report_words import statistic
from quartermaster.console.warning_text import against_chance, pct

DIAGRAM_PX = 420
"""The diagram is nearly square: wider, it is only taller."""
SCALES = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Where the scales of a diagram may end: small probabilities would all stand in one corner."""
LEARNT_WEEKS = 26
"""Weeks of usage before the first statement about the next quarter."""
_SCORE_DECIMALS = 4

Label = Callable[[str], str]
"""Marks a sentence where the book is a sample."""


class ScoreRow(msgspec.Struct, frozen=True):
    """One score, of all statements that came to term and of those that do not overlap."""

    name: str
    every: str
    apart: str


class BinRow(msgspec.Struct, frozen=True):
    """Statements of about one probability."""

    stated: str
    came: str
    interval: str
    number: str


class EventView(msgspec.Struct, frozen=True):
    """The record of one event."""

    key: str
    title: str
    sentences: tuple[str, ...]
    warning: str
    tiles: tuple[Tile, ...]
    picture: Picture | None
    scores: tuple[ScoreRow, ...]
    bins: tuple[BinRow, ...]


class ReliabilityView(msgspec.Struct, frozen=True):
    """Everything the reliability page shows."""

    sample: bool
    origin: str
    findings: tuple[str, ...]
    events: tuple[EventView, ...]
    overlap: str


def view_of(facts: ReliabilityFacts, words: Words, sample_words: Words) -> ReliabilityView:
    """Lay the facts out for a reader."""

    def labelled(sentence: str) -> str:
        return sample_words("sample.sentence", sentence=sentence) if facts.sample else sentence

    return ReliabilityView(
        sample=facts.sample,
        origin=words("reliability.origin", origin=words.pick(facts.origin)),
        findings=tuple(
            words(
                "reliability.finding",
                event=words(f"reliability.{record.event}"),
                sentence=_sentences(record, words)[0],
            )
            for record in facts.records
        ),
        events=tuple(_event(record, words, labelled) for record in facts.records),
        overlap=words("reliability.overlap"),
    )


def _event(record: EventRecord, words: Words, labelled: Label) -> EventView:
    warning = ""
    if record.apart is not None and not record.enough:
        warning = words(
            "reliability.too_few",
            count=number(record.apart.statements, words.lang),
            needed=number(record.statements_min, words.lang),
        )
    elif record.apart is not None and record.apart.beyond_chance:
        warning = _against_chance(record.apart, words)
    return EventView(
        key=record.event,
        title=words(f"reliability.{record.event}"),
        sentences=tuple(_sentences(record, words)[1:]),
        warning=warning,
        tiles=() if record.scored is None else _tiles(record.scored, words),
        picture=None if record.apart is None else _diagram(record, record.apart, words, labelled),
        scores=() if record.scored is None else _scores(record.scored, record.apart, words),
        bins=() if record.apart is None else _bins(record.apart, words),
    )


def _sentences(record: EventRecord, words: Words) -> list[str]:
    lang = words.lang
    if record.first_on is None:
        return [words("reliability.nothing", weeks=number(LEARNT_WEEKS, lang))]
    due = "" if record.next_due is None else day(record.next_due, lang)
    if record.scored is None:
        return [
            words(
                "reliability.open",
                stated=number(record.stated, lang),
                days=number(record.days, lang),
                first=day(record.first_on, lang),
                due=due,
            )
        ]
    found = [
        words(
            "reliability.scored",
            count=number(record.scored.statements, lang),
            stated=number(record.stated, lang),
            came=number(record.scored.came, lang),
        )
    ]
    if record.apart is not None:
        found.append(
            words(
                "reliability.calibrated",
                count=number(record.apart.statements, lang),
                customers=number(record.apart.customers, lang),
                days=number(record.apart.days, lang),
                brier=_score(record.apart.brier, words),
                expected=_score(record.apart.brier_if_calibrated, words),
                sd=_score(record.apart.brier_if_calibrated_sd, words),
            )
        )
        if record.enough and not record.apart.beyond_chance:
            found.append(_against_chance(record.apart, words))
    if due:
        found.append(words("reliability.due", day=due))
    return found


def _against_chance(scored: Scored, words: Words) -> str:
    came = scored.came / scored.statements
    ends = scored.low, scored.high
    return against_chance(scored.stated, came, ends, words, beyond=scored.beyond_chance)


def _tiles(scored: Scored, words: Words) -> tuple[Tile, ...]:
    rate = scored.came / scored.statements
    came = f"{number(scored.came, words.lang)} {words('reliability.came_n')}"
    base = f"{words('reliability.brier_base')}: {_score(scored.brier_base_rate, words)}"
    return (
        Tile("brier", words("reliability.brier"), _score(scored.brier, words), base),
        Tile("brier", words("reliability.log"), _score(scored.log_score, words), ""),
        Tile("base", words("reliability.n"), number(scored.statements, words.lang), came),
        Tile("base", words("reliability.base_rate"), pct(rate, words), ""),
    )


def _diagram(record: EventRecord, scored: Scored, words: Words, labelled: Label) -> Picture:
    bins = [
        StatedBin(
            stated=one.stated,
            came=one.came,
            low=one.low,
            high=one.high,
            count=number(one.statements, words.lang),
            hint=words(
                "reliability.hint",
                stated=pct(one.stated, words),
                came=pct(one.came, words),
                low=pct(one.low, words),
                high=pct(one.high, words),
                number=number(one.statements, words.lang),
            ),
        )
        for one in scored.bins
    ]
    highest = max(max(one.high, one.stated) for one in scored.bins)
    upto = next(scale for scale in SCALES if scale >= highest)
    caption = words("reliability.caption")
    title = words("reliability.figure", event=words(f"reliability.{record.event}"))
    drawn = [
        reliability_diagram(
            bins,
            title=title,
            desc=labelled(caption),
            x_label=words("reliability.x"),
            y_label=words("reliability.y"),
            diagonal=words("reliability.diagonal"),
            upto=upto,
            width=width,
            name=f"{record.event}-{width}",
        )
        for width in (DIAGRAM_PX, PHONE_PX)
    ]
    return picture(drawn, labelled(caption))


def _scores(scored: Scored, apart: Scored | None, words: Words) -> tuple[ScoreRow, ...]:
    rows = []
    for key, field in (
        ("brier", "brier"),
        ("brier_base", "brier_base_rate"),
        ("brier_calibrated", "brier_if_calibrated"),
        ("log", "log_score"),
        ("error", "calibration_error"),
    ):
        every = _score(getattr(scored, field), words)
        lone = EM_DASH if apart is None else _score(getattr(apart, field), words)
        rows.append(ScoreRow(words(f"reliability.{key}"), every, lone))
    counts = [
        EM_DASH if one is None else number(one.statements, words.lang) for one in (scored, apart)
    ]
    rates = [
        EM_DASH if one is None else pct(one.came / one.statements, words) for one in (scored, apart)
    ]
    return (
        ScoreRow(words("reliability.n"), *counts),
        ScoreRow(words("reliability.base_rate"), *rates),
        *rows,
    )


def _bins(scored: Scored, words: Words) -> tuple[BinRow, ...]:
    return tuple(
        BinRow(
            pct(one.stated, words),
            pct(one.came, words),
            words("ledger.ratio_range", low=pct(one.low, words), high=pct(one.high, words)),
            number(one.statements, words.lang),
        )
        for one in scored.bins
    )


def _score(value: float, words: Words) -> str:
    return number(statistic(value), words.lang, decimals=_SCORE_DECIMALS)
