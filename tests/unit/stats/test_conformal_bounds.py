"""Conformal bounds: order statistics, the guarantee by simulation, and the naive one's failure."""

import random

import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.conformal import (
    STEP,
    WINDOWS_MIN,
    naive_bound,
    order_statistic,
    upper_bound,
)

SEED = 7
"""Of the simulations; printed where one fails."""


def test_order_statistics_by_hand() -> None:
    scores = [4.0, 1.0, 3.0, 2.0]
    assert order_statistic(scores, 0.8) == 4.0
    assert order_statistic(scores, 0.6) == 3.0
    assert order_statistic(scores, 0.5) == 2.5
    assert order_statistic(scores, 0.1) == 1.0


def test_the_naive_quantile_by_hand() -> None:
    assert naive_bound([9.0, 1.0, 2.0, 3.0], miss=0.2) == pytest.approx(2.6)


def test_with_few_windows_there_is_no_bound() -> None:
    assert upper_bound([1.0] * (WINDOWS_MIN - 1), miss=0.2, delay=1).upper is None
    assert upper_bound([1.0] * WINDOWS_MIN, miss=0.2, delay=1).upper == 1.0


@pytest.mark.parametrize("delay", [1, 3])
def test_exchangeable_scores_are_missed_as_often_as_asked(delay: int) -> None:
    draw = random.Random(SEED)
    runs, ours, naive = 4_000, 0, 0
    for _ in range(runs):
        *known, future = [abs(draw.gauss(0, 1)) for _ in range(26)]
        bound = upper_bound(known, miss=0.2, delay=delay).upper
        assert bound is not None
        ours += future <= bound
        naive += future <= naive_bound(known, miss=0.2)
    assert 0.78 <= ours / runs <= 0.83, f"seed {SEED}: {ours / runs}"
    assert 0.62 <= naive / runs <= 0.71, f"seed {SEED}: {naive / runs}"


def test_scores_that_only_grow_are_caught_up_with() -> None:
    draw = random.Random(SEED)
    scores = [abs(draw.gauss(0, 1)) * (1 + at / 100) for at in range(1_000)]
    found = upper_bound(scores, miss=0.2, delay=1)
    missed = 1 - sum(found.hits) / len(found.hits)
    assert abs(missed - 0.2) <= (1 + STEP) / (STEP * len(found.hits)), f"seed {SEED}: {missed}"


def test_a_bound_uses_no_score_before_it_is_known() -> None:
    draw = random.Random(SEED)
    scores = [draw.random() for _ in range(40)]
    found = upper_bound(scores, miss=0.2, delay=4)
    for at in range(len(found.past)):
        unknown = found.first + at - 4 + 1
        otherwise = upper_bound([*scores[:unknown], *[99.0] * (40 - unknown)], miss=0.2, delay=4)
        assert otherwise.past[at] == found.past[at]


def test_past_bounds_and_hits_belong_together() -> None:
    draw = random.Random(SEED)
    scores = [draw.random() for _ in range(30)]
    found = upper_bound(scores, miss=0.3, delay=2)
    assert found.hits == tuple(
        score <= bound for score, bound in zip(scores[found.first :], found.past, strict=True)
    )


def test_what_is_no_chance_is_refused() -> None:
    for miss, delay in ((0.0, 1), (1.0, 1), (0.2, 0)):
        with pytest.raises(UsageError):
            upper_bound([1.0] * 20, miss=miss, delay=delay)
    with pytest.raises(UsageError):
        order_statistic([], 0.5)
    with pytest.raises(UsageError):
        naive_bound([], miss=0.2)
