"""Made-up revenue by month, in which the truth about coverage can be counted.

Five ways to move, none of which the forecasts assume: wandering growth, a random walk with drift,
noise around a fixed trend, growth with momentum, and jumps now and then.
"""

import math
import random
from collections.abc import Callable
from typing import NamedTuple

from quartermaster.revenue.judged import scores
from quartermaster.revenue.origins import Past
from quartermaster.stats.conformal import naive_bound, upper_bound
from quartermaster.stats.forecast import ORIGIN_MIN, paths

SEASON = 12


def _wandering(draw: random.Random, months: int) -> list[float]:
    growth, level, found = draw.gauss(0.02, 0.015), 0.0, []
    for _ in range(months):
        growth += draw.gauss(0, 0.002)
        level += growth + draw.gauss(0, 0.04)
        found.append(level + draw.gauss(0, 0.03))
    return found


def _walk(draw: random.Random, months: int) -> list[float]:
    growth, level, found = draw.gauss(0.02, 0.015), 0.0, []
    for _ in range(months):
        level += growth + draw.gauss(0, 0.05)
        found.append(level)
    return found


def _trend(draw: random.Random, months: int) -> list[float]:
    growth = draw.gauss(0.02, 0.015)
    return [growth * month + draw.gauss(0, 0.06) for month in range(months)]


def _momentum(draw: random.Random, months: int) -> list[float]:
    growth, level, found = draw.gauss(0.02, 0.015), 0.0, []
    for _ in range(months):
        growth = 0.9 * growth + 0.002 + draw.gauss(0, 0.01)
        level += growth + draw.gauss(0, 0.01)
        found.append(level)
    return found


def _jumps(draw: random.Random, months: int) -> list[float]:
    growth, level, found = draw.gauss(0.02, 0.015), 0.0, []
    for _ in range(months):
        level += growth + draw.gauss(0, 0.2 if draw.random() < 0.1 else 0.04)
        found.append(level + draw.gauss(0, 0.03))
    return found


WORLDS: dict[str, Callable[[random.Random, int], list[float]]] = {
    "wandering growth": _wandering,
    "random walk": _walk,
    "fixed trend": _trend,
    "momentum": _momentum,
    "jumps": _jumps,
}


class Held(NamedTuple):
    """Whether the one window of one series lay in the interval, ours and the naive one."""

    ours: bool
    naive: bool


def one_window(name: str, seed: int, *, months: int, steps: int, miss: float) -> Held:
    """Forecast the sum of the next steps of one made-up series, and look whether it came true."""
    draw = random.Random(f"{name} {seed}")
    series = [round(1e6 * math.exp(level)) for level in WORLDS[name](draw, months + steps)]
    known = series[:months]
    found = paths([float(value) for value in known], horizon=steps, season=SEASON)
    past = Past(list(enumerate(found[:-1], start=ORIGIN_MIN)), known)
    errors = [abs(error) for error in scores(past, SEASON, 0, steps)]
    today = Past([(months, found[-1])], series)
    (came,) = scores(today, SEASON, 0, steps)
    ours = upper_bound(errors, miss=miss, delay=steps).upper
    assert ours is not None, "too few months to measure"
    return Held(abs(came) <= ours, abs(came) <= naive_bound(errors, miss=miss))
