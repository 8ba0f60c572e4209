"""Figures that only exposure needs: the Lorenz curve."""

from collections.abc import Sequence

from quartermaster.console import svg
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
