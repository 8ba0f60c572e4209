"""Log residuals of daily series: against their own weekday, and against what the others do.

A residual is the log of a day over the mean log of the same weekday four to sixteen weeks before.
What the other series have in common on that day, their median, is taken out as far as the series
is known to follow it: a holiday or a slow summer is nobody's departure. The rest is counted in
the series' own usual deviation, of days long enough ago not to hold a ramp that has just begun.

Assumption: most series do not leave at the same time. If they do, nothing is left in the residuals
of any of them, and only detectors that look at a series by itself can tell.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LONG_DAYS = 84
GAP_DAYS = 28
"""Between a day and its reference, so that a slow ramp is not in its own reference yet."""
WEEKS = 12
"""Weeks of the reference: with the common movement taken out, more weeks make it quieter without
making it old."""
REFERENCE_DAYS = GAP_DAYS + 7 * WEEKS
FLOOR = 0.05
"""Share of the long mean that is added before logarithms, so that an idle day is not infinite."""
BUSY_SHARE_MIN = 0.5
"""Share of days in use, in the 84 days before the last 84: burstier series have no daily level."""
OTHERS_MIN = 10
"""The median of fewer series is so restless itself that taking it out costs more than it brings."""
FOLLOW_PRIOR = 2.0
"""Times the movement that a usual history holds: slopes are shrunken by two thirds towards one.
With less, restless series take their own wandering for a slope."""
FOLLOW_MAX = 2.0
"""A series that seems to follow more than twice over has moved for reasons of its own."""
NOISE_DAYS = 168
"""Of the usual deviation: half a year, in which the noise of a customer is about the same."""
NOISE_DAYS_MIN = 28
"""Four weeks of residuals give a mean deviation within a sixth, and later weeks improve it."""
NOISE_MIN = 0.02
"""Series that hardly vary are taken to vary by two per cent: less is news to nobody."""
DEVIATIONS_MAX = 2.5
"""A day that is out by more mean deviations than this says no more: bursts and outages pass."""
EWMA_WEIGHT = 0.1
BLOCK_DAYS = 128
"""Days whose medians are computed at once, which bounds the memory of a large panel."""


def trailing(daily: FloatArray, days: int) -> FloatArray:
    """Mean of the last `days` days, today included; NaN where there are not so many."""
    sums = np.cumsum(np.pad(daily, ((0, 0), (1, 0))), axis=1)
    mean = np.full(daily.shape, np.nan)
    # Differences of running sums leave dust where usage ended; dust is not usage.
    window = (sums[:, days:] - sums[:, :-days]) / days
    mean[:, days - 1 :] = np.where(window < 1e-9 * sums[:, -1:] / daily.shape[1], 0.0, window)
    return mean


def watched(daily: FloatArray, long: FloatArray, age: int) -> npt.NDArray[np.bool_]:
    """Where a series began `age` days ago, is in use, and was so on most days.

    A series that was silent for all of the long window has nothing left to lose, and one that was
    mostly idle before it has no level that could fall.
    """
    begun = np.argmax(daily > 0, axis=1)
    old = np.arange(daily.shape[1])[None, :] >= begun[:, None] + age
    used = trailing((daily > 0).astype(np.float64), LONG_DAYS)
    return np.asarray(old & (long > 0) & (np.roll(used, LONG_DAYS, axis=1) >= BUSY_SHARE_MIN))


def weekday_residuals(daily: FloatArray) -> FloatArray:
    """Log of a day over its weekday's reference; NaN where the series is not watched."""
    long = trailing(daily, LONG_DAYS)
    # The floor of the first days is that of the days so far: a level without one would differ.
    young = np.cumsum(daily, axis=1) / np.arange(1, daily.shape[1] + 1)
    floor = np.where(np.isnan(long), young, long)
    levels = np.log(daily + FLOOR * np.where(floor > 0, floor, 1.0))
    reference = np.zeros_like(levels)
    for back in range(WEEKS):
        reference += np.roll(levels, GAP_DAYS + 7 * back, axis=1) / WEEKS
    return np.where(watched(daily, long, REFERENCE_DAYS), levels - reference, np.nan)


def common_movement(residuals: FloatArray) -> FloatArray:
    """For each series the median residual of the others on the day; 0 where they are too few."""
    found = np.zeros_like(residuals)
    for start in range(0, residuals.shape[1], BLOCK_DAYS):
        block = slice(start, start + BLOCK_DAYS)
        found[:, block] = _median_of_others(residuals[:, block])
    return found


def follows(residuals: FloatArray, common: FloatArray) -> FloatArray:
    """How far each series follows the common movement: a slope, shrunken towards one."""
    own, shared = smoothed(residuals), smoothed(common)
    known = np.isfinite(residuals)
    products = np.where(known, own * shared, 0.0).sum(axis=1)
    squares = np.where(known, shared**2, 0.0).sum(axis=1)
    moved = squares[squares > 0]
    if not len(moved):
        return np.ones(len(residuals))
    prior = FOLLOW_PRIOR * float(np.median(moved))
    return np.asarray(np.clip((products + prior) / (squares + prior), 0.0, FOLLOW_MAX))


def in_own_noise(residuals: FloatArray) -> FloatArray:
    """Residuals in mean deviations of their own past, clipped; NaN while that is not known."""
    known = np.isfinite(residuals)
    sums = np.cumsum(np.where(known, np.abs(residuals), 0.0), axis=1)
    counts = np.cumsum(known, axis=1)
    total = _back(sums, GAP_DAYS) - _back(sums, GAP_DAYS + NOISE_DAYS)
    count = _back(counts, GAP_DAYS) - _back(counts, GAP_DAYS + NOISE_DAYS)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = np.where(count >= NOISE_DAYS_MIN, total / count, np.nan)
        scaled = residuals / np.maximum(noise, NOISE_MIN)
    return np.clip(scaled, -DEVIATIONS_MAX, DEVIATIONS_MAX)


def smoothed(values: FloatArray) -> FloatArray:
    """Exponentially weighted mean from day to day; unknown days count as zero."""
    smooth = np.empty(values.shape)
    state = np.zeros(len(values))
    for day in range(values.shape[1]):
        state = (1 - EWMA_WEIGHT) * state + EWMA_WEIGHT * np.nan_to_num(values[:, day])
        smooth[:, day] = state
    return smooth


def _back(values: npt.NDArray[np.float64] | IntArray, days: int) -> FloatArray:
    """A running total as it was some days ago; zero before it began."""
    earlier = np.zeros(values.shape)
    earlier[:, days:] = values[:, :-days]
    return earlier


def _median_of_others(part: FloatArray) -> FloatArray:
    known = np.isfinite(part)
    order = np.argsort(part, axis=0)  # unknown ones last
    place = np.argsort(order, axis=0)
    ordered = np.take_along_axis(part, order, axis=0)
    others = known.sum(axis=0)[None, :] - known
    halves = []
    for middle in ((others - 1) // 2, others // 2):
        # Where the series itself stands before the middle, the middle of the others is one further.
        at = np.maximum(middle, 0) + (known & (place <= middle))
        halves.append(np.take_along_axis(ordered, np.minimum(at, len(part) - 1), axis=0))
    return np.where(others >= OTHERS_MIN, (halves[0] + halves[1]) / 2, 0.0)
