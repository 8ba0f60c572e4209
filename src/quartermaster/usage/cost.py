"""What was asked of each deployment, hour by hour: every attempt, whoever pays for it.

Revenue reads the attempts that served a request (`query.hourly`); the seller pays for all of them,
and for what a model server made after its customer had hung up.
"""

from typing import Any

import ibis
import msgspec
from ibis import _

from quartermaster.kernel.clock import US_PER_HOUR, Period
from quartermaster.kernel.events import Cut
from quartermaster.kernel.units import AXES, Counts, ServiceClass
from quartermaster.usage import engine
from quartermaster.usage.query import S_PER_HOUR, SUM_TYPE, within
from quartermaster.usage.table import UsageTable

_KEYS = ("deployment", "model", "service_class", "hour")


class HourlyCost(msgspec.Struct, frozen=True, order=True):
    """Quantities that a deployment counted in one hour of opening; `hour` is microseconds UTC."""

    deployment: str
    model: str
    service_class: ServiceClass
    hour: int
    attempts: int
    cost_only: int
    """Attempts of these that another one took the place of."""
    counts: Counts


def hourly_cost(table: UsageTable, cut: Cut, *, period: Period | None = None) -> list[HourlyCost]:
    """Upstream quantities at a cut, in a fixed order; the same cut gives the same rows.

    Args:
        table: the usage table.
        cut: which rows count.
        period: only hours that begin in it.
    """
    files = table.files()
    if not files or not cut:
        return []
    rows = engine.scan(files).filter(engine.at_cut(cut))
    if period is not None:
        rows = rows.filter(within(period))
    return [_row(row) for row in engine.rows_of(_rollup(rows))]


def _rollup(rows: Any) -> Any:  # noqa: ANN401 - Ibis is not typed
    hour = (_.opened_at.epoch_seconds() // S_PER_HOUR).cast("int64") * US_PER_HOUR
    counted = {axis: _counted(rows, axis).cast(SUM_TYPE) for axis in AXES}
    # Files of an older version knew one attempt only, and no count but the row's.
    known = "cost_only" in rows.columns
    alone = _.cost_only.fill_null(False) if known else ibis.literal(False)
    return (
        rows.mutate(hour=hour, alone=alone)
        .mutate(**counted)
        .group_by(list(_KEYS))
        .aggregate(
            attempts=_.count(),
            cost_only=_.alone.sum(),
            **{axis: _[axis].sum() for axis in AXES},
        )
        .order_by(list(_KEYS))
    )


def _counted(rows: Any, axis: str) -> Any:  # noqa: ANN401 - Ibis is not typed
    """What the model server counted, which most often is what the row counts."""
    told = f"upstream_{axis}"
    return ibis.coalesce(_[told], _[axis]) if told in rows.columns else _[axis]


def _row(row: dict[str, Any]) -> HourlyCost:
    counts = Counts(*(int(row[axis]) for axis in AXES))
    keys = {key: row[key] for key in _KEYS}
    return HourlyCost(
        **keys, attempts=row["attempts"], cost_only=int(row["cost_only"]), counts=counts
    )
