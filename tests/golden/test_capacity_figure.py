"""The capacity figure, byte for byte, for a desk and for a phone.

After an intended change, write the files again with
`QUARTERMASTER_GOLDEN=write pytest tests/golden/test_capacity_figure.py` and look at the pictures.
"""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from quartermaster.console.figures import standalone
from quartermaster.console.figures_capacity import (
    CapacityLayer,
    CapacityStack,
    CapacityWords,
    capacity_stack,
)
from quartermaster.console.format import Lang
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.errors import UsageError

FOLDER = Path(__file__).parent / "figures_capacity"
NOON = 1_709_553_600_000_000
"""2024-03-04 12:00 UTC."""

ENGLISH = CapacityWords(
    "reserved, idle", "idle, needed at the peak", "stranded", "provisioned", "GPUs"
)
GERMAN = CapacityWords(
    "reserviert, ungenutzt", "frei, zur Spitze nötig", "ungenutzt", "bereitgestellt", "GPUs"
)


def day_of(hours: int, *, step: int = 1, at_risk: bool = False) -> CapacityStack:
    use = tuple(float(400 + 20 * (hour % 24)) for hour in range(hours))
    rest = tuple(200.0 for _ in range(hours))
    kept = tuple(100.0 if hour % 24 < 6 else 0.0 for hour in range(hours))
    idle = tuple(1_100 - a - b - c for a, b, c in zip(use, rest, kept, strict=True))
    return CapacityStack(
        starts=tuple(NOON + hour * step * US_PER_HOUR for hour in range(hours)),
        step_hours=step,
        layers=(
            CapacityLayer("ByteDance & Co <sample>", use, "largest"),
            CapacityLayer("36 others", rest, "rest"),
        ),
        reserved_idle=kept,
        idle=idle,
        stranded=tuple(148.0 for _ in range(hours)),
        provisioned=1_248,
        at_risk=at_risk,
    )


def draw(name: str, width: int) -> str:
    stack, words, lang = CASES[name]
    return capacity_stack(
        stack,
        words,
        title="Capacity",
        desc="148 GPUs are stranded.",
        lang=lang,
        width=width,
        note="Sample data" if lang == "en" else "",
    )


CASES: dict[str, tuple[CapacityStack, CapacityWords, Lang]] = {
    "day": (day_of(24), ENGLISH, "en"),
    "month_german": (day_of(240, step=3, at_risk=True), GERMAN, "de"),
}
DRAWN = [(name, width) for name in CASES for width in (960, 336)]


@pytest.mark.parametrize(("name", "width"), DRAWN)
def test_capacity_figure_is_as_it_was(name: str, width: int) -> None:
    path = FOLDER / f"{name}-{width}.svg"
    drawn = standalone(draw(name, width))
    if os.environ.get("QUARTERMASTER_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
    assert drawn == path.read_text(encoding="utf-8")
    assert draw(name, width) == draw(name, width)


def test_no_capacity_golden_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{n}-{w}.svg" for n, w in DRAWN}


def test_stranded_is_hatched_and_the_stack_reaches_the_provisioned_line() -> None:
    root = ET.fromstring(draw("day", 960))
    space = {"s": "http://www.w3.org/2000/svg"}
    hatched = [
        group
        for group in root.findall("s:g", space)
        for path in group.findall("s:path", space)
        if path.get("fill") == "url(#capacity-hatch)"
    ]
    assert [group.findtext("s:title", namespaces=space) for group in hatched] == ["stranded"]
    line = root.find("s:polyline", space)
    assert line is not None
    height = line.get("points", "").split(" ")[0].split(",")[1]
    path = hatched[0].find("s:path", space)
    assert path is not None
    assert path.get("d", "").split("L")[0].split(",")[1] == height


@pytest.mark.parametrize(
    ("starts", "gpus", "provisioned"),
    [((), (), 1), ((NOON,), (), 1), ((NOON,), (-1.0,), 1), ((NOON,), (0.0,), 0)],
)
def test_what_cannot_be_drawn_is_refused(
    starts: tuple[int, ...], gpus: tuple[float, ...], provisioned: int
) -> None:
    flat = tuple(0.0 for _ in starts)
    stack = CapacityStack(starts, 1, (CapacityLayer("a", gpus),), flat, flat, flat, provisioned)
    with pytest.raises(UsageError):
        capacity_stack(stack, ENGLISH, title="", desc="", lang="en")
