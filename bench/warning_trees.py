"""Gradient-boosted trees as a library grows them: the clever baseline of the warning bench."""

import numpy as np
import numpy.typing as npt

from quartermaster.exposure.warning_features import Observations
from quartermaster.stats.calibration import expit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROUNDS, RATE, DEPTH, BINS, LEAF_ROWS_MIN = 100, 0.1, 3, 32, 20


def boosted_trees(train: Observations, test: Observations) -> FloatArray:
    """Probabilities of 100 trees of depth 3 at rate 0.1, second-order, on histograms of 32 bins."""
    cuts = [
        np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))
        for column in train.features.T
    ]
    bins, test_bins = _binned(train.features, cuts), _binned(test.features, cuts)
    mean = float(train.events.mean())
    start = float(np.log(mean / (1 - mean)))
    scores = np.full(len(train.events), start)
    said = np.full(len(test.features), start)
    for _ in range(ROUNDS):
        chance = expit(scores)
        grown, said_step = _tree(bins, test_bins, train.events - chance, chance * (1 - chance))
        scores += RATE * grown
        said += RATE * said_step
    return np.clip(expit(said), 0.002, 0.998)


def _binned(features: FloatArray, cuts: list[FloatArray]) -> IntArray:
    columns = [np.searchsorted(cut, column) for cut, column in zip(cuts, features.T, strict=True)]
    return np.stack(columns).astype(np.int64)


def _tree(
    bins: IntArray, test_bins: IntArray, slope: FloatArray, curve: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Grow one tree level by level; what it adds to each training and test row."""
    node = np.zeros(bins.shape[1], dtype=np.int64)
    test_node = np.zeros(test_bins.shape[1], dtype=np.int64)
    for level in range(DEPTH):
        feature, cut = _splits(bins, node, 2**level, slope, curve)
        rows, test_rows = np.arange(len(node)), np.arange(len(test_node))
        node = node * 2 + (bins[feature[node], rows] > cut[node])
        test_node = test_node * 2 + (test_bins[feature[test_node], test_rows] > cut[test_node])
    total = np.bincount(node, slope, 2**DEPTH)
    weight = np.bincount(node, curve, 2**DEPTH)
    leaf = total / (weight + 1.0)
    return leaf[node], leaf[test_node]


def _splits(
    bins: IntArray, node: IntArray, nodes: int, slope: FloatArray, curve: FloatArray
) -> tuple[IntArray, IntArray]:
    """The best feature and cut of every node; a node without one sends all rows left."""
    gain = np.zeros(nodes)
    feature, cut = np.zeros(nodes, dtype=np.int64), np.full(nodes, BINS, dtype=np.int64)
    for column, values in enumerate(bins):
        cell = node * BINS + values
        shape = (nodes, BINS)
        left = np.cumsum(np.bincount(cell, slope, nodes * BINS).reshape(shape), axis=1)
        left_weight = np.cumsum(np.bincount(cell, curve, nodes * BINS).reshape(shape), axis=1)
        count = np.cumsum(np.bincount(cell, None, nodes * BINS).reshape(shape), axis=1)
        total, weight = left[:, -1:], left_weight[:, -1:]
        better = (
            left**2 / (left_weight + 1)
            + (total - left) ** 2 / (weight - left_weight + 1)
            - total**2 / (weight + 1)
        )
        allowed = (count >= LEAF_ROWS_MIN) & (count[:, -1:] - count >= LEAF_ROWS_MIN)
        better = np.where(allowed, better, 0.0)
        best = np.argmax(better, axis=1)
        found = better[np.arange(nodes), best]
        wins = found > gain
        gain = np.where(wins, found, gain)
        feature, cut = np.where(wins, column, feature), np.where(wins, best, cut)
    return feature, cut
