"""The fan: what was earned, what is ahead with its interval, and the same without one customer.

The space between the two lines is what hangs on that customer.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from quartermaster.console import svg
from quartermaster.console.format import Lang, money_short, month_name
from quartermaster.console.run_rate import month_ordinal, tick_step
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money, exponent

_MONTHS_IN_YEAR = 12
_TOP = 40.0
_LINE_PX = 2.5
_KNOWN_MONTHS_MAX = 120
"""Ten years, as the share over time: older months would press the fan into a corner."""


class Known(msgspec.Struct, frozen=True):
    """A month `YYYY-MM` that was, in minor units; `without` leaves the customer out."""

    period: str
    minor: int
    without: int | None = None


class Ahead(msgspec.Struct, frozen=True):
    """A month ahead with its interval; no interval where nothing measures one."""

    period: str
    minor: int
    low: int | None = None
    high: int | None = None


def fan_chart(
    known: Sequence[Known],
    ahead: Sequence[Ahead],
    without: Sequence[Ahead] = (),
    *,
    title: str,
    desc: str,
    label: str,
    label_without: str = "",
    lang: Lang,
    currency: str,
    width: int = svg.WIDTH_PX,
    note: str = "",
    name: str = "fan",
) -> str:
    """Months from zero: the past as a line, the future as a dashed line in its interval.

    Args:
        known: months that were, in time order, at least one; the newest ten years are drawn.
        ahead: the months right after them.
        without: the same months without one customer; empty draws one fan.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        label: of the upper line's end.
        label_without: of the lower line's end.
        lang: how numbers are written.
        currency: of every amount.
        width: px the figure is drawn for.
        note: a line under the axis, such as "Sample data".
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no months, too many, or months that do not follow each other.
    """
    known = known[-_KNOWN_MONTHS_MAX:]
    _check(known, ahead, without)
    labels = [label, label_without] if without else [label]
    amounts = [_amount(row.minor, lang, currency) for row in (ahead[-1], *without[-1:])]
    frame = _Frame.around(known, [*ahead, *without], [*labels, *amounts], lang, currency, width)
    parts = frame.grid() + frame.axis(
        month_ordinal(known[0].period), month_ordinal(ahead[-1].period)
    )
    now = frame.x(month_ordinal(known[-1].period))
    parts.append(svg.line(now, _TOP, now, frame.bottom, "tick", dashed=True))
    if without:
        lower = [(row.period, row.minor if row.without is None else row.without) for row in known]
        parts += frame.fan(lower, without, band="s2", stroke="risk-tick")
    parts += frame.fan([(row.period, row.minor) for row in known], ahead, "band", "line")
    parts += frame.ends(labels, amounts, [ahead[-1], *without[-1:]])
    if note:
        parts.append(svg.label(0, frame.bottom + 42, note, "muted", size_px=SMALL_PX))
    height = int(frame.bottom + (50 if note else 26))
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def _check(known: Sequence[Known], ahead: Sequence[Ahead], without: Sequence[Ahead]) -> None:
    if not known or not ahead or len(known) + len(ahead) > svg.POINTS_MAX:
        raise UsageError(f"a fan shows months that were and months ahead, {svg.POINTS_MAX} in all")
    periods = [*(row.period for row in known), *(row.period for row in ahead)]
    months = [month_ordinal(period) for period in periods]
    if months != list(range(months[0], months[0] + len(months))):
        raise UsageError("the months of a fan follow each other, each once")
    if without and [row.period for row in without] != [row.period for row in ahead]:
        raise UsageError("both fans have the same months")


def _amount(minor: int, lang: Lang, currency: str) -> str:
    return money_short(Money(minor, currency), lang)


class _Frame(msgspec.Struct, frozen=True):
    """Where months and amounts lie, in px."""

    first: int
    last: int
    top_minor: int
    step_minor: int
    left: float
    right: float
    bottom: float
    lang: Lang
    currency: str
    width: int

    @classmethod
    def around(
        cls,
        known: Sequence[Known],
        ahead: Sequence[Ahead],
        labels: Sequence[str],
        lang: Lang,
        currency: str,
        width: int,
    ) -> "_Frame":
        """The frame that holds every line and interval, with room for the labels of the ends."""
        # Where credits outweigh revenue everything lies below zero, which is drawn at zero.
        highest = max(0, *(row.minor for row in known))
        highest = max(highest, *(row.minor if row.high is None else row.high for row in ahead))
        step = tick_step(max(highest, 10 ** exponent(currency)))
        top = -(-highest // step) * step or step
        ticks = [_amount(minor, lang, currency) for minor in range(0, top + 1, step)]
        left = max(svg.text_width(tick, SMALL_PX) for tick in ticks) + 12
        narrow = width < NARROW_PX
        # A phone writes the labels of the ends above the chart, where they take no width.
        room = 8 if narrow else max(svg.text_width(text, TEXT_PX) for text in labels) + 16
        return cls(
            first=month_ordinal(known[0].period),
            last=month_ordinal(ahead[-1].period),
            top_minor=top,
            step_minor=step,
            left=left,
            right=max(width - room, left + 80),
            bottom=250.0 if narrow else 290.0,
            lang=lang,
            currency=currency,
            width=width,
        )

    def x(self, month: int) -> float:
        """Px of a month's ordinal."""
        return self.left + (self.right - self.left) * (month - self.first) / (
            self.last - self.first
        )

    def y(self, minor: int) -> float:
        """Px of an amount; below zero is drawn at zero."""
        return self.bottom - (self.bottom - _TOP) * max(minor, 0) / self.top_minor

    def grid(self) -> list[str]:
        """Horizontal lines at round amounts."""
        parts = []
        for minor in range(0, self.top_minor + 1, self.step_minor):
            y = self.y(minor)
            words = _amount(minor, self.lang, self.currency)
            parts.append(svg.line(self.left - 4, y, self.right, y, "grid"))
            parts.append(svg.label(0, y + 4, words, "muted", size_px=SMALL_PX))
        return parts

    def axis(self, first: int, last: int) -> list[str]:
        """Month names as often as they fit; the year stands with its first month shown."""
        parts, free_from, year_shown = list[str](), 0.0, -1
        for month in range(first, last + 1):
            year, index = divmod(month, _MONTHS_IN_YEAR)
            words = month_name(index + 1, self.lang)
            words = words if year == year_shown else f"{words} {year}"
            half = svg.text_width(words, SMALL_PX) / 2
            x = max(self.x(month), half)
            if index % 3 != first % 3 or x - half < free_from:
                continue
            at = self.bottom + 18
            parts.append(svg.label(x, at, words, "muted", size_px=SMALL_PX, anchor="middle"))
            free_from, year_shown = x + half + 14, year
        return parts

    def fan(
        self, known: Sequence[tuple[str, int]], ahead: Sequence[Ahead], band: str, stroke: str
    ) -> list[str]:
        """The interval, the line that was, and the dashed line ahead."""
        were = [(self.x(month_ordinal(period)), self.y(minor)) for period, minor in known]
        places = [(self.x(month_ordinal(row.period)), row) for row in ahead]
        upper = [(x, self.y(row.high)) for x, row in places if row.high is not None]
        lower = [(x, self.y(row.low)) for x, row in places if row.low is not None]
        parts = [svg.area([were[-1], *upper, *reversed(lower)], band)] if upper else []
        parts.append(svg.polyline(were, stroke, width_px=_LINE_PX))
        path = [were[-1], *((x, self.y(row.minor)) for x, row in places)]
        parts += [svg.line(*a, *b, stroke, dashed=True) for a, b in pairwise(path)]
        return parts

    def ends(
        self, labels: Sequence[str], amounts: Sequence[str], rows: Sequence[Ahead]
    ) -> list[str]:
        """Words at the ends of the lines; over the chart where it is narrow."""
        if self.width < NARROW_PX:
            return [
                svg.label(
                    0,
                    12 + 15 * at,
                    svg.fitted(f"{amount} {label}", SMALL_PX, self.width),
                    "risk-text" if at else "ink",
                    size_px=SMALL_PX,
                )
                for at, (label, amount) in enumerate(zip(labels, amounts, strict=True))
            ]
        parts, lowest = list[str](), -100.0
        for at, (label, amount, row) in enumerate(zip(labels, amounts, rows, strict=True)):
            # Two labels of two lines each need 36 px; the lower one gives way.
            y = max(self.y(row.minor), lowest + 40)
            lowest = y
            tone = "risk-text" if at else "ink"
            parts += [
                svg.label(self.right + 8, y, amount, tone, size_px=TEXT_PX, strong=True),
                svg.label(self.right + 8, y + 16, label, tone, size_px=TEXT_PX),
            ]
        return parts
