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
from quartermaster.console.format import Lang, money_compact, percent
from quartermaster.console.run_rate import GuidanceBand, RatePoint, run_rate_line
from quartermaster.console.svg import NARROW_PX, POINTS_MAX, SMALL_PX, TEXT_PX, WIDTH_PX
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money

__all__ = [
    "NARROW_PX",
    "POINTS_MAX",
    "SMALL_PX",
    "TEXT_PX",
    "WIDTH_PX",
    "GuidanceBand",
    "RankedBar",
    "RatePoint",
    "ShareKind",
    "ShareSegment",
    "ranked_bars",
    "run_rate_line",
    "share_bar",
    "sparkline",
    "standalone",
    "stylesheet",
]

ShareKind = Literal["largest", "named", "rest"]

SEGMENTS_MAX = 40
"""Thinner segments cannot be told apart; sum the others into one `rest`."""
SHARE_SUM_TOLERANCE = Decimal("0.001")
"""Shares rounded to four places may miss one by a little; a larger miss is a wrong denominator."""

_GAP_PX = 2
_NAME_SHOWN_MIN = 0.6
"""Part of a name that must fit: cut further it is a riddle, and the table has it whole."""
_NAMED_TONES = ("s1", "s2", "s3", "s4")


class ShareSegment(msgspec.Struct, frozen=True):
    """One part of a whole. `value` in minor units, `share` of one, `label` as shown.

    `largest` is drawn in the colour of risk and always labelled; `rest` is a sum of many.
    """

    label: str
    value: int
    share: Decimal
    kind: ShareKind = "named"


class RankedBar(msgspec.Struct, frozen=True):
    """One row of a ranking. `share` of one sets the length, `value_text` is shown after it."""

    label: str
    share: Decimal
    value_text: str
    kind: ShareKind = "named"


def stylesheet() -> str:
    """The figure colours as CSS, for pages that stand alone and follow the system's theme."""
    colours = (files("quartermaster.console") / "static/css/figures.css").read_text("utf-8")
    return f":root {{ color-scheme: light dark; }}\n{colours}"


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
    narrow = width < NARROW_PX
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
    name = svg.fitted(name, svg.LARGE_PX, width - 4)
    second = f"{share} · {amount}"
    needed = max(svg.text_width(name, svg.LARGE_PX), svg.text_width(second, TEXT_PX))
    at_end = x + needed > width
    where, anchor = (x + span - _GAP_PX, "end") if at_end else (x, "start")
    return [
        svg.label(where, 17, name, "risk-text", size_px=svg.LARGE_PX, anchor=anchor, strong=True),
        svg.label(where, 37, second, "risk-text", size_px=TEXT_PX, anchor=anchor),
    ]


def _inside_label(x: float, span: float, top: float, words: tuple[str, str, str]) -> list[str]:
    name, share, _ = words
    room = span - 14
    shown = svg.fitted(name, TEXT_PX, room)
    if len(shown) < _NAME_SHOWN_MIN * len(name) or svg.text_width(share, SMALL_PX) > room:
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
