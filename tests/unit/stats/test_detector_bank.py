"""The bank's parts: ratios by hand, episodes, what is watched, and thresholds that hold."""

import numpy as np

from bench.warning_series import CALM, daily_series
from quartermaster.stats import detectors
from quartermaster.stats.detectors_residuals import FLOOR


def test_ratios_by_hand() -> None:
    daily = np.ones((1, 400))
    daily[0, 393:] = 0.5
    week, month, _ = detectors.statistics(daily)[:, 0, 399]
    long = (77 + 3.5) / 84
    assert week == np.log(0.5 / long + FLOOR)
    assert np.isclose(month, np.log((21 + 3.5) / 28 / long + FLOOR), atol=1e-12)


def test_the_weekday_reference_takes_weekends_out() -> None:
    daily = np.where(np.arange(500) % 7 < 5, 10.0, 2.0)[None, :]
    ewma = detectors.statistics(daily)[2, 0]
    assert np.nanmax(np.abs(ewma[400:])) < 1e-6


def test_episodes_need_four_quiet_weeks() -> None:
    alarms = np.zeros((2, 200), dtype=bool)
    alarms[0, [10, 11, 30, 58]] = True  # one: gaps of 19 and 28 days
    alarms[0, 120] = True
    alarms[1, 121] = True
    assert detectors.episodes(alarms) == 3
    assert detectors.episodes(np.zeros((2, 9), dtype=bool)) == 0


def test_what_is_not_watched() -> None:
    draw = np.random.default_rng(1)
    daily = draw.uniform(1, 2, (3, 600))
    daily[0] *= draw.random(600) < 0.2  # bursty
    daily[1, :300] = 0  # began late
    daily[2, 300:] = 0  # left long ago
    watched = np.isfinite(detectors.statistics(daily)[0])
    assert not watched[0].any()
    assert not watched[1, : 300 + detectors.WARM_DAYS].any()
    assert watched[1, 300 + detectors.WARM_DAYS :].all()
    assert watched[2, 299:330].all()
    assert not watched[2, 385:].any()


def test_the_rate_on_its_own_history_is_kept() -> None:
    bank = detectors.calibrate(daily_series(2, CALM, series=12, days=900))
    assert 0.3 <= bank.rate <= detectors.RATE


def test_a_silent_panel_raises_nothing() -> None:
    bank = detectors.calibrate(np.zeros((3, 500)))
    assert bank.rate == 0.0
    assert not bank.alarms(np.zeros((3, 500))).any()


def test_nothing_looks_ahead() -> None:
    daily = daily_series(3, CALM, series=3, days=500)
    changed = daily.copy()
    changed[:, 400:] *= 0.1
    before, after = (detectors.statistics(d)[:, :, :400] for d in (daily, changed))
    assert np.array_equal(before, after, equal_nan=True)
