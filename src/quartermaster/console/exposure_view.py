"""The exposure page in words, rows and pictures: how much hangs on whom, over time, and ahead.

Nothing here computes an amount or a share, except that the customers under the last named row are
added up as integers, and a page's percentages are rounded.
"""

from decimal import Decimal

import msgspec
from markupsafe import Markup

from quartermaster.console import exposure_loss, figures_exposure
from quartermaster.console.exposure_loss import LossView, rate
from quartermaster.console.exposure_state import FIELDS, query_of
from quartermaster.console.figures_exposure import ShareEdge, ShareMonth
from quartermaster.console.figures_forecast import Ahead, Known, fan_chart
from quartermaster.console.format import (
    EM_DASH,
    money,
    money_range,
    money_short,
    month,
    month_long,
    number,
    percent,
)
from quartermaster.console.language import Words
from quartermaster.console.number_field import Field
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture, Tile
from quartermaster.console.ports_exposure import ExposureFacts, Fan, FanMonth, ShareWindow
from quartermaster.console.report_words import statistic
from quartermaster.kernel.money import Money

NAMED_ROWS_MAX = 10
"""A table that fits beside its curve; the others are one row, and all are in the CSV."""
LORENZ_PX = 420
"""The curve is nearly square: wider, it is only taller."""


class ShareRow(msgspec.Struct, frozen=True):
    """One line of the table of shares; `kind` is the class of the row."""

    rank: str
    name: str
    entities: str
    amount: str
    share: str
    band: str
    kind: str


class FanRow(msgspec.Struct, frozen=True):
    """One month ahead, with and without the customer."""

    month: str
    whole: str
    whole_range: str
    without: str
    without_range: str


class FanView(msgspec.Struct, frozen=True):
    """The forecast section."""

    picture: Picture
    heads: tuple[str, str]
    rows: tuple[FanRow, ...]
    total: FanRow
    notes: tuple[str, ...]


class Box(msgspec.Struct, frozen=True):
    """One number of the form."""

    field: Field
    label: str
    hint: str
    value: str
    step: str


class ExposureView(msgspec.Struct, frozen=True):
    """Everything the page shows of one book."""

    sample: bool
    findings: tuple[str, ...]
    origin: str
    tiles: tuple[Tile, ...]
    choices: tuple[tuple[str, str], ...]
    customer: str
    boxes: tuple[Box, ...]
    assumed: str
    query: str
    lorenz: Picture
    bands: str
    shares_caption: str
    rows: tuple[ShareRow, ...]
    total: ShareRow
    history: Picture | None
    history_note: str
    loss: LossView
    fan: FanView | None
    fan_note: str


def view_of(facts: ExposureFacts, words: Words, sample_words: Words) -> ExposureView:
    """Lay the facts out for a reader.

    Args:
        facts: of one book.
        words: the page's catalogue.
        sample_words: the console's own, which says what a sample is.
    """
    lay = _Layout(facts, words, sample_words)
    return ExposureView(
        sample=facts.sample,
        findings=lay.findings(),
        origin=words(
            "page.origin",
            origin=words.pick(facts.origin).rstrip("."),
            sha256=facts.data_sha256[:12],
        ),
        tiles=lay.tiles(),
        choices=facts.choices,
        customer=facts.asked.customer,
        boxes=lay.boxes(),
        assumed=lay.assumed(),
        query=query_of(facts.asked),
        lorenz=lay.lorenz(),
        bands=words("shares.bands", report=lay.report_at, breach=lay.breach_at),
        shares_caption=words(
            "shares.table", denominator=words.pick(facts.denominator), window=lay.window
        ),
        rows=lay.rows(),
        total=ShareRow(
            "", words("shares.total"), "", lay.exact(facts.total_minor), lay.share(1), "", "rest"
        ),
        history=lay.history(),
        history_note=words("history.none") if facts.history is None else "",
        loss=exposure_loss.view_of(facts, words, lay.labelled),
        fan=None if facts.fan is None else lay.fan(facts.fan),
        fan_note=lay.fan_note(),
    )


class _Layout:
    """The facts with the words of one reader at hand."""

    def __init__(self, facts: ExposureFacts, words: Words, sample_words: Words) -> None:
        self._facts, self._words, self._sample_words = facts, words, sample_words
        self._lang = words.lang
        self.report_at, self.breach_at = (
            rate(facts.report_at, words.lang),
            rate(facts.breach_at, words.lang),
        )
        first, last = month_long(facts.first, words.lang), month_long(facts.last, words.lang)
        self.window = (
            last if facts.first == facts.last else words("page.window", first=first, last=last)
        )

    def labelled(self, sentence: str) -> str:
        """The sentence, marked where the book is a sample."""
        if not self._facts.sample:
            return sentence
        return self._sample_words("sample.sentence", sentence=sentence)

    def exact(self, minor: int) -> str:
        """An amount with all its digits."""
        return money(Money(minor, self._facts.currency), self._lang)

    def short(self, minor: int) -> str:
        """An amount in the largest unit that fits."""
        return money_short(Money(minor, self._facts.currency), self._lang)

    def share(self, share: Decimal | int) -> str:
        """A share as a percentage with one decimal."""
        return percent(share, self._lang)

    def findings(self) -> tuple[str, ...]:
        """The answer in sentences: how much, of the loss, and ahead."""
        facts, words = self._facts, self._words
        largest = facts.groups[0]
        found = [
            words(
                f"finding.share_{largest.band or 'small'}",
                name=largest.name,
                share=self.share(largest.share),
                denominator=words.pick(facts.denominator),
                window=self.window,
                report=self.report_at,
                breach=self.breach_at,
            )
        ]
        if facts.loss is not None:
            found.append(exposure_loss.finding(facts, facts.loss, words))
        if facts.fan is not None:
            found.append(
                words(
                    "finding.fan",
                    name=facts.asked.name,
                    months=number(len(facts.fan.months), self._lang),
                    without=self.short(facts.fan.without_total.minor),
                    whole=self.short(facts.fan.whole_total.minor),
                )
            )
        if facts.still_open:
            found.append(words("finding.open", month=self.window))
        return tuple(found)

    def tiles(self) -> tuple[Tile, ...]:
        """The numbers that a reader looks for first."""
        facts, words = self._facts, self._words
        largest = facts.groups[0]
        tiles = [
            Tile("share", words("tile.share"), self.share(largest.share), largest.name, risk=True)
        ]
        if facts.loss is not None:
            tiles += exposure_loss.tiles(facts, facts.loss, words)
        count = words("tile.effective_note", count=number(len(facts.groups), self._lang))
        shown = number(facts.effective_number, self._lang, decimals=1)
        return (*tiles, Tile("effective_number", words("tile.effective"), shown, count))

    def boxes(self) -> tuple[Box, ...]:
        """The numbers of the form as they are answered now."""
        asked = self._facts.asked
        values = (asked.hazard, asked.others, Decimal(asked.horizon_months), asked.quantile)
        return tuple(
            Box(
                field,
                self._words(f"form.{field.name}"),
                self._words(f"form.{field.name}_hint"),
                f"{value:f}",
                "1" if field.name == "horizon" else "any",
            )
            for field, value in zip(FIELDS, values, strict=True)
        )

    def assumed(self) -> str:
        """Who chose the rates, in a sentence."""
        key = "chosen" if self._facts.asked.chosen else "default"
        if key == "default" and self._facts.sample:
            key = "sample"
        return self._words(f"form.{key}")

    def lorenz(self) -> Picture:
        """The curve, with how many customers bring how much."""
        facts, words = self._facts, self._words
        points = facts.lorenz
        half = max((y for x, y in points if x <= 0.5), default=0.0)
        caption = words(
            "shares.lorenz_caption",
            half=self.share(statistic(half)),
            largest=self.share(facts.groups[0].share),
            gini=number(facts.gini, self._lang, decimals=2),
        )
        drawn = [
            figures_exposure.lorenz_curve(
                points,
                title=words("shares.lorenz"),
                desc=self.labelled(caption),
                x_label=words("shares.lorenz_x"),
                y_label=words("shares.lorenz_y"),
                equality=words("shares.lorenz_equal"),
                width=width,
                name=f"lorenz-{width}",
            )
            for width in (LORENZ_PX, PHONE_PX)
        ]
        return picture(drawn, self.labelled(caption))

    def rows(self) -> tuple[ShareRow, ...]:
        """The largest by name, the others as one row."""
        groups, words = self._facts.groups, self._words
        cut = NAMED_ROWS_MAX if len(groups) > NAMED_ROWS_MAX + 1 else len(groups)
        rows = [
            ShareRow(
                number(rank, self._lang),
                group.name,
                ", ".join(group.entities),
                self.exact(group.minor),
                self.share(group.share),
                words(f"band.{group.band}") if group.band else "",
                "largest" if group.band else "named",
            )
            for rank, group in enumerate(groups[:cut], start=1)
        ]
        others = groups[cut:]
        if others:
            name = words("shares.others", count=number(len(others), self._lang))
            amount = self.exact(sum(group.minor for group in others))
            share = self.share(sum((group.share for group in others), Decimal(0)))
            rows.append(ShareRow("", name, "", amount, share, "", "rest"))
        return tuple(rows)

    def history(self) -> Picture | None:
        """The largest share by window, with its intervals and the edges of the bands."""
        facts, words = self._facts, self._words
        if facts.history is None:
            return None
        now = facts.history.windows[-1]
        caption = words(
            "history.caption",
            months=number(facts.history.window_months, self._lang),
            share=self.share(statistic(now.share)),
            name=now.name,
        )
        if now.low is not None and now.high is not None:
            low, high = self.share(statistic(now.low)), self.share(statistic(now.high))
            level = percent(facts.history.level, self._lang, decimals=0)
            key = "history.still" if low == high else "history.interval"
            caption += " " + words(key, level=level, low=low, high=high)
        edges = [
            ShareEdge(float(facts.report_at), words("history.report", edge=self.report_at)),
            ShareEdge(float(facts.breach_at), words("history.breach", edge=self.breach_at)),
        ]
        drawn = [
            figures_exposure.share_over_time(
                [self._window(window) for window in facts.history.windows],
                edges=edges,
                title=words("history.title"),
                desc=self.labelled(caption),
                lang=self._lang,
                width=width,
                name=f"history-{width}",
            )
            for width in (WIDE_PX, PHONE_PX)
        ]
        return picture(drawn, self.labelled(caption))

    def _window(self, window: ShareWindow) -> ShareMonth:
        hint = (
            f"{month(window.last, self._lang)}: {window.name} {self.share(statistic(window.share))}"
        )
        return ShareMonth(window.last, window.share, window.low, window.high, hint)

    def fan(self, fan: Fan) -> FanView:
        """The forecast with and without the customer."""
        words, name = self._words, self._facts.asked.name
        caption = words(
            "fan.caption",
            name=name,
            level=percent(fan.level, self._lang, decimals=0),
            without=self.short(fan.without[-1].minor),
            whole=self.short(fan.whole[-1].minor),
            month=month_long(fan.months[-1], self._lang),
        )
        if fan.owed_minor:
            owed = words("fan.owed", name=name, amount=self.short(fan.owed_minor))
            caption = f"{caption} {owed}"
        caption = f"{caption} {self._held(fan)}"
        drawn = [
            fan_chart(
                [Known(*row) for row in fan.known],
                [_ahead(at, point) for at, point in zip(fan.months, fan.whole, strict=True)],
                [_ahead(at, point) for at, point in zip(fan.months, fan.without, strict=True)],
                title=words("fan.title"),
                desc=self.labelled(caption),
                label=words("fan.all"),
                label_without=words("fan.without", name=name),
                lang=self._lang,
                currency=self._facts.currency,
                width=width,
                name=f"fan-{width}",
            )
            for width in (WIDE_PX, PHONE_PX)
        ]
        rows = [
            self._fan_row(month(at, self._lang), whole, without)
            for at, whole, without in zip(fan.months, fan.whole, fan.without, strict=True)
        ]
        total = self._fan_row(words("fan.sum"), fan.whole_total, fan.without_total)
        heads = (words("fan.all"), words("fan.without", name=name))
        shown = picture(drawn, self.labelled(caption))
        return FanView(shown, heads, tuple(rows), total, self._fan_notes(fan))

    def _held(self, fan: Fan) -> str:
        """What intervals of the past were worth: beside the picture, because it may be little."""
        if fan.held is None:
            return self._words("fan.unchecked")
        return self._words(
            "fan.held",
            level=percent(fan.level, self._lang, decimals=0),
            held=number(fan.held, self._lang),
            checked=number(fan.checked, self._lang),
        )

    def _fan_notes(self, fan: Fan) -> tuple[str, ...]:
        words = self._words
        notes = [words("fan.gone", name=self._facts.asked.name)]
        points = (*fan.whole, *fan.without, fan.whole_total, fan.without_total)
        if any(point.low is not None and not point.measured for point in points):
            notes.append(words("fan.stretched"))
        return tuple(notes)

    def _fan_row(self, at: str, whole: FanMonth, without: FanMonth) -> FanRow:
        return FanRow(
            at,
            self.short(whole.minor),
            self._range(whole),
            self.short(without.minor),
            self._range(without),
        )

    def _range(self, point: FanMonth) -> str:
        if point.low is None or point.high is None:
            return EM_DASH
        low, high = (Money(end, self._facts.currency) for end in (point.low, point.high))
        return ("" if point.measured else "~") + money_range(low, high, self._lang)

    def fan_note(self) -> str:
        """Why there is no forecast, where there is none."""
        facts = self._facts
        if facts.fan is not None:
            return ""
        return self._words(
            "fan.too_short",
            needed=number(facts.fan_months_needed, self._lang),
            known=number(facts.fan_months_known, self._lang),
        )


def picture(drawn: list[str], caption: str) -> Picture:
    """A figure for desks and one for phones."""
    # The figures escape every word they are given; nothing else may be marked as safe.
    wide, phone = (Markup(figure) for figure in drawn)  # noqa: S704
    return Picture(wide, phone, caption)


def _ahead(at: str, point: FanMonth) -> Ahead:
    return Ahead(at, point.minor, point.low, point.high)
