"""Daily use by customer, project and model: what early warning looks at.

Days are UTC days of opening. Tokens of every axis are added up; only integers are summed here.
"""

import operator
from datetime import date
from functools import reduce
from typing import NamedTuple

import ibis
from ibis import _

from quartermaster.kernel.events import Cut
from quartermaster.kernel.units import AXES
from quartermaster.usage import engine
from quartermaster.usage.query import settled
from quartermaster.usage.table import UsageTable

_KEYS = ("customer", "project", "model", "event_date")
# A sum of 64-bit counts does not fit 64 bits; 38 digits hold any number of any of them.
_SUM_TYPE = "decimal(38, 0)"
_NOT_TOKENS = frozenset({"image"})


class DailyUse(NamedTuple):
    """What one project of a customer used of one model on one day."""

    customer: str
    project: str
    model: str
    day: date
    requests: int
    tokens: int


def daily(table: UsageTable, cut: Cut, *, first: date, last: date) -> list[DailyUse]:
    """Tokens by day, both days included, in a fixed order; a day without use has no row."""
    files = table.files()
    if not files or not cut:
        return []
    every = engine.served(engine.scan(files)).filter(engine.at_cut(cut))
    days = (_.event_date >= ibis.literal(first)) & (_.event_date <= ibis.literal(last))
    rows = settled(every.filter(days), every)
    tokens = reduce(
        operator.add, (_[axis].cast(_SUM_TYPE) for axis in AXES if axis not in _NOT_TOKENS)
    )
    found = (
        rows.mutate(tokens=tokens)
        .group_by(list(_KEYS))
        .aggregate(requests=_.count(), tokens=_.tokens.sum())
        .order_by(list(_KEYS))
    )
    return [
        DailyUse(
            row["customer"],
            row["project"],
            row["model"],
            row["event_date"],
            int(row["requests"]),
            int(row["tokens"]),
        )
        for row in engine.rows_of(found)
    ]
