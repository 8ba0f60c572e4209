"""How far forecasts were off becomes how far the next may be off, with its coverage replayed.

A score is how far one forecast was off, in parts of its size. The bound for the next score is an
order statistic of the scores known so far, and the share of misses that it aims at is adapted by
how often past bounds missed (Gibbs and Candes, 2021).

Assumes: scores in the order of their origins, oldest first. A score of horizon h is known h origins
later (`delay`); nothing is used before it is known.
Guarantee: with exchangeable scores the chance of a miss is the one asked for at `delay` 1, averaged
over worlds, and less than that at longer ones. For any scores at all, known at once (`delay` 1),
the share of misses among n bounds is within (1 + `STEP`) / (`STEP` * n) of the one asked for, as
long as the aim stays off its ends.
"""

from collections.abc import Sequence
from typing import NamedTuple

from quartermaster.kernel.errors import UsageError

WINDOWS_MIN = 10
"""Bounds from fewer scores than this are the noise of one or two windows: with three, an 80 %
interval covered 63 to 66 %."""
STEP = 0.05
"""How far one bound's hit or miss moves the aim; larger follows faster and swings wider."""
STEP_OVERLAPPING = 0.15
"""The same over all scores that wait to be known: overlapping windows miss together, and each
would move the aim for the same surprise."""
OVERLAP_POWER = 0.5
"""Scores of overlapping windows say the same twice, so that few of them put their own quantile
too low. The place among n of them is taken as if the square root of the delay were to come and not
one. Simulated on series of two years, forecasts four months ahead so hold 79 %; with the power 0
they held 74 %, with 1 they hold 87 %. From three years on it hardly matters."""
AIM_MIN = 0.01
"""The aim stays off 0 and 1, where no finite number of scores has an order statistic."""
NAIVE_WINDOWS = 3
"""What common tools calibrate on unless told; shown beside ours, never used."""


class Bound(NamedTuple):
    """The bound for the next score, and how the bounds before it did."""

    upper: float | None
    """None with fewer than `WINDOWS_MIN` known scores."""
    past: tuple[float, ...]
    """The bounds that were given for past scores, oldest first."""
    hits: tuple[bool, ...]
    """Whether each of those scores lay under its bound."""
    first: int
    """Which score the first of `past` belongs to."""


def upper_bound(scores: Sequence[float], *, miss: float, delay: int) -> Bound:
    """A bound that the next score exceeds with the chance `miss`.

    Give absolute scores for an interval around a forecast, or scores with their sign turned for a
    bound from below.

    Args:
        scores: one an origin, oldest first. The next forecast comes `delay` origins after the last.
        miss: chance that the next score lies above.
        delay: origins until a score is known, at least 1.

    Raises:
        UsageError: a chance outside 0 to 1, or a delay under 1.
    """
    if not 0 < miss < 1 or delay < 1:
        raise UsageError("a bound needs a chance of a miss between 0 and 1, and a delay")
    aim, given, hits = miss, list[float](), list[bool]()
    room = delay**OVERLAP_POWER
    step = min(STEP, STEP_OVERLAPPING / delay)
    first = WINDOWS_MIN + delay - 1
    for at in range(first, len(scores)):
        given.append(order_statistic(scores[: at - delay + 1], 1 - aim, room=room))
        hits.append(scores[at] <= given[-1])
        if len(hits) >= delay:
            aim += step * (miss - (0.0 if hits[-delay] else 1.0))
            aim = min(max(aim, AIM_MIN), 1 - AIM_MIN)
    upper = order_statistic(scores, 1 - aim, room=room) if len(scores) >= WINDOWS_MIN else None
    return Bound(upper, tuple(given), tuple(hits), first)


def order_statistic(scores: Sequence[float], level: float, *, room: float = 1.0) -> float:
    """The value under which a further exchangeable score lies with the chance `level`.

    The level * (n + room)-th smallest, between two neighbours on a straight line; the smallest or
    largest where n scores cannot say more.

    Args:
        scores: in any order.
        level: of the chance.
        room: 1 for the one that is to come; more where the scores say the same thing twice.

    Raises:
        UsageError: no scores.
    """
    if not scores:
        raise UsageError("there is no order statistic of nothing")
    ordered = sorted(scores)
    position = min(max(level * (len(ordered) + room), 1.0), float(len(ordered)))
    below = int(position)
    above = min(below + 1, len(ordered))
    part = position - below
    return ordered[below - 1] * (1 - part) + ordered[above - 1] * part


def naive_bound(scores: Sequence[float], *, miss: float) -> float:
    """What common tools do: the sample quantile of the last three scores. To compare with.

    Three exchangeable scores put their interpolated 80 % quantile over a further one with a
    chance of 65 %, not 80 %.

    Raises:
        UsageError: no scores.
    """
    if not scores:
        raise UsageError("there is no quantile of nothing")
    ordered = sorted(scores[-NAIVE_WINDOWS:])
    position = (1 - miss) * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
