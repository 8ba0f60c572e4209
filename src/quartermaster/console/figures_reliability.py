"""The reliability diagram: what was stated against what came, with intervals and counts."""

from collections.abc import Callable, Sequence

import msgspec

from quartermaster.console import svg
from quartermaster.console.svg import SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError

BINS_MAX = 20
"""More intervals beside each other cannot be told apart."""
_LEFT, _TOP, _BELOW = 46.0, 12.0, 46.0
_DOT_PX, _CAP_PX = 5.0, 5.0


class StatedBin(msgspec.Struct, frozen=True):
    """Statements of about one probability: stated and observed shares of one, and their number."""

    stated: float
    came: float
    low: float
    high: float
    count: str
    hint: str


def reliability_diagram(
    bins: Sequence[StatedBin],
    *,
    title: str,
    desc: str,
    x_label: str,
    y_label: str,
    diagonal: str,
    width: int = 420,
    upto: float = 1.0,
    name: str = "reliability",
) -> str:
    """Observed over stated, on a square; whoever is calibrated stays near the diagonal.

    Args:
        bins: what is drawn, each with its interval and the number of its statements.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        x_label: words under the axis of what was stated.
        y_label: words above the axis of what came.
        diagonal: name of the diagonal.
        width: px; the figure is nearly square.
        upto: where both scales end; below 1 for statements that are all small.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no bins, too many, or shares outside 0 to 1.
    """
    if not 0 < len(bins) <= BINS_MAX:
        raise UsageError(f"a reliability diagram has 1 to {BINS_MAX} bins")
    if not 0 < upto <= 1:
        raise UsageError("the scales end above 0 and at most at 1")
    if not all(
        0 <= one.low <= one.came <= one.high <= upto and 0 <= one.stated <= upto for one in bins
    ):
        raise UsageError(f"shares lie from 0 to {upto:g}, each inside its interval")
    side = width - _LEFT - 22
    bottom = _TOP + 18 + side

    def place(stated: float, came: float) -> tuple[float, float]:
        return _LEFT + stated / upto * side, bottom - came / upto * side

    parts = [svg.label(0, _TOP, y_label, "muted", size_px=SMALL_PX)]
    parts += _axes(place, upto, side)
    x, y = place(upto, 0.79 * upto)
    parts.append(svg.label(x, y, diagonal, "muted", size_px=TEXT_PX, anchor="end"))
    free = 0.0
    for one in bins:
        foot, point, head = (place(one.stated, share) for share in (one.low, one.came, one.high))
        # Counts of bins that stand too close would be written over each other.
        half = svg.text_width(one.count, SMALL_PX) / 2
        counted = point[0] - half >= free
        free = point[0] + half if counted else free
        parts.append(_whisker(foot, point, head, one, counted=counted))
    middle = _LEFT + side / 2
    parts.append(
        svg.label(middle, bottom + 38, x_label, "muted", size_px=SMALL_PX, anchor="middle")
    )
    height = int(bottom + _BELOW)
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def _axes(
    place: Callable[[float, float], tuple[float, float]], upto: float, side: float
) -> list[str]:
    """A line and two numbers at every quarter of the scales, and the diagonal."""
    bottom = place(0, 0)[1]
    parts = []
    for quarter in range(5):
        x, y = place(upto * quarter / 4, upto * quarter / 4)
        words = f"{quarter * 25 * upto:g}"
        parts += [
            svg.line(_LEFT, y, _LEFT + side, y, "grid"),
            svg.label(_LEFT - 6, y + 4, words, "muted", size_px=SMALL_PX, anchor="end"),
            svg.label(x, bottom + 18, words, "muted", size_px=SMALL_PX, anchor="middle"),
        ]
    return [*parts, svg.line(*place(0, 0), *place(upto, upto), "tick", dashed=True)]


def _whisker(
    foot: tuple[float, float],
    point: tuple[float, float],
    head: tuple[float, float],
    one: StatedBin,
    *,
    counted: bool,
) -> str:
    x, low = foot
    high = head[1]
    parts = [
        svg.line(x, low, x, high, "band-edge"),
        svg.line(x - _CAP_PX, low, x + _CAP_PX, low, "band-edge"),
        svg.line(x - _CAP_PX, high, x + _CAP_PX, high, "band-edge"),
        svg.dot(*point, _DOT_PX),
    ]
    if counted:
        parts.append(svg.label(x, high - 5, one.count, "ink", size_px=SMALL_PX, anchor="middle"))
    return svg.group(parts, one.hint)
