"""Bands of 10 % and 25 %, against revenue and against what bears a loss."""

from datetime import date
from fractions import Fraction

import pytest

from quartermaster.exposure.bands import (
    Absorbing,
    BandRules,
    Bands,
    Edges,
    Plan,
    assess,
)
from quartermaster.exposure.bands_file import read_bands
from quartermaster.exposure.rollup import Exposure, measure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.errors import DataError, UsageError

FILE = """
[bands]
report_at = "12.5 %"
breach_at = "30%"
[bands.absorbing]
what = "contribution margin of 2024"
amount = "2.00"
currency = "USD"
breach_at = "50 %"
[[bands.plan]]
group = "A"
owner = "CFO"
due = 2025-06-30
plan = "commitment"
"""


def exposure(*amounts: int, months: int = 12) -> Exposure:
    rows = [
        RevenueRow(chr(65 + at), chr(65 + at), f"2024-{month:02}", amount, "USD")
        for at, amount in enumerate(amounts)
        for month in range(1, months + 1)
    ]
    return measure(rows, scope="us")


def bands_of(found: Bands) -> dict[str, list[str | None]]:
    return {line.group: [ratio.band for ratio in line.ratios] for line in found.lines}


def test_the_edge_belongs_to_the_higher_band_and_is_exact() -> None:
    found = assess(exposure(2500, 1000, 999, 5501), BandRules())
    assert bands_of(found) == {"D": ["breach"], "A": ["breach"], "B": ["report"]}
    huge = 10**17
    just_under = assess(exposure(huge - 1, 9 * huge + 1), BandRules())
    assert [line.group for line in just_under.lines] == ["B"]


def test_a_small_share_can_breach_what_bears_the_loss() -> None:
    margin = Absorbing("margin", 12_000, "USD", Edges())
    found = assess(exposure(900, 99_100), BandRules(absorbing=margin))
    line = found.lines[-1]
    assert line.group == "A"
    assert [ratio.band for ratio in line.ratios] == [None, "breach"]
    assert line.ratios[1].value == pytest.approx(0.9)
    assert line.ratios[1].against == "absorbing"


def test_fewer_months_are_brought_to_a_year() -> None:
    margin = Absorbing("margin", 12_000, "USD", Edges())
    found = assess(exposure(900, 99_100, months=3), BandRules(absorbing=margin))
    assert found.lines[-1].annual_minor == 900 * 12
    assert found.lines[-1].ratios[1].value == pytest.approx(0.9)


def test_a_breach_needs_owner_date_and_plan() -> None:
    plan = Plan("A", owner="CFO", due=date(2025, 1, 31), plan="diversify")
    done = assess(exposure(60, 40), BandRules(plans=(plan,)))
    assert [line.group for line in done.breaches] == ["A", "B"]
    assert [(line.group, line.missing) for line in done.unplanned] == [
        ("B", ("owner", "due", "plan"))
    ]
    half = assess(exposure(60, 40), BandRules(plans=(Plan("A", owner="CFO"),)))
    assert half.breaches[0].missing == ("due", "plan")


@pytest.mark.parametrize(("due", "overdue"), [("2024-12-31", True), ("2025-01-01", False)])
def test_a_date_inside_the_figures_has_passed(due: str, overdue: bool) -> None:
    plan = Plan("A", owner="CFO", due=date.fromisoformat(due), plan="diversify")
    line = assess(exposure(60, 40), BandRules(plans=(plan,))).lines[0]
    assert line.overdue is overdue


def test_a_plan_for_nobody_and_another_currency_are_refused() -> None:
    with pytest.raises(DataError, match="plan for 'Z'"):
        assess(exposure(1, 1), BandRules(plans=(Plan("Z"),)))
    with pytest.raises(DataError, match="in EUR, revenue in USD"):
        assess(exposure(1, 1), BandRules(absorbing=Absorbing("cash", 1, "EUR", Edges())))


def test_a_file() -> None:
    rules = read_bands(FILE.encode(), "bands.toml")
    assert rules.edges == Edges(Fraction(1, 8), Fraction(3, 10))
    assert rules.absorbing is not None
    assert (rules.absorbing.minor, rules.absorbing.edges.breach_at) == (200, Fraction(1, 2))
    assert rules.plans == (Plan("A", "CFO", date(2025, 6, 30), "commitment"),)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"12.5 %"', '"12.5"', "'12.5' is not a percentage"),
        ('"12.5 %"', '"40 %"', "0 % < report <= breach"),
        ("report_at", "reprt_at", "unknown field `reprt_at`"),
        ('"2.00"', '"0.00"', "absorbs nothing"),
        ('"2.00"', '"2.001"', "more decimals than USD"),
        ("2025-06-30", '"soon"', "Invalid RFC3339"),
        ("[bands]", "[bands", "not TOML"),
    ],
)
def test_a_bad_file_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(DataError, match=r"^bands\.toml") as caught:
        read_bands(FILE.replace(old, new, 1).encode(), "bands.toml")
    assert says in caught.value.message


def test_edges_are_ordered() -> None:
    with pytest.raises(UsageError):
        Edges(Fraction(0), Fraction(1)).checked()
