"""A pooled discrete-time hazard: ridge logistic regression that calibrates itself.

One row is one subject at one origin; the event is what happens within the horizon after it.
Coefficients are common to all subjects, which differ through their features. Chosen features may
also act in pairs, through products that carry a ridge of their own. Both ridges are chosen, and the
slope of the result corrected, on predictions for subjects that a fit has not seen.

Assumptions: subjects are exchangeable given their features, and the relation at the origin
scored is the one of the past. Guarantee, checked by simulation: where both hold, probabilities are
calibrated for new subjects; where features say nothing, they return to the share of events.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.stats.calibration import Line, expit, folds
from quartermaster.stats.scoring import log_loss

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RIDGES = (3.0, 10.0, 30.0, 100.0, 300.0)
"""Prior precision of a coefficient of standardised features: from nearly free to nearly nothing."""
PAIR_RIDGES = (100.0, 300.0, 1000.0, 3000.0, 10_000.0)
"""The same for a product of two features: there are many of them, so each is believed less. The
last leaves nothing of it, which is where few subjects and much noise end."""
FOLDS = 5
STANDARD_MAX = 3.0
"""Features beyond three standard deviations say no more than three; one burst must not decide."""
STEPS_MAX = 60
"""Five to eight Newton steps or some twenty with an old curvature suffice; sixty is a fault, and
the best so far is kept."""
CURVE_KEPT = 0.3
"""While steps shrink to less than this, the last curvature is good enough and need not be computed
again: that is most of the cost."""
TOLERANCE = 1e-7
BLOCK_ROWS = 128
"""Products of so few rows and some forty columns are computed in one thread. Larger ones make
threads wait for each other, and on a busy machine that took twenty times the work."""
SPREAD_MIN = 1e-6
"""A feature that hardly varies in training is left at zero instead of being blown up."""
PROBABILITY_EDGE = 0.002
"""No statement of 13 weeks is surer than 1 in 500: no panel here holds evidence for more."""


class Design(NamedTuple):
    """How features become columns: standardised, and the products of chosen pairs after them."""

    means: FloatArray
    spreads: FloatArray
    pairs: IntArray
    """Two rows: the features of each product."""
    pair_means: FloatArray
    pair_spreads: FloatArray

    def columns(self, features: FloatArray) -> FloatArray:
        """One column a feature, then one a pair."""
        single = _standard(features, self.means, self.spreads)
        if not self.pairs.shape[1]:
            return single
        products = single[:, self.pairs[0]] * single[:, self.pairs[1]]
        return np.hstack([single, _standard(products, self.pair_means, self.pair_spreads)])

    def penalty(self, ridge: float, pair_ridge: float) -> FloatArray:
        """Of the intercept, the features and the pairs."""
        singles, pairs = len(self.means), self.pairs.shape[1]
        return np.concatenate([[0.0], np.full(singles, ridge), np.full(pairs, pair_ridge)])


class Hazard(NamedTuple):
    """A fitted hazard."""

    design: Design
    coefficients: FloatArray
    ridge: float
    pair_ridge: float | None
    """None where no features act in pairs."""
    line: Line

    def contributions(self, features: FloatArray) -> FloatArray:
        """What each feature adds on the logit scale, against the mean row of training.

        What two features do together is divided equally between them.
        """
        effects = self.line.slope * self.design.columns(features) * self.coefficients[1:]
        found = effects[:, : features.shape[1]].copy()
        for side in self.design.pairs:
            for at, feature in enumerate(side):
                found[:, feature] += effects[:, features.shape[1] + at] / 2
        return np.asarray(found)

    def probability(self, features: FloatArray) -> FloatArray:
        """Probability of the event within the horizon, one a row."""
        columns = _with_intercept(self.design.columns(features))
        chance = expit(self.line.apply(_times(columns, self.coefficients)))
        return np.clip(chance, PROBABILITY_EDGE, 1 - PROBABILITY_EDGE)


class _Tried(NamedTuple):
    """A choice of ridges, and how it did for subjects it had not seen."""

    loss: float
    ridge: float
    pair_ridge: float | None
    line: Line


def logistic(
    design: FloatArray,
    events: FloatArray,
    penalty: FloatArray,
    weight: float = 1.0,
    start: FloatArray | None = None,
) -> FloatArray:
    """Coefficients that maximise weighted log-likelihood minus penalty/2 * coefficient squared."""
    beta = np.zeros(design.shape[1]) if start is None else start.copy()
    curve, kept = np.eye(design.shape[1]), False
    largest = np.inf
    for _ in range(STEPS_MAX):
        chance = expit(_times(design, beta))
        slope = weight * np.einsum("ij,i->j", design, events - chance) - penalty * beta
        if not kept:
            spread = _gram(design, chance * (1 - chance))
            curve = np.asarray(np.linalg.inv(weight * spread + np.diag(penalty + 1e-9)))
        step = curve @ slope
        before, largest = largest, float(np.abs(step).max())
        beta += step * min(1.0, 5.0 / largest) if largest else 0.0
        if largest < TOLERANCE:
            break
        kept = largest <= CURVE_KEPT * before
    return beta


def fit(
    features: FloatArray,
    events: FloatArray,
    subjects: IntArray,
    *,
    weight: float = 1.0,
    paired: Iterable[int] = (),
) -> Hazard:
    """Fit a hazard.

    Args:
        features: rows by features, finite.
        events: 0 or 1 a row.
        subjects: whose row it is.
        weight: of a row; below 1 where rows of a subject overlap and repeat each other.
        paired: features of which every two may also act together.
    """
    design = _designed(features, tuple(paired))
    columns = _with_intercept(design.columns(features))
    fold = folds(subjects, FOLDS)
    singles = columns[:, : 1 + features.shape[1]]

    def tried(table: FloatArray, ridge: float, pair_ridge: float | None) -> _Tried:
        penalty = design.penalty(ridge, pair_ridge or 0.0)[: table.shape[1]]
        scores = _cross_fitted(table, events, fold, penalty, weight)
        line = _platt(scores, events, weight)
        return _Tried(log_loss(events, expit(line.apply(scores))), ridge, pair_ridge, line)

    best = min((tried(singles, ridge, None) for ridge in RIDGES), key=lambda found: found.loss)
    if design.pairs.shape[1]:
        pairs = (tried(columns, best.ridge, pair_ridge) for pair_ridge in PAIR_RIDGES)
        best = min(pairs, key=lambda found: found.loss)
    penalty = design.penalty(best.ridge, best.pair_ridge or 0.0)
    beta = logistic(columns, events, penalty, weight)
    return Hazard(design, beta, best.ridge, best.pair_ridge, best.line)


def fit_plain(features: FloatArray, events: FloatArray, ridge: float) -> Hazard:
    """A logistic regression with a given ridge and no recalibration: a baseline."""
    design = _designed(features, ())
    columns = _with_intercept(design.columns(features))
    beta = logistic(columns, events, design.penalty(ridge, 0.0))
    return Hazard(design, beta, ridge, None, Line(0.0, 1.0))


def _cross_fitted(
    columns: FloatArray, events: FloatArray, fold: IntArray, penalty: FloatArray, weight: float
) -> FloatArray:
    scores = np.zeros(len(events))
    beta: FloatArray | None = None
    for held in range(FOLDS):
        rest = fold != held
        if rest.all() or not rest.any():
            continue
        beta = logistic(columns[rest], events[rest], penalty * (1 - 1 / FOLDS), weight, beta)
        scores[~rest] = _times(columns[~rest], beta)
    return scores


def _times(columns: FloatArray, beta: FloatArray) -> FloatArray:
    """A product that stays in one thread, see `BLOCK_ROWS`."""
    return np.asarray(np.einsum("ij,j->i", columns, beta))


def _gram(columns: FloatArray, weights: FloatArray) -> FloatArray:
    """The weighted sum over rows of each column times each, block by block."""
    count, width = columns.shape
    blocks = -(-count // BLOCK_ROWS)
    padded = np.zeros((blocks * BLOCK_ROWS, width))
    padded[:count] = columns
    weighted = np.zeros_like(padded)
    weighted[:count] = columns * weights[:, None]
    shape = (blocks, BLOCK_ROWS, width)
    sums = np.matmul(weighted.reshape(shape).transpose(0, 2, 1), padded.reshape(shape))
    return np.asarray(sums.sum(axis=0))


def _platt(scores: FloatArray, events: FloatArray, weight: float) -> Line:
    """Level and slope by a fit that hardly shrinks them: a prior worth a few rows."""
    design = np.column_stack([np.ones(len(scores)), scores])
    level, slope = logistic(design, events, np.array([0.1, 0.1]), weight)
    if slope >= 0:
        return Line(float(level), float(slope))
    # A negative slope would turn the ranking round: then the features say nothing, and the level
    # that went with that slope is not the share of events.
    (level,) = logistic(design[:, :1], events, np.array([0.1]), weight)
    return Line(float(level), 0.0)


def _designed(features: FloatArray, paired: tuple[int, ...]) -> Design:
    means, spreads = features.mean(axis=0), features.std(axis=0)
    first, second = np.triu_indices(len(paired), 1)
    which = np.array(paired, dtype=np.int64)
    pairs = np.stack([which[first], which[second]])
    single = _standard(features, means, spreads)
    products = single[:, pairs[0]] * single[:, pairs[1]]
    return Design(means, spreads, pairs, products.mean(axis=0), products.std(axis=0))


def _standard(features: FloatArray, means: FloatArray, spreads: FloatArray) -> FloatArray:
    scale = np.where(spreads < SPREAD_MIN, np.inf, spreads)
    return np.clip((features - means) / scale, -STANDARD_MAX, STANDARD_MAX)


def _with_intercept(columns: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(columns)), columns])
