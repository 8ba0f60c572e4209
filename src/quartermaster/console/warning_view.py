"""The warning page in words, rows and one picture: who is leaving, and what is at stake."""

from decimal import Decimal
from urllib.parse import quote

import msgspec

from quartermaster.console.exposure_view import picture
from quartermaster.console.figures_warning import ChanceRow, chance_intervals
from quartermaster.console.format import (
    EM_DASH,
    NBSP,
    day,
    money_range,
    money_short,
    month_long,
    number,
    percent,
)
from quartermaster.console.language import Words
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture, Tile
from quartermaster.console.ports_warning import AtStake, WarningFacts, WarningLook
from quartermaster.console.report_words import statistic
from quartermaster.console.warning_text import chance, kind_words, pct
from quartermaster.kernel.money import Money

SHOWN_MAX = 10
"""Customers in the picture: a screen of intervals."""
SEEING_SHARE = 0.5
"""Detectors that would find less than half of the fades put into this history are no watch."""
ROWS_MAX = 25
"""Rows of the table: as many as somebody looks into; all are in the CSV."""


class WarningRow(msgspec.Struct, frozen=True):
    """One line of the table of customers."""

    href: str
    name: str
    alarm: str
    probability: str
    interval: str
    revenue: str
    expected: str
    expected_range: str
    quarter: str
    evidence: str
    kind: str


class WarningView(msgspec.Struct, frozen=True):
    """Everything the warning page shows."""

    sample: bool
    findings: tuple[str, ...]
    event: str
    origin: str
    tiles: tuple[Tile, ...]
    picture: Picture
    caption: str
    rows: tuple[WarningRow, ...]
    notes: tuple[str, ...]


def address_of(customer: str) -> str:
    """A customer's own page."""
    return f"/warning/{quote(customer, safe='')}"


def view_of(
    facts: WarningFacts, look: WarningLook, words: Words, sample_words: Words
) -> WarningView:
    """Lay the facts out for a reader; there is at least one customer."""
    lay = Stakes(facts, words, sample_words)
    rows = facts.customers[:ROWS_MAX]
    return WarningView(
        sample=facts.sample,
        findings=tuple(_findings(facts, look, lay)),
        event=words("page.event"),
        origin=lay.origin(look),
        tiles=_tiles(facts, look, lay),
        picture=_picture(facts, lay),
        caption=words("table.caption" if facts.currency else "table.caption_plain"),
        rows=tuple(_row(one, lay) for one in rows),
        notes=tuple(_notes(facts, lay)),
    )


class Stakes:
    """Amounts and sentences of one book, for one reader."""

    def __init__(self, facts: WarningFacts, words: Words, sample_words: Words) -> None:
        self.facts, self.words, self._sample_words = facts, words, sample_words
        self.lang = words.lang
        first, last = (
            month_long(month, words.lang) if month else "" for month in (facts.first, facts.last)
        )
        self.window = last if first == last else words("table.window", first=first, last=last)

    def labelled(self, sentence: str) -> str:
        """The sentence, marked where the book is a sample."""
        if not self.facts.sample:
            return sentence
        return self._sample_words("sample.sentence", sentence=sentence)

    def short(self, minor: int | None) -> str:
        """An amount in the largest unit that fits; a dash where there is none."""
        if minor is None:
            return EM_DASH
        return money_short(Money(minor, self.facts.currency), self.lang)

    def range(self, low: int | None, high: int | None) -> str:
        """Two amounts in one unit."""
        if low is None or high is None:
            return EM_DASH
        bottom, top = (Money(end, self.facts.currency) for end in (low, high))
        return money_range(bottom, top, self.lang)

    def origin(self, look: WarningLook) -> str:
        """Where the figures come from."""
        place = day(look.on, self.lang)
        if not self.facts.currency:
            return self.words("page.origin_use", day=place)
        origin = self.words.pick(self.facts.origin).rstrip(".")
        return self.words("page.origin", day=place, origin=origin)


def _findings(facts: WarningFacts, look: WarningLook, lay: Stakes) -> list[str]:
    words, alarms = lay.words, [one for one in facts.customers if one.alarm]
    found = []
    if look.false_alarms_a_year is None:
        found.append(
            words(
                "finding.unwatched",
                needed=number(look.alarm_days_min, lay.lang),
                days=number(look.days, lay.lang),
            )
        )
    elif not alarms:
        found.append(words("finding.no_alarms"))
        if look.tried and look.found is not None and look.found < SEEING_SHARE * look.tried:
            found.append(
                words(
                    "finding.nearly_blind",
                    found=number(round(look.found), lay.lang),
                    tried=number(round(look.tried), lay.lang),
                    window=number(round(look.window_days or 0), lay.lang),
                )
            )
    elif facts.currency:
        total = sum(one.minor or 0 for one in facts.customers)
        share = Decimal(sum(one.minor or 0 for one in alarms)) / total if total else Decimal(0)
        found.append(
            words(
                "finding.alarms",
                count=number(len(alarms), lay.lang),
                share=percent(share, lay.lang),
                denominator=words.pick(facts.denominator),
                window=lay.window,
            )
        )
    else:
        found.append(words("finding.alarms_use", count=number(len(alarms), lay.lang)))
    most = max(facts.customers, key=_stake)
    key = "finding.first" if most.minor is not None else "finding.first_use"
    places = chance(most.look.ledger.stated, words) | {"name": most.look.name}
    if most.minor is not None:
        places |= {"lost": lay.short(most.expected_minor), "revenue": lay.short(most.minor)}
        places |= {"window": lay.window}
    found.append(words(key, **places))
    if facts.still_open:
        found.append(words("finding.open", month=lay.window))
    return found


def _stake(one: AtStake) -> tuple[int, float]:
    lost = -1 if one.expected_minor is None else one.expected_minor
    return lost, one.look.ledger.stated.probability


def _tiles(facts: WarningFacts, look: WarningLook, lay: Stakes) -> tuple[Tile, ...]:
    words = lay.words
    alarms = sum(one.alarm for one in facts.customers)
    count = number(len(facts.customers), lay.lang)
    tiles = [
        Tile(
            "alarm",
            words("tile.alarms"),
            number(alarms, lay.lang),
            words("tile.alarms_note", count=count),
            risk=alarms > 0,
        )
    ]
    if facts.currency:
        expected = sum(one.expected_minor or 0 for one in facts.customers)
        note = words("tile.expected_note", window=lay.window)
        tiles.append(Tile("stake", words("tile.expected"), lay.short(expected), note))
    highest = max(facts.customers, key=lambda one: one.look.ledger.stated.probability)
    value = pct(highest.look.ledger.stated.probability, words)
    tiles.append(Tile("probability", words("tile.highest"), value, highest.look.name))
    if look.false_alarms_a_year is not None:
        rate = number(statistic(look.false_alarms_a_year), lay.lang, decimals=2)
        value = words("tile.false_value", rate=rate)
        tiles.append(Tile("alarm", words("tile.false"), value, words("tile.false_note")))
    return tuple(tiles)


def _picture(facts: WarningFacts, lay: Stakes) -> Picture:
    words, shown = lay.words, facts.customers[:SHOWN_MAX]
    caption = words("table.picture_caption", count=number(len(shown), lay.lang))
    rows = []
    for one in shown:
        stated = one.look.ledger.stated
        value = pct(stated.probability, words)
        if one.minor is not None:
            value = f"{value}{NBSP}· {lay.short(one.expected_minor)}"
        rows.append(
            ChanceRow(
                label=one.look.name,
                probability=stated.probability,
                low=stated.low,
                high=stated.high,
                value=value,
                alarm=one.alarm,
                hint=words("ledger.end_hint", label=one.look.name, **chance(stated, words)),
            )
        )
    drawn = [
        chance_intervals(
            rows,
            title=words("table.picture"),
            desc=lay.labelled(caption),
            x_label=words("table.x" if width == WIDE_PX else "ledger.x"),
            width=width,
            name=f"chances-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    return picture(drawn, lay.labelled(caption))


def _row(one: AtStake, lay: Stakes) -> WarningRow:
    words, look = lay.words, one.look
    stated = chance(look.ledger.stated, words)
    alarm = ""
    if look.alarms:
        since = min(alarm.since for alarm in look.alarms)
        alarm = day(since, lay.lang)
    told = [
        kind_words(step.kind, words)
        for step in look.ledger.steps
        if step.kind not in {"usage_alarm", "usage_quiet"}
    ]
    return WarningRow(
        href=address_of(look.customer),
        name=look.name,
        alarm=alarm,
        probability=stated["probability"],
        interval=words("ledger.ratio_range", low=stated["low"], high=stated["high"]),
        revenue=lay.short(one.minor),
        expected=lay.short(one.expected_minor),
        expected_range=lay.range(one.expected_low_minor, one.expected_high_minor),
        quarter=EM_DASH if look.quarter is None else pct(look.quarter, words),
        evidence="; ".join(told),
        kind="largest" if look.alarms else "named",
    )


def _notes(facts: WarningFacts, lay: Stakes) -> list[str]:
    words, more = lay.words, len(facts.customers) - ROWS_MAX
    found = []
    if facts.currency:
        denominator = words.pick(facts.denominator)
        found.append(words("table.of", denominator=denominator, window=lay.window))
    if more > 0:
        found.append(words("table.more", count=number(more, lay.lang)))
    if facts.currency and any(one.minor is None for one in facts.customers):
        found.append(words("table.no_revenue", currency=facts.currency))
    return found
