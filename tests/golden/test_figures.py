"""Every kind of figure, byte for byte, for a desk and for a phone.

After an intended change, write the files again with
`QUARTERMASTER_GOLDEN=write pytest tests/golden/test_figures.py` and look at the pictures.
"""

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from quartermaster.console import figures
from quartermaster.console.figures import GuidanceBand, RankedBar, RatePoint, ShareSegment

FOLDER = Path(__file__).parent / "figures"
DESK, PHONE = 960, 336

SEGMENTS = [
    ShareSegment("ByteDance & Co <sample>", 2_000_000_000, Decimal("0.24"), "largest"),
    ShareSegment("Contoso Health", 1_000_000_000, Decimal("0.12")),
    ShareSegment("Northwind Traders International", 500_000_000, Decimal("0.06")),
    ShareSegment("Übersee GmbH", 250_000_000, Decimal("0.03")),
    ShareSegment("36 others", 4_583_333_333, Decimal("0.55"), "rest"),
]
RATES = [
    RatePoint(f"{2022 + (6 + n) // 12}-{(6 + n) % 12 + 1:02d}", 28_000_000_000 + 3_500_000_000 * n)
    for n in range(21)
]
BAND = GuidanceBand(
    "2024-04", "2024-09", 98_000_000_000, 105_000_000_000, "Guidance (as reported)", "Guidance"
)
BARS = [RankedBar(s.label, s.share, f"{s.share:.0%}", s.kind) for s in SEGMENTS]


def share_bar(width: int) -> str:
    return figures.share_bar(
        SEGMENTS,
        title="Revenue by customer",
        desc="ByteDance brings 24.0%.",
        lang="en",
        currency="USD",
        width=width,
        note="Sample data",
    )


def share_bar_german(width: int) -> str:
    return figures.share_bar(
        SEGMENTS,
        title="Umsatz nach Kunden",
        desc="An ByteDance hängen 24,0 %.",
        lang="de",
        currency="USD",
        width=width,
    )


def run_rate(width: int) -> str:
    return figures.run_rate_line(
        RATES,
        guidance=BAND,
        title="Run-rate against guidance",
        desc="The run-rate is $980M.",
        lang="en",
        currency="USD",
        width=width,
        note="Sample data",
    )


def run_rate_alone(width: int) -> str:
    return figures.run_rate_line(
        RATES[:5],
        guidance=None,
        title="Hochgerechneter Umsatz",
        desc="420 Mio. $.",
        lang="de",
        currency="USD",
        width=width,
    )


def ranking(width: int) -> str:
    return figures.ranked_bars(BARS, title="Shares", desc="ByteDance leads.", width=width)


def spark(width: int) -> str:
    return figures.sparkline(
        [3, 1, 4, 1, 5, 9, 2, 6], title="Requests", desc="Six.", width=width // 4
    )


CASES: list[tuple[Callable[[int], str], int]] = [
    (draw, width)
    for draw in (share_bar, share_bar_german, run_rate, run_rate_alone, ranking, spark)
    for width in (DESK, PHONE)
]


@pytest.mark.parametrize(("draw", "width"), CASES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_figure_is_as_it_was(draw: Callable[[int], str], width: int) -> None:
    path = FOLDER / f"{draw.__name__}-{width}.svg"
    drawn = figures.standalone(draw(width))
    if os.environ.get("QUARTERMASTER_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
    assert drawn == path.read_text(encoding="utf-8")
    assert draw(width) == draw(width)


def test_no_golden_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {
        f"{draw.__name__}-{width}.svg" for draw, width in CASES
    }
