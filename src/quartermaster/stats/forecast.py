"""Forecast paths of one series from every origin: simple, robust methods, weighed by their past.

The median of three follows what moves: damped exponential smoothing, a theta-like half of the
linear trend, and a naive one (the same season of last time, or without a season the last value and
a fading typical step). The mean of as many last values as lie ahead follows what only fluctuates.
How far each of the two was off before decides how much of it counts.
On metered usage such methods were as good as any larger model and far cheaper.

Assumes: equally spaced values, oldest first; no value after an origin is used for its path.
Guarantee: none about a single path. How wrong paths are is measured by `conformal`.

A recursive filter passes each origin once, so that all origins cost as much as the last one.
Values are smoothed as asinh(value / scale), scale three typical early values: like a logarithm
where a business has grown, straight through zero for customers that have not begun or have left,
and defined for credits.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from quartermaster.kernel.errors import UsageError

ORIGIN_MIN = 6
"""With fewer values a trend is two points and their noise."""
SEASONS_MIN = 3
"""Two seasons make the indices, a third must show that they help."""
GROWTH_MAX = 4.0
"""A path stays under this many times the largest value of the last season: smoothing after a jump
from nothing would extrapolate the jump."""

_ALPHAS = (0.03, 0.1, 0.3, 0.5, 0.7, 0.9)
_BETAS = (0.05, 0.15, 0.4)
_PHIS = (0.85, 0.98)
_GAMMAS = (0.05, 0.2)
_SEASON_NONE = 1
# Times the early median. Smaller is more of a logarithm, which puts noisy daily totals too low.
_SCALE_TIMES = 3.0
# The naive step is the median of a year's steps, and fades: a business does not keep its pace.
_STEPS_SEEN = 12
_STEP_FADES = 0.9
# Before that many windows have passed, nothing is known against the methods that follow a trend.
_WINDOWS_WEIGHED = 3
# A mean that was twice as far off as the trend counts nothing. A hundredth of a mean of twelve
# months would still move a business that doubles by more than its usual error, and errors from
# before the mean was known would no longer measure those after.
_SQUARES_RULED_OUT = 4.0


class _State(NamedTuple):
    """Where a filter stands before an origin."""

    cost: float
    level: float
    trend: float
    alpha: float
    phi: float
    season: tuple[float, ...]


class _Start(NamedTuple):
    """Where a filter starts, and from which value its errors count."""

    level: float
    trend: float
    season: tuple[float, ...]
    counts_from: int


def paths(
    values: Sequence[float], *, horizon: int, season: int = _SEASON_NONE, first: int = ORIGIN_MIN
) -> list[list[float]]:
    """The next `horizon` values as seen from each origin `first`, `first` + 1, ..., the end.

    Args:
        values: oldest first, equally spaced.
        horizon: steps ahead.
        season: steps of a season (12 for months, 7 for days); 1 knows none. A season is used from
            `SEASONS_MIN` seasons on, and only where it earns its parameters (Akaike's criterion).
        first: number of values that the first origin knows.

    Returns:
        One path an origin: element i knows `values[: first + i]` and nothing else.

    Raises:
        UsageError: fewer values than `first`, or a horizon or season below 1.
    """
    if horizon < 1 or season < 1 or first < ORIGIN_MIN:
        raise UsageError(f"a forecast needs a horizon, a season and {ORIGIN_MIN} values to start")
    if len(values) < first:
        raise UsageError(f"a forecast needs {first} values, there are {len(values)}")
    scale = _scale(values[:first])
    z = [math.asinh(value / scale) for value in values]
    plain = _Fits(z, _SEASON_NONE)
    seasonal = _Fits(z, season) if season > 1 and len(z) >= SEASONS_MIN * season else None
    slopes = list(_half_slopes(z))
    found, seasons = list[list[float]](), list[bool]()
    for origin in range(first, len(z) + 1):
        fits = plain
        if seasonal is not None and seasonal.earns(origin, plain):
            fits = seasonal
        path = _median_path(z, origin, horizon, fits, slopes[origin])
        recent = values[max(0, origin - max(season, ORIGIN_MIN)) : origin]
        top, foot = GROWTH_MAX * max(*recent, 0.0), GROWTH_MAX * min(*recent, 0.0)
        found.append([min(max(_back(step, scale), foot), top) for step in path])
        seasons.append(fits is seasonal)
    return _weighed(found, seasons, values, horizon=horizon, first=first)


def _weighed(
    moving: Sequence[list[float]],
    seasons: Sequence[bool],
    values: Sequence[float],
    *,
    horizon: int,
    first: int,
) -> list[list[float]]:
    """Each path and the recent mean, by the inverse square of their mean squared past errors.

    The mean has no season: where there is one, it moves the path as a whole and leaves its shape.
    """
    means = [
        sum(values[max(0, origin - horizon) : origin]) / min(horizon, origin)
        for origin in range(first, len(values) + 1)
    ]
    of_moving = of_mean = 0.0
    found = []
    for at, path in enumerate(moving):
        done = at - horizon
        if done >= 0:
            came = sum(values[first + done : first + at])
            of_moving += (came - sum(moving[done])) ** 2
            of_mean += (came - horizon * means[done]) ** 2
        weight = _weight(of_moving, of_mean) if done + 1 >= _WINDOWS_WEIGHED else 1.0
        if seasons[at]:
            level = sum(path) / horizon
            ratio = weight + (1 - weight) * means[at] / level if level else 1.0
            found.append([ratio * step for step in path])
        else:
            found.append([weight * step + (1 - weight) * means[at] for step in path])
    return found


def _weight(of_moving: float, of_mean: float) -> float:
    """How much of the path that follows what moves counts, from sums of squared past errors."""
    if of_mean >= _SQUARES_RULED_OUT * of_moving:
        return 1.0
    return of_mean**2 / (of_moving**2 + of_mean**2)


def _back(step: float, scale: float) -> float:
    # asinh of the largest float is under 711; a wild path is cut here and then by GROWTH_MAX.
    return math.sinh(min(max(step, -700.0), 700.0)) * scale


def _scale(known: Sequence[float]) -> float:
    sizes = [abs(value) for value in known if value]
    return _SCALE_TIMES * median(sizes) if sizes else 1.0


class _Fits:
    """The best damped and undamped-flat filters before every origin, for one season length."""

    def __init__(self, z: Sequence[float], season: int) -> None:
        self.season = season
        self.start = _start(z, season)
        gammas = _GAMMAS if season > 1 else (0.0,)
        self.damped: list[_State] = []
        self.flat: list[_State] = []
        for gamma in gammas:
            for alpha in _ALPHAS:
                still = self.start._replace(trend=0.0)
                self.flat = _better(self.flat, _filter(z, still, alpha, 0.0, 1.0, gamma))
                for beta in _BETAS:
                    for phi in _PHIS:
                        run = _filter(z, self.start, alpha, alpha * beta, phi, gamma)
                        self.damped = _better(self.damped, run)

    def earns(self, origin: int, plain: "_Fits") -> bool:
        """Whether the season is worth its parameters on what was known before the origin."""
        counted = origin - self.start.counts_from
        if origin < SEASONS_MIN * self.season or counted < 2:
            return False
        skipped = plain.damped[self.start.counts_from].cost
        with_season = self.damped[origin].cost
        without = plain.damped[origin].cost - skipped
        if min(with_season, without) <= 0:
            return with_season < without
        return counted * math.log(with_season / without) + 2 * self.season < 0


def _start(z: Sequence[float], season: int) -> _Start:
    if season == _SEASON_NONE:
        return _Start(z[0], (z[3] - z[0]) / 3, (0.0,), 1)
    first, second = z[:season], z[season : 2 * season]
    trend = (sum(second) - sum(first)) / season**2
    middle = (season - 1) / 2
    level = sum(first) / season - trend * middle
    raw = [(first[k] + second[k] - season * trend) / 2 - level - k * trend for k in range(season)]
    mean = sum(raw) / season
    return _Start(level - trend, trend, tuple(value - mean for value in raw), 2 * season)


def _filter(
    z: Sequence[float], start: _Start, alpha: float, beta: float, phi: float, gamma: float
) -> list[_State]:
    """States before each origin 0..len(z); `cost` adds up squared one-step errors."""
    level, trend, counts_from = start.level, start.trend, start.counts_from
    season = list(start.season)
    length, cost = len(season), 0.0
    states = []
    for at, value in enumerate(z):
        states.append(_State(cost, level, trend, alpha, phi, tuple(season)))
        drift = phi * trend
        slot = at % length
        error = value - level - drift - season[slot]
        level += drift + alpha * error
        trend = drift + beta * error
        if gamma:
            season[slot] += gamma * error
        if at >= counts_from:
            cost += error * error
    states.append(_State(cost, level, trend, alpha, phi, tuple(season)))
    return states


def _better(best: list[_State], run: list[_State]) -> list[_State]:
    if not best:
        return run
    return [a if a.cost <= b.cost else b for a, b in zip(best, run, strict=True)]


def _half_slopes(z: Sequence[float]) -> Iterator[float]:
    """Half of the least-squares slope of the first n values, for n = 0, 1, ..., len(z)."""
    sum_z = sum_tz = 0.0
    yield 0.0
    for at, value in enumerate(z):
        sum_z += value
        sum_tz += at * value
        n = at + 1
        spread = n * (n * n - 1) / 12
        yield 0.5 * (sum_tz - at / 2 * sum_z) / spread if spread else 0.0


def _median_path(
    z: Sequence[float], origin: int, horizon: int, fits: _Fits, half_slope: float
) -> list[float]:
    """The middle of the three methods at each step."""
    damped, flat, season = fits.damped[origin], fits.flat[origin], fits.season
    # Half the trend, and what the smoothed level lags behind it (Assimakopoulos, Nikolopoulos).
    lag = (1 - (1 - flat.alpha) ** origin) / flat.alpha
    typical = _typical_step(z[:origin]) if season == _SEASON_NONE else 0.0
    drift = walked = 0.0
    path = []
    for step in range(horizon):
        slot = (origin + step) % season
        drift = damped.phi * (damped.trend + drift)
        smooth = damped.level + drift + damped.season[slot]
        theta = flat.level + half_slope * (step + lag) + flat.season[slot]
        walked = _STEP_FADES * (typical + walked)
        naive = z[origin - season + step % season] + walked
        path.append(median((smooth, theta, naive)))
    return path


def _typical_step(known: Sequence[float]) -> float:
    recent = known[-_STEPS_SEEN - 1 :]
    return median(after - before for before, after in pairwise(recent))
