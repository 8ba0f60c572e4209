"""The interval of a ratio of sums over months that hang together, from a dozen of them or more.

A ratio R = sum of parts / sum of wholes has errors part - R * whole. Were they independent, R plus
or minus Student's t times their standard error would do. Where neighbours correlate by r, a mean of
n of them is sqrt((1 + r) / (1 - r)) as unsure, and r has to be guessed from the same few months,
which a dozen do badly: correcting with the guess covers too little where r is large.

Method: studentise, and read the critical value off the measured lag-one correlation of the errors,
from a curve exp(a + b r + c r**2) that was fitted once by simulation so that the interval covers
the same whatever the true correlation. It plays the part of Student's t table, with the correlation
as second entry: the wide interval at a high measured correlation pays for those windows whose
correlation looked low by luck. Months of uneven wholes w count as (sum w**1.5)**2 / sum w**3 even
ones. `bench/share_interval.py` fits the curve again.

Assumes: errors are a piece of a stationary sequence whose correlation falls off geometrically
(an AR(1)) with a coefficient between 0 and 0.7, near to normal; wholes may grow.
Guarantee: none exact. Simulated with 12 to 90 months that grow by 4 % each and coefficients from 0
to 0.7, an 80 % interval covers 77 to 83 %; it covers more where neighbours correlate negatively and
less beyond 0.7 (12 months at 0.8: 76 %, at 0.9: 71 %), where a dozen months look like a level of
their own.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from quartermaster.kernel.errors import UsageError

LEVEL = 0.8
"""Of ten intervals two may miss; a stricter level from a dozen months would promise too much."""

MONTHS_MIN = 12
"""From fewer, no curve covers alike for all correlations."""

_CURVES = (
    (12, (0.421, 2.096, 2.613)),
    (14, (0.372, 1.730, 2.165)),
    (18, (0.330, 1.391, 1.621)),
    (24, (0.303, 1.151, 1.295)),
    (36, (0.288, 0.986, 1.002)),
    (60, (0.275, 0.939, 0.738)),
    (120, (0.268, 0.860, 0.654)),
)
# Months, and a, b, c of the logarithm of the critical value; between them straight in 1 / months.


def ratio_interval(months: Sequence[tuple[int, int]]) -> tuple[float, float] | None:
    """The 80 % interval of sum(part) / sum(whole); None from fewer than `MONTHS_MIN` months.

    Args:
        months: part and whole of each month, oldest first.

    Raises:
        UsageError: the wholes do not sum to something positive.
    """
    part, whole = sum(one for one, _ in months), sum(one for _, one in months)
    if whole <= 0:
        raise UsageError("a ratio needs a positive whole")
    n, ratio, sizes = len(months), part / whole, [max(0, of) / whole for _, of in months]
    if n < MONTHS_MIN:
        return None
    # Errors weigh as the wholes, the squares in their correlation as those squared: the power is
    # between, and covers alike in simulation where 1 covers too little and 2 too much.
    even = sum(of**1.5 for of in sizes) ** 2 / sum(of**3 for of in sizes)
    # Exact until here: what is left over where the ratio never moves is nought and not rounding.
    errors = [(one * whole - part * of) / whole for one, of in months]
    squares = sum(error * error for error in errors)
    if not squares:
        return ratio, ratio
    correlation = sum(a * b for a, b in pairwise(errors)) / squares
    standard = math.sqrt(n / (n - 1) * squares) / whole
    reach = critical_value(even, correlation) * standard
    return ratio - reach, ratio + reach


def critical_value(months: float, correlation: float) -> float:
    """Standard errors of independent months that the interval reaches to either side.

    Args:
        months: of even size; fewer or more than the curves go to count as their ends.
        correlation: between neighbouring errors, as measured.
    """
    a, b, c = _curve(months)
    return math.exp(a + b * correlation + c * correlation**2)


def _curve(months: float) -> tuple[float, float, float]:
    for (fewer, low), (more, high) in pairwise(_CURVES):
        if months <= more:
            part = (1 / fewer - 1 / max(months, fewer)) / (1 / fewer - 1 / more)
            a, b, c = (x + part * (y - x) for x, y in zip(low, high, strict=True))
            return a, b, c
    return _CURVES[-1][1]
