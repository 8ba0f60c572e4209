"""The sample book: same seed, same world; anchored on the reference scenario; always labelled."""

from pathlib import Path

import pytest

from quartermaster.exposure.rollup import measure, monthly_totals
from quartermaster.revenue.guidance import Actual, score
from quartermaster.revenue.run_rate import growth, run_rates
from quartermaster.sim.book import (
    CUSTOMER_NAME,
    MONTHS,
    SCENARIO_FILE,
    reference_scenario,
    sample_book,
    sample_guidance,
)

ROOT = Path(__file__).resolve().parents[3]


def test_the_same_seed_gives_the_same_world() -> None:
    assert sample_book(7) == sample_book(7)
    assert sample_book(7) != sample_book(8)
    assert sample_book() == sample_book(reference_scenario().seed)


def test_every_row_says_that_it_is_a_sample() -> None:
    rows = sample_book()
    assert all(row.sample for row in rows)
    others = {row.group for row in rows} - {"ByteDance"}
    assert all(name.startswith(CUSTOMER_NAME) for name in others)


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_the_group_is_at_a_quarter_in_every_window(seed: int | None) -> None:
    rows = sample_book(seed)
    for months in (1, 3, 12, 24):
        exposure = measure(rows, scope="the sample", months=months)
        largest = exposure.groups[0]
        assert largest.group == "ByteDance"
        assert largest.share == pytest.approx(0.24, abs=1e-8)
        assert len(largest.members) == 2
        assert [group.group for group in exposure.groups if group.reportable] == ["ByteDance"]


def test_two_years_that_end_at_the_claimed_run_rate() -> None:
    totals = monthly_totals(sample_book())
    assert len(totals) == MONTHS
    rates = run_rates(totals, "USD")
    assert rates is not None
    assert rates.last_month.minor == pytest.approx(100_000_000_000, abs=12)
    assert not rates.is_peak
    risen = growth(totals, span_months=12)
    assert risen is not None
    assert risen.ratio == pytest.approx(1.04**12 - 1, abs=1e-6)


def test_no_payment_of_the_named_entity_leaves_its_claim() -> None:
    scenario = reference_scenario()
    allowed = scenario.meant(scenario.claim_by_id["payment_original"])
    last = [row for row in sample_book() if row.month == "2024-03" and row.customer == "TikTok"]
    assert allowed.low * 100 <= last[0].minor <= allowed.high * 100


def test_guidance_of_the_sample_scores_the_sample() -> None:
    guidance = sample_guidance()
    rates = run_rates(monthly_totals(sample_book()), "USD")
    assert rates is not None
    came = Actual(
        figure=guidance.figure, value=str(rates.last_month.minor // 100), source="sample book"
    )
    assert guidance.sample
    assert score(guidance, came).outcome in {"lower_half", "upper_half"}


def test_the_example_is_the_packaged_scenario() -> None:
    packaged = ROOT / "src/quartermaster/sim" / SCENARIO_FILE
    assert (ROOT / "examples" / SCENARIO_FILE).read_bytes() == packaged.read_bytes()
