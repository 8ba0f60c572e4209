"""The fan, byte for byte, for a desk and for a phone.

After an intended change, write the files again with
`QUARTERMASTER_GOLDEN=write pytest tests/golden/test_figures_forecast.py` and look at the pictures.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from quartermaster.console.figures import standalone
from quartermaster.console.figures_forecast import Ahead, Known, fan_chart
from quartermaster.kernel.errors import UsageError

FOLDER = Path(__file__).parent / "figures_forecast"
DESK, PHONE = 960, 336

PAST = [
    Known(f"{2022 + at // 12}-{at % 12 + 1:02d}", 40_000_000 * (at + 30), 30_000_000 * (at + 30))
    for at in range(24)
]
AHEAD = [
    Ahead(f"2024-{at:02d}", 40_000_000 * (53 + at), 39_000_000 * 53, 41_000_000 * (53 + 3 * at))
    for at in range(1, 7)
]
LEFT = [
    Ahead(f"2024-{at:02d}", 30_000_000 * (53 + at), 29_000_000 * 53, 31_000_000 * (53 + 2 * at))
    for at in range(1, 7)
]


def both(width: int) -> str:
    return fan_chart(
        PAST,
        AHEAD,
        LEFT,
        title="Revenue ahead",
        desc="Without ByteDance a quarter is missing.",
        label="all customers",
        label_without="without ByteDance & Co <sample>",
        lang="en",
        currency="USD",
        width=width,
        note="Sample data",
    )


def alone(width: int) -> str:
    rows = [*AHEAD[:2], Ahead("2024-03", AHEAD[2].minor)]
    return fan_chart(
        [Known(row.period, row.minor) for row in PAST[-6:]],
        rows,
        title="Umsatz voraus",
        desc="Drei Monate.",
        label="alle Kunden",
        lang="de",
        currency="EUR",
        width=width,
    )


CASES: list[tuple[Callable[[int], str], int]] = [
    (draw, width) for draw in (both, alone) for width in (DESK, PHONE)
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


@pytest.mark.parametrize(
    ("known", "ahead", "without"),
    [
        ([], AHEAD, []),
        (PAST, [], []),
        (PAST[:-1], AHEAD, []),
        (PAST, AHEAD[::-1], []),
        (PAST, AHEAD, LEFT[:-1]),
        (PAST * 13, AHEAD, []),
    ],
)
def test_months_that_do_not_follow_are_refused(
    known: list[Known], ahead: list[Ahead], without: list[Ahead]
) -> None:
    with pytest.raises(UsageError):
        fan_chart(known, ahead, without, title="", desc="", label="", lang="en", currency="USD")


def test_a_long_past_is_cut_to_ten_years() -> None:
    long = [Known(f"{1990 + at // 12}-{at % 12 + 1:02d}", 40_000_000) for at in range(34 * 12)]
    drawn = fan_chart(long, AHEAD, title="t", desc="d", label="all", lang="en", currency="USD")
    assert "2014" in drawn
    assert "2013" not in drawn


def test_a_book_of_credits_is_drawn_at_zero() -> None:
    owed = [Known(row.period, -row.minor) for row in PAST]
    ahead = [Ahead(row.period, -row.minor) for row in AHEAD]
    drawn = fan_chart(owed, ahead, title="t", desc="d", label="all", lang="en", currency="USD")
    assert "nan" not in drawn
    assert "polyline" in drawn
