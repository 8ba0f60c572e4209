"""Figures of live traffic: a line of the last minutes, and requests as bars on a common clock."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from quartermaster.console import svg
from quartermaster.console.format import Lang, number, time_of_day
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.clock import Instant

_LEFT, _TOP, _PLOT, _BELOW = 52.0, 22.0, 130.0, 30.0
_ROW = 26.0
_NARROW_ROW = 42.0
_BAR = 12.0
POINTS_MAX = 300
"""As `svg.POINTS_MAX`: more are not read one by one."""


class Line(msgspec.Struct, frozen=True):
    """A value by stretch; None where there is nothing to say, which leaves a gap in the line."""

    label: str
    values: tuple[float | None, ...]
    tone: Literal["line", "tick", "risk-tick"] = "line"


class Bar(msgspec.Struct, frozen=True):
    """One request: it waits from `start` to `first`, is answered until `end`."""

    label: str
    hint: str
    start: Instant
    first: Instant | None
    end: Instant | None
    """None while it runs."""
    failed: bool


def minutes_line(
    lines: Sequence[Line],
    times: Sequence[Instant],
    *,
    title: str,
    desc: str,
    unit: str,
    lang: Lang,
    width: int,
    name: str,
) -> str:
    """Values of the last minutes from zero; several lines share one scale and are named beside it.

    Args:
        lines: as many values each as there are times.
        times: beginnings of the stretches, in time order, at most `POINTS_MAX`.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        unit: words above the scale.
        lang: how numbers are written.
        width: px the figure is drawn for.
        name: prefix of element ids; unique on a page.
    """
    known = [value for line in lines for value in line.values if value is not None]
    top = _nice_top(max(known, default=0.0))
    right, bottom = width - 8.0, _TOP + _PLOT
    parts = [svg.label(0, 12, unit, "muted", size_px=SMALL_PX), *_key(lines, width)]
    for part in (0.0, 0.5, 1.0):
        y = bottom - _PLOT * part
        words = _short(top * part, lang)
        parts += [
            svg.line(_LEFT, y, right, y, "grid"),
            svg.label(_LEFT - 8, y + 4, words, "muted", size_px=SMALL_PX, anchor="end"),
        ]
    parts += _times(times, right, bottom)
    step = (right - _LEFT) / max(len(times) - 1, 1)
    for line in lines:
        for first, run in _runs(line.values[:POINTS_MAX]):
            where = [
                (_LEFT + (first + i) * step, bottom - _PLOT * value / top)
                for i, value in enumerate(run)
            ]
            if len(where) == 1:
                parts.append(svg.dot(*where[0], 2.5))
            else:
                parts.append(svg.polyline(where, line.tone, width_px=2))
    height = int(bottom + _BELOW)
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def timeline(
    bars: Sequence[Bar],
    *,
    now: Instant,
    title: str,
    desc: str,
    width: int,
    name: str,
) -> str:
    """Requests below each other on one clock: pale while they wait, full while they are answered.

    Args:
        bars: in the order of arrival, at least one.
        now: where a running request's bar ends.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        width: px the figure is drawn for; a narrow one writes names above their bars.
        name: prefix of element ids; unique on a page.
    """
    narrow = width < NARROW_PX
    left = 4.0 if narrow else width * 0.34
    row = _NARROW_ROW if narrow else _ROW
    right, top = width - 8.0, 24.0
    start = min(bar.start for bar in bars)
    end = max(max(bar.end or now for bar in bars), start + 1)

    def x(at: int) -> float:
        return left + (right - left) * (min(max(at, start), end) - start) / (end - start)

    bottom = top + row * len(bars)
    parts = [
        svg.label(left, 12, time_of_day(start), "muted", size_px=SMALL_PX),
        svg.label(right, 12, time_of_day(Instant(end)), "muted", size_px=SMALL_PX, anchor="end"),
        svg.line(left, top - 6, left, bottom, "grid"),
        svg.line(right, top - 6, right, bottom, "grid"),
    ]
    for number_, bar in enumerate(bars):
        y = top + row * number_
        parts.append(svg.group(_bar(bar, x, y, left, narrow, width, now), bar.hint))
    return svg.figure(parts, width=width, height=int(bottom + 8), name=name, title=title, desc=desc)


def _bar(
    bar: Bar,
    x: Callable[[int], float],
    y: float,
    left: float,
    narrow: bool,
    width: int,
    now: Instant,
) -> list[str]:
    room = width - 8.0 if narrow else left - 14
    bar_y = y + 18 if narrow else y + 4
    begun, ended = x(bar.start), x(bar.end or now)
    # One that failed before its first byte failed for all of its time.
    unanswered = begun if bar.failed else ended
    answered = unanswered if bar.first is None else x(bar.first)
    words = svg.fitted(bar.label, TEXT_PX, room)
    tone = "risk" if bar.failed else "area"
    return [
        svg.label(0, y + (13 if narrow else 14), words, "ink", size_px=TEXT_PX),
        *([svg.rect(begun, bar_y, answered - begun, _BAR, "s1")] if answered > begun else []),
        *(
            [svg.rect(answered, bar_y, max(ended - answered, 1.5), _BAR, tone)]
            if bar.first is not None or bar.failed
            else []
        ),
        *([svg.line(ended, bar_y - 2, ended, bar_y + _BAR + 2, "tick")] if bar.end is None else []),
    ]


def _key(lines: Sequence[Line], width: int) -> list[str]:
    """The lines' names, at the right above the plot, where there are several."""
    if len(lines) < 2:
        return []
    parts, x = [], width - 8.0
    for line in reversed(lines):
        x -= svg.text_width(line.label, SMALL_PX)
        parts.append(svg.label(x, 12, line.label, "muted", size_px=SMALL_PX))
        x -= 22
        parts.append(svg.polyline([(x, 8), (x + 16, 8)], line.tone, width_px=2.5))
        x -= 12
    return parts


def _times(times: Sequence[Instant], right: float, bottom: float) -> list[str]:
    if not times:
        return []
    y = bottom + 18
    return [
        svg.label(_LEFT, y, time_of_day(times[0]), "muted", size_px=SMALL_PX),
        svg.label(right, y, time_of_day(times[-1]), "muted", size_px=SMALL_PX, anchor="end"),
    ]


def _runs(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """Stretches of the line that can be drawn, each with where it begins."""
    found: list[tuple[int, list[float]]] = []
    for at, value in enumerate(values):
        if value is None:
            continue
        if found and found[-1][0] + len(found[-1][1]) == at:
            found[-1][1].append(value)
        else:
            found.append((at, [value]))
    return found


def _nice_top(highest: float) -> float:
    """The smallest of 1, 2, 4, 5, 10, 20, … tenths that holds the highest value."""
    size = 0.1
    while True:
        for step in (1, 2, 4, 5):
            if highest <= size * step:
                return size * step
        size *= 10


def _short(value: float, lang: Lang) -> str:
    return number(Decimal(str(round(value, 2))).normalize(), lang)
