"""A small bank of detectors of falling daily series, held to a measured false-alarm rate.

Three statistics, each large when usage falls: the log ratio of the mean of 7 days to that of 84,
of 28 days to 84, and an exponentially weighted mean of log residuals against the same weekday four
to twelve weeks before. The four weeks in between keep a slow ramp out of its own reference.

Each statistic is put on the scale of its series (median and spread over the history, the spread
drawn half-way to that of all series). Thresholds are then chosen on that history such that the
whole bank raises a stated number of alarms a series-year, and the budget is divided among the three
such that ramps injected into the same history are found soonest.

Assumption: the future looks like the history; departures within it count as false alarms and make
thresholds cautious. Guarantee, checked by simulation: on fresh data of the same process the rate
of false alarms is the stated one within its sampling error.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NAMES = ("ratio_7_84", "ratio_28_84", "ewma_weekday")
RATE = 0.5
"""False alarms a series-year: one series wakes somebody every second year."""
LONG_DAYS = 84
GAP_DAYS = 28
WEEKS = 8
"""Weeks of the weekday reference: from 28 to 84 days ago, as long as the ratios look back."""
WARM_DAYS = GAP_DAYS + 7 * WEEKS + LONG_DAYS
"""Before this a statistic lacks its references."""
EWMA_WEIGHT = 0.1
RESIDUAL_MAX = 1.5
"""A day at a fifth of its reference says all that one day can say."""
BUSY_SHARE_MIN = 0.5
"""Share of days in use, in the 84 days before the last 84: burstier series have no daily level."""
FLOOR = 0.05
"""Share of the long mean that is added before logarithms, so that an idle day is not infinite."""
QUIET_DAYS = 28
"""An alarm that is silent for four weeks and returns is a new alarm."""
BUDGETS = ((1, 1, 4), (1, 1, 8), (1, 0, 3), (0, 0, 1), (1, 1, 1))
"""Ways to divide the budget that are tried. The weekday detector gets the most of it: on made-up
series it finds a slow ramp soonest, while the ratios guard against what it cannot see."""
RAMP_DAYS = 84
SEARCH_STEPS = 16
"""Halvings of a threshold between 0 and the largest score: finer than any series can tell."""
STARTS = 2
"""Injected ramps a series when budgets are compared."""


class Bank(NamedTuple):
    """A calibrated bank: location and scale of each series, thresholds common to all."""

    centres: FloatArray
    spreads: FloatArray
    thresholds: FloatArray
    rate: float
    """Alarms a series-year on the history that it was set on."""

    def scores(self, daily: FloatArray) -> FloatArray:
        """Statistics in spreads below their median: detectors x series x days; NaN before warm."""
        raw = statistics(daily)
        return np.asarray((self.centres[:, :, None] - raw) / self.spreads[:, :, None])

    def alarms(self, daily: FloatArray) -> BoolArray:
        """Which detector is in alarm: detectors x series x days."""
        return over(self.scores(daily), self.thresholds)


def statistics(daily: FloatArray) -> FloatArray:
    """The three statistics, detectors x series x days; NaN until a series is warm.

    Args:
        daily: series x days, amounts not below zero; a series begins at its first amount.
    """
    long = _trailing(daily, LONG_DAYS)
    base = np.where(long > 0, long, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        week = np.log(_trailing(daily, 7) / base + FLOOR)
        month = np.log(_trailing(daily, GAP_DAYS) / base + FLOOR)
        levels = np.log(daily + FLOOR * np.where(long > 0, long, 1.0))
    reference = np.zeros_like(levels)
    for back in range(WEEKS):
        reference += np.roll(levels, GAP_DAYS + 7 * back, axis=1) / WEEKS
    residuals = np.clip(levels - reference, -RESIDUAL_MAX, RESIDUAL_MAX)
    stacked = np.stack([week, month, _smoothed(residuals)])
    begun = np.argmax(daily > 0, axis=1)
    days = np.arange(daily.shape[1])
    cold = days[None, :] < begun[:, None] + WARM_DAYS
    # A series that was silent for all of the long window has nothing left to lose, and one that
    # was mostly idle before it has no level that could fall.
    busy = (
        np.roll(_trailing((daily > 0).astype(np.float64), LONG_DAYS), LONG_DAYS, axis=1)
        >= BUSY_SHARE_MIN
    )
    stacked[:, cold | ~(long > 0) | ~busy] = np.nan
    return stacked


def calibrate(daily: FloatArray, rate: float = RATE) -> Bank:
    """Set the bank on a history.

    Args:
        daily: series x days.
        rate: false alarms a series-year of the whole bank.
    """
    raw = statistics(daily)
    centres, spreads = _scales(raw)
    scores = (centres[:, :, None] - raw) / spreads[:, :, None]
    years = float(np.isfinite(raw[0]).sum()) / 365.25
    bare = Bank(centres, spreads, np.full(len(NAMES), np.inf), 0.0)
    ramps = [(s, bare.scores(inject(daily, s, RAMP_DAYS))) for s in ramp_starts(daily)]
    best: tuple[float, FloatArray] | None = None
    for budget in BUDGETS:
        thresholds = thresholds_for(scores, np.array(budget, dtype=float), rate * years)
        delays = [_delays(ramp, thresholds, start) for start, ramp in ramps]
        # Without room for a ramp no budget is known to be better: the first stays.
        tried = np.concatenate(delays) if delays else np.zeros(0)
        worst = float(tried.mean()) if len(tried) else 0.0
        if best is None or worst < best[0]:
            best = (worst, thresholds)
    assert best is not None, "there are budgets"
    count = episodes(any_of(over(scores, best[1])))
    return Bank(centres, spreads, best[1], count / years if years else 0.0)


def over(scores: FloatArray, thresholds: FloatArray) -> BoolArray:
    """Where scores exceed their detector's threshold; NaN never does."""
    with np.errstate(invalid="ignore"):
        return np.asarray(scores > thresholds[:, None, None])


def any_of(alarms: BoolArray) -> BoolArray:
    """Series x days in which any detector is in alarm."""
    return np.asarray(alarms.any(axis=0), dtype=np.bool_)


def episodes(alarms: BoolArray) -> int:
    """Alarms of all series, those with less than `QUIET_DAYS` between them counted once."""
    series, days = np.nonzero(alarms)
    if not len(days):
        return 0
    new = (np.diff(series) != 0) | (np.diff(days) > QUIET_DAYS)
    return 1 + int(new.sum())


def inject(daily: FloatArray, start: int, days: int, floor: float = 0.0) -> FloatArray:
    """The same series, each falling in a straight line to `floor` of itself from day `start` on."""
    fallen = np.clip(np.arange(daily.shape[1]) - start + 1, 0, days) / days
    return daily * (1 - (1 - floor) * fallen)


def _trailing(daily: FloatArray, days: int) -> FloatArray:
    """Mean of the last `days` days, today included; NaN where there are not so many."""
    sums = np.cumsum(np.pad(daily, ((0, 0), (1, 0))), axis=1)
    mean = np.full(daily.shape, np.nan)
    # Differences of running sums leave dust where usage ended; dust is not usage.
    window = (sums[:, days:] - sums[:, :-days]) / days
    mean[:, days - 1 :] = np.where(window < 1e-9 * sums[:, -1:] / daily.shape[1], 0.0, window)
    return mean


def _smoothed(residuals: FloatArray) -> FloatArray:
    smooth = np.full(residuals.shape, np.nan)
    state = np.zeros(len(residuals))
    for day in range(GAP_DAYS + 7 * (WEEKS - 1), residuals.shape[1]):
        state = (1 - EWMA_WEIGHT) * state + EWMA_WEIGHT * np.nan_to_num(residuals[:, day])
        smooth[:, day] = state
    return smooth


def _scales(raw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Median and spread a detector and series; a series without history gets the common ones."""
    shape = raw.shape[:2]
    centres, spreads = np.full(shape, np.nan), np.full(shape, np.nan)
    for detector, series in np.ndindex(shape):
        warm = raw[detector, series]
        warm = warm[np.isfinite(warm)]
        if len(warm):
            centre = np.median(warm)
            centres[detector, series] = centre
            spreads[detector, series] = np.median(np.abs(warm - centre)) * 1.4826
    for detector in range(shape[0]):
        known = spreads[detector][np.isfinite(spreads[detector])]
        common = float(np.median(known)) if len(known) else 1.0
        common = max(common, 1e-6)
        own = np.nan_to_num(spreads[detector], nan=common)
        spreads[detector] = np.sqrt((own**2 + common**2) / 2)
        centres[detector] = np.nan_to_num(centres[detector])
    return centres, spreads


def thresholds_for(scores: FloatArray, budget: FloatArray, alarms_max: float) -> FloatArray:
    """Thresholds such that the bank as a whole raises at most so many alarms."""
    share = budget / budget.sum()

    def at(total: float) -> FloatArray:
        return np.array(
            [_threshold(scores[d], share[d] * total) for d in range(len(share))], dtype=np.float64
        )

    # Alarms of several detectors coincide: parts that add up to the whole always fit, more may.
    low, high = alarms_max, alarms_max * len(NAMES)
    for _ in range(SEARCH_STEPS // 2):
        middle = (low + high) / 2
        fits = episodes(any_of(over(scores, at(middle)))) <= alarms_max
        low, high = (middle, high) if fits else (low, middle)
    return at(low)


def _threshold(scores: FloatArray, alarms_max: float) -> float:
    if alarms_max <= 0 or not np.isfinite(scores).any():
        return float("inf")
    low, high = 0.0, max(0.0, float(np.nanmax(scores)))
    with np.errstate(invalid="ignore"):
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            fits = episodes(scores > middle) <= alarms_max
            low, high = (low, middle) if fits else (middle, high)
    return high


def ramp_starts(daily: FloatArray) -> list[int]:
    """Days at which ramps are tried: spread over the warm half of the history."""
    days = daily.shape[1]
    room = days - 2 * RAMP_DAYS - WARM_DAYS
    if room <= 0:
        return []
    return [WARM_DAYS + room * (part + 1) // (STARTS + 1) for part in range(STARTS)]


def _delays(scores: FloatArray, thresholds: FloatArray, start: int) -> FloatArray:
    """Days from the start of a ramp to the first alarm; those not found count twice the ramp."""
    window = any_of(over(scores, thresholds))[:, start : start + 2 * RAMP_DAYS]
    warm = np.isfinite(scores[0, :, start])
    found = window.any(axis=1)
    delays = np.where(found, np.argmax(window, axis=1) + 1, 2 * RAMP_DAYS)
    return np.asarray(delays[warm], dtype=np.float64)
