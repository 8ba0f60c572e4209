"""What the model has to beat, measured on the same rows: the base rate, a trend, a plain logit."""

from collections.abc import Callable

import numpy as np

from quartermaster.exposure.warning_features import BASELINE, NAMES, FloatArray, Observations
from quartermaster.stats.calibration import isotonic
from quartermaster.stats.hazard import PROBABILITY_EDGE, fit_plain

PLAIN_RIDGE = 1.0
"""The default of common libraries: what somebody gets who does not choose."""


def base_rate(train: Observations, test: Observations) -> FloatArray:
    """The share of events so far, for everybody."""
    return np.full(len(test.events), float(train.events.mean()))


def naive_trend(train: Observations, test: Observations) -> FloatArray:
    """Only the ratio of four weeks to thirteen, mapped by isotonic regression."""
    column = NAMES.index("ratio_4")
    scores, shares = isotonic(-train.features[:, column], train.events)
    said = np.interp(-test.features[:, column], scores, shares)
    # A step that is all events would otherwise say "sure" and lose the log score by one miss.
    return np.clip(said, 0.02, 0.98)


def plain_logit(train: Observations, test: Observations) -> FloatArray:
    """Logistic regression on ten usage features, as a library fits it."""
    hazard = fit_plain(_ten(train), train.events, PLAIN_RIDGE)
    return np.clip(hazard.probability(_ten(test)), PROBABILITY_EDGE, 1 - PROBABILITY_EDGE)


def _ten(rows: Observations) -> FloatArray:
    return np.column_stack([rows.features[:, list(BASELINE)], np.log(rows.sizes)])


BASELINES: dict[str, Callable[[Observations, Observations], FloatArray]] = {
    "base rate": base_rate,
    "naive trend": naive_trend,
    "plain logit": plain_logit,
}
