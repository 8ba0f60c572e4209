"""A discrete-time hazard by segment, each segment borrowing strength from the others.

Customer-years of a segment are trials, losses are events. Hazards of segments are drawn from one
Beta whose mean and concentration are not known; both are integrated over a grid, so the pooling is
as strong as the segments agree. No sampling: a sum over the grid, the same bits every time.

Assumes: a constant hazard inside a segment, customer-years independent given it, segments
exchangeable. Prior: the mean is uniform; so is 1 / (1 + concentration), the weight that a
segment with one customer-year would give to itself.
Guarantee: intervals of segments hold the true hazard as often as they say, on average over segments
drawn as assumed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import betaln, logsumexp

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.beta_prior import SHAPE_MIN, Belief, Beta, check_counts

SEGMENTS_MAX = 10_000
"""More segments than this are customers; a hazard is pooled over kinds of them."""
# The grid: logit of the mean from 1 in 2,000 upward, and concentrations from 0.5 to 5,000 years.
_MEANS = 61
_LOGIT_RANGE = (-7.6, 3.0)
_CONCENTRATIONS = 31
_CONCENTRATION_RANGE = (0.5, 5_000.0)
# Grid points that together hold less than this are left out of a belief.
_WEIGHT_MIN = 1e-5


class Segment(NamedTuple):
    """What was counted in a segment."""

    customer_years: float
    losses: float


class PooledHazard(NamedTuple):
    """The belief about each segment's yearly hazard, and about that of a new one."""

    segments: tuple[Belief, ...]
    new: Belief
    mean: float
    """Of the Beta that segments are drawn from."""
    concentration: float
    """Geometric mean; in customer-years: a segment with as many relies half on itself."""


def pooled(segments: Sequence[Segment]) -> PooledHazard:
    """The hazards of segments, partially pooled.

    Raises:
        UsageError: no segment, too many, or counts that cannot be.
    """
    if not 0 < len(segments) <= SEGMENTS_MAX:
        raise UsageError(f"pooling takes 1 to {SEGMENTS_MAX} segments, not {len(segments)}")
    for segment in segments:
        check_counts(segment.losses, segment.customer_years)
    logit = np.linspace(*_LOGIT_RANGE, _MEANS)
    mean = 1 / (1 + np.exp(-logit))
    size = np.geomspace(*_CONCENTRATION_RANGE, _CONCENTRATIONS)
    a, b = np.outer(mean, size).ravel(), np.outer(1 - mean, size).ravel()
    # Densities on the grid's scales: logit of the mean, logarithm of the concentration.
    log_prior = np.log(np.outer(mean * (1 - mean), size / (1 + size) ** 2)).ravel()
    log_prior[np.minimum(a, b) < SHAPE_MIN] = -np.inf
    log_weight = log_prior.copy()
    for segment in segments:
        stays = segment.customer_years - segment.losses
        log_weight += betaln(a + segment.losses, b + stays) - betaln(a, b)
    weight = np.exp(log_weight - logsumexp(log_weight))
    kept = np.flatnonzero(weight > _WEIGHT_MIN * weight.max())
    a, b, weight = a[kept], b[kept], weight[kept] / weight[kept].sum()

    def belief(segment: Segment) -> Belief:
        stays = segment.customer_years - segment.losses
        return Belief(
            tuple(Beta(float(x + segment.losses), float(y + stays)) for x, y in zip(a, b)),  # noqa: B905 - one grid
            tuple(float(w) for w in weight),
        )

    return PooledHazard(
        segments=tuple(belief(segment) for segment in segments),
        new=belief(Segment(0, 0)),
        mean=float(weight @ (a / (a + b))),
        concentration=float(np.exp(weight @ np.log(a + b))),
    )
