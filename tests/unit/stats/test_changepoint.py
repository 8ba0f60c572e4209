"""Change points of known vectors, and how often noise is taken for a change."""

import itertools

import numpy as np
import pytest

from quartermaster.stats.changepoint import SEGMENT_MIN, changepoints, noise_variance


def test_known_steps() -> None:
    levels = np.array([0.0] * 20 + [5.0] * 20 + [2.0] * 20)
    assert changepoints(levels) == [20, 40]
    assert changepoints(-levels) == [20, 40]


def test_a_step_in_noise_is_dated() -> None:
    draw = np.random.default_rng(11)
    levels = np.concatenate([draw.normal(0, 0.3, 60), draw.normal(-1.5, 0.3, 15)])
    assert changepoints(levels) == [60]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 3.0, 4.0, 5.0], [3.0] * 50])
def test_nothing_to_find(values: list[float]) -> None:
    assert changepoints(np.array(values)) == []


def test_a_burst_is_no_level() -> None:
    draw = np.random.default_rng(12)
    levels = draw.normal(0, 0.1, 60)
    levels[30] += 3
    found = changepoints(levels)
    assert all(b - a >= SEGMENT_MIN for a, b in itertools.pairwise([0, *found, 60]))


def test_it_is_the_cheapest_of_all_segmentations() -> None:
    draw = np.random.default_rng(13)
    levels = draw.normal(0, 1, 12) + np.repeat([0.0, 3.0], 6)

    def cost(cuts: tuple[int, ...]) -> float:
        parts = np.split(levels, cuts)
        if min(len(part) for part in parts) < SEGMENT_MIN:
            return float("inf")
        return float(sum(((p - p.mean()) ** 2).sum() for p in parts)) + 4.0 * len(cuts)

    options = [c for n in range(4) for c in itertools.combinations(range(1, 12), n)]
    best = min(options, key=cost)
    assert tuple(changepoints(levels, penalty=4.0, variance=1.0)) == best


def test_noise_is_rarely_taken_for_a_change() -> None:
    draw = np.random.default_rng(14)
    false = sum(bool(changepoints(draw.normal(0, 1, 104))) for _ in range(200))
    assert false <= 10, f"{false} of 200"


def test_variance_ignores_a_step() -> None:
    draw = np.random.default_rng(15)
    levels = np.concatenate([draw.normal(0, 1, 500), draw.normal(9, 1, 500)])
    assert noise_variance(levels) == pytest.approx(1.0, rel=0.15)
