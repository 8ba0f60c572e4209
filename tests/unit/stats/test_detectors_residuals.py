"""Residuals: free of weekdays and of what all series do, counted in the series' own noise."""

import numpy as np

from bench.warning_series import CALM, daily_series
from quartermaster.stats import detectors
from quartermaster.stats import detectors_residuals as residuals


def test_the_median_of_the_others_by_hand() -> None:
    draw = np.random.default_rng(5)
    table = draw.normal(0, 1, (14, 300))
    table[3, 40:60] = np.nan
    found = residuals.common_movement(table)
    for series in (0, 3, 13):
        others = np.delete(table, series, axis=0)
        assert np.allclose(found[series], np.nanmedian(others, axis=0))


def test_few_series_have_nothing_in_common() -> None:
    table = np.ones((residuals.OTHERS_MIN, 5))
    assert not residuals.common_movement(table).any()
    assert (residuals.common_movement(np.ones((residuals.OTHERS_MIN + 1, 5))) == 1).all()


def test_slopes_find_who_follows() -> None:
    draw = np.random.default_rng(6)
    shared = np.repeat(draw.normal(0, 0.3, 100), 7)
    strength = np.array([0.2] * 10 + [1.0] * 10 + [1.8] * 10)
    table = strength[:, None] * shared + draw.normal(0, 0.1, (30, 700))
    slopes = residuals.follows(table, residuals.common_movement(table))
    low, even, high = slopes[:10].mean(), slopes[10:20].mean(), slopes[20:].mean()
    # A prior of twice the usual movement leaves a third of the difference.
    assert 0.6 < low < 0.85
    assert 0.95 < even < 1.05
    assert 1.15 < high < 1.4


def test_noise_is_that_of_days_long_ago() -> None:
    draw = np.random.default_rng(7)
    table = draw.normal(0, 0.2, (1, 400))
    quiet = residuals.in_own_noise(table)
    assert np.isnan(quiet[0, : residuals.GAP_DAYS + residuals.NOISE_DAYS_MIN - 1]).all()
    louder = table.copy()
    louder[0, 380:] *= 3
    assert np.array_equal(residuals.in_own_noise(louder)[0, :380], quiet[0, :380], equal_nan=True)
    assert np.isclose(residuals.in_own_noise(table)[0, 399], table[0, 399] / 0.16, rtol=0.3)


def test_a_shock_to_all_is_nobodys_alarm_and_one_that_leaves_is() -> None:
    daily = daily_series(71, CALM, series=30, days=1100)
    bank = detectors.calibrate(daily[:, :730])
    shocked = daily.copy()
    shocked[:, 900:930] *= 0.75
    fresh = slice(900, 960)
    alone = detectors.over(bank.scores(shocked), bank.thresholds)[2, :, fresh].any(axis=1)
    assert np.count_nonzero(alone) <= 3
    # Against its own past alone, nearly every series would have been in alarm.
    blind = bank.scores(shocked, np.ones_like(shocked))
    assert np.count_nonzero(detectors.over(blind, bank.thresholds)[2, :, fresh].any(axis=1)) > 20
    leaving = shocked.copy()
    leaving[4] = detectors.inject(shocked, 860, 84)[4]
    assert detectors.over(bank.scores(leaving), bank.thresholds)[2, 4, fresh].any()


def test_when_all_leave_together_the_ratios_tell() -> None:
    daily = daily_series(72, CALM, series=30, days=1100)
    bank = detectors.calibrate(daily[:, :730])
    fallen = detectors.inject(daily, 900, 84)
    up = detectors.over(bank.scores(fallen), bank.thresholds)[:2, :, 900:990]
    assert np.all(np.any(up, axis=(0, 2)))
