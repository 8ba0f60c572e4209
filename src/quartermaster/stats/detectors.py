"""A small bank of detectors of falling daily series, held to a measured false-alarm rate.

Three statistics, each large when usage falls: the log ratio of the mean of 7 days to that of 84,
of 28 days to 84, and an exponentially weighted mean of the residuals of `detectors_residuals`:
against the same weekday four to sixteen weeks before, less what all series do that day. The ratios
look at a series by itself and so also tell when all fall together.

Each statistic is put on one scale: below the common median, in a spread between that of the series
and that of all. Thresholds are then chosen on that history such that the whole bank raises a
stated number of alarms a series-year, and the budget is divided among the three such that ramps
injected into the same history are found soonest.

Assumption: the future looks like the history; departures within it count as false alarms and make
thresholds cautious. Guarantee, checked by simulation: on fresh data of the same process the rate
of false alarms is at most the stated one, within its sampling error.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.stats.detectors_residuals import (
    FLOOR,
    GAP_DAYS,
    LONG_DAYS,
    NOISE_DAYS_MIN,
    REFERENCE_DAYS,
    common_movement,
    follows,
    in_own_noise,
    smoothed,
    trailing,
    watched,
    weekday_residuals,
)

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NAMES = ("ratio_7_84", "ratio_28_84", "ewma_weekday")
RATE = 0.5
"""False alarms a series-year: one series wakes somebody every second year."""
HELD_BACK = 0.3
"""Of the rate: scales and thresholds fit the history that they were taken from better than what
comes after it. On made-up series alarms are 20 to 40 % more frequent afterwards."""
WARM_DAYS = REFERENCE_DAYS + GAP_DAYS + NOISE_DAYS_MIN
"""Before this a statistic lacks its references."""
OWN_SPREAD = 0.25
"""Of the variance of a statistic, the part taken from the series itself. With more of it the scale
of a series learns its own excursions, which then come as a surprise afterwards."""
QUIET_DAYS = 28
"""An alarm that is silent for four weeks and returns is a new alarm."""
BUDGETS = ((1, 1, 4), (1, 1, 8), (1, 1, 16), (1, 1, 1))
"""Ways to divide the budget that are tried. The weekday detector gets the most of it: on made-up
series it finds a slow ramp soonest, while the ratios guard against what it cannot see."""
YEAR_DAYS = 365
"""Alarms are counted on whole years where there is one: a half year would count one season twice,
and most alarms come while a season falls."""
RAMP_DAYS = 84
SEARCH_STEPS = 16
"""Halvings of a threshold between 0 and the largest score: finer than any series can tell."""
STARTS = 2
"""Injected ramps a series when budgets are compared."""


class Bank(NamedTuple):
    """A calibrated bank: scales of each series, centres and thresholds common to all."""

    follows: FloatArray
    """How far each series follows the common movement."""
    centres: FloatArray
    """One a detector: a steady series is where the others are."""
    spreads: FloatArray
    """Detectors x series."""
    thresholds: FloatArray
    rate: float
    """Alarms a series-year on the history that it was set on."""

    def scores(self, daily: FloatArray, among: FloatArray | None = None) -> FloatArray:
        """Statistics in spreads below their median: detectors x series x days; NaN before warm.

        Args:
            daily: series x days.
            among: what the other series did, where that is not `daily`: of a series that is tried
                out, the panel as it was.
        """
        raw = statistics(daily, self.follows, among)
        return np.asarray((self.centres[:, None, None] - raw) / self.spreads[:, :, None])

    def alarms(self, daily: FloatArray) -> BoolArray:
        """Which detector is in alarm: detectors x series x days."""
        return over(self.scores(daily), self.thresholds)


def statistics(
    daily: FloatArray, follow: FloatArray | None = None, among: FloatArray | None = None
) -> FloatArray:
    """The three statistics, detectors x series x days; NaN until a series is warm.

    Args:
        daily: series x days, amounts not below zero; a series begins at its first amount.
        follow: how far each series follows the common movement; wholly where not given.
        among: the panel whose common movement counts; `daily` where not given.
    """
    long = trailing(daily, LONG_DAYS)
    base = np.where(long > 0, long, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        week = np.log(trailing(daily, 7) / base + FLOOR)
        month = np.log(trailing(daily, GAP_DAYS) / base + FLOOR)
    residuals = weekday_residuals(daily)
    common = common_movement(residuals if among is None else weekday_residuals(among))
    own = residuals - common * (1.0 if follow is None else follow[:, None])
    stacked = np.stack([week, month, smoothed(in_own_noise(own))])
    stacked[:, ~watched(daily, long, WARM_DAYS)] = np.nan
    return stacked


def calibrate(daily: FloatArray, rate: float = RATE) -> Bank:
    """Set the bank on a history.

    Args:
        daily: series x days.
        rate: false alarms a series-year of the whole bank.
    """
    residuals = weekday_residuals(daily)
    follow = follows(residuals, common_movement(residuals))
    raw = statistics(daily, follow)[:, :, -counted_days(daily.shape[1]) :]
    centres, spreads = _scales(raw)
    scores = (centres[:, None, None] - raw) / spreads[:, :, None]
    years = float(np.isfinite(raw[0]).sum()) / 365.25
    bare = Bank(follow, centres, spreads, np.full(len(NAMES), np.inf), 0.0)
    ramps = [(s, bare.scores(inject(daily, s, RAMP_DAYS), daily)) for s in ramp_starts(daily)]
    best: tuple[float, FloatArray] | None = None
    for budget in BUDGETS:
        allowed = (1 - HELD_BACK) * rate * years
        thresholds = thresholds_for(scores, np.array(budget, dtype=float), allowed)
        delays = [_delays(ramp, thresholds, start) for start, ramp in ramps]
        # Without room for a ramp no budget is known to be better: the first stays.
        tried = np.concatenate(delays) if delays else np.zeros(0)
        worst = float(tried.mean()) if len(tried) else 0.0
        if best is None or worst < best[0]:
            best = (worst, thresholds)
    assert best is not None, "there are budgets"
    count = episodes(any_of(over(scores, best[1])))
    found = bare._replace(thresholds=best[1])
    return found._replace(rate=count / years if years else 0.0)


def counted_days(days: int) -> int:
    """Newest days that alarms are counted on: whole years, so that no season counts twice."""
    warm = days - WARM_DAYS
    return warm // YEAR_DAYS * YEAR_DAYS if warm >= YEAR_DAYS else days


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


def _scales(raw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The median of each detector, and the spread of each detector and series.

    A series without history gets the common spread.
    """
    medians, spreads = np.full(raw.shape[:2], np.nan), np.full(raw.shape[:2], np.nan)
    for detector, series in np.ndindex(medians.shape):
        warm = raw[detector, series]
        warm = warm[np.isfinite(warm)]
        if len(warm):
            median = np.median(warm)
            medians[detector, series] = median
            spreads[detector, series] = np.median(np.abs(warm - median)) * 1.4826
    centres = np.array([_middle(row, 0.0) for row in medians])
    for detector, row in enumerate(spreads):
        common = max(_middle(row, 1.0), 1e-6)
        own = np.nan_to_num(row, nan=common)
        spreads[detector] = np.sqrt(OWN_SPREAD * own**2 + (1 - OWN_SPREAD) * common**2)
    return centres, spreads


def _middle(values: FloatArray, otherwise: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else otherwise


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
