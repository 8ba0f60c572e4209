"""Offline dating of changes of level: exact optimal partitioning (Jackson et al., 2005).

PELT prunes the same search and finds the same answer; a few hundred weeks need no pruning.

A segmentation costs the squared deviations from each segment's mean, divided by the noise
variance, plus a penalty for each change. Assumption: independent noise of one variance around
levels that change at few moments. Guarantee, checked by simulation: on constant series with
Gaussian noise the default penalty finds a change in fewer than one series of twenty.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

PENALTY_FACTOR = 3.0
"""Penalty = 3 log n: above the 2 log n of the information criterion, because usage has a memory."""
SEGMENT_MIN = 3
"""Shorter segments are bursts, not levels."""


def noise_variance(values: FloatArray) -> float:
    """Variance of the noise from first differences, robust against changes of level."""
    spread = np.median(np.abs(np.diff(values))) / 0.6745
    return float(spread**2 / 2)


def changepoints(
    values: FloatArray, *, penalty: float | None = None, variance: float | None = None
) -> list[int]:
    """Indices at which a new level begins, by the cheapest segmentation.

    Args:
        values: levels in order, for usage on a log scale.
        penalty: cost of one change, in units of noise variance; 3 log n by default.
        variance: of the noise; estimated from differences by default.
    """
    count = len(values)
    if count < 2 * SEGMENT_MIN:
        return []
    variance = noise_variance(values) if variance is None else variance
    scale = max(variance, 1e-12 * max(1.0, float(np.var(values))))
    price = PENALTY_FACTOR * np.log(count) if penalty is None else penalty
    return _cheapest(values - values.mean(), scale, float(price))


def _cheapest(values: FloatArray, scale: float, price: float) -> list[int]:
    """Optimal partitioning: the best last change before each end, then walk back."""
    count = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values**2)])
    best = np.full(count + 1, np.inf)
    best[0] = -price
    origin = np.zeros(count + 1, dtype=np.int64)
    for end in range(SEGMENT_MIN, count + 1):
        starts = np.arange(end - SEGMENT_MIN + 1)
        inside = squares[end] - squares[starts]
        inside = inside - (sums[end] - sums[starts]) ** 2 / (end - starts)
        costs = best[starts] + inside / scale + price
        pick = int(np.argmin(costs))
        best[end], origin[end] = costs[pick], pick
    found: list[int] = []
    end = count
    while origin[end] > 0:
        end = int(origin[end])
        found.append(end)
    return found[::-1]
