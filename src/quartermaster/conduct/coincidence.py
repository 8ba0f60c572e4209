"""What two accounts have in common besides text, and how rare that is.

A value that few accounts have says much when two of them have it: its weight is the log of how rare
it is. Payments and keys are private however many accounts of a campaign share one; networks and
clients become public when many accounts have them, and then their weight is small by itself.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from quartermaster.conduct.features import FloatArray
from quartermaster.conduct.sketch import Traces

PRIVATE = ("payments", "keys")
"""Nobody's public good: one of these in common is a reason, however many accounts share it."""
PUBLIC = ("networks", "clients")
SETTINGS = ("settings",)
"""Temperature, token limit and number of answers: they add to the evidence and prove nothing."""
SHARED_MAX = 3
"""A network or client of no more accounts than this is rare in a population of any size."""
SHARED_PAIRS = 0.001
"""In a large one it is rare while 1 pair in 1,000 has it: a proxy network of a campaign, say."""
HOURS_MIN = 20
"""Requests with a time that a pattern of half-hours needs."""


class Coincidence:
    """How usual each value is among the accounts of a population.

    Args:
        traces: one an account; None where the meter saw nothing.
    """

    def __init__(self, traces: Sequence[Traces | None]) -> None:
        self._accounts = len(traces)
        self._owners = Counter(
            (kind, value)
            for one in traces
            if one is not None
            for kind in (*PRIVATE, *PUBLIC, *SETTINGS)
            for value in getattr(one, kind)
        )

    def weight(self, left: Traces | None, right: Traces | None) -> float:
        """Sum over the values in common of the log of how rare each is."""
        total = 0.0
        for kind in (*PRIVATE, *PUBLIC, *SETTINGS):
            for value in _common(left, right, kind):
                total += float(np.log(self._accounts / max(2, self._owners[kind, value])))
        return max(0.0, total)

    def reasons(self, left: Traces | None, right: Traces | None) -> Iterable[str]:
        """The values in common that few others have, in words."""
        for kind in (*PRIVATE, *PUBLIC):
            common = _common(left, right, kind)
            rare = [v for v in common if kind in PRIVATE or self._rare(self._owners[kind, v])]
            if rare:
                yield f"{len(rare)} {kind} in common"

    def _rare(self, owners: int) -> bool:
        pairs = owners * (owners - 1) / max(1, self._accounts * (self._accounts - 1))
        return owners <= SHARED_MAX or pairs <= SHARED_PAIRS


def clock(traces: Traces) -> FloatArray | None:
    """When an account is awake: two of these multiply to their correlation; None if unknown."""
    counts = traces.half_hours.astype(np.float64)
    if int(counts.sum()) < HOURS_MIN or not np.ptp(counts):
        return None
    centred = counts - counts.mean()
    return np.asarray(centred / np.sqrt(centred @ centred))


def _common(left: Traces | None, right: Traces | None, kind: str) -> set[int]:
    if left is None or right is None:
        return set()
    found: set[int] = getattr(left, kind) & getattr(right, kind)
    return found
