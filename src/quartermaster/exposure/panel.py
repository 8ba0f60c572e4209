"""A usage panel: what each tenant used on each day, as one dense table.

The unit is whatever the file counts (tokens, CPU hours, money); everything computed from a panel is
free of it. Weeks are counted back from the last day, so that the newest week is always whole.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.kernel.errors import DataError

FloatArray = npt.NDArray[np.float64]

DAYS_A_WEEK = 7
PANEL_CELLS_MAX = 50_000_000
"""Tenants times days: 400 MB as numbers, or 25,000 tenants for five years."""
PANEL_DAYS_MAX = 14_610
"""Forty years, longer than any log of use; a mistyped year makes centuries of empty days."""


class Use(NamedTuple):
    """One tenant's use on one day; several of one day add up."""

    tenant: str
    day: date
    amount: float


class Panel(NamedTuple):
    """Tenants in order of name; `daily` is tenants x days, from `first_day` on."""

    tenants: tuple[str, ...]
    first_day: date
    daily: FloatArray

    @property
    def last_day(self) -> date:
        """The newest day."""
        return self.first_day + timedelta(days=self.daily.shape[1] - 1)

    @property
    def weeks(self) -> int:
        """Whole weeks."""
        return int(self.daily.shape[1] // DAYS_A_WEEK)

    def by_week(self) -> FloatArray:
        """Tenants x weeks x seven days; the oldest days that make no whole week are left out."""
        tenants, days = self.daily.shape
        whole = self.daily[:, days % DAYS_A_WEEK :]
        return whole.reshape(tenants, days // DAYS_A_WEEK, DAYS_A_WEEK)


def make_panel(uses: Iterable[Use], name: str) -> Panel:
    """A panel of single uses.

    Raises:
        DataError: no use at all, more days than `PANEL_DAYS_MAX`, or tenants times days above
            `PANEL_CELLS_MAX`.
    """
    totals: dict[tuple[str, int], float] = {}
    for tenant, day, amount in uses:
        key = (tenant, day.toordinal())
        totals[key] = totals.get(key, 0.0) + amount
    if not totals:
        raise DataError(f"{name} holds no usage", hint="give a row for each tenant and day of use")
    tenants = tuple(sorted({tenant for tenant, _ in totals}))
    first = min(day for _, day in totals)
    last = max(day for _, day in totals)
    days = last - first + 1
    if days > PANEL_DAYS_MAX:
        raise DataError(
            f"{name}: from {date.fromordinal(first)} to {date.fromordinal(last)} are more than"
            f" {PANEL_DAYS_MAX} days",
            hint="look for a mistyped year",
        )
    if len(tenants) * days > PANEL_CELLS_MAX:
        raise DataError(
            f"{name}: {len(tenants)} tenants for {days} days are more than {PANEL_CELLS_MAX} cells",
            hint="leave out tenants or years; a wrong year in one date does this too",
        )
    row = {tenant: at for at, tenant in enumerate(tenants)}
    daily = np.zeros((len(tenants), days))
    for (tenant, ordinal), amount in totals.items():
        daily[row[tenant], ordinal - first] = amount
    return Panel(tenants, date.fromordinal(first), daily)
