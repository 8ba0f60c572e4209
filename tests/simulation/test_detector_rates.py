"""The bank on fresh made-up data: false alarms as stated, ramps found. Seeds are printed."""

import numpy as np
import pytest

from bench.warning import tried
from bench.warning_series import CALM, RETAIL, Noise, daily_series


def pooled(noise: Noise, seeds: range) -> tuple[float, float, float]:
    """Out-of-sample false alarms a series-year, median delay in days, share found."""
    print(f"seeds {seeds}")
    parts = [tried(daily_series(seed, noise), None, (60, 200)) for seed in seeds]
    rate = sum(part[0] for part in parts) / sum(part[1] for part in parts)
    days = np.concatenate([part[2:] for part in parts])
    return rate, float(np.median(days)), float(np.isfinite(days).mean())


def test_calm_series() -> None:
    rate, delay, found = pooled(CALM, range(3, 6))
    # 200 series-years: half an alarm each at most, give or take three standard errors.
    assert 0.25 <= rate <= 0.65
    assert delay <= 28
    assert found == 1.0


@pytest.mark.long
def test_series_as_restless_as_retail() -> None:
    rate, delay, found = pooled(RETAIL, range(140, 170))
    print(f"rate {rate:.2f}, delay {delay:.0f} d, found {found:.3f}")
    # 2,000 series-years, of thresholds that differ from seller to seller: 0.05 is one error of it.
    assert 0.35 <= rate <= 0.6
    assert delay <= 30
    assert found == 1.0
