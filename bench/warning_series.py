"""Made-up daily series with week, year, drift, memory and bursts, for detectors to be tried on."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Noise(NamedTuple):
    """How restless the series are; all on a log scale, a day."""

    day: float
    """Independent from day to day."""
    memory: float
    """Of a disturbance that fades by half in about a day."""
    drift: float
    """Of the random walk of the level."""
    bursts: float
    """Chance that a burst or an outage of one to seven days begins."""


CALM = Noise(0.15, 0.12, 0.006, 0.01)
RETAIL = Noise(0.25, 0.15, 0.003, 0.03)
"""Set such that the 28/84 ratio alone needs 35 days, as it did on real daily store sales."""
ROUGH = Noise(0.30, 0.25, 0.008, 0.02)
NOISES = {"calm": CALM, "retail": RETAIL, "rough": ROUGH}


def daily_series(seed: int, noise: Noise, *, series: int = 33, days: int = 1460) -> FloatArray:
    """Series x days of amounts; a common year with a peak before Christmas, own weekdays and level.

    Args:
        seed: the same seed gives the same series.
        noise: how restless.
        series: how many.
        days: how long.
    """
    draw = np.random.default_rng(seed)
    day = np.arange(days)
    year = 0.15 * np.sin(2 * np.pi * (day + 40) / 365.25)
    year += 0.25 * np.exp(-0.5 * ((day % 365.25 - 355) / 8) ** 2)
    weekday = np.array([0, -0.03, -0.02, 0, 0.08, 0.15, 0.05])
    rows = []
    for _ in range(series):
        week = weekday + draw.normal(0, 0.08, 7)
        level = draw.normal(5, 1) + np.cumsum(draw.normal(0, noise.drift, days))
        shocks = draw.normal(0, noise.memory * np.sqrt(1 - 0.6**2), days)
        memory = np.convolve(shocks, 0.6 ** np.arange(30))[:days]
        bursts = np.zeros(days)
        for start in np.flatnonzero(draw.random(days) < noise.bursts):
            size = draw.choice([1, -1], p=[0.75, 0.25]) * draw.exponential(0.35)
            bursts[start : start + draw.integers(1, 8)] += size
        restless = memory + bursts + draw.normal(0, noise.day, days)
        rows.append(np.exp(level + year * draw.uniform(0.5, 1.5) + week[day % 7] + restless))
    return np.array(rows)
