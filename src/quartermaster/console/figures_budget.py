"""The figure of a budget's month: spending so far day by day, under the amount that bounds it."""

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from quartermaster.console import svg
from quartermaster.console.figures_legend import swatches
from quartermaster.console.format import Lang, money_short
from quartermaster.console.run_rate import tick_step
from quartermaster.console.svg import NARROW_PX, SMALL_PX
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money, exponent

DAYS_MAX = 31
"""The longest month."""

_PLOT, _BELOW, _LABEL_PX = 170.0, 26.0, 12.0
_GAP = 0.22
"""Of a day's place, left free between two bars."""
_DAY_LABELS = (1, 8, 15, 22, 29)


class SpentDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day; amounts in major units."""

    hint: str
    total: Decimal
    amount: Decimal | None
    paused: bool
    marks: tuple[str, ...]
    """Words over the day: alerts that were told."""


class Legend(msgspec.Struct, frozen=True, kw_only=True):
    """Words for the tones."""

    spent: str
    refused: str
    leased: str
    paused: str
    budget: str


def spent_days(
    days: Sequence[SpentDay],
    *,
    length: int,
    leased: Decimal,
    currency: str,
    legend: Legend,
    title: str,
    desc: str,
    lang: Lang,
    width: int,
    name: str,
) -> str:
    """A bar a day, as high as what the period had spent by then; the amount as a line over them.

    Args:
        days: from the first of the month, without gaps, at least one.
        length: days of the month.
        leased: in the hands of gateway workers, on top of the last day.
        currency: of every amount.
        legend: words for the tones; those that do not occur are left out.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        lang: how numbers are written.
        width: px the figure is drawn for.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no days, or more than a month has.
    """
    if not 0 < len(days) <= length <= DAYS_MAX:
        raise UsageError(f"a month has up to {DAYS_MAX} days, not {len(days)} of {length}")
    parts, top = swatches(_used(days, leased, legend), width)
    top += _LABEL_PX
    frame = _Frame.around(days, length, leased, currency, top=top, width=width)
    parts += frame.scale(currency, lang)
    parts += frame.pauses(days)
    for at, day in enumerate(days):
        pieces = frame.bar(at, day, leased if at == len(days) - 1 else Decimal(0))
        parts.append(svg.group(pieces, day.hint))
    parts += frame.budget_line(days, legend.budget)
    parts += frame.alerts(days)
    parts += frame.axis(length)
    height = int(frame.bottom + _BELOW)
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def _used(
    days: Sequence[SpentDay], leased: Decimal, legend: Legend
) -> list[tuple[str, tuple[str, ...]]]:
    """The tones that occur."""
    over = [_is_over(day) for day in days]
    found = [(legend.spent, ("area",), not all(over)), (legend.refused, ("risk",), any(over))]
    found.append((legend.leased, ("s2",), leased > 0))
    found.append((legend.paused, ("band",), any(day.paused for day in days)))
    return [(words, tones) for words, tones, occurs in found if occurs]


def _is_over(day: SpentDay) -> bool:
    return day.amount is not None and day.total > 0 and day.total >= day.amount


class _Frame(msgspec.Struct, frozen=True):
    """Where days and amounts lie, in px."""

    left: float
    right: float
    top: float
    bottom: float
    highest: float
    grid: int
    """Minor units between two lines."""
    step: float

    @classmethod
    def around(
        cls,
        days: Sequence[SpentDay],
        length: int,
        leased: Decimal,
        currency: str,
        *,
        top: float,
        width: int,
    ) -> "_Frame":
        """The frame that holds every amount and every day of the month."""
        amounts = [float(day.amount) for day in days if day.amount is not None]
        values = [float(day.total) for day in days]
        units = 10 ** exponent(currency)
        most = max(*amounts, *values, values[-1] + float(leased), 0.0)
        grid = tick_step(max(math.ceil(most * units), 1))
        highest = math.ceil(most * units / grid) * grid / units
        narrow = width < NARROW_PX
        left, right = (58.0, width - 4.0) if narrow else (76.0, width - 8.0)
        return cls(
            left, right, top, top + _PLOT, max(highest, grid / units), grid, (right - left) / length
        )

    def x(self, at: float) -> float:
        """Of the beginning of a day, counted from 0."""
        return self.left + at * self.step

    def y(self, value: float) -> float:
        """Of an amount."""
        return self.bottom - _PLOT * value / self.highest

    def scale(self, currency: str, lang: Lang) -> list[str]:
        """Lines at round amounts."""
        parts, units = list[str](), 10 ** exponent(currency)
        for minor in range(0, round(self.highest * units) + 1, self.grid):
            y, words = self.y(minor / units), money_short(Money(minor, currency), lang)
            parts += [
                svg.line(self.left, y, self.right, y, "grid"),
                svg.label(self.left - 8, y + 4, words, "muted", size_px=SMALL_PX, anchor="end"),
            ]
        return parts

    def pauses(self, days: Sequence[SpentDay]) -> list[str]:
        """Days on which it was paused, from top to bottom."""
        return [
            svg.rect(self.x(at), self.top, self.step, _PLOT, "band")
            for at, day in enumerate(days)
            if day.paused
        ]

    def bar(self, at: int, day: SpentDay, leased: Decimal) -> list[str]:
        """What was spent by the end of a day, and what is leased beyond it."""
        x, width = self.x(at + _GAP / 2), self.step * (1 - _GAP)
        y = self.y(float(day.total))
        parts = list[str]()
        if day.total > 0:
            tone = "risk" if _is_over(day) else "area"
            height = max(self.bottom - y, 1.0)
            parts.append(svg.rect(x, self.bottom - height, width, height, tone))
        if leased > 0:
            above = self.y(float(day.total + leased))
            parts.append(svg.rect(x, above, width, max(y - above, 1.5), "s2"))
        return parts

    def budget_line(self, days: Sequence[SpentDay], words: str) -> list[str]:
        """The amount as it was, in steps."""
        parts, before = list[str](), None
        for at, day in enumerate(days):
            if day.amount is not None:
                y = self.y(float(day.amount))
                if before is not None and before != y:
                    parts.append(svg.line(self.x(at), before, self.x(at), y, "tick", dashed=True))
                parts.append(svg.line(self.x(at), y, self.x(at + 1), y, "tick", dashed=True))
                before = y
            else:
                before = None
        if before is not None:
            end, room = self.x(len(days)), svg.text_width(words, SMALL_PX)
            fits = self.right - end > room + 8
            parts.append(
                svg.label(end + 6, before + 4, words, "muted", size_px=SMALL_PX)
                if fits
                else svg.label(end, before - 6, words, "muted", size_px=SMALL_PX, anchor="end")
            )
        return parts

    def alerts(self, days: Sequence[SpentDay]) -> list[str]:
        """A dot on the bar of a day on which alerts were told, with their words at the top."""
        parts, taken = list[str](), 0.0
        for at, day in enumerate(days):
            if not day.marks:
                continue
            x, y = self.x(at + 0.5), self.y(float(day.total))
            words = " ".join(day.marks)
            half = svg.text_width(words, SMALL_PX) / 2
            if x - half > taken:
                middle = min(max(x, self.left + half), self.right - half)
                label_y = self.top - 6
                parts += [
                    svg.line(x, self.top - 2, x, y, "grid"),
                    svg.label(middle, label_y, words, "ink", size_px=SMALL_PX, anchor="middle"),
                ]
                taken = middle + half + 4
            parts.append(svg.dot(x, y, 4))
        return parts

    def axis(self, length: int) -> list[str]:
        """Days of the month, a week apart."""
        return [
            svg.label(
                self.x(day - 0.5), self.bottom + 18, str(day), "muted", size_px=SMALL_PX,
                anchor="middle",
            )
            for day in _DAY_LABELS
            if day <= length
        ]  # fmt: skip
