"""Quantile, coherent shortfall and weights: atoms, identities, and the errors by simulation."""

import numpy as np
import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.tail import (
    checked_quantile,
    discrete_tail,
    influence,
    measure_tail,
    shortfall,
    tail_weights,
    value_at_risk,
)


def test_an_atom_counts_only_as_far_as_the_tail_needs() -> None:
    losses = np.array([0.0] * 90 + [1.0] * 8 + [10.0] * 2)
    assert value_at_risk(losses, 0.95) == 1.0
    # Five per cent of a hundred: both tens and three of the eight ones.
    assert shortfall(losses, 0.95) == pytest.approx((2 * 10 + 3 * 1) / 5, abs=1e-12)
    tail = measure_tail(np.tile(losses, 20), 0.95)
    assert tail.mean_from_quantile == pytest.approx((2 * 10 + 8 * 1) / 10)
    assert tail.expected_shortfall.value == pytest.approx(4.6, abs=1e-9)


def test_discrete_and_simulated_atoms_agree() -> None:
    grid, chances = np.array([0.0, 1.0, 10.0]), np.array([0.9, 0.08, 0.02])
    level, coherent, mean = discrete_tail(grid, chances, 0.95)
    assert [level, coherent, mean] == pytest.approx([1.0, 4.6, 2.8])


def test_losses_without_a_tail() -> None:
    assert shortfall(np.zeros(1_000), 0.95) == 0
    assert shortfall(np.full(1_000, 3.0), 0.9) == pytest.approx(3.0)


def test_weights_sum_to_one_and_rebuild_the_shortfall() -> None:
    losses = np.round(np.random.Generator(np.random.PCG64(1)).normal(size=5_003), 1)
    for quantile in (0.5, 0.9, 0.95, 0.975):
        members, weights = tail_weights(losses, quantile)
        assert weights.sum() == pytest.approx(1, abs=1e-12)
        assert weights @ losses[members] == pytest.approx(shortfall(losses, quantile), abs=1e-12)
        assert shortfall(losses, quantile) >= value_at_risk(losses, quantile)


def test_shortfall_is_coherent_where_the_quantile_is_not() -> None:
    """Two bonds of the textbook: VaR of the sum exceeds the sum of VaRs, shortfall does not."""
    draw = np.random.Generator(np.random.PCG64(2))
    one, other = (np.where(draw.random(200_000) < 0.04, 100.0, 0.0) for _ in range(2))
    assert value_at_risk(one + other, 0.95) > value_at_risk(one, 0.95) + value_at_risk(other, 0.95)
    assert shortfall(one + other, 0.95) <= shortfall(one, 0.95) + shortfall(other, 0.95)


def test_the_influence_has_the_shortfall_as_its_mean() -> None:
    losses = np.random.Generator(np.random.PCG64(3)).lognormal(size=20_000)
    assert influence(losses, 0.95).mean() == pytest.approx(shortfall(losses, 0.95), rel=1e-9)


def test_standard_error_and_interval_hold_in_simulation() -> None:
    """400 books of 4,000 exponential losses: ES95 is 1 + ln 20, the interval covers 95 %."""
    seed, books = 5, 400
    print(f"seed {seed}")
    draw = np.random.Generator(np.random.PCG64(seed))
    truth_es, truth_var = 1 + np.log(20), np.log(20)
    scores, covered = [], 0
    for _ in range(books):
        tail = measure_tail(draw.exponential(size=4_000), 0.95)
        found = tail.expected_shortfall
        scores.append((found.value - truth_es) / found.standard_error)
        covered += tail.interval[0] <= truth_var <= tail.interval[1]
    assert abs(np.mean(scores)) < 0.25
    assert 0.85 < np.std(scores) < 1.15
    assert 0.92 < covered / books < 0.98


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.1, float("nan")])
def test_a_quantile_outside_is_refused(quantile: float) -> None:
    with pytest.raises(UsageError, match="quantile"):
        checked_quantile(quantile, 10_000)


def test_too_few_scenarios_are_refused_with_the_number_needed() -> None:
    with pytest.raises(UsageError, match="100 beyond") as raised:
        checked_quantile(0.999, 10_000)
    assert "100000" in raised.value.hint
    assert checked_quantile(0.95, 2_000) == 0.95
