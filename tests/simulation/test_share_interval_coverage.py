"""Does an interval of a share hold the share behind it as often as the module says?

Worlds: the log odds of a customer's monthly share are an AR(1) of standard deviation 0.15 around
24 %, the total grows 4 % a month with noise. The true long-run share is found by a long run.
"""

import math
import random
from statistics import fmean

import pytest

from quartermaster.exposure.history import INTERVAL_MONTHS_MIN, share_interval

SEED = 20240801
SHARE, SPREAD = 0.24, 0.15
WINDOWS = 3_000
"""Standard error 0.007: 77 to 83 % is four of them to either side."""


def world(draw: random.Random, months: int, correlation: float) -> list[tuple[int, int]]:
    """(customer, total) of each month, in minor units."""
    odds = SHARE / (1 - SHARE)
    shock = SPREAD * math.sqrt(1 - correlation**2)
    state, found = draw.gauss(0, SPREAD), []
    for month in range(months):
        state = correlation * state + draw.gauss(0, shock) if month else state
        share = odds * math.exp(state) / (1 + odds * math.exp(state))
        total = 1e9 * math.exp(0.04 * month + draw.gauss(0, 0.05))
        found.append((int(total * share), int(total)))
    return found


@pytest.fixture(scope="module")
def long_run_share() -> float:
    draw = random.Random(SEED)
    return fmean(
        1 / (1 + (1 - SHARE) / SHARE * math.exp(-draw.gauss(0, SPREAD))) for _ in range(200_000)
    )


def coverage(months: int, correlation: float, true: float, worlds: int = WINDOWS) -> float:
    draw, held, width = random.Random(SEED + months), 0, 0.0
    for _ in range(worlds):
        interval = share_interval(world(draw, months, correlation))
        assert interval is not None
        held += interval[0] <= true <= interval[1]
        width += interval[1] - interval[0]
    found = held / worlds
    print(
        f"seed {SEED + months}, {months} months, correlation {correlation}: {found:.3f},"
        f" mean width {width / worlds:.3f}"
    )
    return found


@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.4, 0.5, 0.6, 0.7])
@pytest.mark.parametrize("months", [INTERVAL_MONTHS_MIN, 24])
def test_four_of_five_hold_however_months_hang_together(
    months: int, correlation: float, long_run_share: float
) -> None:
    assert 0.77 <= coverage(months, correlation, long_run_share) <= 0.83


@pytest.mark.long
@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("months", [12, 13, 15, 18, 24, 36, 60, 90])
def test_every_length_covers_alike(months: int, correlation: float, long_run_share: float) -> None:
    assert 0.77 <= coverage(months, correlation, long_run_share, 10_000) <= 0.83


def test_beyond_what_is_assumed_it_covers_less_and_the_module_says_so(
    long_run_share: float,
) -> None:
    assert 0.74 <= coverage(12, 0.8, long_run_share) <= 0.80
    assert 0.65 <= coverage(12, 0.9, long_run_share) <= 0.73
    assert coverage(12, -0.4, long_run_share) >= 0.80


def test_an_interval_for_independent_months_would_not_do(long_run_share: float) -> None:
    """Student's t on the same errors covers far less: what the curves are for."""
    draw, held = random.Random(SEED), 0
    student = 1.3634  # of 11 degrees of freedom, two-sided 80 %
    for _ in range(WINDOWS):
        months = world(draw, 12, 0.5)
        part, whole = sum(one for one, _ in months), sum(of for _, of in months)
        squares = sum((one - part / whole * of) ** 2 for one, of in months)
        reach = student * math.sqrt(12 / 11 * squares) / whole
        held += abs(part / whole - long_run_share) <= reach
    print(f"seed {SEED}: {held / WINDOWS:.3f}")
    assert held / WINDOWS < 0.65
