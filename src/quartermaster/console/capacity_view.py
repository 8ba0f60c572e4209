"""The capacity page in words, rows and pictures.

Nothing here computes an amount, except that the customers under the last named row are added up
as integers.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec
from markupsafe import Markup

from quartermaster.capacity.cost import decimal
from quartermaster.capacity.document import gpu_hours
from quartermaster.capacity.payback import (
    Loss,
    break_even_backfill,
    months_without,
)
from quartermaster.capacity.series import stack
from quartermaster.capacity.statement import BatchCost, CustomerLine, PoolLine, Statement
from quartermaster.console.capacity_state import query_of
from quartermaster.console.capacity_words import (
    beside_revenue,
    cold_start,
    figure_words,
    layered,
    name_of,
    part_of,
    remark_words,
    span_places,
)
from quartermaster.console.figures_capacity import capacity_stack
from quartermaster.console.format import EM_DASH, money, money_short, number, percent
from quartermaster.console.language import Words
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture, Tile
from quartermaster.console.ports_capacity import CapacityFacts, PaybackFacts
from quartermaster.kernel.money import Money

NAMED_ROWS_MAX = 10
"""A table that fits on a screen; the others are one row, and all are in the CSV."""
BACKFILLS = (0, 25, 50, 75, 100)
"""Percent; the curve of the answer, so that nobody has to ask five times."""


class UseRow(msgspec.Struct, frozen=True):
    """What hours were for, with everybody and without the customer."""

    name: str
    hours: str
    part: str
    cost: str
    without_hours: str
    without_part: str
    without_cost: str
    kind: str


class CustomerRow(msgspec.Struct, frozen=True):
    """One customer's hours and margin."""

    name: str
    tokens: str
    hours: str
    cost: str
    reserved_idle: str
    revenue: str
    margin: str
    margin_part: str
    kind: str


class PoolView(msgspec.Struct, frozen=True):
    """Cost of a million tokens on one pool."""

    id: str
    head: str
    caption: str
    basis: str
    rows: tuple[tuple[str, str, str, str, bool], ...]
    """Batch, prefill, decode, blended; whether it is the pool's own batch."""


class PaybackView(msgspec.Struct, frozen=True):
    """When the money is back."""

    title: str
    spent: str
    basis: str
    rows: tuple[tuple[str, ...], ...]
    """Backfill, with, without, and without where what is still owed is counted."""
    break_even: str
    owed: str = ""
    """What is counted there; empty where nothing is owed."""


class CapacityView(msgspec.Struct, frozen=True):
    """Everything the page shows of one window."""

    sample: bool
    findings: tuple[str, ...]
    origin: str
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    tiles: tuple[Tile, ...]
    months: tuple[str, ...]
    month: str
    choices: tuple[tuple[str, str], ...]
    customer: str
    backfill: str
    contribution: str
    query: str
    now: Picture
    without_title: str
    without: Picture
    uses: tuple[UseRow, ...]
    identity: tuple[str, str]
    customers: tuple[CustomerRow, ...]
    total: CustomerRow
    pools: tuple[PoolView, ...]
    payback: PaybackView | None


def view_of(facts: CapacityFacts, words: Words, sample_words: Words) -> CapacityView:
    """Lay the facts out for a reader.

    Args:
        facts: of one window.
        words: the page's catalogue.
        sample_words: the console's own, which says what a sample is.
    """
    lay = _Layout(facts, words, sample_words)
    question = facts.question
    rows = lay.customers()
    return CapacityView(
        sample=facts.sample,
        findings=lay.findings(),
        origin=lay.origin(),
        notes=lay.notes(),
        remarks=tuple(remark_words(one, facts.names, words) for one in facts.before.remarks),
        tiles=lay.tiles(),
        months=facts.months,
        month=question.month,
        choices=facts.choices,
        customer=question.customer,
        backfill=str(question.backfill_percent),
        contribution="" if question.contribution is None else f"{question.contribution:f}",
        query=query_of(question),
        now=lay.picture(facts.before, "now", gone=False),
        without_title=words("hours.title_without", name=facts.customer_name),
        without=lay.picture(facts.after, "without", gone=True),
        uses=lay.uses(),
        identity=(lay.identity(facts.before), lay.identity(facts.after)),
        customers=rows,
        total=lay.total(facts.before.customers),
        pools=tuple(lay.pool(line) for line in facts.before.pools),
        payback=None if facts.payback is None else lay.payback(facts.payback),
    )


class _Layout:
    """The facts with the words of one reader at hand."""

    def __init__(self, facts: CapacityFacts, words: Words, sample_words: Words) -> None:
        self._facts, self._words, self._sample_words = facts, words, sample_words
        self._lang, self._currency = words.lang, facts.before.fleet.currency
        self._backfill = percent(
            Decimal(facts.question.backfill_percent).scaleb(-2), words.lang, decimals=0
        )

    def labelled(self, sentence: str) -> str:
        """The sentence, marked where the window is a sample."""
        if not self._facts.sample:
            return sentence
        return self._sample_words("sample.sentence", sentence=sentence)

    def short(self, minor: int) -> str:
        """An amount in the largest unit that fits."""
        return money_short(Money(minor, self._currency), self._lang)

    def exact(self, minor: int | None) -> str:
        """An amount with all its digits."""
        return EM_DASH if minor is None else money(Money(minor, self._currency), self._lang)

    def hours(self, us: int) -> str:
        """GPU-hours, whole where there are many."""
        found = gpu_hours(us)
        return number(found, self._lang, decimals=3 if 0 < abs(found) < 100 else 0)

    def origin(self) -> str:
        """Which fleet, which window, from where."""
        facts, words = self._facts, self._words
        return words(
            "page.origin",
            fleet=facts.before.fleet.name,
            sha256=facts.fleet_sha256[:12],
            window=words("page.window", **span_places(facts.before, self._lang)),
            origin=words.pick(facts.origin).rstrip("."),
        )

    def notes(self) -> tuple[str, ...]:
        """What is missing from the figures."""
        facts, words = self._facts, self._words
        found = [] if facts.whole_month else [words("page.open")]
        if facts.unpriced:
            found.append(words("page.unpriced", count=number(facts.unpriced, self._lang)))
        found += beside_revenue(facts.elsewhere, facts.owed, facts.names, words)
        return tuple(found)

    def _stranded(self, found: Statement) -> tuple[str, str]:
        return (
            part_of(found.time.stranded, found.gpu_us, self._lang),
            self.short(found.money.stranded),
        )

    def findings(self) -> tuple[str, ...]:
        """How much is stranded now, how much without the customer, and when the money is back."""
        facts, words = self._facts, self._words
        before, name = facts.before, facts.customer_name
        stranded, amount = self._stranded(before)
        found = [
            words(
                "finding.now",
                busy=part_of(sum(before.time.busy.values()), before.gpu_us, self._lang),
                stranded=stranded,
                amount=amount,
                cost=self.short(before.cost_minor),
            )
        ]
        stranded, amount = self._stranded(facts.after)
        key = "finding.without_backfill" if facts.question.backfill_percent else "finding.without"
        found.append(
            words(key, name=name, stranded=stranded, amount=amount, backfill=self._backfill)
        )
        if facts.payback is not None:
            left = months_without(facts.payback.plan, facts.payback.loss)
            key = "finding.payback" if left is not None else "finding.payback_never"
            found.append(
                words(
                    key,
                    name=name,
                    **{"with": self.months(facts.payback.plan.months)},
                    without=self.months(left),
                )
            )
        return tuple(found)

    def months(self, value: Fraction | None) -> str:
        """Months with one decimal, or that it is never."""
        if value is None:
            return self._words("payback.never")
        return number(decimal(value), self._lang, decimals=1)

    def tiles(self) -> tuple[Tile, ...]:
        """The numbers that a reader looks for first."""
        facts, words = self._facts, self._words
        before = facts.before
        busy = sum(before.time.busy.values())
        stranded, amount = self._stranded(before)
        without, without_amount = self._stranded(facts.after)
        gpus = sum(line.account.pool.gpus for line in before.pools)
        return (
            Tile(
                "busy",
                words("tile.busy"),
                part_of(busy, before.gpu_us, self._lang),
                words("tile.busy_note", hours=self.hours(busy)),
            ),
            Tile(
                "stranded",
                words("tile.stranded"),
                stranded,
                words("tile.stranded_note", amount=amount, cost=self.short(before.cost_minor)),
            ),
            Tile(
                "without",
                words("tile.without", name=facts.customer_name),
                without,
                words(
                    "tile.without_note",
                    amount=without_amount,
                    hours=number(before.hours, self._lang),
                ),
                risk=True,
            ),
            Tile(
                "cost",
                words("tile.cost"),
                self.short(before.cost_minor),
                words("tile.cost_note", gpus=number(gpus, self._lang)),
            ),
        )

    def picture(self, statement: Statement, name: str, *, gone: bool) -> Picture:
        """The stack of a statement; what a leaver freed is hatched in the colour of risk."""
        facts, words = self._facts, self._words
        caption = words("hours.caption")
        if gone:
            key = "caption_backfill" if facts.question.backfill_percent else "caption_without"
            caption = words(f"hours.{key}", name=facts.customer_name, backfill=self._backfill)
        caption = self.labelled(caption)
        series = stack(statement, named=() if gone else (facts.question.customer,))
        drawn = [
            capacity_stack(
                layered(series, facts.names, words, after_departure=gone),
                figure_words(words),
                title=words("hours.title"),
                desc=caption,
                lang=self._lang,
                width=width,
                name=f"{name}-{width}",
            )
            for width in (WIDE_PX, PHONE_PX)
        ]
        # The figure escapes every word it is given.
        wide, phone = (Markup(figure) for figure in drawn)  # noqa: S704
        return Picture(wide, phone, caption)

    def uses(self) -> tuple[UseRow, ...]:
        """Hours and money by what they were for, with everybody and without the customer."""
        before, after = _uses(self._facts.before), _uses(self._facts.after)
        return tuple(
            UseRow(
                self._words(f"use.{use}"),
                self.hours(us),
                part_of(us, self._facts.before.gpu_us, self._lang),
                self.exact(minor),
                self.hours(after[use][0]),
                part_of(after[use][0], self._facts.after.gpu_us, self._lang),
                self.exact(after[use][1]),
                "largest" if use == "stranded" else "named",
            )
            for use, (us, minor) in before.items()
        )

    def identity(self, found: Statement) -> str:
        """The sum, to the minor unit."""
        return self._words(
            "hours.identity",
            customers=self.exact(found.customer_minor),
            reserved_idle=self.exact(found.reserved_idle_minor),
            idle=self.exact(found.money.idle),
            stranded=self.exact(found.money.stranded),
            cost=self.exact(found.cost_minor),
        )

    def customers(self) -> tuple[CustomerRow, ...]:
        """The most costly by name, the others as one row."""
        facts = self._facts
        lines = facts.before.customers
        cut = NAMED_ROWS_MAX if len(lines) > NAMED_ROWS_MAX + 1 else len(lines)
        rows = [
            self._row(
                [line],
                name_of(line.customer, facts.names, self._words),
                "largest" if line.customer == facts.question.customer else "named",
            )
            for line in lines[:cut]
        ]
        if lines[cut:]:
            count = number(len(lines) - cut, self._lang)
            rows.append(
                self._row(lines[cut:], self._words("customers.others", count=count), "rest")
            )
        return tuple(rows)

    def total(self, lines: Sequence[CustomerLine]) -> CustomerRow:
        """Everybody together."""
        return self._row(lines, self._words("customers.total"), "rest")

    def _row(self, lines: Sequence[CustomerLine], name: str, kind: str) -> CustomerRow:
        revenue = sum(line.revenue_minor or 0 for line in lines)
        margin = sum(line.margin_minor or 0 for line in lines)
        known = any(line.revenue_minor is not None for line in lines)
        part = percent(decimal(Fraction(margin, revenue)), self._lang) if revenue > 0 else EM_DASH
        tokens = sum(line.prefill_tokens + line.decode_tokens for line in lines)
        return CustomerRow(
            name,
            number(tokens, self._lang),
            self.hours(sum(line.busy_us for line in lines)),
            self.exact(sum(line.cost_minor for line in lines)),
            self.exact(sum(line.reserved_idle_minor for line in lines)),
            self.exact(revenue) if known else EM_DASH,
            self.exact(margin) if known else EM_DASH,
            part,
            kind,
        )

    def pool(self, line: PoolLine) -> PoolView:
        """Cost per million tokens by batch, the pool's own batch marked."""
        pool, words = line.account.pool, self._words
        return PoolView(
            pool.id,
            words(
                "batch.pool",
                pool=pool.id,
                gpus=number(pool.gpus, self._lang),
                gpu=pool.gpu,
                model=pool.model,
                needed=number(line.account.needed_gpus, self._lang),
            ),
            words("batch.table", pool=pool.id, currency=self._currency),
            words(f"batch.basis_{line.basis}", **cold_start(self._lang)),
            tuple(self._batch(cell, pool.batch) for cell in line.batches),
        )

    def _batch(self, cell: BatchCost, own: int) -> tuple[str, str, str, str, bool]:
        words = self._words
        batch = number(cell.batch, self._lang)
        blended = self._cost(cell.blended_per_million)
        return (
            words("batch.own", batch=batch) if cell.batch == own else batch,
            self._cost(cell.prefill_per_million),
            self._cost(cell.decode_per_million),
            words("batch.guessed", amount=blended) if cell.extrapolated else blended,
            cell.batch == own,
        )

    def _cost(self, text: str) -> str:
        return number(Decimal(text), self._lang, decimals=4)

    def payback(self, found: PaybackFacts) -> PaybackView:
        """With and without the customer, by how much of its revenue others bring."""
        words, lang = self._words, self._lang
        plan, loss = found.plan, found.loss
        asked = {*BACKFILLS, int(loss.backfill * 100)}
        rows = list[tuple[str, ...]]()
        for part in sorted(asked):
            one = Loss(loss.share, Fraction(part, 100), loss.after_months)
            cells = [self.months(plan.months), self.months(months_without(plan, one))]
            if found.owing:
                cells.append(self.months(months_without(plan, one, found.owing)))
            rows.append((percent(Decimal(part).scaleb(-2), lang, decimals=0), *cells))
        needed = break_even_backfill(plan, loss, Fraction(found.within_months))
        months = number(found.within_months, lang)
        return PaybackView(
            title=words("payback.title", name=self._facts.customer_name),
            spent=words(
                "payback.spent",
                capex=self.short(plan.capex_minor),
                revenue=self.short(plan.annual_revenue_minor),
                contribution=percent(decimal(plan.contribution), lang),
                name=self._facts.customer_name,
                share=percent(decimal(loss.share), lang),
            ),
            basis=words("payback.derived" if found.derived else "payback.chosen"),
            rows=tuple(rows),
            break_even=self._break_even(needed, months),
            owed=self._owed(found) if found.owing else "",
        )

    def _owed(self, found: PaybackFacts) -> str:
        """What is counted in the column of what is still owed."""
        owing, lang = found.owing, self._lang
        return self._words(
            "payback.owed",
            name=self._facts.customer_name,
            notice=number(decimal(owing.notice_months), lang, decimals=1),
            amount=self.short(owing.minor),
            months=number(decimal(owing.months), lang, decimals=1),
        )

    def _break_even(self, needed: Fraction | None, months: str) -> str:
        if needed is None:
            return self._words("payback.break_even_none", months=months)
        if not needed:
            return self._words("payback.break_even_zero", months=months)
        part = percent(decimal(needed), self._lang)
        return self._words("payback.break_even", part=part, months=months)


def _uses(found: Statement) -> dict[str, tuple[int, int]]:
    """GPU-microseconds and minor units by use; the last is the whole."""
    return {
        "busy": (sum(found.time.busy.values()), found.customer_minor),
        "reserved_idle": (sum(found.time.reserved_idle.values()), found.reserved_idle_minor),
        "idle": (found.time.idle, found.money.idle),
        "stranded": (found.time.stranded, found.money.stranded),
        "capacity": (found.gpu_us, found.cost_minor),
    }
