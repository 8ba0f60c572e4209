"""The figures of early warning, byte for byte, for a desk and for a phone.

After an intended change, write the files again with
`QUARTERMASTER_GOLDEN=write pytest tests/golden/test_figures_warning.py` and look at the pictures.
"""

import math
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from quartermaster.console.figures import standalone
from quartermaster.console.figures_reliability import StatedBin, reliability_diagram
from quartermaster.console.figures_warning import (
    ChanceRow,
    Mark,
    ScoreTrack,
    WaterfallEnd,
    WaterfallRow,
    chance_intervals,
    detector_timeline,
    evidence_waterfall,
)
from quartermaster.kernel.errors import UsageError

FOLDER = Path(__file__).parent / "figures_warning"
DESK, PHONE = 960, 336
DAYS = 200

ROWS = [
    ChanceRow(
        label="Fabrikam & Co <sample>",
        probability=0.534,
        low=0.321,
        high=0.721,
        value="53.4% · $1.51M",
        alarm=True,
        hint="Fabrikam: 53.4%",
    ),
    ChanceRow(
        label="Northwind Traders International Holdings of the Netherlands",
        probability=0.02,
        low=0.0,
        high=0.1,
        value="2.0% · $0.2M",
        alarm=False,
        hint="Northwind: 2.0%",
    ),
]
PRIOR = WaterfallEnd(
    label="Prior", probability=0.19, low=0.08, high=0.33, value="19.0%", hint="19.0%"
)
STATED = WaterfallEnd(
    label="Stated", probability=0.45, low=0.2, high=0.7, value="45.0%", hint="45.0%"
)
STEPS = [
    WaterfallRow(
        label="a detector raised an alarm on usage",
        before=0.19,
        after=0.53,
        alone=0.53,
        value="×4.8 → 53.0%",
        hint="19% to 53%",
    ),
    WaterfallRow(
        label="bursts that look like evaluation",
        before=0.53,
        after=0.53,
        alone=0.77,
        value="×1 → 53.0%",
        hint="counts for nothing",
    ),
    WaterfallRow(
        label="the contract was renewed",
        before=0.53,
        after=0.45,
        alone=0.3,
        value="×0.73 → 45.0%",
        hint="53% to 45%",
    ),
]


def chances(width: int) -> str:
    return chance_intervals(
        ROWS, title="Who is leaving", desc="Two customers.", x_label="in %", width=width
    )


def waterfall(width: int) -> str:
    return evidence_waterfall(
        PRIOR, STEPS, STATED, title="Steps", desc="Three steps.", x_label="in %", width=width
    )


def timeline(width: int) -> str:
    usage = [100 + 20 * math.sin(day) - max(0, day - 150) for day in range(DAYS)]
    score = [None if day < 30 else 0.6 + max(0, day - 160) / 8 for day in range(DAYS)]
    return detector_timeline(
        date(2023, 9, 14),
        usage,
        [
            ScoreTrack(label="7 Tage gegen 84", scores=score, threshold=3.1),
            ScoreTrack(label="gleicher Wochentag", scores=score[::-1], threshold=None),
        ],
        [
            Mark(date(2024, 2, 11), "11.02.2024: auf 60 %"),
            Mark(date(2024, 2, 18), "18.02.2024: auf 70 %"),
            Mark(date(2022, 1, 1), "nicht in diesen Tagen"),
        ],
        title="Nutzung",
        desc="Ein Abgang.",
        usage_label="Tokens am Tag",
        threshold_label="Alarm",
        lang="de",
        width=width,
    )


def small(width: int) -> str:
    """Small probabilities on their own scale; counts too close are left out."""
    bins = [
        StatedBin(
            stated=at / 400,
            came=at / 500,
            low=0.0,
            high=0.05 + at / 200,
            count=f"{30 + at}",
            hint=f"bin {at}",
        )
        for at in range(1, 9)
    ]
    return reliability_diagram(
        bins,
        title="Small",
        desc="Eight bins.",
        x_label="stated, in %",
        y_label="came, in %",
        diagonal="calibrated",
        width=min(width, 420),
        upto=0.1,
    )


CASES: list[tuple[Callable[[int], str], int]] = [
    (draw, width) for draw in (chances, waterfall, timeline, small) for width in (DESK, PHONE)
]


@pytest.mark.parametrize(("draw", "width"), CASES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_figure_is_as_it_was(draw: Callable[[int], str], width: int) -> None:
    path = FOLDER / f"{draw.__name__}-{width}.svg"
    drawn = standalone(draw(width))
    if os.environ.get("QUARTERMASTER_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
    assert drawn == path.read_text(encoding="utf-8")
    assert draw(width) == draw(width)


def test_no_golden_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {
        f"{draw.__name__}-{width}.svg" for draw, width in CASES
    }


def test_what_is_not_counted_stays_hollow() -> None:
    row = waterfall(DESK).split("<g>")[3]  # after the prior and the alarm
    assert "counts for nothing" in row
    assert 'class="risk"' not in row
    assert "stroke-dasharray" in row


def test_alarms_have_the_colour_of_risk() -> None:
    first, second = chances(DESK).split("<g>")[1:]
    assert "risk" in first
    assert "risk" not in second


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(UsageError):
        chance_intervals([], title="", desc="", x_label="", width=DESK)
    with pytest.raises(UsageError):
        chance_intervals(ROWS * 20, title="", desc="", x_label="", width=DESK)
    with pytest.raises(UsageError):
        evidence_waterfall(PRIOR, STEPS * 20, STATED, title="", desc="", x_label="", width=DESK)
    for usage, scores in (([1.0], [1.0]), ([1.0] * 1_000, [1.0] * 1_000), ([1.0] * 9, [1.0] * 8)):
        with pytest.raises(UsageError):
            detector_timeline(
                date(2024, 1, 1),
                usage,
                [ScoreTrack(label="", scores=scores, threshold=1.0)],
                [],
                title="",
                desc="",
                usage_label="",
                threshold_label="",
                lang="en",
                width=DESK,
            )
    with pytest.raises(UsageError):
        reliability_diagram(
            [StatedBin(stated=0.2, came=0.1, low=0.0, high=0.3, count="9", hint="")],
            title="",
            desc="",
            x_label="",
            y_label="",
            diagonal="",
            upto=0.1,
        )
