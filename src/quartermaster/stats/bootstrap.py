"""How sure is a measured rate, when neighbouring windows overlap and stand or fall together?

Circular block bootstrap (Politis and Romano, 1992): blocks of neighbours are drawn with
replacement, so that what holds neighbours together is kept.

Assumes: a stationary sequence whose dependence dies out within a few blocks.
Where every window agrees, resampling says nothing: the interval is then the exact binomial one of
as many windows as there are blocks (Clopper and Pearson, 1934).

Guarantee: asymptotic only. Simulated, its 90 % intervals cover 82 to 90 % at the sizes met here (60
to 1,200 windows); blocks of one, which ignore the dependence, cover far less.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from quartermaster.kernel.errors import UsageError

DRAWS = 1_000
"""Ends of a 90 % interval are then its 50th and 950th draw: steady to a tenth of its width."""
LEVEL = 0.9


class Rate(NamedTuple):
    """A measured rate with its bootstrap interval."""

    hits: int
    windows: int
    low: float
    high: float
    block: int
    seed: int

    @property
    def rate(self) -> float:
        """Hits over windows."""
        return self.hits / self.windows


def block_rate(
    windows: Sequence[tuple[int, int]],
    *,
    block: int,
    seed: int,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> Rate:
    """The rate of hits over windows, and the interval that blocks of windows give it.

    Args:
        windows: hits and count at each time, oldest first; series of one time belong together.
        block: neighbours drawn together, at least as many as overlap; cut to half of the windows,
            because longer blocks can hardly differ from each other.
        seed: of the draws; the same seed gives the same interval.
        level: of the interval.
        draws: bootstrap samples.

    Raises:
        UsageError: no windows, or none that counts anything.
    """
    hits, count = sum(hit for hit, _ in windows), sum(n for _, n in windows)
    if count <= 0:
        raise UsageError("a rate needs at least one window")
    n = len(windows)
    length = max(1, min(block, (n + 1) // 2))
    ring = [*windows, *windows[: length - 1]]
    blocks = [_added(ring[at : at + length]) for at in range(n)]
    draw = random.Random(seed)  # noqa: S311 - replayable draws, not a secret
    rates = []
    for _ in range(draws):
        found, counted = _added(draw.choices(blocks, k=-(-n // length)))
        rates.append(found / counted if counted else hits / count)
    rates.sort()
    tail = (1 - level) / 2
    low = rates[int(tail * draws)]
    high = rates[min(draws - 1, int((1 - tail) * draws))]
    reach = tail ** (1 / -(-n // length))
    if hits == count:
        low = min(low, reach)
    elif hits == 0:
        high = max(high, 1 - reach)
    return Rate(hits, count, low, high, length, seed)


def _added(windows: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(hit for hit, _ in windows), sum(n for _, n in windows)
