"""Isotonic regression on known vectors, folds that keep blocks whole."""

import numpy as np
import pytest

from quartermaster.stats.calibration import Line, expit, folds, isotonic


def test_pool_adjacent_violators() -> None:
    scores, fitted = isotonic(np.array([3.0, 1.0, 2.0, 4.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert scores.tolist() == [1, 2, 3, 4]
    assert fitted.tolist() == [0, 0.5, 0.5, 1]


def test_isotonic_never_falls() -> None:
    draw = np.random.default_rng(5)
    _, fitted = isotonic(draw.random(300), (draw.random(300) < 0.4).astype(np.float64))
    assert (np.diff(fitted) >= 0).all()
    assert fitted.mean() == pytest.approx(fitted.sum() / 300)


def test_a_block_is_never_split() -> None:
    blocks = np.repeat(np.arange(40), 7).astype(np.int64)
    fold = folds(blocks, 5)
    assert all(len(set(fold[blocks == block])) == 1 for block in range(40))
    assert set(fold) == set(range(5))


def test_expit_survives_extremes() -> None:
    assert expit(np.array([-1e6, 0.0, 1e6])).tolist() == [0.0, 0.5, 1.0]
    assert Line(1.0, 2.0).apply(np.array([3.0])).tolist() == [7.0]
