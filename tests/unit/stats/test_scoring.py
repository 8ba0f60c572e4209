"""Scores against hand-worked vectors, and what a faultless forecaster would show."""

from statistics import NormalDist

import numpy as np
import pytest

from quartermaster.stats import scoring

EVENTS = np.array([1.0, 0.0, 1.0, 0.0])
SAID = np.array([0.9, 0.2, 0.6, 0.7])


def test_brier_and_log_loss_by_hand() -> None:
    assert scoring.brier(EVENTS, SAID) == pytest.approx((0.01 + 0.04 + 0.16 + 0.49) / 4, abs=1e-12)
    by_hand = -np.mean(np.log([0.9, 0.8, 0.6, 0.3]))
    assert scoring.log_loss(EVENTS, SAID) == pytest.approx(by_hand, abs=1e-12)


def test_a_sure_mistake_costs_much_and_not_infinity() -> None:
    assert 13 < scoring.log_loss(np.array([1.0]), np.array([0.0])) < 14


def test_auc_counts_pairs_and_halves_ties() -> None:
    assert scoring.auc(EVENTS, SAID) == pytest.approx(3 / 4)
    assert scoring.auc(EVENTS, np.full(4, 0.5)) == pytest.approx(0.5)
    assert scoring.auc(np.ones(3), np.arange(3.0)) is None


def test_weighted_auc_weights_pairs() -> None:
    # Pairs (0.9, 0.2) and (0.9, 0.7) weigh 10 each, (0.6, 0.2) and (0.6, 0.7) one each.
    weights = np.array([10.0, 1.0, 1.0, 1.0])
    assert scoring.auc(EVENTS, SAID, weights) == pytest.approx(21 / 22)


def test_ece_of_equal_count_bins() -> None:
    events = np.array([0.0, 0.0, 1.0, 1.0])
    said = np.array([0.1, 0.3, 0.6, 0.8])
    assert scoring.ece(events, said, bins=2) == pytest.approx((0.4 + 0.6) / 4)
    stated, came, count = scoring.reliability(events, said, bins=2)[0]
    assert (round(stated, 9), came, count) == (0.2, 0.0, 2)


def test_capture_lies_between_size_and_oracle() -> None:
    sizes = np.array([100.0, 90.0, 10.0] + [1.0] * 17)
    losses = np.array([0.0, 80.0, 10.0] + [0.5] * 17)
    assert scoring.captured(losses, losses) == pytest.approx(90 / 98.5)
    assert scoring.captured(sizes, losses) == pytest.approx(80 / 98.5)
    assert scoring.gap_closed(sizes, sizes, losses) == 0.0
    assert scoring.gap_closed(losses, sizes, losses) == 1.0
    assert scoring.gap_closed(sizes, sizes, sizes) is None


def test_capture_takes_a_tenth_at_each_time() -> None:
    losses = np.array([0.0, 4.0] + [1.0] * 8 + [0.0] * 10 + [30.0, 0.0] + [10.0] * 8)
    sizes = np.array(([9.0, 8.0] + [1.0] * 8) * 3)
    times = np.repeat([4, 8, 12], 10)
    # 0 of 12 at the first, nothing lost at the second, 30 of 110 at the third.
    assert scoring.captured(sizes, losses, times) == pytest.approx((0 + 30 / 110) / 2)
    assert scoring.captured(losses, losses, times) == pytest.approx((4 / 12 + 30 / 110) / 2)
    assert scoring.gap_closed(losses, sizes, losses, times) == 1.0


def faultless(seed: int, shift: float) -> tuple[float, float]:
    """ECE of a forecaster whose statements are right up to `shift`, and the bar for it."""
    draw = np.random.default_rng(seed)
    tenants, origins = np.repeat(np.arange(150), 4), np.tile(np.arange(0, 16, 4), 150)
    said = np.clip(draw.beta(2, 2, 600), 0.05, 0.95)
    # The truth of a tenant moves slowly: overlapping horizons share it, as in a real panel.
    steps = draw.standard_normal((150, 25))
    path = np.stack([steps[:, at : at + 13].sum(axis=1) / 13**0.5 for at in (0, 4, 8, 12)], axis=1)
    chance = path.ravel()
    normal = NormalDist()
    events = np.array([float(normal.cdf(c) < p + shift) for c, p in zip(chance, said, strict=True)])
    bar = scoring.ece_calibrated(said, tenants, origins, horizon=13, seed=seed + 1)
    return scoring.ece(events, said), bar


def test_a_faultless_forecaster_passes_as_often_as_stated() -> None:
    pairs = [faultless(seed, 0.0) for seed in range(60)]  # seeds 0-59
    passed = sum(error < bar for error, bar in pairs)
    # 95 % of 60, with three standard deviations of luck: printed where it fails.
    assert passed >= 52, f"{passed} of 60 passed"


def test_a_forecaster_off_by_ten_points_is_caught() -> None:
    pairs = [faultless(seed, 0.1) for seed in range(20)]
    assert sum(error > bar for error, bar in pairs) >= 17
