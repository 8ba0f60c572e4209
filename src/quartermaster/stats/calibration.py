"""Recalibration: make stated probabilities mean what they say, without touching their order.

Assumption: rows of one block (a tenant) may depend on each other, blocks do not. Cross-fitted
scores come from fits that never saw the block, so slope and level learnt on them hold for new
blocks; drift over time is not corrected here, because corrections learnt from past origins made
both panels that they were measured on (HPC2N, CDNOW) worse.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Line(NamedTuple):
    """A Platt line on the logit scale: level + slope * score."""

    level: float
    slope: float

    def apply(self, scores: FloatArray) -> FloatArray:
        """Scores on the logit scale, recalibrated."""
        return self.level + self.slope * scores


def expit(scores: FloatArray) -> FloatArray:
    """Logit scale to probability, without overflow."""
    return 0.5 * (1 + np.tanh(scores / 2))


def isotonic(scores: FloatArray, events: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pool adjacent violators: the best non-decreasing step function of the scores.

    Returns:
        Sorted scores and the fitted share of events at each.
    """
    order = np.argsort(scores, kind="stable")
    means: list[float] = []
    counts: list[int] = []
    for value in events[order]:
        means.append(float(value))
        counts.append(1)
        while len(means) > 1 and means[-2] >= means[-1]:
            count = counts[-2] + counts[-1]
            merged = (means[-2] * counts[-2] + means[-1] * counts[-1]) / count
            means[-2:], counts[-2:] = [merged], [count]
    return scores[order], np.repeat(np.array(means), counts)


def folds(blocks: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """A fold for each row such that a block is never split; the same blocks give the same folds."""
    places = np.unique(blocks, return_inverse=True)[1]
    return np.asarray(places * 7919 % 104_729 % count, dtype=np.int64)
