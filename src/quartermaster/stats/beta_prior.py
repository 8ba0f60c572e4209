"""What is believed of a yearly probability before any evidence: a Beta, or a mixture of them.

Three ways to one: two quantiles of an expert, losses counted in a book of few losses, or a pooled
hazard (`beta_prior_pooled`). Sources: Pluto and Tasche 2005 (bounds for portfolios with few
defaults); Tasche 2013, arXiv 1112.5550 (these bounds are quantiles of a Bayesian posterior).

Assumes: the same probability for every year of exposure; years independent, except in
`upper_bound` with a correlation.
Guarantee: `upper_bound` without a correlation is Clopper and Pearson's one-sided bound: it is
below the true probability in at most 1 - confidence of all books.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from quartermaster.kernel.errors import UnavailableError, UsageError

try:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.optimize import brentq
    from scipy.special import betainc, betaincinv, betaln, expit, ndtr, ndtri
except ImportError as error:
    raise UnavailableError(
        "beliefs need numpy and scipy, which are not installed",
        hint="pip install 'quartermaster-ai[risk]'",
    ) from error

Floats = NDArray[np.float64]
Rule = Literal["neutral", "conservative"]

MONTHS_A_YEAR = 12
NODES = 4_001
"""Of the integration grid; the trapezoid rule on a logit scale is then exact to ten digits."""
SHAPE_MIN = 0.05
"""A smaller parameter puts half of the weight below one in a million: nobody means that."""
SHAPE_MAX = 1e6
"""A tighter belief is a point; nobody has watched more than a million customer-years."""
_FIT_ERROR_MAX = 1e-6
"""A quantile that is missed by more is another quantile."""
YEARS_MIN = 0.01
"""Four days of one customer; less is a typing error."""
# Logarithms between which b is sought while a is inside its limits.
_B_RANGE = (math.log(1e-6), math.log(1e12))
# Weight that the grid leaves out at each end.
_TAIL = 1e-12
# Of the common factor: beyond eight standard deviations there is nothing left to integrate.
_FACTOR_SD = 8.0
_FACTOR_NODES = 801


class Beta(NamedTuple):
    """A Beta distribution of a probability."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """Its mean."""
        return self.a / (self.a + self.b)


class Nodes(NamedTuple):
    """A distribution of a probability as points and weights that sum to one."""

    probability: Floats
    logit: Floats
    weight: Floats

    @property
    def mean(self) -> float:
        """The mean probability."""
        return float(self.probability @ self.weight)

    def quantile(self, level: float) -> float:
        """The probability that lies at this level of the distribution."""
        rising = np.cumsum(self.weight) - self.weight / 2
        return float(expit(np.interp(level, rising, self.logit)))


class Belief(NamedTuple):
    """A mixture of Betas over a yearly probability; weights sum to one."""

    parts: tuple[Beta, ...]
    weights: tuple[float, ...] = (1.0,)

    @property
    def mean(self) -> float:
        """Its mean."""
        return sum(w * part.mean for w, part in zip(self.weights, self.parts, strict=True))

    def nodes(self, horizon_months: float = MONTHS_A_YEAR) -> Nodes:
        """The distribution of the probability within a horizon, at a constant hazard.

        A yearly probability p is 1 - (1 - p) ** (months / 12) within a number of months.
        """
        a = np.array([part.a for part in self.parts])
        b = np.array([part.b for part in self.parts])
        low = float(np.min(_logit_quantile(a, b)))
        high = -float(np.min(_logit_quantile(b, a)))
        t = np.linspace(low, high, NODES)
        log_p, log_q = -np.logaddexp(0.0, -t), -np.logaddexp(0.0, t)
        density = np.zeros(NODES)
        for weight, part in zip(self.weights, self.parts, strict=True):
            log_density = part.a * log_p + part.b * log_q - betaln(part.a, part.b)
            density += weight * np.exp(log_density)
        mass = density / density.sum()
        years = horizon_months / MONTHS_A_YEAR
        log_stays = log_q * years
        p = -np.expm1(log_stays)
        return Nodes(p, np.log(p) - log_stays, mass)


def from_quantiles(low: tuple[float, float], high: tuple[float, float]) -> Beta:
    """The Beta with two given quantiles.

    Args:
        low: (level, probability), such as (0.5, 0.10): the median is 10 %.
        high: another pair with a higher level and a higher probability.

    Raises:
        UsageError: not two rising pairs inside (0, 1), or only a Beta outside the limits fits.
    """
    (level_low, p_low), (level_high, p_high) = low, high
    if not (0 < level_low < level_high < 1 and 0 < p_low < p_high < 1):
        raise UsageError(
            f"quantiles {low} and {high} do not rise inside 0 to 1",
            hint="such as a median of 0.10 and a 90 % quantile of 0.30",
        )

    def with_a(a: float) -> Beta:
        """The Beta with this a and the lower quantile in its place; the CDF rises with b."""
        log_b = _root(lambda log_b: betainc(a, math.exp(log_b), p_low) - level_low, _B_RANGE)
        return Beta(a, math.exp(log_b))

    def gap(log_a: float) -> float:
        return float(betainc(*with_a(math.exp(log_a)), p_high) - level_high)

    found = with_a(math.exp(_root(gap, (math.log(SHAPE_MIN), math.log(SHAPE_MAX)))))
    if abs(betainc(*found, p_high) - level_high) > _FIT_ERROR_MAX:
        raise UsageError(
            f"no Beta of a usual shape has the quantiles {low} and {high}",
            hint="move them apart when they nearly touch, together when they span all",
        )
    return found


def from_losses(losses: float, customer_years: float, rule: Rule = "neutral") -> Beta:
    """The belief after counting losses in customer-years (Tasche 2013).

    `neutral`: the posterior of a uniform prior, mean (k + 1) / (n + 2). `conservative`: the one
    whose quantiles are the Pluto-Tasche upper bounds, mean (k + 1) / (n + 1).

    Raises:
        UsageError: fewer years than losses, or nothing observed.
    """
    check_counts(losses, customer_years)
    _check_watched(customer_years)
    stays = customer_years - losses
    return Beta(losses + 1, stays + 1 if rule == "neutral" else max(stays, SHAPE_MIN))


def upper_bound(
    losses: float, customer_years: float, confidence: float, correlation: float = 0.0
) -> float:
    """Pluto and Tasche's most prudent bound: the largest probability that the count allows.

    Args:
        losses: customers lost.
        customer_years: years watched, one trial each.
        confidence: such as 0.95.
        correlation: of the latent values of customers in one bad year (Vasicek's one factor).

    Raises:
        UsageError: fewer years than losses, or a level outside (0, 1).
    """
    check_counts(losses, customer_years)
    _check_watched(customer_years)
    if not (0 < confidence < 1 and 0 <= correlation < 1):
        raise UsageError("confidence lies inside 0 to 1, correlation from 0 to below 1")
    if losses == customer_years:
        return 1.0
    if correlation == 0:
        return float(betaincinv(losses + 1, customer_years - losses, confidence))
    factor = np.linspace(-_FACTOR_SD, _FACTOR_SD, _FACTOR_NODES)
    weight = np.exp(-factor * factor / 2)
    weight /= weight.sum()

    def excess(latent: float) -> float:
        """Chance of at most this many losses, less what the confidence leaves."""
        given = ndtr((latent - math.sqrt(correlation) * factor) / math.sqrt(1 - correlation))
        at_most = betainc(customer_years - losses, losses + 1, 1 - given)
        return float(weight @ at_most) - (1 - confidence)

    return float(ndtr(_root(excess, (float(ndtri(1e-12)), float(ndtri(1 - 1e-12))))))


def check_counts(losses: float, customer_years: float) -> None:
    """Refuse counts that cannot be.

    Raises:
        UsageError: more losses than years, a negative or an absurd number.
    """
    if not 0 <= losses <= customer_years <= SHAPE_MAX:
        raise UsageError(f"{losses:g} losses in {customer_years:g} customer-years cannot be")


def _check_watched(customer_years: float) -> None:
    if customer_years < YEARS_MIN:
        raise UsageError(f"{customer_years:g} customer-years are nothing watched")


def _logit_quantile(a: Floats, b: Floats) -> Floats:
    """Logit of the lowest probability that the grid needs; a floor keeps it above zero."""
    p = np.maximum(betaincinv(a, b, _TAIL), 1e-300)
    found: Floats = np.log(p) - np.log1p(-p)
    return found


def _root(function: Callable[[float], float], between: tuple[float, float]) -> float:
    """Where a monotone function is zero; the nearer end where it is not inside."""
    low, high = between
    at_low, at_high = function(low), function(high)
    if at_low * at_high > 0:
        return low if abs(at_low) < abs(at_high) else high
    return float(brentq(function, low, high, xtol=1e-12))
