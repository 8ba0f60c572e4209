"""Forecast paths: nothing known too early, nothing explodes, simple worlds are followed."""

import math
import random

import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.forecast import GROWTH_MAX, ORIGIN_MIN, paths

WEEK = (1.3, 1.2, 1.1, 1.1, 1.0, 0.6, 0.5)


def noisy(seed: int, length: int) -> list[float]:
    draw = random.Random(seed)
    return [1000 * math.exp(0.02 * at + draw.gauss(0, 0.1)) for at in range(length)]


@pytest.mark.parametrize("season", [1, 7, 12])
def test_no_path_knows_what_came_later(season: int) -> None:
    series = noisy(1, 50)
    whole = paths(series, horizon=4, season=season)
    for origin in (ORIGIN_MIN, 20, 37, 49):
        alone = paths(series[:origin], horizon=4, season=season)
        otherwise = paths([*series[:origin], *noisy(2, 50 - origin)], horizon=4, season=season)
        assert whole[origin - ORIGIN_MIN] == alone[-1]
        assert otherwise[origin - ORIGIN_MIN] == alone[-1]


def test_one_path_an_origin_and_one_value_a_step() -> None:
    found = paths(noisy(3, 20), horizon=5)
    assert [len(path) for path in found] == [5] * (20 - ORIGIN_MIN + 1)


def test_a_constant_stays() -> None:
    assert paths([50.0] * 20, horizon=3)[-1] == pytest.approx([50.0] * 3)


def test_nothing_stays_nothing() -> None:
    assert paths([0.0] * 12, horizon=3)[-1] == [0.0] * 3


def test_steady_growth_is_followed_and_damped() -> None:
    series = [100 * 1.03**at for at in range(36)]
    for step, value in enumerate(paths(series, horizon=3)[-1]):
        assert series[-1] < value <= series[-1] * 1.031 ** (step + 1)


def test_a_week_is_seen() -> None:
    series = [100 * WEEK[at % 7] * 1.001**at for at in range(70)]
    seen = paths(series[:63], horizon=7, season=7)[-1]
    blind = paths(series[:63], horizon=7)[-1]

    def off(path: list[float]) -> float:
        return sum(abs(a - b) for a, b in zip(path, series[63:], strict=True))

    assert off(seen) < 0.2 * off(blind)
    assert seen == pytest.approx(series[63:], rel=0.1)


def test_a_season_of_noise_is_not_believed() -> None:
    series = noisy(4, 60)
    assert paths(series, horizon=3, season=12)[-1] == paths(series, horizon=3)[-1]


def test_a_customer_who_left_stays_away() -> None:
    gone = paths([100.0] * 12 + [0.0] * 8, horizon=3)[-1]
    assert all(0 <= value < 5 for value in gone)


def test_a_jump_from_nothing_is_not_extrapolated() -> None:
    path = paths([0.0] * 10 + [1.0, 1000.0], horizon=24)[-1]
    assert max(path) <= GROWTH_MAX * 1000


def test_credits_are_forecast_below_zero() -> None:
    assert all(value < 0 for value in paths([-10.0] * 12, horizon=2)[-1])


@pytest.mark.parametrize(
    ("values", "horizon", "season", "first"),
    [([1.0] * 5, 1, 1, 6), ([1.0] * 9, 0, 1, 6), ([1.0] * 9, 1, 0, 6), ([1.0] * 9, 1, 1, 5)],
)
def test_what_cannot_be_forecast_is_refused(
    values: list[float], horizon: int, season: int, first: int
) -> None:
    with pytest.raises(UsageError):
        paths(values, horizon=horizon, season=season, first=first)
