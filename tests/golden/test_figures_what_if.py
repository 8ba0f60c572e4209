"""The figures of what-if, byte for byte, for a desk and for a phone.

After an intended change, write the files again with
`QUARTERMASTER_GOLDEN=write pytest tests/golden/test_figures_what_if.py` and look at the pictures.
"""

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from quartermaster.console.figures import standalone
from quartermaster.console.figures_tornado import LeverBar, tornado
from quartermaster.console.figures_waterfall import Step, waterfall
from quartermaster.console.figures_what_if import LossCurve, Mark, loss_exceedance
from quartermaster.console.format import Lang
from quartermaster.kernel.errors import UsageError

FOLDER = Path(__file__).parent / "figures_what_if"
SVG = {"s": "http://www.w3.org/2000/svg"}
HOSTILE = "ByteDance & Co <sample>"

STEPS = (
    Step("Revenue now, over 24 months", 200.0, "$2M", "whole"),
    Step(f"{HOSTILE}'s revenue", -48.0, "-$480K", "down"),
    Step("Notice and falling usage", 6.0, "+$60K", "up"),
    Step("Commitment still owed", 2.0, "+$20K", "up"),
    Step("Revenue after", 160.0, "$1.6M", "whole"),
    Step("Capacity stranded", -28.0, "-$280K", "cost"),
    Step("After what is stranded", 132.0, "$1.32M", "whole"),
)
BARS = (
    LeverBar("Half of freed usage is sold again", -40.0, 1.5, "-$400K"),
    LeverBar("6 months of notice, not 0, a label too long for the gutter", -25.0, 1.0, "-$250K"),
    LeverBar("A price rises", 12.0, 4.0, "+$120K"),
)
LEVELS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
BEFORE = LossCurve((0, 5, 20, 60, 110, 140, 190, 210), "as it stands")
AFTER = LossCurve((80, 95, 120, 150, 190, 230, 280, 300), "with the change")


def draw_waterfall(width: int, steps: tuple[Step, ...] = STEPS) -> str:
    return waterfall(steps, title="After", desc="A quarter goes.", width=width)


def draw_tornado(width: int, bars: tuple[LeverBar, ...] = BARS) -> str:
    return tornado(
        bars,
        less="less shortfall",
        more="more shortfall",
        title="Levers",
        desc="Backfill is the strongest.",
        width=width,
    )


def draw_losses(width: int, before: LossCurve = BEFORE, lang: Lang = "de") -> str:
    return loss_exceedance(
        LEVELS,
        before,
        AFTER,
        marks=(Mark(170, "Fehlbetrag 1,70 $"), Mark(255, "Fehlbetrag 2,55 $")),
        tail=(0.05, "schlechteste 5 %"),
        title="Verluste",
        desc="Der Verlust steigt.",
        y_label="Chance eines größeren Verlusts",
        x_label="Verlust über den Horizont",
        lang=lang,
        currency="USD",
        width=width,
    )


CASES: dict[str, Callable[[int], str]] = {
    "waterfall": draw_waterfall,
    "tornado": draw_tornado,
    "losses_german": draw_losses,
}
DRAWN = [(name, width) for name in CASES for width in (1040, 336)]


@pytest.mark.parametrize(("name", "width"), DRAWN)
def test_the_figure_is_as_it_was(name: str, width: int) -> None:
    path = FOLDER / f"{name}-{width}.svg"
    drawn = standalone(CASES[name](width))
    if os.environ.get("QUARTERMASTER_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
    assert drawn == path.read_text(encoding="utf-8")
    assert CASES[name](width) == CASES[name](width)


def test_no_golden_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{n}-{w}.svg" for n, w in DRAWN}


@pytest.mark.parametrize("width", [1040, 336])
def test_every_step_begins_where_the_last_one_ended(width: int) -> None:
    root = ET.fromstring(draw_waterfall(width))
    bars = [group.find("s:rect", SVG) for group in root.findall("s:g", SVG)]
    spans = [
        (float(bar.get("x", "")), float(bar.get("x", "")) + float(bar.get("width", "")))
        for bar in bars
        if bar is not None
    ]
    assert len(spans) == len(STEPS)
    at = spans[0][1]
    for step, (left, right) in zip(STEPS[1:], spans[1:], strict=True):
        if step.kind == "whole":
            assert right == pytest.approx(at, abs=0.2)
            continue
        start, end = (right, left) if step.value < 0 else (left, right)
        assert start == pytest.approx(at, abs=0.2)
        at = end
    texts = [float(text.get("x", "0")) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert max(texts) < width


@pytest.mark.parametrize("width", [1040, 336])
def test_less_is_left_and_more_is_right_of_nothing(width: int) -> None:
    root = ET.fromstring(draw_tornado(width))
    zero = root.find("s:line", SVG)
    assert zero is not None
    middle = float(zero.get("x1", ""))
    for bar, group in zip(BARS, root.findall("s:g", SVG), strict=True):
        rect = group.find("s:rect", SVG)
        assert rect is not None
        left = float(rect.get("x", ""))
        right = left + float(rect.get("width", ""))
        edge = right if bar.change < 0 else left
        assert edge == pytest.approx(middle, abs=0.2)


def test_a_curve_falls_from_certain_to_its_last_level() -> None:
    root = ET.fromstring(draw_losses(1040))
    for group in root.findall("s:g", SVG):
        line = group.find("s:polyline", SVG)
        assert line is not None
        points = [tuple(map(float, at.split(","))) for at in line.get("points", "").split(" ")]
        assert len(points) == len(LEVELS)
        assert [x for x, _ in points] == sorted(x for x, _ in points)
        assert [y for _, y in points] == sorted(y for _, y in points)


@pytest.mark.parametrize(
    "steps",
    [
        STEPS[:1],
        STEPS[1:],
        (STEPS[0], STEPS[1], Step("wrong", 199.0, "", "whole")),
        (STEPS[0], *STEPS[1:2] * 12),
    ],
    ids=["one", "no whole first", "not the sum", "many"],
)
def test_steps_that_are_no_waterfall_are_refused(steps: tuple[Step, ...]) -> None:
    with pytest.raises(UsageError):
        draw_waterfall(960, steps)


@pytest.mark.parametrize(
    "bars", [(), BARS * 7, (LeverBar("a", 1.0, -1.0, ""),)], ids=["none", "many", "error"]
)
def test_bars_that_are_no_tornado_are_refused(bars: tuple[LeverBar, ...]) -> None:
    with pytest.raises(UsageError):
        draw_tornado(960, bars)


def test_a_curve_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError):
        draw_losses(960, LossCurve((1, 2), "short"))


def test_nothing_to_draw_still_has_a_scale() -> None:
    flat = tuple(0 for _ in LEVELS)
    assert "nan" not in draw_losses(336, LossCurve(flat, "none"), "en")
    assert "nan" not in draw_tornado(336, (LeverBar("a", 0.0, 0.0, "$0"),))
