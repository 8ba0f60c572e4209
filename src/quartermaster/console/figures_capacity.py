"""The capacity figure: what GPUs were busy with, stacked under the line of what is provisioned.

Stranded capacity is hatched, so that it reads without colour too.
"""

from collections.abc import Sequence

import msgspec

from quartermaster.capacity.series import OTHERS, Stack
from quartermaster.console import svg
from quartermaster.console.figures import ShareKind
from quartermaster.console.format import Lang, day, number
from quartermaster.console.svg import NARROW_PX, POINTS_MAX, SMALL_PX, TEXT_PX, WIDTH_PX
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.errors import UsageError

_TONES = ("s1", "s2", "s3", "s4")
_TICKS = 5
_CLOCK_HOURS_MAX = 48
"""Up to two days the axis shows hours of the day, above that days."""
_ROW_PX, _SWATCH_PX = 22.0, 12.0


class CapacityLayer(msgspec.Struct, frozen=True):
    """GPUs that one customer kept busy, in every step; `largest` is drawn in the colour of risk."""

    label: str
    gpus: tuple[float, ...]
    kind: ShareKind = "named"


class CapacityWords(msgspec.Struct, frozen=True):
    """What the parts are called, in the reader's language."""

    reserved_idle: str
    idle: str
    stranded: str
    provisioned: str
    axis: str


class CapacityStack(msgspec.Struct, frozen=True):
    """Steps of equal length from the bottom up; the parts of a step sum to `provisioned`."""

    starts: tuple[int, ...]
    step_hours: int
    layers: tuple[CapacityLayer, ...]
    reserved_idle: tuple[float, ...]
    idle: tuple[float, ...]
    stranded: tuple[float, ...]
    provisioned: int
    at_risk: bool = False
    """Stranded because one customer left: hatched in the colour of risk."""


def from_series(series: Stack, *, after_departure: bool) -> CapacityStack:
    """What the capacity room computed, as layers: its most costly customer is the largest.

    After a departure nobody is drawn in the colour of risk but what the leaver left stranded.
    """
    return CapacityStack(
        starts=series.starts,
        step_hours=series.step_hours,
        layers=tuple(
            CapacityLayer(who, gpus, _kind(place, who, after_departure=after_departure))
            for place, (who, gpus) in enumerate(series.layers)
        ),
        reserved_idle=series.reserved_idle,
        idle=series.idle,
        stranded=series.stranded,
        provisioned=series.provisioned,
        at_risk=after_departure,
    )


def _kind(place: int, who: str, *, after_departure: bool) -> ShareKind:
    if who == OTHERS:
        return "rest"
    return "largest" if place == 0 and not after_departure else "named"


def capacity_stack(
    stack: CapacityStack,
    words: CapacityWords,
    *,
    title: str,
    desc: str,
    lang: Lang,
    width: int = WIDTH_PX,
    note: str = "",
    name: str = "capacity",
) -> str:
    """Stacked demand under the provisioned line, with the stranded area hatched.

    Args:
        stack: what the GPUs did, step by step.
        words: names of the parts.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        lang: how numbers and days are written.
        width: px the figure is drawn for.
        note: a line under the legend, such as "Sample data".
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no steps, too many, series of different lengths, or a negative value.
    """
    _check(stack)
    frame = _Frame.of(stack, lang, width)
    hatch = "risk-tick" if stack.at_risk else "tick"
    parts = [_hatch_pattern(name, hatch), *frame.grid(words.axis), *frame.days()]
    shown: list[tuple[str, str]] = []
    below = [0.0] * len(stack.starts)
    tones = iter(_TONES + (_TONES[-1],) * len(stack.layers))
    for layer in stack.layers:
        tone = {"largest": "risk", "rest": "s5"}.get(layer.kind) or next(tones)
        below = frame.stacked(parts, below, layer.gpus, _filled(tone), layer.label)
        shown.append((_filled(tone), layer.label))
    for row, fill, label in (
        (stack.reserved_idle, f"{_filled('band')} {_edge('band-edge')}", words.reserved_idle),
        (stack.idle, f'fill="none" {_edge("tick")}', words.idle),
        (stack.stranded, f'fill="url(#{svg.text(name)}-hatch)" {_edge(hatch)}', words.stranded),
    ):
        if any(row):
            below = frame.stacked(parts, below, row, fill, label)
            shown.append((fill, label))
    parts += frame.provisioned(words.provisioned)
    legend, bottom = _legend(shown, frame.bottom + 44, width)
    parts += legend
    if note:
        parts.append(svg.label(0, bottom + 14, note, "muted", size_px=SMALL_PX))
        bottom += 22
    return svg.figure(parts, width=width, height=int(bottom), name=name, title=title, desc=desc)


def _check(stack: CapacityStack) -> None:
    steps = len(stack.starts)
    if not 0 < steps <= POINTS_MAX:
        raise UsageError(f"a capacity figure shows 1 to {POINTS_MAX} steps, not {steps}")
    rows = [*(la.gpus for la in stack.layers), stack.reserved_idle, stack.idle, stack.stranded]
    if any(len(row) != steps for row in rows):
        raise UsageError("every part of a capacity figure has a value for every step")
    if any(value < 0 for row in rows for value in row) or stack.provisioned <= 0:
        raise UsageError("GPUs in a capacity figure are not negative, and some are provisioned")


class _Frame(msgspec.Struct, frozen=True):
    """Where steps and GPUs lie, in px."""

    stack: CapacityStack
    lang: Lang
    left: float
    right: float
    top: float
    bottom: float
    step_gpus: int

    @classmethod
    def of(cls, stack: CapacityStack, lang: Lang, width: int) -> "_Frame":
        """The frame for this width."""
        step = _tick_step(stack.provisioned)
        widest = max(
            svg.text_width(number(gpus, lang), SMALL_PX)
            for gpus in range(0, stack.provisioned + 1, step)
        )
        bottom = 232.0 if width < NARROW_PX else 272.0
        return cls(stack, lang, widest + 10, width - 6.0, 46.0, bottom, step)

    def x(self, step: int) -> float:
        """Px where a step begins."""
        return self.left + (self.right - self.left) * step / len(self.stack.starts)

    def y(self, gpus: float) -> float:
        """Px of a number of GPUs."""
        return self.bottom - (self.bottom - self.top) * gpus / self.stack.provisioned

    def grid(self, axis: str) -> list[str]:
        """Lines at round numbers of GPUs, and what is counted."""
        parts = [svg.label(0, 14, axis, "muted", size_px=SMALL_PX)]
        for gpus in range(0, self.stack.provisioned + 1, self.step_gpus):
            y = self.y(gpus)
            words = number(gpus, self.lang)
            parts.append(svg.line(self.left, y, self.right, y, "grid"))
            parts.append(
                svg.label(self.left - 6, y + 4, words, "muted", size_px=SMALL_PX, anchor="end")
            )
        return parts

    def days(self) -> list[str]:
        """Times under the axis, as often as they fit; the first one carries the date."""
        hours = len(self.stack.starts) * self.stack.step_hours
        first = as_datetime(Instant(self.stack.starts[0]))
        parts, free_from = [], 0.0
        for step, start in enumerate(self.stack.starts):
            at = as_datetime(Instant(start))
            if hours <= _CLOCK_HOURS_MAX:
                words = f"{at:%H:%M}" if at != first else f"{day(at, self.lang)}, {at:%H:%M}"
            else:
                words = day(at, self.lang)
            half = svg.text_width(words, SMALL_PX) / 2
            x = max(self.x(step), half)
            if x - half < free_from or x + half > self.right:
                continue
            parts.append(
                svg.label(x, self.bottom + 18, words, "muted", size_px=SMALL_PX, anchor="middle")
            )
            free_from = x + half + 22
        return parts

    def stacked(
        self,
        parts: list[str],
        below: Sequence[float],
        gpus: Sequence[float],
        fill: str,
        label: str,
    ) -> list[float]:
        """Add one layer as a stepped area above `below`; returns its upper edge."""
        above = [low + value for low, value in zip(below, gpus, strict=True)]
        upper = self._edge(above)
        lower = self._edge(below)[::-1]
        where = "L".join(f"{svg.px(x)},{svg.px(y)}" for x, y in [*upper, *lower])
        parts.append(svg.group([f'<path {fill} stroke-width="0.5" d="M{where}Z"/>'], label))
        return above

    def _edge(self, heights: Sequence[float]) -> list[tuple[float, float]]:
        """The stepped line of these heights; equal neighbours share one stretch."""
        points: list[tuple[float, float]] = []
        for step, height in enumerate(heights):
            if not points or points[-1][1] != self.y(height):
                points.append((self.x(step), self.y(height)))
            else:
                points.pop()
            points.append((self.x(step + 1), self.y(height)))
        return points

    def provisioned(self, word: str) -> list[str]:
        """The line of everything that is there, with its number."""
        words = f"{word} {number(self.stack.provisioned, self.lang)}"
        y = self.y(self.stack.provisioned)
        return [
            svg.polyline([(self.left, y), (self.right, y)], "line", width_px=2.5),
            svg.label(self.right, y - 8, words, "ink", size_px=TEXT_PX, anchor="end", strong=True),
        ]


def _tick_step(highest: int) -> int:
    """The smallest of 1, 2, 5 times a power of ten that gives at most five steps."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * _TICKS >= highest:
                return factor * power
        power *= 10


def _filled(tone: str) -> str:
    return f'class="{tone}" fill="{svg.FALLBACK_FILL[tone]}"'


def _edge(css: str) -> str:
    """A thin outline of a palette colour; a fill's class cannot carry it as well."""
    return f'stroke="{svg.FALLBACK_STROKE[css]}"'


def _hatch_pattern(name: str, css: str) -> str:
    """Diagonal lines, in the colour of a palette class."""
    return (
        f'<defs><pattern id="{svg.text(name)}-hatch" width="7" height="7"'
        f' patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<line class="{css}" stroke="{svg.FALLBACK_STROKE[css]}" stroke-width="2"'
        f' x1="0" y1="0" x2="0" y2="7"/></pattern></defs>'
    )


def _legend(shown: Sequence[tuple[str, str]], top: float, width: int) -> tuple[list[str], float]:
    """Swatches with their names, in as many rows as they take; and where they end."""
    parts: list[str] = []
    x, y = 0.0, top
    for fill, label in shown:
        words = svg.fitted(label, SMALL_PX, width - _SWATCH_PX - 8)
        needed = _SWATCH_PX + 6 + svg.text_width(words, SMALL_PX)
        if x and x + needed > width:
            x, y = 0.0, y + _ROW_PX
        parts.append(
            f'<rect {fill} stroke-width="0.5" x="{svg.px(x)}" y="{svg.px(y - 10)}"'
            f' width="{svg.px(_SWATCH_PX)}" height="{svg.px(_SWATCH_PX)}"/>'
        )
        parts.append(svg.label(x + _SWATCH_PX + 6, y, words, "ink", size_px=SMALL_PX))
        x += needed + 20
    return parts, y + 10
