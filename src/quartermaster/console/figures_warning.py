"""Figures of early warning: who is likeliest to leave, how a probability came about, the alarms.

In the waterfall a hollow bar is what a piece of evidence would do alone, and the filled part of it
is what counts; where the rule for dependence lets nothing of it count, it stays hollow.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import pairwise

import msgspec

from quartermaster.console import svg
from quartermaster.console.format import Lang, month_name
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError

ROWS_MAX = 30
"""More rows are a table, not a picture."""
DAYS_MAX = 400
"""A year of days at two pixels a day; a longer line is no longer read day by day."""

_ROW_PX, _BAR_PX = 40.0, 16.0
_NARROW_ROW_PX = 52.0
_AXIS_PX = 34.0
_USE_PX, _SCORE_PX, _GAP_PX = 170.0, 64.0, 34.0
_LEFT, _TOP = 8.0, 22.0
_MONTH_PX = 64.0
_MARK_ROWS = 3
_SHARE_TICKS = 5


class ChanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's probability with its interval, shares of one, and what hangs on it."""

    label: str
    probability: float
    low: float
    high: float
    value: str
    alarm: bool
    hint: str


class WaterfallRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step from a chance to the next; `alone` is where it would lead, counted in full."""

    label: str
    before: float
    after: float
    alone: float
    value: str
    hint: str


class WaterfallEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The prior or the stated probability: a chance with its interval."""

    label: str
    probability: float
    low: float
    high: float
    value: str
    hint: str


class ScoreTrack(msgspec.Struct, frozen=True, kw_only=True):
    """One detector: its score on every day, None before it is warm, and its threshold."""

    label: str
    scores: Sequence[float | None]
    threshold: float | None


class Mark(msgspec.Struct, frozen=True):
    """A dated change of level."""

    on: date
    label: str


def chance_intervals(
    rows: Sequence[ChanceRow],
    *,
    title: str,
    desc: str,
    x_label: str,
    width: int,
    name: str = "chances",
) -> str:
    """A dot and its interval a customer on one scale from 0 to 100 %; alarms in colour of risk.

    Args:
        rows: in drawing order.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        x_label: words under the scale.
        width: px the figure is drawn for; a narrow one writes names above their lines.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no rows, or too many.
    """
    _check(len(rows))
    frame = _Scale(width, [row.value for row in rows])
    parts, y = list[str](), 4.0
    for row in rows:
        css = "risk-text" if row.alarm else "ink"
        pieces, middle = frame.labels(y, row.label, row.value, css, strong=row.alarm)
        pieces += _interval(frame, middle, row.low, row.high, row.probability, alarm=row.alarm)
        parts.append(svg.group(pieces, row.hint))
        y += frame.row_px
    parts = frame.axis(y, x_label) + parts
    return svg.figure(
        parts, width=width, height=int(y + _AXIS_PX), name=name, title=title, desc=desc
    )


def evidence_waterfall(
    prior: WaterfallEnd,
    steps: Sequence[WaterfallRow],
    stated: WaterfallEnd,
    *,
    title: str,
    desc: str,
    x_label: str,
    width: int,
    name: str = "waterfall",
) -> str:
    """From the prior through each piece of evidence to what is stated, on one scale.

    Args:
        prior: what was believed before.
        steps: in the order of the ledger.
        stated: the probability that they lead to.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        x_label: words under the scale.
        width: px the figure is drawn for; a narrow one writes names above their bars.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: too many steps.
    """
    _check(len(steps) + 2)
    frame = _Scale(width, [prior.value, stated.value, *(row.value for row in steps)])
    parts, y = list[str](), 4.0
    joints: list[tuple[float, float, float]] = []
    for end in (prior, stated):
        if end is stated:
            for row in steps:
                pieces, middle = frame.labels(y, row.label, row.value, "ink")
                pieces += _step(frame, middle, row)
                parts.append(svg.group(pieces, row.hint))
                joints.append((frame.x(row.after), middle, y + frame.row_px))
                y += frame.row_px
        pieces, middle = frame.labels(y, end.label, end.value, "ink", strong=True)
        pieces += _interval(frame, middle, end.low, end.high, end.probability, alarm=False)
        parts.append(svg.group(pieces, end.hint))
        joints.append((frame.x(end.probability), middle, y + frame.row_px))
        y += frame.row_px
    threads = [
        svg.line(x, middle, x, following[1], "tick", dashed=True)
        for (x, middle, _), following in pairwise(joints)
    ]
    parts = frame.axis(y, x_label) + threads + parts
    return svg.figure(
        parts, width=width, height=int(y + _AXIS_PX), name=name, title=title, desc=desc
    )


def detector_timeline(
    first_day: date,
    usage: Sequence[float],
    tracks: Sequence[ScoreTrack],
    marks: Sequence[Mark],
    *,
    title: str,
    desc: str,
    usage_label: str,
    threshold_label: str,
    lang: Lang,
    width: int,
    name: str = "timeline",
) -> str:
    """Daily use above the score of every detector, with thresholds, alarms and changes of level.

    Args:
        first_day: of `usage` and of every track.
        usage: amounts by day, not below zero.
        tracks: one a detector; days above its threshold are in the colour of risk.
        marks: changes of level, drawn across everything.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        usage_label: words above the use.
        threshold_label: words at a threshold.
        lang: how dates are written.
        width: px the figure is drawn for.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: fewer than two days or too many, or tracks of other days.
    """
    if not 2 <= len(usage) <= DAYS_MAX:
        raise UsageError(f"a timeline takes 2 to {DAYS_MAX} days, not {len(usage)}")
    if any(len(track.scores) != len(usage) for track in tracks):
        raise UsageError("every track of a timeline is of the same days")
    right = width - 12.0
    step = (right - _LEFT) / (len(usage) - 1)

    def x(day: int) -> float:
        return _LEFT + day * step

    bottom = _TOP + _USE_PX
    parts = _usage(usage, x, usage_label, bottom)
    y = bottom + _GAP_PX
    for track in tracks:
        parts += _track(track, x, y, threshold_label, right)
        y += _SCORE_PX + _GAP_PX
    foot = y - _GAP_PX + 6 if tracks else bottom
    parts += _months(first_day, len(usage), x, foot, lang)
    parts += _marks(first_day, marks, x, foot, right)
    return svg.figure(parts, width=width, height=int(foot + 28), name=name, title=title, desc=desc)


class _Scale:
    """Rows with a name, a scale from 0 to 1 and a value at the right."""

    def __init__(self, width: int, values: Sequence[str]) -> None:
        self._narrow = width < NARROW_PX
        self.row_px = _NARROW_ROW_PX if self._narrow else _ROW_PX
        self._width = width
        self._gutter = 8.0 if self._narrow else width * 0.34
        self._tail = max((svg.text_width(value, SMALL_PX) for value in values), default=0.0) + 16
        self._right = width - (14.0 if self._narrow else self._tail)

    def x(self, share: float) -> float:
        """Where a share of one stands."""
        return self._gutter + min(max(share, 0.0), 1.0) * (self._right - self._gutter)

    def labels(
        self, y: float, label: str, value: str, css: str, *, strong: bool = False
    ) -> tuple[list[str], float]:
        """The words of a row, and the middle of its line."""
        if self._narrow:
            room = self._width - self._tail - 8
            words = svg.fitted(label, TEXT_PX, room)
            return [
                svg.label(0, y + 14, words, css, size_px=TEXT_PX, strong=strong),
                svg.label(self._width, y + 14, value, "muted", size_px=SMALL_PX, anchor="end"),
            ], y + 34
        words = svg.fitted(label, TEXT_PX, self._gutter - 16)
        middle = y + _ROW_PX / 2
        return [
            svg.label(0, middle + 5, words, css, size_px=TEXT_PX, strong=strong),
            svg.label(self._width, middle + 5, value, "muted", size_px=SMALL_PX, anchor="end"),
        ], middle

    def axis(self, bottom: float, words: str) -> list[str]:
        """Lines at every quarter with their per cent, and what they are of."""
        parts = []
        for quarter in range(_SHARE_TICKS):
            share = quarter / (_SHARE_TICKS - 1)
            at = self.x(share)
            parts.append(svg.line(at, 0, at, bottom, "grid"))
            parts.append(
                svg.label(
                    at,
                    bottom + 14,
                    f"{100 * share:.0f}",
                    "muted",
                    size_px=SMALL_PX,
                    anchor="middle",
                )
            )
        middle = (self.x(0) + self.x(1)) / 2
        parts.append(
            svg.label(middle, bottom + 30, words, "muted", size_px=SMALL_PX, anchor="middle")
        )
        return parts


def _check(rows: int) -> None:
    if not 0 < rows <= ROWS_MAX:
        raise UsageError(f"a picture of chances takes 1 to {ROWS_MAX} rows, not {rows}")


def _interval(
    frame: _Scale, y: float, low: float, high: float, share: float, *, alarm: bool
) -> list[str]:
    left, right = frame.x(low), frame.x(high)
    css = "risk-tick" if alarm else "line"
    parts = [svg.rect(left, y - 4, max(right - left, 1.0), 8, "band", rx=4)]
    parts += [svg.line(end, y - 6, end, y + 6, css) for end in (left, right)]
    where = frame.x(share)
    mark = svg.rect(where - 5, y - 5, 10, 10, "risk", rx=5) if alarm else svg.dot(where, y, 5)
    return [*parts, mark]


def _step(frame: _Scale, y: float, row: WaterfallRow) -> list[str]:
    """What it does alone as an outline, what of it counts as a bar inside."""
    top = y - _BAR_PX / 2
    ends = sorted((frame.x(row.before), frame.x(row.alone)))
    parts = []
    if ends[1] - ends[0] > 0.5:
        css = "risk-tick" if row.alone > row.before else "tick"
        corners = [
            (ends[0], top),
            (ends[1], top),
            (ends[1], top + _BAR_PX),
            (ends[0], top + _BAR_PX),
        ]
        parts += [
            svg.line(*corners[at], *corners[(at + 1) % len(corners)], css, dashed=True)
            for at in range(len(corners))
        ]
    counted = sorted((frame.x(row.before), frame.x(row.after)))
    css = "risk" if row.after > row.before else "area"
    if counted[1] - counted[0] > 0.5:
        parts.append(svg.rect(counted[0], top, counted[1] - counted[0], _BAR_PX, css, rx=2))
    else:
        parts.append(svg.line(counted[0], top - 2, counted[0], top + _BAR_PX + 2, "tick"))
    return parts


def _usage(
    usage: Sequence[float], x: Callable[[int], float], words: str, bottom: float
) -> list[str]:
    """Days as a thin area, and their mean of seven days as the line."""
    top = max(max(usage), 1e-9)

    def y(amount: float) -> float:
        return bottom - amount / top * (_USE_PX - 8 - 15 * _MARK_ROWS)

    days = [(x(day), y(amount)) for day, amount in enumerate(usage)]
    mean = [
        (x(day), y(sum(usage[max(0, day - 6) : day + 1]) / min(7, day + 1)))
        for day in range(len(usage))
    ]
    return [
        svg.label(_LEFT, 12, words, "muted", size_px=SMALL_PX),
        svg.line(_LEFT, bottom, x(len(usage) - 1), bottom, "grid"),
        svg.area([(x(0), bottom), *days, (x(len(usage) - 1), bottom)], "s3"),
        svg.polyline(mean, "line", width_px=2),
    ]


def _track(
    track: ScoreTrack, x: Callable[[int], float], top: float, words: str, right: float
) -> list[str]:
    known = [score for score in track.scores if score is not None]
    threshold = track.threshold
    highest = max([*known, threshold or 0.0, 1.0]) * 1.08
    lowest = min([*known, 0.0])
    span = highest - lowest

    def y(score: float) -> float:
        return top + (highest - score) / span * _SCORE_PX

    parts = [
        svg.label(_LEFT, top - 8, track.label, "muted", size_px=SMALL_PX),
        svg.line(_LEFT, y(0.0), right, y(0.0), "grid"),
    ]
    if threshold is not None:
        over = [
            day for day, score in enumerate(track.scores) if score is not None and score > threshold
        ]
        for first, last in _runs(over):
            left = x(first)
            parts.append(
                svg.rect(left, top, max(x(last) - left, 2.0), _SCORE_PX, "risk", rx=1).replace(
                    "/>", ' fill-opacity="0.22"/>'
                )
            )
        parts.append(svg.line(_LEFT, y(threshold), right, y(threshold), "risk-tick", dashed=True))
    line: list[tuple[float, float]] = []
    for day, score in enumerate([*track.scores, None]):
        if score is not None:
            line.append((x(day), y(score)))
        elif len(line) > 1:
            parts.append(svg.polyline(line, "line", width_px=1.5))
            line = []
    if threshold is not None:
        parts.append(svg.label(right, top - 8, words, "risk-text", size_px=SMALL_PX, anchor="end"))
    return parts


def _runs(days: Sequence[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for day in days:
        if found and day == found[-1][1] + 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _months(
    first_day: date, days: int, x: Callable[[int], float], bottom: float, lang: Lang
) -> list[str]:
    """The first of every month, with as many names as fit."""
    firsts = [
        (day, on) for day in range(days) for on in [first_day + timedelta(days=day)] if on.day == 1
    ]
    parts, free = list[str](), 0.0
    for day, on in firsts:
        at = x(day)
        parts.append(svg.line(at, bottom, at, bottom + 5, "tick"))
        words = month_name(on.month, lang)
        words = f"{words} {on.year}" if on.month == 1 else words
        half = svg.text_width(words, SMALL_PX) / 2
        if at - half >= free and at + half <= x(days - 1) + 10:
            parts.append(
                svg.label(at, bottom + 19, words, "muted", size_px=SMALL_PX, anchor="middle")
            )
            free = at + half + (_MONTH_PX / 4)
    return parts


def _marks(
    first_day: date, marks: Sequence[Mark], x: Callable[[int], float], foot: float, right: float
) -> list[str]:
    parts = list[str]()
    free = [0.0] * _MARK_ROWS
    for mark in sorted(marks, key=lambda one: one.on):
        at = x((mark.on - first_day).days)
        if not _LEFT <= at <= right:
            continue
        width = svg.text_width(mark.label, SMALL_PX) + 6
        left = at + width > right
        begins, ends = (at - width, at) if left else (at, at + width)
        # The first row with room; where there is none, the lowest, rather than no date.
        row = next((at_ for at_, end in enumerate(free) if begins >= end), _MARK_ROWS - 1)
        free[row] = ends + 6
        parts += [
            svg.line(at, _TOP - 4, at, foot, "tick", dashed=True),
            svg.label(
                at - 5 if left else at + 5,
                _TOP + 8 + 15 * row,
                mark.label,
                "ink",
                size_px=SMALL_PX,
                anchor="end" if left else "start",
            ),
        ]
    return parts
