"""Figures of a conduct case: days, evidence, rank among ordinary tenants, topics, and links."""

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec

from quartermaster.console import svg
from quartermaster.console.format import Lang, day, percent
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError

DAYS_MAX = 120
"""Four months of days at six pixels a day; more are a table."""
TENANTS_MAX = 500
"""More ticks on one strip are a bar."""
NODES_MAX = 24
"""More accounts on one circle cannot be told apart; the table has all of them."""
CELLS_MAX = 128
"""Columns of the map of topics, five pixels each."""

_LEFT_PX, _RIGHT_PX, _TOP_PX = 8.0, 8.0, 22.0
_PLOT_PX, _AXIS_PX = 150.0, 26.0
_STRIP_PX, _CELL_ROW_PX = 96.0, 34.0
_GRAPH_PX = 300.0
_LABEL_EVERY_PX = 76.0
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class DayBar(msgspec.Struct, frozen=True):
    """One day: requests, and how many of them were new."""

    on: date
    requests: int
    new: int
    hint: str


class Marked(msgspec.Struct, frozen=True):
    """A dated event above the days."""

    on: date
    label: str


class Node(msgspec.Struct, frozen=True):
    """An account; the one that the case is about has the colour of risk."""

    name: str
    asked: bool


class Edge(msgspec.Struct, frozen=True):
    """Two accounts that are alike; dashed where nothing but text links them."""

    left: str
    right: str
    confirmed: bool
    hint: str


class TopicRow(msgspec.Struct, frozen=True):
    """Requests by cell of the space of topics."""

    label: str
    cells: Sequence[int]
    risk: bool = False


def day_bars(
    days: Sequence[DayBar],
    marks: Sequence[Marked],
    *,
    title: str,
    desc: str,
    width: int,
    name: str = "case-days",
    lang: Lang = "en",
) -> str:
    """Requests a day, the new ones in the colour of risk, with dated events above.

    Raises:
        UsageError: no days, or too many.
    """
    _bounded(len(days), DAYS_MAX, "days")
    top = _TOP_PX + 16 * len(_rows(marks))
    at, slot = _places([bar.on for bar in days], width)
    most = max(bar.requests for bar in days) or 1
    bottom, parts = top + _PLOT_PX, list[str]()
    for bar in days:
        x, tall = at[bar.on], _PLOT_PX * bar.requests / most
        new = _PLOT_PX * bar.new / most
        pieces = [svg.rect(x, bottom - tall, slot * 0.8, tall, "s2")]
        if new:
            pieces.append(svg.rect(x, bottom - new, slot * 0.8, new, "risk"))
        parts.append(svg.group(pieces, bar.hint))
    parts += _marks(marks, at, slot, bottom, width, lang)
    parts += [svg.line(_LEFT_PX, bottom, width - _RIGHT_PX, bottom, "tick")]
    parts += _dates([bar.on for bar in days], at, bottom, width, lang)
    return svg.figure(
        parts, width=width, height=int(bottom + _AXIS_PX), name=name, title=title, desc=desc
    )


def evidence_curve(
    days: Sequence[tuple[date, float]],
    *,
    line: float | None,
    line_label: str,
    title: str,
    desc: str,
    width: int,
    name: str = "case-evidence",
    lang: Lang = "en",
) -> str:
    """The evidence so far on a scale of powers of ten, with the line that it was held to.

    Args:
        days: at least one; values are above zero.
        line: one divided by alpha; None where there was none.
        line_label: words at the line.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        width: px the figure is drawn for.
        name: prefix of element ids; unique on a page.
        lang: in which days are written.

    Raises:
        UsageError: no days, or too many.
    """
    _bounded(len(days), DAYS_MAX, "days")
    logs = [math.log10(max(value, 1e-3)) for _, value in days]
    top_log = max(*logs, math.log10(line) if line else 0.0, 1.0) + 0.2
    low_log = min(*logs, 0.0)
    at, slot = _places([on for on, _ in days], width)
    bottom = _TOP_PX + _PLOT_PX

    def y(log: float) -> float:
        return bottom - _PLOT_PX * (log - low_log) / (top_log - low_log)

    parts = list[str]()
    for power in range(math.ceil(low_log), math.floor(top_log) + 1):
        parts.append(svg.line(_LEFT_PX, y(power), width - _RIGHT_PX, y(power), "grid"))
        parts.append(svg.label(_LEFT_PX, y(power) - 3, _power(power), "muted", size_px=SMALL_PX))
    if line:
        where = y(math.log10(line))
        parts.append(svg.line(_LEFT_PX, where, width - _RIGHT_PX, where, "risk-tick", dashed=True))
        parts.append(
            svg.label(width - _RIGHT_PX, where - 5, svg.fitted(line_label, SMALL_PX, width * 0.7),
                      "risk-text", size_px=SMALL_PX, anchor="end")
        )  # fmt: skip
    points = [(at[on] + slot * 0.4, y(log)) for (on, _), log in zip(days, logs, strict=True)]
    parts.append(svg.polyline(points, "line", width_px=2.0))
    parts.append(svg.dot(*points[-1], 4.0))
    parts += _dates([on for on, _ in days], at, bottom, width, lang)
    return svg.figure(
        parts, width=width, height=int(bottom + _AXIS_PX), name=name, title=title, desc=desc
    )


def percentile_strip(
    ordinary: Sequence[float],
    own: float,
    *,
    line: float | None,
    labels: tuple[str, str, str],
    title: str,
    desc: str,
    width: int,
    name: str = "case-strip",
) -> str:
    """One tick for each ordinary tenant on the scale of scores, and where this account stands.

    Args:
        ordinary: scores, one a tenant; at least one.
        own: the account's score.
        line: the score above which a day is looked at.
        labels: words for the account, for the line, and for the ticks.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        width: px the figure is drawn for.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no tenants, or too many.
    """
    _bounded(len(ordinary), TENANTS_MAX, "tenants")
    values = [*ordinary, own, *([line] if line is not None else [])]
    low, high = min(values) - 0.3, max(values) + 0.3
    inner, middle = width - 2 * 12.0, 58.0

    def x(value: float) -> float:
        return 12.0 + inner * (value - low) / (high - low)

    parts = [svg.line(12.0, middle, width - 12.0, middle, "tick")]
    parts += [svg.line(x(one), middle - 9, x(one), middle + 9, "tick") for one in ordinary]
    parts.append(svg.label(12.0, middle + 30, labels[2], "muted", size_px=SMALL_PX))
    if line is not None:
        parts.append(svg.line(x(line), middle - 16, x(line), middle + 16, "risk-tick", dashed=True))
        parts.append(_beside(x(line), middle + 30, labels[1], "risk-text", width, strong=False))
    parts.append(svg.rect(x(own) - 3, middle - 14, 6, 28, "risk", rx=2))
    parts.append(_beside(x(own), middle - 24, labels[0], "risk-text", width, strong=True))
    return svg.figure(parts, width=width, height=int(_STRIP_PX), name=name, title=title, desc=desc)


def topic_map(
    rows: Sequence[TopicRow],
    *,
    title: str,
    desc: str,
    width: int,
    name: str = "case-topics",
    lang: Lang = "en",
) -> str:
    """Which part of each row's requests fell into each cell of the space of topics.

    Cells stand in the order of how much the first row asked of them.

    Raises:
        UsageError: no cells, too many, or rows of different lengths.
    """
    _bounded(len(rows[0].cells) if rows else 0, CELLS_MAX, "cells")
    if any(len(row.cells) != len(rows[0].cells) for row in rows):
        raise UsageError("rows of a map of topics have the same cells")
    order = sorted(range(len(rows[0].cells)), key=lambda at: -rows[0].cells[at])
    slot, parts, y = (width - 16.0) / len(order), list[str](), 4.0
    for row in rows:
        css = "risk-text" if row.risk else "ink"
        parts.append(svg.label(8.0, y + 12, svg.fitted(row.label, TEXT_PX, width - 16), css,
                               size_px=TEXT_PX, strong=row.risk))  # fmt: skip
        whole, most = sum(row.cells) or 1, max(row.cells) or 1
        for place, at in enumerate(order):
            if row.cells[at]:
                tall = max(2.0, _CELL_ROW_PX * row.cells[at] / most)
                bar = svg.rect(8.0 + place * slot, y + 20 + _CELL_ROW_PX - tall, slot * 0.8, tall,
                               "risk" if row.risk else "s1")  # fmt: skip
                share = percent(Decimal(row.cells[at]) / whole, lang)
                parts.append(svg.group([bar], f"{row.label}: {share}"))
        base = y + 20 + _CELL_ROW_PX
        parts.append(svg.line(8.0, base, width - 8.0, base, "grid"))
        y = base + 12
    return svg.figure(parts, width=width, height=int(y), name=name, title=title, desc=desc)


def link_graph(
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    *,
    title: str,
    desc: str,
    width: int,
    name: str = "case-links",
) -> str:
    """Accounts on a circle, and what links them.

    Raises:
        UsageError: no accounts, or too many.
    """
    _bounded(len(nodes), NODES_MAX, "accounts")
    radius = min(width * 0.28, _GRAPH_PX * 0.36)
    middle = (width * 0.5, _GRAPH_PX * 0.5)
    turn = 2 * math.pi / len(nodes)
    at = {
        node.name: (
            middle[0] + radius * math.cos(number * turn - math.pi / 2),
            middle[1] + radius * math.sin(number * turn - math.pi / 2),
        )
        for number, node in enumerate(nodes)
    }
    parts = [
        svg.group(
            [
                svg.line(
                    *at[edge.left],
                    *at[edge.right],
                    "risk-tick" if edge.confirmed else "grid",
                    dashed=not edge.confirmed,
                )
            ],
            edge.hint,
        )
        for edge in edges
        if edge.left in at and edge.right in at
    ]
    for node in nodes:
        x, y = at[node.name]
        right = x >= middle[0]
        room = (width - x if right else x) - 16
        parts.append(svg.dot(x, y, 7.0 if node.asked else 5.0))
        parts.append(
            svg.label(x + (11 if right else -11), y + 4, svg.fitted(node.name, TEXT_PX, room),
                      "risk-text" if node.asked else "ink", size_px=TEXT_PX,
                      anchor="start" if right else "end", strong=node.asked)
        )  # fmt: skip
    return svg.figure(parts, width=width, height=int(_GRAPH_PX), name=name, title=title, desc=desc)


def _power(power: int) -> str:
    """A power of ten without the separators of any language."""
    if 0 <= power < 3:
        return str(10**power)
    return "10" + str(power).translate(_SUPERSCRIPT)


def _bounded(count: int, most: int, what: str) -> None:
    if not 0 < count <= most:
        raise UsageError(f"a figure of a case shows 1 to {most} {what}, not {count}")


def _places(days: Sequence[date], width: int) -> tuple[dict[date, float], float]:
    """Where each day stands, by the calendar, and how wide a day is."""
    first, last = min(days), max(days)
    slot = (width - _LEFT_PX - _RIGHT_PX) / ((last - first).days + 1)
    return {on: _LEFT_PX + (on - first).days * slot for on in days}, slot


def _dates(
    days: Sequence[date], at: dict[date, float], bottom: float, width: int, lang: Lang
) -> list[str]:
    parts, free = list[str](), 0.0
    for on in sorted(days):
        if at[on] >= free and at[on] + 66 <= width:
            parts.append(svg.label(at[on], bottom + 17, day(on, lang), "muted", size_px=SMALL_PX))
            free = at[on] + (_LABEL_EVERY_PX if width < NARROW_PX else 2 * _LABEL_EVERY_PX)
    return parts


def _rows(marks: Sequence[Marked]) -> list[Marked]:
    return sorted(marks, key=lambda mark: mark.on)


def _marks(
    marks: Sequence[Marked],
    at: dict[date, float],
    slot: float,
    bottom: float,
    width: int,
    lang: Lang,
) -> list[str]:
    """A line at each event, its words on a row of their own."""
    first, last = min(at), max(at)
    parts, under = list[str](), _TOP_PX + 16 * len(marks) - 12
    for row, mark in enumerate(_rows(marks)):
        if not first <= mark.on <= last:
            continue
        x = at[first] + (mark.on - first).days * slot
        y = _TOP_PX + 16 * row
        # From under the last row of words: a line through them would cross the next one's.
        parts.append(svg.line(x, under, x, bottom, "risk-tick", dashed=True))
        words = f"{day(mark.on, lang)} {mark.label}"
        parts.append(_beside(x, y, words, "ink", width, strong=False))
    return parts


def _beside(x: float, y: float, words: str, css: str, width: int, *, strong: bool) -> str:
    """Words at a place, on the side where they fit better."""
    right = x < width * 0.5
    shown = svg.fitted(words, SMALL_PX, (width - x if right else x) - 12)
    return svg.label(x + (5 if right else -5), y, shown, css, size_px=SMALL_PX,
                     anchor="start" if right else "end", strong=strong)  # fmt: skip
