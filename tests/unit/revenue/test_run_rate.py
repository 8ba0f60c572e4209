"""Run-rates with their methods, the peak trap, and growth."""

import pytest

from quartermaster.exposure.months import month_number, month_text
from quartermaster.revenue.run_rate import growth, run_rates


def series(*minor: int, last: str = "2024-03") -> dict[str, int]:
    end = month_number(last)
    return {month_text(end - len(minor) + 1 + at): value for at, value in enumerate(minor)}


def test_both_methods_beside_each_other() -> None:
    found = run_rates(series(90, 100, 110), "USD")
    assert found is not None
    assert (found.last_month.minor, found.last_month.months) == (1_320, ("2024-03",))
    assert found.trailing is not None
    assert found.trailing.minor == 1_200
    assert found.trailing.months == ("2024-01", "2024-02", "2024-03")


def test_a_peak_month_is_flagged() -> None:
    flat = run_rates(series(100, 100, 100, 125), "USD")
    peak = run_rates(series(100, 100, 100, 126), "USD")
    assert flat is not None
    assert peak is not None
    assert (flat.is_peak, flat.peak_ratio) == (False, 1.25)
    assert peak.is_peak


def test_steady_fast_growth_is_no_peak() -> None:
    found = run_rates(series(1_000, 1_100, 1_210, 1_331), "USD")
    assert found is not None
    assert not found.is_peak
    assert found.peak_ratio == pytest.approx(1.206344, abs=1e-6)


def test_few_months_say_less() -> None:
    assert run_rates({}, "USD") is None
    two = run_rates(series(1, 2), "USD")
    assert two is not None
    assert (two.trailing, two.peak_ratio, two.is_peak) == (None, None, False)


def test_no_revenue_before_gives_no_ratio() -> None:
    found = run_rates(series(0, 0, 0, 5), "USD")
    assert found is not None
    assert found.peak_ratio is None


def test_growth_over_the_same_months_a_year_before() -> None:
    found = growth(series(*[100] * 12, *[129] * 3))
    assert found is not None
    assert found.ratio == pytest.approx(0.29)
    assert (found.span_months, found.last, found.basis) == (3, "2024-03", "reported")


def test_growth_needs_a_year_before_with_revenue() -> None:
    assert growth(series(*[100] * 14)) is None
    assert growth(series(*[0] * 12, *[5] * 3)) is None
    year = growth(series(*[1] * 12, *[2] * 12), span_months=12)
    assert year is not None
    assert year.ratio == 1
