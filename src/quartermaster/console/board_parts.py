"""What a board report is laid out from: sections of words, a picture, tables and notes."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from markupsafe import Markup

from quartermaster.console.board_facts import BoardFacts
from quartermaster.console.format import money_short, percent
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue, percent_words, statistic
from quartermaster.exposure.rollup import GroupShare
from quartermaster.kernel.money import EXACT, Money

DESK_PX = 720
"""Inner width of an A4 page at 96 px an inch, and of the page on a desk."""
PHONE_PX = 350
"""Inner width of the page on a phone of 390 px."""


class Picture(msgspec.Struct, frozen=True):
    """A figure for desks and paper, the same for phones, and the sentence under it."""

    desk: Markup
    phone: Markup
    caption: str


class Line(msgspec.Struct, frozen=True):
    """A row of a table: the first cell names it; `kind` is its class: risk, rest, total or none."""

    cells: tuple[str, ...]
    kind: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows under heads; columns from `words_from` on, and the first, hold words, not numbers."""

    head: tuple[str, ...]
    lines: tuple[Line, ...]
    caption: str = ""
    words_from: int = 99

    def numeric(self, at: int) -> bool:
        """Whether a column is set flush right."""
        return 0 < at < self.words_from


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the report; what is empty is not shown."""

    id: str
    title: str
    lead: tuple[str, ...] = ()
    picture: Picture | None = None
    table: Table | None = None
    entries: tuple[tuple[str, str], ...] = ()
    """Terms with their meaning."""
    items: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Missing(msgspec.Struct, frozen=True):
    """A section that this report does not have, and how to give it."""

    key: str
    what: str
    how: str
    options: tuple[str, ...] = ()
    """What to add to the command, or to type where something is to be installed."""


class Desk(msgspec.Struct, frozen=True):
    """The facts with the words of one reader at hand."""

    facts: BoardFacts
    words: Words
    """Of the board report."""
    report_words: Words
    """Of the exposure report, whose parts this one shares."""

    def short(self, minor: int) -> str:
        """An amount to three digits, in the report's currency."""
        return money_short(Money(minor, self.facts.currency), self.words.lang)

    def name(self, group: GroupShare) -> str:
        """Its name, or that the rows do not state it."""
        return group.group or self.report_words("shares.unstated")

    def share(self, minor: int) -> str:
        """An amount as a percentage of the report's denominator."""
        whole = self.facts.report.exposure.denominator.minor
        return percent_words(EXACT.divide(Decimal(minor), Decimal(whole)), self.words.lang)

    def part(self, share: float, decimals: int = 0) -> str:
        """A statistic as a percentage."""
        return percent(statistic(share), self.words.lang, decimals=decimals)

    def labelled(self, sentence: str) -> str:
        """The sentence, marked where the figures are a sample's: a figure is copied alone."""
        return self.words("sample_sentence", sentence=sentence) if self.facts.sample else sentence


def desk(facts: BoardFacts, words: Words) -> Desk:
    """The facts for a reader of these words."""
    return Desk(facts, words, catalogue("report", words.lang))


def picture(drawn: Sequence[str], caption: str) -> Picture:
    """The figure of a desk and that of a phone, with their sentence."""
    # The figures escape every word they are given; nothing else may be marked as safe.
    wide, phone = (Markup(figure) for figure in drawn)  # noqa: S704
    return Picture(wide, phone, caption)


def rate(share: float, words: Words) -> str:
    """A rate, horizon's part or edge as a percentage with the digits that it has, at most two."""
    places = -int(round(Decimal(f"{share:.6g}"), 4).normalize().as_tuple().exponent) - 2
    return percent(statistic(share), words.lang, decimals=max(0, places))
