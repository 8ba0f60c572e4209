"""Usage events as typed columns, and back.

A row belongs to the UTC date on which its request was *opened*: price book and contract version
were chosen then, and a request that runs over midnight is not moved by how long it took.
Zero instants (a first byte that never came) are nulls. The three `segment_…` columns are the same
in all rows of a segment and cost a few bytes; they make a table checkable by itself. The columns
`upstream_…` are what the model server counted, null where that is what the row counts.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from msgspec.structs import astuple

from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime
from quartermaster.kernel.events import Closed, Opened, UsageEvent
from quartermaster.kernel.units import AXES, Counts
from quartermaster.usage.frames import Seal

US_PER_DAY = 24 * US_PER_HOUR

_INSTANT = pa.timestamp("us", "UTC")
_TEXT = pa.string()
_INTEGER = pa.int64()

_FIELDS: tuple[tuple[str, pa.DataType], ...] = (
    # Delta keeps ranges for the first 32 columns: those that files are found by come first.
    ("event_date", pa.date32()),
    ("app_id", _TEXT),
    ("segment", _INTEGER),
    ("sequence", _INTEGER),
    ("request_id", _TEXT),
    ("attempt", _INTEGER),
    ("opened_at", _INSTANT),
    ("closed_at", _INSTANT),
    ("first_byte_at", _INSTANT),
    ("customer", _TEXT),
    ("project", _TEXT),
    ("key_id", _TEXT),
    ("contract", _TEXT),
    ("contract_version", _INTEGER),
    ("price_book", _TEXT),
    ("price_book_version", _INTEGER),
    ("model", _TEXT),
    ("deployment", _TEXT),
    ("endpoint", _TEXT),
    ("service_class", _TEXT),
    ("stream", pa.bool_()),
    ("cancelled_stream", _TEXT),
    ("input_bytes", _INTEGER),
    *((axis, _INTEGER) for axis in AXES),
    ("status", _TEXT),
    ("http_status", _INTEGER),
    ("count_source", _TEXT),
    ("finish_reason", _TEXT),
    ("upstream_id", _TEXT),
    ("upstream_usage", pa.binary()),
    ("delivered_chunks", _INTEGER),
    ("failure", _TEXT),
    ("event_hash", _TEXT),
    ("segment_rows", _INTEGER),
    ("segment_sha256", _TEXT),
    ("segment_previous_sha256", _TEXT),
    # Columns that came later stand at the end; in older files they are missing.
    ("cost_only", pa.bool_()),
    *((f"upstream_{axis}", _INTEGER) for axis in AXES),
)

SCHEMA = pa.schema(_FIELDS)
QUARANTINE_SCHEMA = SCHEMA.append(pa.field("reason", _TEXT))

_NOT_TOLD = (None,) * len(AXES)
_INSTANTS = ("opened_at", "closed_at", "first_byte_at")


def _row(event: UsageEvent, seal: Seal) -> tuple[Any, ...]:
    opened, closed = event.opened, event.closed
    return (
        opened.opened_at // US_PER_DAY,
        event.app_id,
        event.segment,
        event.sequence,
        opened.request_id,
        opened.attempt,
        opened.opened_at,
        closed.closed_at,
        closed.first_byte_at or None,
        *astuple(opened)[3:],
        *astuple(closed.counts),
        event.status,
        closed.http_status,
        closed.count_source,
        closed.finish_reason,
        closed.upstream_id,
        closed.upstream_usage,
        closed.delivered_chunks,
        closed.failure,
        event.event_hash,
        seal.rows,
        seal.sha256,
        seal.previous_sha256,
        closed.cost_only,
        *(_NOT_TOLD if closed.upstream_counts is None else astuple(closed.upstream_counts)),
    )


def to_table(events: Sequence[UsageEvent], seal: Seal) -> pa.Table:
    """Events of one sealed segment as an Arrow table with `SCHEMA`."""
    if not events:
        return SCHEMA.empty_table()
    columns = zip(*(_row(event, seal) for event in events), strict=True)
    arrays = []
    for (_, kind), values in zip(_FIELDS, columns, strict=True):
        if pa.types.is_date(kind):
            arrays.append(pa.array(values, pa.int32()).cast(kind))
        else:
            arrays.append(pa.array(values, kind))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def partitions(events: Sequence[UsageEvent]) -> list[str]:
    """Names of the partition folders that these events go to."""
    days = {event.opened.opened_at // US_PER_DAY for event in events}
    return [f"event_date={as_datetime(Instant(day * US_PER_DAY)):%Y-%m-%d}" for day in sorted(days)]


def to_events(table: pa.Table) -> list[UsageEvent]:
    """The events of rows that were read from the table's files."""
    for name in _INSTANTS:
        column = table[name].cast(pa.int64()).fill_null(0)
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return [_event(row) for row in table.to_pylist()]


def _event(row: dict[str, Any]) -> UsageEvent:
    counts = Counts(*(row[axis] for axis in AXES))
    opened = Opened(*(row[name] for name in Opened.__struct_fields__))
    fields = {
        **row,
        "counts": counts,
        "cost_only": bool(row.get("cost_only")),
        "upstream_counts": _upstream_counts(row),
    }
    closed = Closed(*(fields[name] for name in Closed.__struct_fields__))
    return UsageEvent(
        row["app_id"],
        row["segment"],
        row["sequence"],
        row["status"],
        opened,
        closed,
        row["event_hash"],
    )


def _upstream_counts(row: dict[str, Any]) -> Counts | None:
    told = [count for axis in AXES if (count := row.get(f"upstream_{axis}")) is not None]
    return Counts(*told) if len(told) == len(AXES) else None
