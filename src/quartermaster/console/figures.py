"""Figures as SVG text: one place for screens, reports, documents and the README.

Pure functions: the same arguments give the same bytes. Words come from the caller in the reader's
language; numbers are written by `console.format`. Colours are classes over CSS variables
(`stylesheet()`), with literal fallbacks, so a figure follows light and dark and still reads alone.
A figure is drawn for a width in px; a page that serves phones draws it twice.
"""

from collections.abc import Sequence
from decimal import Decimal
from importlib.resources import files
from typing import Literal

import msgspec

from quartermaster.console import svg
from quartermaster.console.format import (
    Lang,
    money_compact,
    money_short,
    month_name,
    month_parts,
    percent,
)
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money, exponent

ShareKind = Literal["largest", "named", "rest"]

WIDTH_PX = 960
"""The reading width of the console and the report."""
POINTS_MAX = 300
"""25 years of months; a line with more points is no longer read point by point."""
SEGMENTS_MAX = 40
"""Thinner segments cannot be told apart; sum the others into one `rest`."""
SHARE_SUM_TOLERANCE = Decimal("0.001")
"""Shares rounded to four places may miss one by a little; a larger miss is a wrong denominator."""

TEXT_PX, SMALL_PX, LARGE_PX = 13, 12, 16
_GAP_PX = 2
_NAMED_TONES = ("s1", "s2", "s3", "s4")
_TICK_TARGET = 5
_MONTHS_IN_YEAR = 12


class ShareSegment(msgspec.Struct, frozen=True):
    """One part of a whole. `value` in minor units, `share` of one, `label` as shown.

    `largest` is drawn in the colour of risk and always labelled; `rest` is a sum of many.
    """

    label: str
    value: int
    share: Decimal
    kind: ShareKind = "named"


class RatePoint(msgspec.Struct, frozen=True):
    """A month `YYYY-MM` and its run-rate: minor units a year."""

    period: str
    annual_minor: int


class GuidanceBand(msgspec.Struct, frozen=True):
    """What was promised for the months `first`..`last`, in minor units a year.

    `label` names it with its basis ("as reported", "constant currency") in the reader's language.
    """

    first: str
    last: str
    low_minor: int
    high_minor: int
    label: str


class RankedBar(msgspec.Struct, frozen=True):
    """One row of a ranking. `share` of one sets the length, `value_text` is shown after it."""

    label: str
    share: Decimal
    value_text: str
    kind: ShareKind = "named"


def stylesheet() -> str:
    """The figure colours as CSS, for pages that stand alone."""
    return (files("quartermaster.console") / "static/css/figures.css").read_text("utf-8")


def standalone(figure: str) -> str:
    """A figure with its colours inside, as an `.svg` file of its own."""
    head, mark, tail = figure.partition(">")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{mark}\n<style>{stylesheet()}</style>{tail}'
    )


def share_bar(
    segments: Sequence[ShareSegment],
    *,
    title: str,
    desc: str,
    lang: Lang,
    currency: str,
    width: int = WIDTH_PX,
    note: str = "",
    name: str = "share-bar",
) -> str:
    """One bar that is the whole, cut by customer; the largest is labelled above it.

    Args:
        segments: in drawing order, largest first.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        lang: how numbers are written.
        currency: of every segment's value.
        width: px the figure is drawn for.
        note: a line under the scale, such as "Sample data".
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no segments, too many, a negative one, or shares that do not sum to one.
    """
    _check_segments(segments)
    top, height = 50.0, 46.0
    parts, x = [], 0.0
    tones = iter(_NAMED_TONES + (_NAMED_TONES[-1],) * len(segments))
    for segment in segments:
        span = float(segment.share) * width
        tone = {"largest": "risk", "rest": "s5"}.get(segment.kind) or next(tones)
        drawn = max(span - _GAP_PX, 0.5)
        pieces = [svg.rect(x, top, drawn, height, tone, rx=min(3.0, drawn / 2))]
        amount = money_compact(Money(segment.value, currency), lang)
        words = (segment.label, percent(segment.share, lang), amount)
        if segment.kind == "largest":
            pieces += _largest_label(x, span, width, words)
        else:
            pieces += _inside_label(x, drawn, top, words)
        parts.append(svg.group(pieces, " · ".join(words)))
        x += span
    bottom = top + height
    parts += _share_scale(width, bottom, lang)
    if note:
        parts.append(svg.label(0, bottom + 44, note, "muted", size_px=SMALL_PX))
    total = int(bottom + (52 if note else 28))
    return svg.figure(parts, width=width, height=total, name=name, title=title, desc=desc)


def run_rate_line(
    points: Sequence[RatePoint],
    *,
    guidance: GuidanceBand | None,
    title: str,
    desc: str,
    lang: Lang,
    currency: str,
    width: int = WIDTH_PX,
    note: str = "",
    name: str = "run-rate",
) -> str:
    """Run-rate by month from zero, with the guided band over its months.

    Args:
        points: in time order, at least one.
        guidance: band drawn behind the line; None draws the line alone.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        lang: how numbers are written.
        currency: of every value.
        width: px the figure is drawn for.
        note: a line under the axis, such as "Sample data".
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no points, too many, out of order, or a band with its ends exchanged.
    """
    _check_points(points, guidance)
    frame = _Frame.around(points, guidance, lang=lang, currency=currency, width=width)
    parts = [*frame.value_grid(), *frame.month_axis()]
    if guidance is not None:
        parts += frame.band(guidance)
    where = [(frame.x(_ordinal(p.period)), frame.y(p.annual_minor)) for p in points]
    parts.append(svg.polyline(where, "line", width_px=2.5))
    last_x, last_y = where[-1]
    last = money_short(Money(points[-1].annual_minor, currency), lang)
    label_y = last_y + 5
    if guidance is not None:
        parts.append(frame.band_label(guidance, last_y))
        label_y = frame.clear_of_band(guidance, last_y)
    parts.append(svg.dot(last_x, last_y, 5))
    parts.append(svg.label(last_x + 11, label_y, last, "ink", size_px=LARGE_PX, strong=True))
    if note:
        parts.append(svg.label(0, frame.bottom + 42, note, "muted", size_px=SMALL_PX))
    total = int(frame.bottom + (50 if note else 26))
    return svg.figure(parts, width=width, height=total, name=name, title=title, desc=desc)


def ranked_bars(
    bars: Sequence[RankedBar],
    *,
    title: str,
    desc: str,
    width: int = WIDTH_PX,
    note: str = "",
    name: str = "ranking",
) -> str:
    """Horizontal bars on one scale from zero, longest first as given.

    Narrow figures write the label above its bar. `note` is a line under the last bar.

    Raises:
        UsageError: no bars, too many, or a share outside zero to one.
    """
    if not 0 < len(bars) <= SEGMENTS_MAX:
        raise UsageError(f"a ranking shows 1 to {SEGMENTS_MAX} bars, not {len(bars)}")
    if any(not 0 <= bar.share <= 1 for bar in bars):
        raise UsageError("a share in a ranking lies between zero and one")
    narrow = width < 560
    gutter = 0.0 if narrow else width * 0.28
    row, bar_top = (44.0, 20.0) if narrow else (30.0, 5.0)
    value_px = max(svg.text_width(bar.value_text, TEXT_PX) for bar in bars) + 12
    scale = (width - gutter - value_px) / max(float(max(bar.share for bar in bars)), 1e-9)
    parts = []
    for index, bar in enumerate(bars):
        y, length = index * row, float(bar.share) * scale
        tone = {"largest": "risk", "rest": "s5"}.get(bar.kind, "s1")
        room = width if narrow else gutter - 12
        label = svg.fitted(bar.label, TEXT_PX, room)
        label_y = y + 14 if narrow else y + 20
        value_y = y + bar_top + 15
        pieces = [
            svg.label(0, label_y, label, "ink", size_px=TEXT_PX, strong=bar.kind == "largest"),
            svg.rect(gutter, y + bar_top, max(length, 0.5), 20, tone, rx=2),
            svg.label(gutter + length + 8, value_y, bar.value_text, "muted", size_px=TEXT_PX),
        ]
        parts.append(svg.group(pieces, f"{bar.label} · {bar.value_text}"))
    bottom = len(bars) * row
    if note:
        parts.append(svg.label(0, bottom + 16, note, "muted", size_px=SMALL_PX))
    height = int(bottom + (24 if note else 4))
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def sparkline(
    values: Sequence[int],
    *,
    title: str,
    desc: str,
    width: int = 120,
    height: int = 28,
    name: str = "spark",
) -> str:
    """A small line on its own scale, zero at the foot, with a dot on the last value.

    Raises:
        UsageError: no values, too many, or a negative one.
    """
    if not 0 < len(values) <= POINTS_MAX or min(values, default=0) < 0:
        raise UsageError(f"a sparkline takes 1 to {POINTS_MAX} values, none negative")
    top = max(max(values), 1)
    inner_x, inner_y, rim = width - 8, height - 8, 4
    step = inner_x / max(len(values) - 1, 1)
    where = [(rim + i * step, rim + inner_y * (1 - v / top)) for i, v in enumerate(values)]
    parts = [svg.polyline(where, "line", width_px=1.5), svg.dot(*where[-1], 3)]
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def _check_segments(segments: Sequence[ShareSegment]) -> None:
    if not 0 < len(segments) <= SEGMENTS_MAX:
        raise UsageError(f"a share bar shows 1 to {SEGMENTS_MAX} segments, not {len(segments)}")
    for segment in segments:
        if segment.share < 0:
            raise UsageError(f"{segment.label}: a negative share cannot be drawn")
    total = sum((segment.share for segment in segments), Decimal(0))
    if abs(total - 1) > SHARE_SUM_TOLERANCE:
        raise UsageError(f"the shares sum to {total}, not 1", hint="use one denominator")


def _largest_label(x: float, span: float, width: int, words: tuple[str, str, str]) -> list[str]:
    name, share, amount = words
    name = svg.fitted(name, LARGE_PX, width - 4)
    second = f"{share} · {amount}"
    needed = max(svg.text_width(name, LARGE_PX), svg.text_width(second, TEXT_PX))
    at_end = x + needed > width
    where, anchor = (x + span - _GAP_PX, "end") if at_end else (x, "start")
    return [
        svg.label(where, 17, name, "risk-text", size_px=LARGE_PX, anchor=anchor, strong=True),
        svg.label(where, 37, second, "risk-text", size_px=TEXT_PX, anchor=anchor),
    ]


def _inside_label(x: float, span: float, top: float, words: tuple[str, str, str]) -> list[str]:
    name, share, _ = words
    room = span - 14
    shown = svg.fitted(name, TEXT_PX, room)
    if not shown or svg.text_width(share, SMALL_PX) > room:
        return []
    return [
        svg.label(x + 8, top + 20, shown, "ink", size_px=TEXT_PX),
        svg.label(x + 8, top + 37, share, "ink", size_px=SMALL_PX),
    ]


def _share_scale(width: int, bottom: float, lang: Lang) -> list[str]:
    parts = []
    for quarter, anchor in enumerate(("start", "middle", "middle", "middle", "end")):
        x = width * quarter / 4
        inset = {0: 0.5, 4: -0.5}.get(quarter, 0.0)
        words = percent(Decimal(quarter * 25).scaleb(-2), lang, decimals=0)
        parts.append(svg.line(x + inset, bottom + 4, x + inset, bottom + 9, "tick"))
        parts.append(svg.label(x, bottom + 23, words, "muted", size_px=SMALL_PX, anchor=anchor))
    return parts


def _check_points(points: Sequence[RatePoint], guidance: GuidanceBand | None) -> None:
    if not 0 < len(points) <= POINTS_MAX:
        raise UsageError(f"a run-rate line shows 1 to {POINTS_MAX} months, not {len(points)}")
    months = [_ordinal(point.period) for point in points]
    if months != sorted(set(months)):
        raise UsageError("the months of a run-rate line are in order, each once")
    if guidance is not None and (
        guidance.low_minor > guidance.high_minor
        or _ordinal(guidance.first) > _ordinal(guidance.last)
    ):
        raise UsageError("guidance runs from low to high and from its first to its last month")


def _ordinal(period: str) -> int:
    year, number_ = month_parts(period)
    return year * _MONTHS_IN_YEAR + number_ - 1


class _Frame(msgspec.Struct, frozen=True):
    """Where months and amounts lie in a run-rate figure, in px."""

    first: int
    last: int
    top_minor: int
    step_minor: int
    left: float
    right: float
    top: float
    bottom: float
    lang: Lang
    currency: str

    @classmethod
    def around(
        cls,
        points: Sequence[RatePoint],
        guidance: GuidanceBand | None,
        *,
        lang: Lang,
        currency: str,
        width: int,
    ) -> "_Frame":
        """The frame that holds all points, the band, and the label of the last point."""
        first, newest = _ordinal(points[0].period), _ordinal(points[-1].period)
        highest = max(point.annual_minor for point in points)
        last = newest
        if guidance is not None:
            first = min(first, _ordinal(guidance.first))
            last = max(last, _ordinal(guidance.last))
            highest = max(highest, guidance.high_minor)
        step = _tick_step(max(highest, 10 ** exponent(currency)))
        words = money_short(Money(points[-1].annual_minor, currency), lang)
        needed = svg.text_width(words, LARGE_PX) + 20
        months = max(last - first, 1)
        room = (last - newest) / months * width
        right = width - 6 - max(0.0, needed - room)
        return cls(
            first=first,
            last=first + months,
            top_minor=-(-highest // step) * step,
            step_minor=step,
            left=6.0,
            right=right,
            top=26.0,
            bottom=216.0 if width < 560 else 256.0,
            lang=lang,
            currency=currency,
        )

    def x(self, month: int) -> float:
        """Px of a month's ordinal."""
        return self.left + (self.right - self.left) * (month - self.first) / (
            self.last - self.first
        )

    def y(self, minor: int) -> float:
        """Px of an amount."""
        return self.bottom - (self.bottom - self.top) * minor / self.top_minor

    def value_grid(self) -> list[str]:
        """Horizontal lines at round amounts, labelled above their left end."""
        parts = []
        for minor in range(0, self.top_minor + 1, self.step_minor):
            y = self.y(minor)
            parts.append(svg.line(0, y, self.right, y, "grid"))
            words = money_short(Money(minor, self.currency), self.lang)
            parts.append(svg.label(0, y - 5, words, "muted", size_px=SMALL_PX))
        return parts

    def month_axis(self) -> list[str]:
        """Month names as often as they fit; the year stands with January and the first."""
        parts, free_from, year_shown = [], 0.0, -1
        for month in range(self.first, self.last + 1):
            year, index = divmod(month, _MONTHS_IN_YEAR)
            words = month_name(index + 1, self.lang)
            words = words if year == year_shown else f"{words} {year}"
            half = svg.text_width(words, SMALL_PX) / 2
            x = max(self.x(month), half)
            aligned = index % 3 == self.first % 3 or self.last - self.first < 6
            if not aligned or x - half < free_from:
                continue
            parts.append(
                svg.label(x, self.bottom + 18, words, "muted", size_px=SMALL_PX, anchor="middle")
            )
            free_from, year_shown = x + half + 14, year
        return parts

    def band(self, guidance: GuidanceBand) -> list[str]:
        """The promised range over its months; a single month is a bracket of its own width."""
        half = (self.right - self.left) / (self.last - self.first) / 2
        left = max(self.x(_ordinal(guidance.first)) - half, 0)
        right = min(self.x(_ordinal(guidance.last)) + half, self.right + 6)
        high, low = self.y(guidance.high_minor), self.y(guidance.low_minor)
        return [
            svg.rect(left, high, right - left, max(low - high, 1.5), "band"),
            svg.line(left, high, right, high, "band-edge", dashed=True),
            svg.line(left, low, right, low, "band-edge", dashed=True),
        ]

    def clear_of_band(self, guidance: GuidanceBand, last_y: float) -> float:
        """Where the last amount is written so that it does not cross an edge of the band."""
        high, low = self.y(guidance.high_minor), self.y(guidance.low_minor)
        if last_y < high - 12 or last_y > low + 8:
            return last_y + 5
        return high - 6 if last_y < (high + low) / 2 else low + 18

    def band_label(self, guidance: GuidanceBand, last_y: float) -> str:
        """The band's words, on the side of the band where the line does not end."""
        high, low = self.y(guidance.high_minor), self.y(guidance.low_minor)
        above = last_y >= (high + low) / 2
        y = min(high - 8, last_y - 18) if above else max(low + 18, last_y + 26)
        words = svg.fitted(guidance.label, TEXT_PX, self.right)
        return svg.label(self.right, max(y, 12.0), words, "ink", size_px=TEXT_PX, anchor="end")


def _tick_step(highest: int) -> int:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that gives at most five steps."""
    power = 1
    while True:
        for numerator, denominator in ((1, 1), (2, 1), (5, 2), (5, 1)):
            step = numerator * power // denominator
            if step > 0 and step * _TICK_TARGET >= highest:
                return step
        power *= 10
