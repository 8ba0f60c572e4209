"""The run-rate figure: a line of months from zero, and the band that was guided.

Part of `console.figures`, which is where callers import it from.
"""

from collections.abc import Sequence

import msgspec

from quartermaster.console import svg
from quartermaster.console.format import Lang, money_short, month_name, month_parts
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money, exponent

_TICK_TARGET = 5
_MONTHS_IN_YEAR = 12
_HALF_MONTH_PX_MAX = 24.0
"""In a short series a month is wide; its band stays a bracket around the point."""


class RatePoint(msgspec.Struct, frozen=True):
    """A month `YYYY-MM` and its run-rate: minor units a year."""

    period: str
    annual_minor: int


class GuidanceBand(msgspec.Struct, frozen=True):
    """What was promised for the months `first`..`last`, in minor units a year.

    `label` names it with its basis ("as reported", "constant currency") in the reader's language;
    `short_label` is used where that does not fit.
    """

    first: str
    last: str
    low_minor: int
    high_minor: int
    label: str
    short_label: str = ""


def run_rate_line(
    points: Sequence[RatePoint],
    *,
    guidance: GuidanceBand | None,
    title: str,
    desc: str,
    lang: Lang,
    currency: str,
    width: int = svg.WIDTH_PX,
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
    where = [(frame.x(month_ordinal(p.period)), frame.y(p.annual_minor)) for p in points]
    parts.append(svg.polyline(where, "line", width_px=2.5))
    last_x, last_y = where[-1]
    last = money_short(Money(points[-1].annual_minor, currency), lang)
    label_y = last_y + 5
    if guidance is not None:
        parts.append(frame.band_label(guidance, last_y))
        label_y = frame.clear_of_band(guidance, last_x + 11, last_y)
    parts.append(svg.dot(last_x, last_y, 5))
    parts.append(svg.label(last_x + 11, label_y, last, "ink", size_px=svg.LARGE_PX, strong=True))
    if note:
        parts.append(svg.label(0, frame.bottom + 42, note, "muted", size_px=svg.SMALL_PX))
    total = int(frame.bottom + (50 if note else 26))
    return svg.figure(parts, width=width, height=total, name=name, title=title, desc=desc)


def _check_points(points: Sequence[RatePoint], guidance: GuidanceBand | None) -> None:
    if not 0 < len(points) <= svg.POINTS_MAX:
        raise UsageError(f"a run-rate line shows 1 to {svg.POINTS_MAX} months, not {len(points)}")
    months = [month_ordinal(point.period) for point in points]
    if months != sorted(set(months)):
        raise UsageError("the months of a run-rate line are in order, each once")
    if guidance is not None and (
        guidance.low_minor > guidance.high_minor
        or month_ordinal(guidance.first) > month_ordinal(guidance.last)
    ):
        raise UsageError("guidance runs from low to high and from its first to its last month")


def month_ordinal(period: str) -> int:
    """Months since year 0 of a period label `2024-03`, so that months subtract."""
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
    width: float
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
        first, newest = month_ordinal(points[0].period), month_ordinal(points[-1].period)
        highest = max(point.annual_minor for point in points)
        last = newest
        if guidance is not None:
            first = min(first, month_ordinal(guidance.first))
            last = max(last, month_ordinal(guidance.last))
            highest = max(highest, guidance.high_minor)
        step = tick_step(max(highest, 10 ** exponent(currency)))
        words = money_short(Money(points[-1].annual_minor, currency), lang)
        needed = svg.text_width(words, svg.LARGE_PX) + 20
        months = max(last - first, 1)
        left = _gutter(-(-highest // step) * step, step, currency, lang)
        drawn = max(newest - first, 1)
        right = min(width - 6.0, left + (width - needed - left) * months / drawn)
        return cls(
            first=first,
            last=first + months,
            top_minor=-(-highest // step) * step,
            step_minor=step,
            left=left,
            right=right,
            top=26.0,
            bottom=216.0 if width < svg.NARROW_PX else 236.0,
            width=width,
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
        """Horizontal lines at round amounts, with the amounts left of the line."""
        parts = []
        for minor in range(0, self.top_minor + 1, self.step_minor):
            y = self.y(minor)
            parts.append(svg.line(self.left - 4, y, self.right, y, "grid"))
            words = money_short(Money(minor, self.currency), self.lang)
            parts.append(svg.label(0, y + 4, words, "muted", size_px=svg.SMALL_PX))
        return parts

    def month_axis(self) -> list[str]:
        """Month names as often as they fit; the year stands with January and the first."""
        parts, free_from, year_shown = [], 0.0, -1
        for month in range(self.first, self.last + 1):
            year, index = divmod(month, _MONTHS_IN_YEAR)
            words = month_name(index + 1, self.lang)
            words = words if year == year_shown else f"{words} {year}"
            half = svg.text_width(words, svg.SMALL_PX) / 2
            x = min(max(self.x(month), half), self.width - half)
            aligned = index % 3 == self.first % 3 or self.last - self.first < 6
            if not aligned or x - half < free_from:
                continue
            parts.append(
                svg.label(
                    x, self.bottom + 18, words, "muted", size_px=svg.SMALL_PX, anchor="middle"
                )
            )
            free_from, year_shown = x + half + 14, year
        return parts

    def band(self, guidance: GuidanceBand) -> list[str]:
        """The promised range over its months; a single month is a bracket of its own width."""
        left = max(self.x(month_ordinal(guidance.first)) - self.half_month, self.left)
        right = self.band_right(guidance)
        high, low = self.y(guidance.high_minor), self.y(guidance.low_minor)
        return [
            svg.rect(left, high, right - left, max(low - high, 1.5), "band"),
            svg.line(left, high, right, high, "band-edge", dashed=True),
            svg.line(left, low, right, low, "band-edge", dashed=True),
        ]

    @property
    def half_month(self) -> float:
        """Half the distance of two months, at most what keeps a single month a bracket."""
        return min((self.right - self.left) / (self.last - self.first) / 2, _HALF_MONTH_PX_MAX)

    def band_right(self, guidance: GuidanceBand) -> float:
        """Where the band ends."""
        return min(self.x(month_ordinal(guidance.last)) + self.half_month, self.right + 6)

    def clear_of_band(self, guidance: GuidanceBand, label_x: float, last_y: float) -> float:
        """Where the last amount is written so that it does not cross an edge of the band."""
        if self.band_right(guidance) <= label_x:
            return last_y + 5
        high, low = self.y(guidance.high_minor), self.y(guidance.low_minor)
        if last_y < high - 12 or last_y > low + 8:
            return last_y + 5
        return high - 6 if last_y < (high + low) / 2 else low + 18

    def band_label(self, guidance: GuidanceBand, last_y: float) -> str:
        """The band's words, on the side of the band where the line does not end."""
        high, low = self.y(guidance.high_minor), self.y(guidance.low_minor)
        above = last_y >= (high + low) / 2
        y = min(high - 8, last_y - 18) if above else max(low + 18, last_y + 26)
        room, words = self.right - self.left, guidance.label
        if svg.text_width(words, svg.TEXT_PX) > room and guidance.short_label:
            words = guidance.short_label
        words = svg.fitted(words, svg.TEXT_PX, room)
        return svg.label(self.right, max(y, 12.0), words, "ink", size_px=svg.TEXT_PX, anchor="end")


def _gutter(top_minor: int, step_minor: int, currency: str, lang: Lang) -> float:
    """Px that the amounts beside the grid need."""
    words = [
        money_short(Money(minor, currency), lang) for minor in range(0, top_minor + 1, step_minor)
    ]
    return max(svg.text_width(word, svg.SMALL_PX) for word in words) + 12


def tick_step(highest: int) -> int:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that gives at most five steps."""
    power = 1
    while True:
        for numerator, denominator in ((1, 1), (2, 1), (5, 2), (5, 1)):
            step = numerator * power // denominator
            if step > 0 and step * _TICK_TARGET >= highest:
                return step
        power *= 10
