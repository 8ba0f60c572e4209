"""Published detectors, re-measured on the same account-days and the same fingerprints.

The originals embed with large encoders; here all of them see the projection that our own detectors
see, so the table compares ideas, not encoders.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import shapiro

from quartermaster.conduct.features import FloatArray, shape
from quartermaster.conduct.observe import FIELD, VECTOR_SCALE
from quartermaster.conduct.sketch import Sample

REFERENCE = 200
"""Prompts of the pooled reference."""


class Baselines(NamedTuple):
    """Scores of one account-day; larger is more suspicious."""

    mmd_pooled: float
    prada: float
    template_repetition: float
    cot_keywords: float


def unit(sample: Sample) -> FloatArray:
    """The prompts' projections with length one."""
    return np.asarray(sample.vectors.astype(np.float64) / VECTOR_SCALE)


def mmd(left: FloatArray, right: FloatArray) -> float:
    """Unbiased squared maximum mean discrepancy, Gaussian kernel (Gretton et al., 2012)."""
    both = np.concatenate([left, right])
    squares = np.maximum(0.0, _squares(both, both))
    width = float(np.median(squares[np.triu_indices(len(both), 1)])) or 1.0
    kernel = np.exp(-squares / width)
    n, m = len(left), len(right)
    if n < 2 or m < 2:
        return 0.0
    xx = (kernel[:n, :n].sum() - n) / (n * (n - 1))
    yy = (kernel[n:, n:].sum() - m) / (m * (m - 1))
    return float(xx + yy - 2 * kernel[:n, n:].mean())


def baselines(sample: Sample, reference: FloatArray) -> Baselines:
    """All of them for one day.

    Args:
        sample: the day's requests.
        reference: projections of ordinary prompts of families in training.
    """
    vectors = unit(sample)
    return Baselines(
        mmd(vectors, reference),
        _prada(vectors),
        float(shape(sample).template.mean()),
        float((sample.facts[:, FIELD["steps"]] > 0).mean(dtype=np.float64)),
    )


def _prada(vectors: FloatArray) -> float:
    """One minus Shapiro and Wilk's W of each prompt's distance to the nearest one before it."""
    squares = _squares(vectors, vectors)
    squares[np.triu_indices(len(vectors))] = np.inf
    nearest = np.sqrt(np.maximum(0.0, squares[1:].min(axis=1)))
    if len(nearest) < 3 or np.ptp(nearest) == 0:
        return 0.0
    return 1.0 - float(shapiro(nearest).statistic)


def _squares(left: FloatArray, right: FloatArray) -> npt.NDArray[np.float64]:
    norms = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    return np.asarray(norms - 2 * left @ right.T)
