"""Monotone curves through measured points, in log space, and which points contradict the others.

More work never takes less time. Measurements that say so are noise (they are averaged) or a
broken run (they are left out and named).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from math import exp
from statistics import fmean, median

import msgspec

CONTRADICTION_RATIO = 1.5
"""A larger job measured this much faster than a smaller one is a broken run, not noise: repeated
runs of one job differ by up to 1.45 in public measurements."""

Pairs = Sequence[tuple[float, float]]


class Curve(msgspec.Struct, frozen=True):
    """A rising, piecewise linear curve: constant before its first point, a stated slope after."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    slope_after: float

    def at(self, x: float) -> float:
        """The height at `x`."""
        if x <= self.xs[0]:
            return self.ys[0]
        if x >= self.xs[-1]:
            return self.ys[-1] + self.slope_after * (x - self.xs[-1])
        right = bisect_right(self.xs, x)
        left = right - 1
        part = (x - self.xs[left]) / (self.xs[right] - self.xs[left])
        return self.ys[left] + part * (self.ys[right] - self.ys[left])

    def covers(self, x: float) -> bool:
        """Whether `x` lies within the measured points."""
        return self.xs[0] <= x <= self.xs[-1]


def fit(points: Pairs, *, slope_after: float | None = None) -> Curve:
    """The rising curve with the least squared distance to the points (pool adjacent violators).

    Args:
        points: pairs of x and y, in any order; several may share an x.
        slope_after: beyond the last point; None continues as a straight line in plain space.
    """
    at_x: dict[float, list[float]] = defaultdict(list)
    for x, y in points:
        at_x[x].append(y)
    xs = sorted(at_x)
    blocks: list[tuple[float, int, int]] = []
    for x in xs:
        block = (fmean(at_x[x]), len(at_x[x]), 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, weight, count = blocks.pop()
            total = weight + block[1]
            block = (
                (mean * weight + block[0] * block[1]) / total,
                total,
                count + block[2],
            )
        blocks.append(block)
    ys = [mean for mean, _, count in blocks for _ in range(count)]
    return Curve(tuple(xs), tuple(ys), _end_slope(xs, ys) if slope_after is None else slope_after)


def _end_slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Slope in log space at the end of a straight line in plain space, at most one.

    The line runs through the last point and the last one below it: a step takes a fixed time and
    some more for every sequence, so time grows slower than work.
    """
    below = [at for at, y in enumerate(ys) if y < ys[-1]]
    if not below:
        return 0.0
    rise = 1 - exp(ys[below[-1]] - ys[-1])
    run = 1 - exp(xs[below[-1]] - xs[-1])
    return min(rise / run, 1.0) if run > 0 else 1.0


def contradicting(points: Sequence[tuple[float, float]], tolerance: float) -> set[float]:
    """The x of points that cannot be true together with the others; the fewest are named.

    Args:
        points: pairs of x and y; at one x the median counts.
        tolerance: how far y may fall from a smaller x to a larger one.
    """
    at_x: dict[float, list[float]] = defaultdict(list)
    for x, y in points:
        at_x[x].append(y)
    xs = sorted(at_x)
    ys = [median(at_x[x]) for x in xs]
    # Longest chain that never falls by more than the tolerance below what it reached. A chain is
    # known by its highest y; of two as long, the one that reached less leaves more room.
    chains: list[tuple[int, float, tuple[int, ...]]] = []
    for index, y in enumerate(ys):
        fitting = [chain for chain in chains if y >= chain[1] - tolerance]
        kept, top, members = max(fitting, key=_longest, default=(0, y, ()))
        chains.append((kept + 1, max(top, y), (*members, index)))
    best = max(chains, key=_longest, default=(0, 0.0, ()))[2]
    return {x for index, x in enumerate(xs) if index not in best}


def _longest(chain: tuple[int, float, tuple[int, ...]]) -> tuple[int, float]:
    return chain[0], -chain[1]
