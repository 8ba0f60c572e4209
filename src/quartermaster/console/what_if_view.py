"""The what-if page in words, rows and pictures. Nothing here computes an amount."""

from decimal import Decimal
from typing import Literal

import msgspec

from quartermaster.console.exposure_loss import rate
from quartermaster.console.exposure_view import picture
from quartermaster.console.figures_what_if import LossCurve, Mark, loss_exceedance
from quartermaster.console.format import EM_DASH, money_short, month_long, number, percent
from quartermaster.console.language import Words
from quartermaster.console.number_field import Field
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture, Tile
from quartermaster.console.ports_what_if import LEVERS, WhatIfFacts, WorldFacts
from quartermaster.console.report_words import refusal
from quartermaster.console.what_if_pictures import (
    BridgeView,
    TornadoView,
    bridge_view,
    conditions_of,
    places_of,
    short_conditions,
    terms_of,
    tornado_view,
    with_error,
)
from quartermaster.console.what_if_state import ASSUMED, OF_LEVER, WHOLE, query_of
from quartermaster.console.what_if_words import change_words, moved
from quartermaster.kernel.money import Money

Switch = Literal["suspend", "everybody"]


class Tab(msgspec.Struct, frozen=True):
    """One lever as a link that keeps everything else."""

    label: str
    query: str
    current: bool


class Box(msgspec.Struct, frozen=True):
    """One number of the form."""

    field: Field
    label: str
    hint: str
    value: str
    step: str


class LossRow(msgspec.Struct, frozen=True):
    """One measure of the loss before and after, with errors where there are any."""

    name: str
    before: str
    after: str
    difference: str


class WhatIfView(msgspec.Struct, frozen=True):
    """Everything the page shows of one book."""

    sample: bool
    findings: tuple[str, ...]
    origin: str
    tiles: tuple[Tile, ...]
    tabs: tuple[Tab, ...]
    lever: str
    customer: str
    choices: tuple[tuple[str, str], ...]
    own: tuple[Box, ...]
    switch: tuple[Switch, str, bool] | None
    """Name, words and state of the lever's tick."""
    assumed: tuple[Box, ...]
    rates: str
    query: str
    conditions: str
    missing: str
    command: str
    loss: Picture | None
    loss_caption: str
    rows: tuple[LossRow, ...]
    notes: tuple[str, ...]
    bridge: BridgeView | None
    tornado: TornadoView | None


def view_of(facts: WhatIfFacts, words: Words, sample_words: Words) -> WhatIfView:
    """Lay the facts out for a reader.

    Args:
        facts: of one book.
        words: the page's catalogue.
        sample_words: the console's own, which says what a sample is.
    """
    lay = _Layout(facts, words, sample_words)
    asked = facts.asked
    known = facts.base is not None and facts.change is not None
    return WhatIfView(
        sample=facts.sample,
        findings=lay.findings(),
        origin=lay.origin(),
        tiles=lay.tiles(),
        tabs=tuple(
            Tab(words(f"lever.{lever}"), query_of(asked, lever), lever == asked.question.lever)
            for lever in LEVERS
            # Of one customer no share can be smaller: there is nobody else to grow.
            if lever != "diversify" or len(facts.choices) > 1
        ),
        lever=asked.question.lever,
        customer=asked.question.customer,
        choices=facts.choices[:1] if asked.question.lever == "diversify" else facts.choices,
        own=tuple(lay.box(field) for field in OF_LEVER[asked.question.lever]),
        switch=lay.switch(),
        assumed=tuple(lay.box(field) for field in ASSUMED),
        rates=words(f"form.{'chosen' if asked.chosen else lay.unchosen()}"),
        query=query_of(asked),
        conditions=conditions_of(facts, words),
        missing=lay.missing(),
        command=facts.reason if facts.missing == "not_installed" else "",
        loss=lay.losses() if known else None,
        loss_caption=words(
            "loss.table",
            conditions=short_conditions(facts, words),
            months=number(asked.question.horizon_months, words.lang),
        ),
        rows=lay.rows() if known else (),
        notes=lay.notes() if known else (),
        bridge=None
        if facts.bridge is None
        else bridge_view(facts, facts.bridge, words, lay.labelled),
        tornado=tornado_view(facts, words, lay.labelled) if facts.tornado else None,
    )


class _Layout:
    """The facts with the words of one reader at hand."""

    def __init__(self, facts: WhatIfFacts, words: Words, sample_words: Words) -> None:
        self._facts, self._words, self._sample_words = facts, words, sample_words
        self._lang = words.lang

    def labelled(self, sentence: str) -> str:
        """The sentence, marked where the book is a sample."""
        if not self._facts.sample:
            return sentence
        return self._sample_words("sample.sentence", sentence=sentence)

    def unchosen(self) -> str:
        """Who chose the rates where the reader did not."""
        return "sample" if self._facts.sample else "default"

    def missing(self) -> str:
        """Why nothing was simulated; empty where it was."""
        facts = self._facts
        if not facts.missing:
            return ""
        return self._words(f"loss.{facts.missing}", reason=refusal(facts.reason, self._lang))

    def short(self, minor: int) -> str:
        """An amount in the largest unit that fits."""
        return money_short(Money(minor, self._facts.currency), self._lang)

    def origin(self) -> str:
        """Where the book comes from, and of which months."""
        facts, words = self._facts, self._words
        first, last = month_long(facts.first, self._lang), month_long(facts.last, self._lang)
        return words(
            "page.origin",
            origin=words.pick(facts.origin).rstrip("."),
            window=last if first == last else words("page.window", first=first, last=last),
            denominator=words.pick(facts.denominator),
            sha256=facts.data_sha256[:12],
        )

    def findings(self) -> tuple[str, ...]:
        """The answer in sentences: the change, what it moves, what is left, what we caused."""
        facts, words = self._facts, self._words
        if facts.base is None or facts.change is None:
            return ()
        base, change = facts.base, facts.change
        places = places_of(facts, words)
        found = [
            words(
                "finding.change",
                change=change_words(change.key, change.who, change.figures, words),
            ),
        ]
        if change.key == "suspend":
            found.append(
                words(
                    "finding.suspend",
                    moved=self.short(change.expected_moved_minor),
                    error=self.short(change.expected_moved_error_minor),
                    months=places["months"],
                )
            )
        elif facts.bridge is not None:
            found.append(
                words(
                    "finding.bridge",
                    before=self.short(facts.bridge.before_minor),
                    after=self.short(facts.bridge.after_minor),
                    lost=self.short(facts.bridge.before_minor - facts.bridge.after_minor),
                    months=places["months"],
                )
            )
        found.append(
            words(
                "finding.moved",
                before=self.short(base.shortfall_minor),
                after=self.short(change.shortfall_minor),
                moved=moved(change.shortfall_moved_minor, facts.currency, self._lang),
                error=self.short(change.shortfall_moved_error_minor),
                **places,
            )
        )
        if facts.still_open:
            found.append(words("finding.open", month=month_long(facts.last, self._lang)))
        return tuple(found)

    def tiles(self) -> tuple[Tile, ...]:
        """The numbers that a reader looks for first, each with what it hangs on."""
        facts, words = self._facts, self._words
        if facts.base is None or facts.change is None:
            return ()
        base, change = facts.base, facts.change
        conditions = short_conditions(facts, words)

        def tile(name: str, before: int, after: int, *, risk: bool = False) -> Tile:
            note = words("tile.from", before=self.short(before), conditions=conditions)
            return Tile(name, words(f"tile.{name}"), self.short(after), note, risk=risk)

        tiles = [
            tile("shortfall", base.shortfall_minor, change.shortfall_minor, risk=True),
            tile("expected", base.expected_minor, change.expected_minor),
            Tile(
                "share",
                words("tile.share", name=facts.top_name),
                self._share(change.top_share),
                words(
                    "tile.share_note",
                    before=self._share(base.top_share),
                    conditions=conditions,
                    equal=rate(facts.equal_hazard, self._lang),
                    equal_before=self._share(base.top_share_at_equal_hazard),
                    equal_after=self._share(change.top_share_at_equal_hazard),
                ),
            ),
        ]
        if facts.stranded is not None:
            months = number(facts.asked.question.horizon_months, self._lang)
            note = words("tile.stranded_note", months=months, fleet=facts.stranded.fleet)
            tiles.append(
                Tile("stranded", words("tile.stranded"), self.short(facts.stranded.minor), note)
            )
        return tuple(tiles)

    def _share(self, share: Decimal) -> str:
        return percent(share, self._lang, decimals=0)

    def box(self, field: Field) -> Box:
        """One number as it is answered now."""
        words, asked = self._words, self._facts.asked
        key = f"size_{asked.question.lever}" if field.name == "size" else field.name
        names = {"horizon": "horizon_months"}
        value = (
            getattr(asked, field.name)
            if field.name in {"hazard", "others", "owed", "owed_months"}
            else getattr(asked.question, names.get(field.name, field.name))
        )
        return Box(
            field,
            words(f"form.{key}"),
            words(f"form.{key}_hint", currency=self._facts.currency),
            f"{value:f}" if isinstance(value, Decimal) else str(value),
            "1" if field.name in WHOLE else "any",
        )

    def switch(self) -> tuple[Switch, str, bool] | None:
        """The tick of a lever that has one."""
        question = self._facts.asked.question
        if question.lever == "leave":
            return "suspend", self._words("form.suspend"), question.suspend
        if question.lever == "price":
            return "everybody", self._words("form.everybody"), question.everybody
        return None

    def losses(self) -> Picture:
        """The two curves, with the shortfall of each as a tick."""
        facts, words = self._facts, self._words
        base, change = facts.base, facts.change
        assert base is not None, "asked for where they are known"
        assert change is not None, "asked for where they are known"
        caption = self.labelled(words("loss.caption", conditions=short_conditions(facts, words)))
        quantile = facts.asked.question.quantile
        drawn = [
            loss_exceedance(
                facts.levels,
                LossCurve(base.losses, words("loss.before")),
                LossCurve(change.losses, words("loss.after")),
                marks=(self._mark(base), self._mark(change)),
                tail=(float(1 - quantile), words("loss.tail", **places_of(facts, words))),
                title=words("loss.title"),
                desc=caption,
                y_label=words("loss.y"),
                x_label=words("loss.x"),
                lang=self._lang,
                currency=facts.currency,
                width=width,
                name=f"losses-{width}",
            )
            for width in (WIDE_PX, PHONE_PX)
        ]
        return picture(drawn, caption)

    def _mark(self, world: WorldFacts) -> Mark:
        amount = self.short(world.shortfall_minor)
        return Mark(world.shortfall_minor, self._words("loss.mark", amount=amount))

    def rows(self) -> tuple[LossRow, ...]:
        """Expected loss, value at risk and shortfall, before and after."""
        facts, words, currency = self._facts, self._words, self._facts.currency
        base, change = facts.base, facts.change
        assert base is not None, "asked for where they are known"
        assert change is not None, "asked for where they are known"

        def amount(minor: int, error: int) -> str:
            return f"{self.short(minor)} ± {self.short(error)}"

        return (
            LossRow(
                words("loss.expected"),
                amount(base.expected_minor, base.expected_error_minor),
                amount(change.expected_minor, change.expected_error_minor),
                with_error(
                    change.expected_moved_minor, change.expected_moved_error_minor, currency, words
                ),
            ),
            LossRow(
                words("loss.var"),
                self.short(base.value_at_risk_minor),
                self.short(change.value_at_risk_minor),
                EM_DASH,
            ),
            LossRow(
                words("loss.es"),
                amount(base.shortfall_minor, base.shortfall_error_minor),
                amount(change.shortfall_minor, change.shortfall_error_minor),
                with_error(
                    change.shortfall_moved_minor,
                    change.shortfall_moved_error_minor,
                    currency,
                    words,
                ),
            ),
        )

    def notes(self) -> tuple[str, ...]:
        """What a loss is, that both sides share their scenarios, and what else is assumed."""
        facts, words = self._facts, self._words
        found = [words("loss.against", plan=self.short(facts.plan_minor))]
        if facts.asked.question.lever == "diversify":
            found.append(words("loss.itself"))
        engine = words(f"loss.engine_{facts.engine}", pooled=number(facts.pooled, self._lang))
        same = words(
            "loss.same", scenarios=number(facts.scenarios, self._lang), seed=str(facts.seed)
        )
        return (*found, f"{same} {engine}", terms_of(facts, words))
