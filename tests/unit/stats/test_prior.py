"""Beliefs about a yearly probability: published vectors, and guarantees by simulation."""

import math

import numpy as np
import pytest
from scipy.special import betaincinv
from scipy.stats import binom, norm

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.beta_prior import (
    Belief,
    Beta,
    from_losses,
    from_quantiles,
    upper_bound,
)
from quartermaster.stats.beta_prior_pooled import Segment, pooled


@pytest.mark.parametrize(
    ("customers", "confidence", "percent"),
    [
        (800, 0.90, 0.287),
        (700, 0.90, 0.328),
        (300, 0.90, 0.765),
        (800, 0.95, 0.374),
        (700, 0.95, 0.427),
        (300, 0.95, 0.994),
        (20, 0.95, 13.911),
    ],
)
def test_bounds_without_a_loss(customers: int, confidence: float, percent: float) -> None:
    """Pluto and Tasche's example, to the digits they print."""
    found = upper_bound(0, customers, confidence)
    assert round(100 * found, 3) == percent
    assert found == pytest.approx(1 - (1 - confidence) ** (1 / customers), abs=1e-12)


def test_a_bound_with_losses_inverts_the_binomial() -> None:
    found = upper_bound(3, 120, 0.95)
    assert binom.cdf(3, 120, found) == pytest.approx(0.05, abs=1e-9)


def test_no_correlation_is_the_limit_of_a_small_one() -> None:
    assert upper_bound(2, 300, 0.9, 1e-9) == pytest.approx(upper_bound(2, 300, 0.9), rel=1e-3)


def test_a_bound_with_correlation_against_a_simulated_book() -> None:
    """At the bound, so few losses come with the chance that the confidence leaves."""
    seed, correlation = 7, 0.12
    print(f"seed {seed}")
    bound = upper_bound(4, 300, 0.9, correlation)
    draw = np.random.default_rng(seed)
    factor = draw.standard_normal(200_000)
    given = norm.cdf((norm.ppf(bound) - math.sqrt(correlation) * factor) / math.sqrt(0.88))
    few = (draw.binomial(300, given) <= 4).mean()
    assert few == pytest.approx(0.10, abs=0.003)
    assert bound > 1.5 * upper_bound(4, 300, 0.9)


def test_the_bound_covers_at_least_as_often_as_it_says() -> None:
    for true in (0.01, 0.05, 0.2):
        chance = sum(binom.pmf(k, 60, true) for k in range(61) if upper_bound(k, 60, 0.9) >= true)
        assert chance >= 0.9 - 1e-9


def test_an_expert_is_a_beta() -> None:
    beta = from_quantiles((0.5, 0.10), (0.9, 0.30))
    assert (round(beta.a, 2), round(beta.b, 2)) == (0.97, 6.33)
    assert round(beta.mean, 2) == 0.13
    assert betaincinv(*beta, 0.5) == pytest.approx(0.10, abs=1e-9)
    assert betaincinv(*beta, 0.9) == pytest.approx(0.30, abs=1e-9)


@pytest.mark.parametrize("true", [Beta(0.5, 30), Beta(4, 1), Beta(200, 3000)])
def test_quantiles_find_the_beta_they_came_from(true: Beta) -> None:
    low, high = float(betaincinv(*true, 0.3)), float(betaincinv(*true, 0.95))
    found = from_quantiles((0.3, low), (0.95, high))
    assert found == pytest.approx(true, rel=1e-5)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((0.5, 0.3), (0.9, 0.1)),
        ((0.9, 0.1), (0.5, 0.3)),
        ((0.5, 0.0), (0.9, 0.3)),
        ((0.5, 0.1), (0.9, 0.100001)),
        ((0.5, 1e-12), (0.9, 0.9999)),
        ((0.5, math.nan), (0.9, 0.3)),
    ],
)
def test_quantiles_that_no_beta_has(low: tuple[float, float], high: tuple[float, float]) -> None:
    with pytest.raises(UsageError):
        from_quantiles(low, high)


def test_counted_losses() -> None:
    """Tasche 2013: the neutral mean, and the conservative posterior whose quantiles are bounds."""
    assert from_losses(0, 20).mean == pytest.approx(1 / 22)
    conservative = from_losses(2, 50, "conservative")
    assert betaincinv(*conservative, 0.95) == pytest.approx(upper_bound(2, 50, 0.95), abs=1e-12)
    assert conservative.mean > from_losses(2, 50).mean


@pytest.mark.parametrize(("losses", "years"), [(-1, 5), (6, 5), (0, 0), (math.nan, 5)])
def test_counts_that_cannot_be(losses: float, years: float) -> None:
    with pytest.raises(UsageError):
        from_losses(losses, years)
    with pytest.raises(UsageError):
        upper_bound(losses, years, 0.9)


@pytest.mark.parametrize("beta", [Beta(0.05, 3), Beta(0.97, 6.33), Beta(5, 0.2), Beta(2e4, 1e5)])
def test_the_grid_keeps_mean_and_quantiles(beta: Beta) -> None:
    nodes = Belief((beta,)).nodes()
    assert nodes.weight.sum() == pytest.approx(1, abs=1e-12)
    assert nodes.mean == pytest.approx(beta.mean, rel=1e-9)
    assert nodes.quantile(0.9) == pytest.approx(float(betaincinv(*beta, 0.9)), rel=1e-3)


def test_a_horizon_is_a_constant_hazard() -> None:
    point = Belief((Beta(3e5, 7e5),))
    assert point.nodes(6).mean == pytest.approx(1 - 0.7**0.5, rel=1e-5)
    assert point.nodes(24).mean == pytest.approx(1 - 0.7**2, rel=1e-5)
    nodes = point.nodes(6)
    assert np.allclose(nodes.logit, np.log(nodes.probability / (1 - nodes.probability)))


# --- pooling --------------------------------------------------------------------------------


def test_segments_shrink_towards_each_other_and_more_with_fewer_years() -> None:
    found = pooled([Segment(400, 40), Segment(400, 48), Segment(10, 4), Segment(400, 44)])
    large, small = found.segments[0], found.segments[2]
    assert large.mean == pytest.approx(0.10, abs=0.015)
    assert 0.10 < small.mean < 0.30
    assert small.nodes().quantile(0.95) > large.nodes().quantile(0.95)


def test_segments_that_disagree_are_pooled_less() -> None:
    alike = pooled([Segment(100, 10)] * 5)
    apart = pooled([Segment(100, 1), Segment(100, 40), Segment(100, 5), Segment(100, 60)])
    assert apart.concentration < alike.concentration / 4
    assert apart.segments[3].mean == pytest.approx(0.6, abs=0.05)


def test_a_new_segment_is_less_certain_than_a_known_one() -> None:
    found = pooled([Segment(100, 10), Segment(100, 20), Segment(100, 5)])
    new, known = found.new.nodes(), found.segments[0].nodes()
    assert new.quantile(0.95) - new.quantile(0.05) > known.quantile(0.95) - known.quantile(0.05)


def test_pooled_intervals_cover_and_beat_each_segment_alone() -> None:
    """30 portfolios of 12 segments whose hazards are drawn from a Beta of mean 12 %."""
    seed = 11
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    inside = total = 0
    pooled_error = alone_error = 0.0
    for _ in range(30):
        true = draw.beta(2.4, 17.6, 12)
        years = draw.integers(5, 60, 12)
        lost = draw.binomial(years, true)
        found = pooled([Segment(float(n), float(k)) for n, k in zip(years, lost, strict=True)])
        for hazard, n, k, belief in zip(true, years, lost, found.segments, strict=True):
            nodes = belief.nodes()
            inside += nodes.quantile(0.05) <= hazard <= nodes.quantile(0.95)
            total += 1
            pooled_error += (belief.mean - hazard) ** 2
            alone_error += ((k + 1) / (n + 2) - hazard) ** 2
    print(f"coverage {inside / total:.3f}, squared error {pooled_error / alone_error:.2f} of alone")
    assert 0.86 <= inside / total <= 0.95
    assert pooled_error < 0.6 * alone_error


@pytest.mark.parametrize("segments", [[], [Segment(5, 6)], [Segment(-1, 0)]])
def test_segments_that_cannot_be(segments: list[Segment]) -> None:
    with pytest.raises(UsageError):
        pooled(segments)
