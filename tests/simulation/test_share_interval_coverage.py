"""Does an interval of a share hold the share behind it as often as the module says?

Worlds: the log odds of a customer's monthly share are an AR(1) of standard deviation 0.15 around
24 %, the total grows 4 % a month with noise. The true long-run share is found by a long run.
"""

import math
import random
from statistics import fmean

import pytest

from quartermaster.exposure.history import BLOCK_MONTHS, INTERVAL_MONTHS_MIN, share_interval

SEED = 20240801
SHARE, SPREAD = 0.24, 0.15


def world(draw: random.Random, months: int, correlation: float) -> list[tuple[int, int]]:
    """(customer, total) of each month, in minor units."""
    odds = SHARE / (1 - SHARE)
    shock = SPREAD * math.sqrt(1 - correlation**2)
    state, found = draw.gauss(0, SPREAD), []
    for month in range(months):
        state = correlation * state + draw.gauss(0, shock)
        share = odds * math.exp(state) / (1 + odds * math.exp(state))
        total = 1e9 * math.exp(0.04 * month + draw.gauss(0, 0.05))
        found.append((int(total * share), int(total)))
    return found


def long_run_share() -> float:
    draw = random.Random(SEED)
    return fmean(
        1 / (1 + (1 - SHARE) / SHARE * math.exp(-draw.gauss(0, SPREAD))) for _ in range(200_000)
    )


def coverage(months: int, correlation: float, worlds: int, block: int = BLOCK_MONTHS) -> float:
    draw, true, held = random.Random(SEED), long_run_share(), 0
    for at in range(worlds):
        interval = share_interval(world(draw, months, correlation), seed=at, block=block)
        assert interval is not None
        held += interval[0] <= true <= interval[1]
    print(f"seed {SEED}, {months} months, correlation {correlation}: {held / worlds:.3f}")
    return held / worlds


# Ranges are what the module and the report say (86, 80, 73, 62 %), give or take three standard
# errors of 300 worlds.
@pytest.mark.parametrize(
    ("correlation", "low", "high"),
    [(0.0, 0.77, 0.93), (0.3, 0.72, 0.88), (0.5, 0.65, 0.81), (0.7, 0.54, 0.70)],
)
def test_twelve_months_cover_what_the_module_says(
    correlation: float, low: float, high: float
) -> None:
    assert low <= coverage(INTERVAL_MONTHS_MIN, correlation, 300) <= high


def test_months_drawn_one_by_one_cover_less_where_they_hang_together() -> None:
    assert coverage(12, 0.5, 200, block=1) < coverage(12, 0.5, 200) - 0.05


@pytest.mark.long
@pytest.mark.parametrize(
    ("months", "correlation", "low", "high"),
    [(12, 0.0, 0.83, 0.89), (12, 0.3, 0.77, 0.83), (12, 0.5, 0.70, 0.76), (12, 0.7, 0.59, 0.65)],
)
def test_coverage_with_small_error(
    months: int, correlation: float, low: float, high: float
) -> None:
    assert low <= coverage(months, correlation, 3_000) <= high
