"""A pooled discrete-time hazard: ridge logistic regression that calibrates itself.

One row is one subject at one origin; the event is what happens within the horizon after it.
Coefficients are common to all subjects, which differ through their features. The ridge is chosen,
and the slope of the result corrected, on predictions for subjects that a fit has not seen.

Assumptions: subjects are exchangeable given their features, and the relation at the origin
scored is the one of the past. Guarantee, checked by simulation: where both hold, probabilities are
calibrated for new subjects; where features say nothing, they return to the share of events.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.stats.calibration import Line, expit, folds
from quartermaster.stats.scoring import log_loss

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RIDGES = (3.0, 10.0, 30.0, 100.0, 300.0)
"""Prior precision of a coefficient of standardised features: from nearly free to nearly nothing."""
FOLDS = 5
STANDARD_MAX = 3.0
"""Features beyond three standard deviations say no more than three; one burst must not decide."""
NEWTON_STEPS_MAX = 30
"""Newton's method needs five to eight steps; thirty is a fault, and the best so far is kept."""
TOLERANCE = 1e-7
SPREAD_MIN = 1e-6
"""A feature that hardly varies in training is left at zero instead of being blown up."""
PROBABILITY_EDGE = 0.002
"""No statement of 13 weeks is surer than 1 in 500: no panel here holds evidence for more."""


class Hazard(NamedTuple):
    """A fitted hazard."""

    means: FloatArray
    spreads: FloatArray
    coefficients: FloatArray
    ridge: float
    line: Line

    def contributions(self, features: FloatArray) -> FloatArray:
        """What each feature adds on the logit scale, against the mean row of training."""
        standard = _standard(features, self.means, self.spreads)
        return np.asarray(self.line.slope * standard * self.coefficients[1:])

    def probability(self, features: FloatArray) -> FloatArray:
        """Probability of the event within the horizon, one a row."""
        design = _design(_standard(features, self.means, self.spreads))
        chance = expit(self.line.apply(design @ self.coefficients))
        return np.clip(chance, PROBABILITY_EDGE, 1 - PROBABILITY_EDGE)


def logistic(
    design: FloatArray,
    events: FloatArray,
    penalty: FloatArray,
    weight: float = 1.0,
    start: FloatArray | None = None,
) -> FloatArray:
    """Coefficients that maximise weighted log-likelihood minus penalty/2 * coefficient squared."""
    beta = np.zeros(design.shape[1]) if start is None else start.copy()
    for _ in range(NEWTON_STEPS_MAX):
        chance = expit(design @ beta)
        slope = weight * (design.T @ (events - chance)) - penalty * beta
        curve = weight * (design.T * (chance * (1 - chance))) @ design
        step = np.linalg.solve(curve + np.diag(penalty + 1e-9), slope)
        largest = float(np.abs(step).max())
        beta += step * min(1.0, 5.0 / largest) if largest else 0.0
        if largest < TOLERANCE:
            break
    return beta


def fit(
    features: FloatArray, events: FloatArray, subjects: IntArray, *, weight: float = 1.0
) -> Hazard:
    """Fit a hazard.

    Args:
        features: rows by features, finite.
        events: 0 or 1 a row.
        subjects: whose row it is.
        weight: of a row; below 1 where rows of a subject overlap and repeat each other.
    """
    means = features.mean(axis=0)
    spreads = features.std(axis=0)
    design = _design(_standard(features, means, spreads))
    fold = folds(subjects, FOLDS)
    best: tuple[float, float, Line] | None = None
    for ridge in RIDGES:
        scores = _cross_fitted(design, events, fold, ridge, weight)
        line = _platt(scores, events, weight)
        loss = log_loss(events, expit(line.apply(scores)))
        if best is None or loss < best[0]:
            best = (loss, ridge, line)
    assert best is not None, "there are ridges"
    beta = logistic(design, events, _penalty(design, best[1]), weight)
    return Hazard(means, spreads, beta, best[1], best[2])


def fit_plain(features: FloatArray, events: FloatArray, ridge: float) -> Hazard:
    """A logistic regression with a given ridge and no recalibration: a baseline."""
    means = features.mean(axis=0)
    spreads = features.std(axis=0)
    design = _design(_standard(features, means, spreads))
    return Hazard(
        means, spreads, logistic(design, events, _penalty(design, ridge)), ridge, Line(0.0, 1.0)
    )


def _cross_fitted(
    design: FloatArray, events: FloatArray, fold: IntArray, ridge: float, weight: float
) -> FloatArray:
    scores = np.zeros(len(events))
    penalty = _penalty(design, ridge) * (1 - 1 / FOLDS)
    beta: FloatArray | None = None
    for held in range(FOLDS):
        rest = fold != held
        if rest.all() or not rest.any():
            continue
        beta = logistic(design[rest], events[rest], penalty, weight, beta)
        scores[~rest] = design[~rest] @ beta
    return scores


def _platt(scores: FloatArray, events: FloatArray, weight: float) -> Line:
    """Level and slope by a fit that stays near (0, 1) while there is little to learn from."""
    design = np.column_stack([np.ones(len(scores)), scores])
    level, slope = logistic(design, events, np.array([0.1, 0.1]), weight)
    # A negative slope would turn the ranking round: then the features say nothing.
    return Line(float(level), max(0.0, float(slope)))


def _standard(features: FloatArray, means: FloatArray, spreads: FloatArray) -> FloatArray:
    scale = np.where(spreads < SPREAD_MIN, np.inf, spreads)
    return np.clip((features - means) / scale, -STANDARD_MAX, STANDARD_MAX)


def _design(standard: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(standard)), standard])


def _penalty(design: FloatArray, ridge: float) -> FloatArray:
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0
    return penalty
