"""The weights that turn an account-day's features into one score, and where they came from.

A logistic regression on square roots of the features, which keeps one loud feature from deciding.
Its weights have the signs of `features.FEATURES` and were drawn towards one equal weight for all:
with few kinds of campaign to learn from, equal weights carry over to a new kind better than fitted
ones (Dawes, 1979, found the same of judgement in general). The weights ship with the product in
`parameters.json`; `python bench/conduct.py --fit` made them from public data and writes them again.
"""

from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.conduct.features import NAMES, SIGNS
from quartermaster.kernel.errors import IntegrityError

FloatArray = npt.NDArray[np.float64]

STANDARD_MAX = 3.0
"""Features beyond three standard deviations say no more than three."""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of standardised features, with the lines found beside them."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    centre: float = 0.0
    """Log-odds of the median ordinary account-day of kinds left out of training."""
    scale: float = 1.0
    """From there to the log-odds that 3 % of them exceed."""
    line: float = 1.0
    """Score that 1 % of the ordinary account-days of kinds unseen in training exceeded."""
    day_line: float = 5.0
    """Score that 0.1 % of the ordinary days of known tenants exceeded; see `daily`."""
    slope: float = 1.0
    offset: float = 0.0
    """Log-odds of a harvest = slope x score + offset, where harvests are as many as others."""
    made_by: str = ""

    def __post_init__(self) -> None:
        same = self.features == NAMES
        lengths = {len(part) for part in (self.means, self.spreads, self.weights)}
        if not same or lengths != {len(NAMES)}:
            raise IntegrityError("the conduct weights belong to another version of the features")
        if (np.array(self.weights) * SIGNS < 0).any():
            raise IntegrityError("a conduct weight has the wrong sign")

    def contributions(self, rows: FloatArray) -> FloatArray:
        """What each feature adds to the log-odds, against the mean of training."""
        standard = (np.sqrt(rows) - np.array(self.means)) / np.array(self.spreads)
        return np.asarray(np.clip(standard, -STANDARD_MAX, STANDARD_MAX) * np.array(self.weights))

    def log_odds(self, rows: FloatArray) -> FloatArray:
        """Log-odds of a harvest in the even population of training; no probability of yours."""
        return np.asarray(self.contributions(rows).sum(axis=-1) + self.intercept)

    def score(self, log_odds: FloatArray) -> FloatArray:
        """On the scale of unseen ordinary days: their median is 0, 3 % of them lie above 1."""
        return np.asarray((log_odds - self.centre) / self.scale)

    def even_chance(self, score: float) -> float:
        """Probability of a harvest if every second account-day were one; yours are far fewer."""
        return float(1 / (1 + np.exp(-(self.slope * score + self.offset))))


@cache
def shipped() -> Model:
    """The weights in this package."""
    data = files("quartermaster.conduct").joinpath("parameters.json").read_bytes()
    return msgspec.json.decode(data, type=Model)
