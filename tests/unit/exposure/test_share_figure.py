"""The figure of a share over time: its scale, its edges, its labels."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from quartermaster.console.figures_exposure import ShareEdge, ShareMonth, share_over_time
from quartermaster.kernel.errors import UsageError

EDGES = (ShareEdge(0.1, "report 10%"), ShareEdge(0.25, "breach 25%"))


def months(*shares: float, width: float = 0.0) -> list[ShareMonth]:
    return [
        ShareMonth(
            f"{2022 + at // 12}-{at % 12 + 1:02}",
            share,
            share - width if width else None,
            share + width if width else None,
            f"<{at}>",
        )
        for at, share in enumerate(shares)
    ]


def drawn(points: list[ShareMonth], width: int = 720) -> str:
    found = share_over_time(points, edges=EDGES, title="t", desc="d", lang="en", width=width)
    ET.fromstring(found)
    return found


def test_near_edges_are_drawn_and_far_ones_left_out() -> None:
    assert "breach 25%" in drawn(months(0.2, 0.22))
    low = drawn(months(0.02, 0.03))
    assert "report 10%" not in low
    assert ">4%<" in low


def test_intervals_are_bars_and_hints_are_text() -> None:
    found = drawn(months(0.2, 0.21, 0.22, width=0.05))
    assert found.count('class="band"') == 3
    assert "&lt;1&gt;" in found
    heights = {float(each) for each in re.findall(r'class="band"[^>]* height="([0-9.]+)"', found)}
    assert min(heights) > 20


@pytest.mark.parametrize("width", [350, 720])
def test_month_labels_never_touch(width: int) -> None:
    found = drawn(months(*[0.2] * 30), width)
    places = [float(x) for x in re.findall(r'<line class="tick"[^>]* x1="([0-9.]+)"', found)]
    gaps = [first - second for first, second in pairwise(places)]
    assert len(places) > 1
    assert min(gaps) >= 78
    assert max(places) <= width


def test_everything_stays_inside() -> None:
    found = drawn(months(0.9, 1.0, width=0.0))
    ys = [float(y) for y in re.findall(r' y1="(-?[0-9.]+)"', found)]
    assert min(ys) >= 0


@pytest.mark.parametrize("count", [0, 1, 301])
def test_too_few_and_too_many(count: int) -> None:
    with pytest.raises(UsageError):
        drawn(months(*[0.2] * count))
