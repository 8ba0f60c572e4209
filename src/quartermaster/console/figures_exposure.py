"""Figures that only exposure needs: the Lorenz curve, and the largest share over time."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from quartermaster.console import svg
from quartermaster.console.format import Lang, month_name, month_parts, percent
from quartermaster.console.svg import SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError

POINTS_MAX = 300
"""A curve of 420 px cannot show more; a file of a thousand customers stays small."""
_LEFT, _TOP, _BELOW = 46.0, 12.0, 46.0


def lorenz_curve(
    points: Sequence[tuple[float, float]],
    *,
    title: str,
    desc: str,
    x_label: str,
    y_label: str,
    equality: str,
    width: int = 420,
    name: str = "lorenz",
) -> str:
    """Share of revenue over share of customers, smallest first, under the line of equality.

    Args:
        points: from (0, 0) to (1, 1), both coordinates rising.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        x_label: words under the axis of customers.
        y_label: words above the axis of revenue.
        equality: name of the diagonal.
        width: px; the figure is nearly square.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: fewer than two points, or ends that are not (0, 0) and (1, 1).
    """
    if len(points) < 2 or points[0] != (0.0, 0.0) or points[-1] != (1.0, 1.0):
        raise UsageError("a Lorenz curve runs from (0, 0) to (1, 1)")
    side = width - _LEFT - 14
    bottom = _TOP + 18 + side

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return _LEFT + point[0] * side, bottom - point[1] * side

    parts = [svg.label(0, _TOP, y_label, "muted", size_px=SMALL_PX)]
    for quarter in range(5):
        fraction = quarter / 4
        x, y = place((fraction, fraction))
        words = f"{quarter * 25}"
        parts += [
            svg.line(_LEFT, y, _LEFT + side, y, "grid"),
            svg.label(_LEFT - 6, y + 4, words, "muted", size_px=SMALL_PX, anchor="end"),
            svg.label(x, bottom + 18, words, "muted", size_px=SMALL_PX, anchor="middle"),
        ]
    start, end = place((0.0, 0.0)), place((1.0, 1.0))
    parts.append(svg.line(*start, *end, "tick", dashed=True))
    x, y = place((0.42, 0.5))
    parts.append(svg.label(x, y, equality, "muted", size_px=TEXT_PX, anchor="end"))
    parts.append(svg.polyline([place(point) for point in thinned(points)], "line", width_px=2.5))
    middle = _LEFT + side / 2
    parts.append(
        svg.label(middle, bottom + 38, x_label, "muted", size_px=SMALL_PX, anchor="middle")
    )
    height = int(bottom + _BELOW)
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `POINTS_MAX` points, ends kept; the last ones are kept closest, where it is steep."""
    count = len(points)
    if count <= POINTS_MAX:
        return list(points)
    near_end = POINTS_MAX // 2
    step = -(-(count - near_end) // (POINTS_MAX - near_end))
    return [*points[: count - near_end : step], *points[count - near_end :]]


class ShareMonth(msgspec.Struct, frozen=True):
    """A month `YYYY-MM` with a share of one, its interval, and what a pointer on it shows."""

    month: str
    share: float
    low: float | None
    high: float | None
    hint: str


class ShareEdge(msgspec.Struct, frozen=True):
    """A share from which something holds, with the words at its line."""

    share: float
    label: str


def share_over_time(
    months: Sequence[ShareMonth],
    *,
    edges: Sequence[ShareEdge],
    title: str,
    desc: str,
    lang: Lang,
    width: int,
    name: str = "share-over-time",
) -> str:
    """A share by month from zero, its intervals as a band behind it, edges as lines across.

    Args:
        months: in time order, at least two.
        edges: drawn in the colour of risk; one far above the line is left out.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        lang: how numbers are written.
        width: px the figure is drawn for.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: fewer than two months, or too many.
    """
    if not 2 <= len(months) <= POINTS_MAX:
        raise UsageError(f"a share over time takes 2 to {POINTS_MAX} months, not {len(months)}")
    top = _nice_top(max(point.high or point.share for point in months), edges)
    right, bottom, height = width - _RIGHT, _TOP + 200.0, 200.0
    step = (right - _LEFT) / (len(months) - 1)

    def y(share: float) -> float:
        return bottom - min(share / top, 1.0) * height

    parts: list[str] = []
    for quarter in range(5):
        share = top * quarter / 4
        words = percent(Decimal(f"{share:.6g}"), lang, decimals=0 if top >= _TENTHS_BELOW else 1)
        parts.append(svg.line(_LEFT, y(share), right, y(share), "grid"))
        parts.append(
            svg.label(_LEFT - 6, y(share) + 4, words, "muted", size_px=SMALL_PX, anchor="end")
        )
    where = [(_LEFT + at * step, y(point.share)) for at, point in enumerate(months)]
    for (x, _), point in zip(where, months, strict=True):
        parts.append(svg.group(_interval_bar(x, step, point, y), point.hint))
    for edge in edges:
        if edge.share <= top:
            at = y(edge.share)
            parts.append(svg.line(_LEFT, at, right, at, "risk-tick", dashed=True))
            parts.append(svg.label(_LEFT + 4, at - 5, edge.label, "risk-text", size_px=SMALL_PX))
    parts += [svg.polyline(where, "line", width_px=2.5), svg.dot(*where[-1], 4)]
    last = percent(Decimal(f"{months[-1].share:.6g}"), lang)
    parts.append(svg.label(right + 9, where[-1][1] + 4, last, "ink", size_px=TEXT_PX, strong=True))
    parts += _month_labels(months, where, bottom, lang)
    return svg.figure(
        parts, width=width, height=int(bottom + 28), name=name, title=title, desc=desc
    )


_RIGHT = 62.0
_TENTHS_BELOW = 0.04
"""Quarters of a lower scale are no whole per cent."""
_TOPS = (0.01, 0.02, 0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8, 1.0)
_LABEL_PX = 78.0
"""Room for a month and a year."""


def _nice_top(highest: float, edges: Sequence[ShareEdge]) -> float:
    """A scale that holds the line and, where it is near, the next edge above it."""
    near = [edge.share for edge in edges if edge.share <= highest * 2.5]
    wanted = max([highest, *near]) * 1.04
    return next((top for top in _TOPS if top >= wanted), 1.0)


def _interval_bar(
    x: float, step: float, point: ShareMonth, y: Callable[[float], float]
) -> list[str]:
    """The interval of one month; an empty, but touchable, one where there is none."""
    low, high = (point.share, point.share) if point.low is None else (point.low, point.high or 1.0)
    half = min(step * 0.42, 9.0)
    return [svg.rect(x - half, y(high), 2 * half, max(y(low) - y(high), 1.0), "band", rx=2)]


def _month_labels(
    months: Sequence[ShareMonth], where: Sequence[tuple[float, float]], bottom: float, lang: Lang
) -> list[str]:
    """As many months as fit, counted back from the last."""
    step = where[1][0] - where[0][0]
    stride = max(1, -int(-_LABEL_PX // step))
    parts = []
    for at in range(len(months) - 1, -1, -stride):
        year, number = month_parts(months[at].month)
        x = where[at][0]
        parts.append(svg.line(x, bottom, x, bottom + 5, "tick"))
        words = f"{month_name(number, lang)} {year}"
        parts.append(svg.label(x, bottom + 20, words, "muted", size_px=SMALL_PX, anchor="middle"))
    return parts
