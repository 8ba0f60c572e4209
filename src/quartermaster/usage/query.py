"""Questions to the usage table: the hourly rollup that rating reads, and single requests.

Only integers are summed here; prices are applied in Python, exactly, by billing.
"""

from typing import Any

import ibis
import pyarrow.compute as pc
from ibis import _

from quartermaster.kernel.clock import US_PER_HOUR, US_PER_S, Instant, Period, as_datetime
from quartermaster.kernel.events import Cut, HourlyUsage, UsageEvent
from quartermaster.kernel.units import AXES, Counts, ServiceClass
from quartermaster.usage import columns, engine
from quartermaster.usage.delta import read
from quartermaster.usage.policy import WAIVED_FAILURES, WAIVING_POLICY
from quartermaster.usage.table import UsageTable

S_PER_HOUR = US_PER_HOUR // US_PER_S
BATCH: ServiceClass = "batch"

_KEYS = (
    "customer",
    "contract",
    "contract_version",
    "price_book",
    "project",
    "key_id",
    "model",
    "deployment",
    "service_class",
    "hour",
)

LOG_INSTANT_STEP_US = 1_000
"""Delta's log keeps instants in whole milliseconds, rounded down.
Source: the Delta protocol, Per-file Statistics."""

# A sum of 64-bit counts does not fit 64 bits; 38 digits hold any number of any of them.
SUM_TYPE = "decimal(38, 0)"


def hourly(
    table: UsageTable, cut: Cut, *, customer: str | None = None, period: Period | None = None
) -> list[HourlyUsage]:
    """Billable counts by hour of opening, in a fixed order; the same cut gives the same rows.

    Args:
        table: the usage table.
        cut: which rows count.
        customer: only this customer's.
        period: only hours that begin in it. Periods begin and end on full UTC hours, except in
            zones with a half-hour offset; a request then counts by its instant, not its hour.

    Returns:
        One row a combination of keys that has a request, also where nothing of it is billable.
    """
    files = table.files()
    if not files or not cut:
        return []
    every = engine.served(engine.scan(files)).filter(engine.at_cut(cut))
    if customer is not None:
        every = every.filter(_.customer == customer)
    rows = every if period is None else every.filter(within(period))
    return [_hourly(row) for row in engine.rows_of(_rollup(settled(rows, every)))]


def settled(rows: Any, every: Any) -> Any:  # noqa: ANN401 - Ibis is not typed
    """Rows without the attempts at a batch's line that a later one took the place of.

    A line whose answer was lost with its runner is sent again, and the model server works twice;
    the customer has one answer and pays for the last attempt alone.

    Args:
        rows: the rows of a question.
        every: the same without its bounds of time: the later attempt may lie behind them.
    """
    again = every.filter((_.service_class == BATCH) & (_.attempt > 1))
    if not engine.rows_of(again.select("attempt").limit(1)):
        return rows
    last = again.group_by("request_id").aggregate(last_attempt=_.attempt.max())
    lines = rows.filter(_.service_class == BATCH).left_join(last, "request_id")
    lines = lines.filter(_.last_attempt.isnull() | (_.attempt >= _.last_attempt))
    others = rows.filter(_.service_class != BATCH)
    return others.union(lines.select(*others.columns))


def owed(rows: Any) -> Any:  # noqa: ANN401 - Ibis is not typed
    """Rows with the counts that are billed: what the contract waives is zero."""
    waived = (_.cancelled_stream == WAIVING_POLICY) & _.failure.isin(WAIVED_FAILURES)
    return rows.mutate(**{axis: waived.ifelse(0, _[axis]).cast(SUM_TYPE) for axis in AXES})


def within(period: Period) -> Any:  # noqa: ANN401 - Ibis is not typed
    """Rows opened in the period; the dates let whole partitions be skipped."""
    first, last = as_datetime(Instant(period.start)), as_datetime(Instant(period.end))
    return (
        (_.event_date >= ibis.literal(first.date()))
        & (_.event_date <= ibis.literal(last.date()))
        & (_.opened_at >= ibis.literal(first))
        & (_.opened_at < ibis.literal(last))
    )


def hourly_of_segments(
    table: UsageTable, after: Cut, upto: Cut
) -> list[tuple[str, int, HourlyUsage]]:
    """Billable counts of what was shipped between two cuts, by worker, segment and hour.

    Attempts that a later one took the place of are not looked for: they count as spent.

    Args:
        table: the usage table.
        after: segments up to these are left out.
        upto: segments up to these are taken.
    """
    news = {app: last for app, last in upto.items() if last > after.get(app, 0)}
    files = {
        name
        for app, last in news.items()
        for name in table.rows.files_holding("segment", after.get(app, 0) + 1, last)
    }
    if not files:
        return []
    rows = engine.served(engine.scan(sorted(files))).filter(engine.at_cut(news))
    old = {app: last for app, last in after.items() if app in news}
    found = engine.rows_of(_rollup(rows.filter(~engine.at_cut(old)), ("app_id", "segment")))
    return [(row["app_id"], row["segment"], _hourly(row)) for row in found]


def _rollup(rows: Any, beside: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - Ibis is not typed
    """The expression of the rollup; runs on any engine that Ibis speaks.

    Hours are made of epoch seconds: truncating a timestamp would depend on the session's zone.
    """
    hour = (_.opened_at.epoch_seconds() // S_PER_HOUR).cast("int64") * US_PER_HOUR
    return (
        owed(rows.mutate(hour=hour))
        .group_by([*beside, *_KEYS])
        .aggregate(requests=_.count(), **{axis: _[axis].sum() for axis in AXES})
        .order_by([*beside, *_KEYS])
    )


def _hourly(row: dict[str, Any]) -> HourlyUsage:
    return HourlyUsage(
        **{key: row[key] for key in _KEYS},
        requests=row["requests"],
        counts=Counts(*(int(row[axis]) for axis in AXES)),
    )


def usage_rows(table: UsageTable, *, request_id: str) -> list[UsageEvent]:
    """The rows of one request: one for each attempt, none if it is not shipped yet."""
    files = table.rows.files_holding("request_id", request_id, request_id)
    found = read(files, None, pc.field("request_id") == request_id)
    if found is None:
        return []
    return sorted(columns.to_events(found), key=lambda event: event.opened.attempt)


def recent_events(
    table: UsageTable, cut: Cut, *, limit: int, failures: tuple[str, ...] = ()
) -> list[UsageEvent]:
    """The last requests opened, newest first.

    Files are read from the newest back until none that is left can hold a newer row.

    Args:
        table: the usage table.
        cut: which rows count.
        limit: how many.
        failures: only requests that ended with one of these; any when empty.
    """
    if not table.rows.exists():
        return []
    where = _at_cut(cut)
    if failures:
        where &= pc.field("failure").isin(failures)
    log = table.rows.log()
    log = log.take(pc.sort_indices(log, sort_keys=[("max.opened_at", "descending")]))
    found: list[UsageEvent] = []
    for at in range(log.num_rows):
        newest = log["max.opened_at"][at].cast("int64").as_py()
        full = len(found) >= limit and newest is not None
        if full and newest + LOG_INSTANT_STEP_US <= found[-1].opened.opened_at:
            break
        rows = read(table.rows.files(log.slice(at, 1)), None, where)
        assert rows is not None
        newest_first = [("opened_at", "descending"), ("request_id", "descending")]
        latest = pc.sort_indices(rows, sort_keys=newest_first)[:limit]
        found += columns.to_events(rows.take(latest))
        found.sort(key=lambda event: (event.opened.opened_at, event.opened.request_id))
        found = found[::-1][:limit]
    return found


def _at_cut(cut: Cut) -> pc.Expression:
    where = pc.scalar(False)
    for app_id, last in cut.items():
        where = where | ((pc.field("app_id") == app_id) & (pc.field("segment") <= last))
    return where
