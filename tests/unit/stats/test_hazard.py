"""The pooled hazard: an optimum by its equations, calibrated on new subjects, humble in noise."""

import numpy as np
import numpy.typing as npt
import pytest

from quartermaster.stats.calibration import expit
from quartermaster.stats.hazard import fit, fit_plain, logistic
from quartermaster.stats.scoring import ece, log_loss

FloatArray = npt.NDArray[np.float64]


def world(
    seed: int, subjects: int, strength: float
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64], FloatArray]:
    """Features, events, whose rows they are, and the true chances; five rows a subject."""
    draw = np.random.default_rng(seed)
    who = np.repeat(np.arange(subjects), 5)
    features = draw.normal(0, 1, (len(who), 8)) + draw.normal(0, 1, (subjects, 8))[who]
    chances = expit(strength * (features[:, 0] - 0.7 * features[:, 1]) - 0.5)
    events = (draw.random(len(who)) < chances).astype(np.float64)
    return features, events, who.astype(np.int64), chances


def test_the_optimum_solves_its_equations() -> None:
    features, events, _, _ = world(1, 60, 1.0)
    design = np.column_stack([np.ones(len(features)), features])
    penalty = np.array([0.0, *[4.0] * 8])
    beta = logistic(design, events, penalty)
    assert np.abs(design.T @ (events - expit(design @ beta)) - penalty * beta).max() < 1e-6


def test_probabilities_of_new_subjects_are_calibrated() -> None:
    errors = []
    for seed in range(5):  # seeds 0-4 and 100-104
        features, events, who, _ = world(seed, 200, 0.8)
        hazard = fit(features, events, who)
        fresh, came, _, chances = world(seed + 100, 2000, 0.8)
        said = hazard.probability(fresh)
        errors.append(ece(came, said))
        assert log_loss(came, said) - log_loss(came, chances) < 0.02
    assert np.mean(errors) < 0.03, errors


def test_noise_returns_to_the_share_of_events() -> None:
    features, events, who, _ = world(3, 40, 0.0)
    said = fit(features, events, who).probability(features)
    assert said.std() < 0.06
    assert said.mean() == pytest.approx(events.mean(), abs=0.03)
    # A plain fit of the same data believes its noise.
    assert fit_plain(features, events, 1.0).probability(features).std() > said.std()


@pytest.mark.parametrize("seed", range(8))
def test_with_nothing_to_learn_the_level_is_still_right(seed: int) -> None:
    """Scores that rank the wrong way round are dropped, and their level with them."""
    features, events, who, _ = world(seed, 12, 0.0)
    said = fit(features, events, who).probability(features)
    assert said.mean() == pytest.approx(events.mean(), abs=0.03)


def test_a_constant_feature_does_nothing() -> None:
    features, events, who, _ = world(4, 50, 1.0)
    constant = np.column_stack([features, np.full(len(features), 7.0)])
    hazard = fit(constant, events, who)
    moved = constant.copy()
    moved[:, -1] = 1e9
    assert np.allclose(hazard.probability(moved), hazard.probability(constant))


def test_contributions_add_up_to_the_score() -> None:
    features, events, who, _ = world(5, 80, 1.0)
    hazard = fit(features, events, who)
    score = hazard.line.level + hazard.line.slope * hazard.coefficients[0]
    score = score + hazard.contributions(features).sum(axis=1)
    inside = (hazard.probability(features) > 0.01) & (hazard.probability(features) < 0.99)
    assert np.allclose(expit(score)[inside], hazard.probability(features)[inside])


def test_what_two_features_do_together_is_found() -> None:
    draw = np.random.default_rng(6)
    table = draw.normal(0, 1, (9000, 4))
    truth = expit(1.5 * table[:, 0] * table[:, 2])
    outcomes = (draw.random(9000) < truth).astype(np.float64)
    features, events, who = table[:3000], outcomes[:3000], np.arange(3000) // 5
    fresh, came = table[3000:], outcomes[3000:]
    plain, paired = fit(features, events, who), fit(features, events, who, paired=range(4))
    assert plain.pair_ridge is None
    assert log_loss(came, plain.probability(fresh)) > 0.68
    # The ridge is one of a few powers of ten, so a hundredth of a nat is the price of its grid.
    assert log_loss(came, paired.probability(fresh)) < log_loss(came, truth[3000:]) + 0.01
    effects = paired.contributions(fresh)
    # Divided equally between the two, which is nothing for the two others.
    assert np.corrcoef(effects[:, 0], fresh[:, 0] * fresh[:, 2])[0, 1] > 0.95
    assert effects[:, [0, 2]].std() > 5 * effects[:, [1, 3]].std()


def test_pairs_that_say_nothing_are_not_believed() -> None:
    features, events, who, _ = world(7, 300, 0.8)
    fresh, came, _, _ = world(107, 2000, 0.8)
    plain, paired = fit(features, events, who), fit(features, events, who, paired=range(8))
    cost = log_loss(came, paired.probability(fresh)) - log_loss(came, plain.probability(fresh))
    assert cost < 0.005


def test_contributions_of_pairs_add_up_too() -> None:
    features, events, who, _ = world(8, 80, 1.0)
    hazard = fit(features, events, who, paired=(0, 1, 5))
    score = hazard.line.level + hazard.line.slope * hazard.coefficients[0]
    score = score + hazard.contributions(features).sum(axis=1)
    inside = (hazard.probability(features) > 0.01) & (hazard.probability(features) < 0.99)
    assert np.allclose(expit(score)[inside], hazard.probability(features)[inside])
