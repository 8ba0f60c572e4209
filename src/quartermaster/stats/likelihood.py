"""Likelihood ratios with their own uncertainty, and what they make of a belief.

A ratio says how many times likelier a finding is where the event comes than where it does not. What
is known of a ratio is a normal distribution of its logarithm; a stated interval holds 90 % of it.

Assumes: findings are independent given the outcome; the caller caps those that are not. A ratio's
uncertainty lies half in its numerator and half in its denominator, so that the expected posterior
odds are the expected prior odds times the central ratio.
Guarantee: with right ratios the posterior probability is calibrated, and its interval holds the
probability of somebody who knew the true prior and the true ratio as often as it says.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, expit, gammaincinv, ndtr, ndtri

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.beta_prior import Floats, Nodes

INTERVAL = 0.90
"""What stated intervals hold, of ratios and of probabilities."""
RATIO_MAX = 1_000.0
"""No count that anybody has supports a larger ratio; a larger one is a typing error."""
COUNT_MAX = 1e6
"""Of cases, alarms or series-years: nobody has counted more."""
WATCHED_MIN = 0.01
"""Of series-years and window days: less is a typing error."""
WINDOW_DAYS_MAX = 3_660.0
"""Ten years; a longer look is another question."""
PROBABILITY_MIN = 1e-9
"""No evidence that anybody has supports more certainty, either way."""
DAYS_A_YEAR = 365.0

# Standard deviations from the middle of an interval to its end.
_HALF_WIDTH = float(ndtri(0.5 + INTERVAL / 2))
# Of each of two measured rates: 201 equally likely values; their ratio is then known to 1e-3.
_RATE_NODES = 201
# Jeffreys' prior of a rate: half an event.
_HALF_EVENT = 0.5


class Ratio(NamedTuple):
    """A likelihood ratio: mean and standard deviation of its natural logarithm."""

    log_mean: float
    log_sd: float

    @property
    def central(self) -> float:
        """The ratio itself: half of what is believed lies on each side."""
        return math.exp(self.log_mean)

    @property
    def low(self) -> float:
        """The lower end of its interval."""
        return math.exp(self.log_mean - _HALF_WIDTH * self.log_sd)

    @property
    def high(self) -> float:
        """The upper end of its interval."""
        return math.exp(self.log_mean + _HALF_WIDTH * self.log_sd)


NEUTRAL = Ratio(0.0, 0.0)
"""Says nothing: a finding as likely either way."""


class Posterior(NamedTuple):
    """A probability and the interval around it."""

    probability: float
    low: float
    high: float


def from_interval(low: float, high: float) -> Ratio:
    """The ratio whose 90 % interval runs from `low` to `high`; its centre is their geometric mean.

    Raises:
        UsageError: not rising, not positive, or beyond `RATIO_MAX` either way.
    """
    if not 1 / RATIO_MAX <= low <= high <= RATIO_MAX:
        raise UsageError(
            f"a likelihood ratio of {low:g} to {high:g} cannot be",
            hint=f"low <= high, both between {1 / RATIO_MAX:g} and {RATIO_MAX:g}",
        )
    middle, half = (math.log(low) + math.log(high)) / 2, (math.log(high) - math.log(low)) / 2
    return Ratio(middle, half / _HALF_WIDTH)


def of_alarm(
    found: float,
    tried: float,
    false_alarms: float,
    series_years: float,
    window_days: float,
    *,
    under_way: float = 1.0,
    silent: bool = False,
) -> Ratio:
    """The ratio of a detector that raised an alarm, or was silent, during a window.

    Args:
        found: injected departures that it found within the window.
        tried: departures injected.
        false_alarms: alarms without one.
        series_years: in which those were counted.
        window_days: for which it is looked at.
        under_way: chance that a departure within the horizon already shows in usage.
        silent: whether it said nothing.

    Raises:
        UsageError: counts that cannot be.
    """
    _check_cases("found", found, tried)
    if not (0 <= false_alarms <= COUNT_MAX and WATCHED_MIN <= series_years <= COUNT_MAX):
        raise UsageError("an alarm needs its false alarms, counted in some series-years")
    if not (WATCHED_MIN <= window_days <= WINDOW_DAYS_MAX and 0 < under_way <= 1):
        raise UsageError("window_days is positive and under_way lies above 0 and at most at 1")
    level = (np.arange(_RATE_NODES) + 0.5) / _RATE_NODES
    sees = betaincinv(found + _HALF_EVENT, tried - found + _HALF_EVENT, level)[:, None]
    a_year = (gammaincinv(false_alarms + _HALF_EVENT, level) / series_years)[None, :]
    errs = -np.expm1(-a_year * window_days / DAYS_A_YEAR)
    raised = under_way * (1 - (1 - sees) * (1 - errs)) + (1 - under_way) * errs
    return _of_rates(1 - raised, 1 - errs) if silent else _of_rates(raised, errs)


def of_test(
    true_positives: float, positives: float, false_positives: float, negatives: float
) -> Ratio:
    """The ratio of a test that came out positive, from its measured rates.

    Raises:
        UsageError: more hits than cases, or no cases.
    """
    _check_cases("true_positives", true_positives, positives)
    _check_cases("false_positives", false_positives, negatives)
    level = (np.arange(_RATE_NODES) + 0.5) / _RATE_NODES
    hit = betaincinv(true_positives + _HALF_EVENT, positives - true_positives + _HALF_EVENT, level)
    wrong = betaincinv(
        false_positives + _HALF_EVENT, negatives - false_positives + _HALF_EVENT, level
    )
    return _of_rates(hit[:, None], wrong[None, :])


def diluted(ratio: Ratio, relevance: float) -> Ratio:
    """The ratio of a finding about a cause that only some of the events have.

    A test of distillation says how likely a distiller is; only `relevance` of the customers that
    leave distilled before. Given the others the finding is as likely as without the event.

    Raises:
        UsageError: relevance outside (0, 1].
    """
    if not 0 < relevance <= 1:
        raise UsageError("relevance lies above 0 and at most at 1")
    level = (np.arange(_RATE_NODES) + 0.5) / _RATE_NODES
    exact = np.exp(ratio.log_mean + ratio.log_sd * ndtri(level))
    return _of_rates(relevance * exact + (1 - relevance), np.ones(1))


def update(prior: Nodes, ratio: Ratio) -> Posterior:
    """The probability after a finding, with an interval.

    In closed form given the prior: where the log ratio is normal, so is the log-odds after it,
    shifted one way where the event comes and the other where it does not.
    """
    p, t, mean = prior.probability, prior.logit, ratio.log_mean
    # A ratio that is known exactly is spread over one step of the grid, not less.
    sd = max(ratio.log_sd, float(t[-1] - t[0]) / (len(t) - 1))
    comes = prior.weight * p * math.exp(mean / 2)
    stays = prior.weight * expit(-t) * math.exp(-mean / 2)  # 1 - p would lose the last digits
    total = float(comes.sum() + stays.sum())

    def below(z: float) -> float:
        """Weight of log-odds up to z."""
        given_comes = ndtr((z - t - mean) / sd - sd / 2)
        given_stays = ndtr((z - t - mean) / sd + sd / 2)
        return float(comes @ given_comes + stays @ given_stays) / total

    reach = 10 * sd + sd * sd
    ends = (float(t[0]) + mean - reach, float(t[-1]) + mean + reach)
    tail = (1 - INTERVAL) / 2
    low, high = (float(expit(_bisect(below, level, ends))) for level in (tail, 1 - tail))
    probability = float(comes.sum()) / total
    probability = min(max(probability, PROBABILITY_MIN), 1 - PROBABILITY_MIN)
    # A very skewed belief can have its mean outside its own 90 %.
    return Posterior(probability, min(low, probability), max(high, probability))


def shift(probability: float, ratio: float) -> float:
    """Bayes' rule in odds: a known probability after a known ratio."""
    return probability * ratio / (probability * ratio + 1 - probability)


def _check_cases(name: str, hits: float, cases: float) -> None:
    if not (0 <= hits <= cases <= COUNT_MAX and cases >= 1):
        raise UsageError(f"{name}: {hits:g} of {cases:g} cases cannot be")


def _of_rates(numerator: Floats, denominator: Floats) -> Ratio:
    log = np.log(np.maximum(numerator, 1e-12)) - np.log(np.maximum(denominator, 1e-12))
    return Ratio(float(log.mean()), float(log.std()))


def _bisect(rising: Callable[[float], float], level: float, ends: tuple[float, float]) -> float:
    low, high = ends
    for _ in range(80):
        middle = (low + high) / 2
        if rising(middle) < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2
