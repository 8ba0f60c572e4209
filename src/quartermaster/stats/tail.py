"""Tail measures of simulated losses: quantile, coherent expected shortfall, standard errors.

Expected shortfall is the coherent one (Acerbi and Tasche 2002): where losses have an atom at the
quantile, only as much of the atom counts as the tail needs. The mean of losses at or above the
quantile, which some packages print under the same name, is given apart.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.kernel.errors import UsageError

Doubles = npt.NDArray[np.float64]
Scenarios = npt.NDArray[np.int64]

TAIL_SCENARIOS_MIN = 100
"""Fewer scenarios in the tail leave a standard error of ten per cent and more."""

# A product such as 0.95 * 20,000 may lie a last bit above its whole number.
_LAST_BIT = 1e-9
_Z_95 = 1.959963984540054


class Estimate(msgspec.Struct, frozen=True):
    """A simulated figure and its Monte Carlo standard error."""

    value: float
    standard_error: float


class Tail(msgspec.Struct, frozen=True):
    """Tail measures at one quantile; `interval` holds the quantile with 95 % confidence.

    Assumes independent scenarios. The interval uses order statistics and the binomial law, which
    holds for every distribution of losses; the standard error of the shortfall is that of its
    influence function, right to first order (simulated in the tests).
    """

    quantile: float
    scenarios: int
    expected: Estimate
    value_at_risk: float
    interval: tuple[float, float]
    expected_shortfall: Estimate
    mean_from_quantile: float
    """E[L given L >= value at risk]: not coherent where there is an atom; for comparison."""


def _position(count: int, quantile: float) -> int:
    return min(count - 1, max(0, math.ceil(count * quantile - _LAST_BIT) - 1))


def checked_quantile(quantile: float, scenarios: int) -> float:
    """The quantile, if that many scenarios can say something about it.

    Raises:
        UsageError: not between 0 and 1, or fewer than `TAIL_SCENARIOS_MIN` scenarios beyond it.
    """
    if not 0 < quantile < 1:
        raise UsageError(f"quantile {quantile} is not between 0 and 1")
    if scenarios * (1 - quantile) < TAIL_SCENARIOS_MIN - _LAST_BIT:
        least = math.ceil(TAIL_SCENARIOS_MIN / (1 - quantile))
        raise UsageError(
            f"{scenarios} scenarios leave fewer than {TAIL_SCENARIOS_MIN} beyond the quantile",
            hint=f"use at least {least} scenarios, or a lower quantile",
        )
    return quantile


def tail_weights(losses: Doubles, quantile: float) -> tuple[Scenarios, Doubles]:
    """Which scenarios make up the tail, and with what weight; the weights sum to one.

    Scenarios above the quantile count in full; those on it share what is left to 1 - quantile.
    The weighted mean of anything additive over them is its Euler contribution to the shortfall.
    """
    count = losses.size
    level = value_at_risk(losses, quantile)
    above = np.flatnonzero(losses > level)
    at = np.flatnonzero(losses == level)
    mass = count * (1 - quantile)
    rest = max(0.0, mass - above.size)
    members = np.concatenate([above, at])
    weights = np.concatenate([np.ones(above.size), np.full(at.size, rest / at.size)])
    order = np.argsort(members)
    return members[order], weights[order] / weights.sum()


def value_at_risk(losses: Doubles, quantile: float) -> float:
    """The smallest loss that is not exceeded with probability `quantile`."""
    at = _position(losses.size, quantile)
    return float(np.partition(losses, at)[at])


def shortfall(losses: Doubles, quantile: float) -> float:
    """Coherent expected shortfall of equally likely losses."""
    members, weights = tail_weights(losses, quantile)
    return float(weights @ losses[members])


def influence(losses: Doubles, quantile: float) -> Doubles:
    """What each scenario adds to the shortfall: its mean is the shortfall, its spread the error.

    VaR + (L - VaR)+ / (1 - q). Differences of two worlds with common random numbers take the
    difference of their influences, scenario by scenario.
    """
    level = value_at_risk(losses, quantile)
    return level + np.maximum(losses - level, 0.0) / (1 - quantile)


def mean_estimate(values: Doubles) -> Estimate:
    """The mean and its standard error."""
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(values.size)))


def measure_tail(losses: Doubles, quantile: float) -> Tail:
    """Every tail measure of simulated losses.

    Raises:
        UsageError: see `checked_quantile`.
    """
    count = losses.size
    checked_quantile(quantile, count)
    ordered = np.sort(losses)
    level = float(ordered[_position(count, quantile)])
    spread = _Z_95 * math.sqrt(count * quantile * (1 - quantile))
    low = max(0, math.floor(count * quantile - spread) - 1)
    high = min(count - 1, math.ceil(count * quantile + spread))
    error = mean_estimate(influence(losses, quantile)).standard_error
    return Tail(
        quantile=quantile,
        scenarios=count,
        expected=mean_estimate(losses),
        value_at_risk=level,
        interval=(float(ordered[low]), float(ordered[high])),
        expected_shortfall=Estimate(shortfall(losses, quantile), error),
        mean_from_quantile=float(ordered[np.searchsorted(ordered, level) :].mean()),
    )


def discrete_tail(
    losses: Sequence[float] | Doubles, probabilities: Doubles, quantile: float
) -> tuple[float, float, float]:
    """Of a discrete distribution on increasing losses: VaR, coherent ES, E[L given L >= VaR]."""
    grid = np.asarray(losses, np.float64)
    at = int(np.searchsorted(np.cumsum(probabilities), quantile - 1e-12))
    level = float(grid[at])
    above = float(probabilities[at + 1 :].sum())
    beyond = float(probabilities[at + 1 :] @ grid[at + 1 :])
    coherent = (beyond + level * (1 - quantile - above)) / (1 - quantile)
    mass = above + float(probabilities[at])
    return level, coherent, (beyond + level * float(probabilities[at])) / mass
