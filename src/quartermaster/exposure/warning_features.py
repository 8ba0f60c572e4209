"""What usage says about a tenant at an origin: trailing windows only, nothing after it.

An origin is a week number; weeks before it are known. A tenant is eligible where it was active in
at least two of the thirteen weeks before: otherwise there is no usage to lose. The event is that
the thirteen weeks after the origin hold less than half of the thirteen before.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.exposure.panel import DAYS_A_WEEK, Panel
from quartermaster.kernel.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

WINDOW = 13
"""Weeks of the trailing window and of the horizon: a quarter, as revenue is reported."""
DROP = 0.5
"""The event: less than half remains."""
ACTIVE_WEEKS_MIN = 2
"""Tenants with one active week in thirteen are visitors; nothing can be said of their trend."""
CUSHION = 0.1
"""Share of the trailing mean added to both sides of a ratio, so that zero has a logarithm."""
TENURE_WEEKS_MAX = 52
"""After a year a tenant is old; further years say no more."""

NAMES = (
    "ratio_1",
    "ratio_2",
    "ratio_4",
    "before_13",
    "year",
    "always",
    "idle_days",
    "even_weeks",
    "peak_week",
    "unsteady",
    "active_weeks",
    "tenure",
)
BASELINE = (0, 2, 3, 6, 7, 8, 9, 10, 11)
"""Columns of the plain logistic baseline; the tenth, the size, is added by it."""

PAIRED = tuple(
    NAMES.index(name) for name in NAMES if name not in ("before_13", "year", "always", "tenure")
)
"""Columns that may act in pairs: what the trailing weeks look like. The four that reach further
back move with the age of a young panel, and products of them were miscalibrated on CDNOW."""


class Observations(NamedTuple):
    """Rows of eligible tenants at origins; outcomes are NaN where the future is not there."""

    origins: IntArray
    tenants: IntArray
    features: FloatArray
    sizes: FloatArray
    """Usage of the trailing thirteen weeks."""
    events: FloatArray
    losses: FloatArray
    """How much less the next thirteen weeks held, not below zero."""

    def rows(self, chosen: npt.NDArray[np.bool_]) -> "Observations":
        """The chosen rows."""
        return Observations(
            self.origins[chosen],
            self.tenants[chosen],
            self.features[chosen],
            self.sizes[chosen],
            self.events[chosen],
            self.losses[chosen],
        )


def stacked(parts: Sequence[Observations]) -> Observations:
    """Several sets of rows as one."""
    return Observations(
        np.concatenate([part.origins for part in parts]),
        np.concatenate([part.tenants for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.events for part in parts]),
        np.concatenate([part.losses for part in parts]),
    )


class Weeks(NamedTuple):
    """A panel by week, computed once."""

    days: FloatArray
    totals: FloatArray
    begun: IntArray
    """Week of the first use."""


def weeks_of(panel: Panel) -> Weeks:
    """The panel by week.

    Raises:
        DataError: not one whole week.
    """
    if not panel.weeks:
        raise DataError(
            "the usage covers less than one whole week",
            hint="give half a year of it, or more",
        )
    days = panel.by_week()
    totals = days.sum(axis=2)
    begun = np.where((totals > 0).any(axis=1), np.argmax(totals > 0, axis=1), totals.shape[1])
    return Weeks(days, totals, begun)


def observe(weeks: Weeks, origins: list[int]) -> Observations:
    """All eligible tenants at all origins, oldest origin first."""
    return stacked([_observe_at(weeks, origin) for origin in origins])


def eligible(weeks: Weeks, origin: int) -> IntArray:
    """Places of the tenants of which something can be said."""
    active = (weeks.totals[:, origin - WINDOW : origin] > 0).sum(axis=1)
    return np.flatnonzero(active >= ACTIVE_WEEKS_MIN)


def _observe_at(weeks: Weeks, origin: int) -> Observations:
    rows = eligible(weeks, origin)
    trailing = weeks.totals[rows, origin - WINDOW : origin].sum(axis=1)
    if origin + WINDOW <= weeks.totals.shape[1]:
        ahead = weeks.totals[rows, origin : origin + WINDOW].sum(axis=1)
        events, losses = (ahead < DROP * trailing) * 1.0, np.maximum(trailing - ahead, 0.0)
    else:
        events = losses = np.full(len(rows), np.nan)
    return Observations(
        np.full(len(rows), origin), rows, features(weeks, origin, rows), trailing, events, losses
    )


def features(weeks: Weeks, origin: int, rows: IntArray) -> FloatArray:
    """Features in the order of `NAMES`, one row for each of `rows`."""
    known = weeks.totals[rows, :origin]
    trailing = known[:, -WINDOW:]
    mean = trailing.mean(axis=1)
    shares = trailing / trailing.sum(axis=1, keepdims=True)
    tenure = np.minimum(origin - weeks.begun[rows], origin)
    days = weeks.days[rows, origin - WINDOW : origin].reshape(len(rows), WINDOW * DAYS_A_WEEK)
    idle = np.argmax((days > 0)[:, ::-1], axis=1)
    year = known[:, -52:]

    def ratio(level: FloatArray) -> FloatArray:
        return np.asarray(np.log((level + CUSHION * mean) / ((1 + CUSHION) * mean)))

    before = known[:, -2 * WINDOW : -WINDOW]
    return np.column_stack(
        [
            ratio(known[:, -1]),
            ratio(known[:, -2:].mean(axis=1)),
            ratio(known[:, -4:].mean(axis=1)),
            ratio(before.mean(axis=1)) if origin >= 2 * WINDOW else np.zeros(len(rows)),
            ratio(year.sum(axis=1) / np.clip(tenure, WINDOW, 52)),
            ratio(known.sum(axis=1) / np.maximum(tenure, WINDOW)),
            np.log1p(idle),
            -np.log((shares**2).sum(axis=1)),
            shares.max(axis=1),
            np.log1p(trailing / mean[:, None]).std(axis=1),
            (year > 0).sum(axis=1) / np.clip(tenure, WINDOW, 52),
            np.log1p(np.minimum(tenure, TENURE_WEEKS_MAX)),
        ]
    )
