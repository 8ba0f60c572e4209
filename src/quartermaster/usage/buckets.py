"""A customer's usage in buckets of a minute, an hour or a day: what its own usage API shows.

Requests count by the instant at which they were opened, as in the hourly rollup, and what is owed
for them is the same: what the contract waives is zero, and of a batch's line only the last attempt
is there. Only integers are summed here.
"""

import re
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import ibis
from ibis import _

from quartermaster.kernel.clock import US_PER_S, Instant, as_datetime
from quartermaster.kernel.events import Cut
from quartermaster.kernel.units import AXES, Counts
from quartermaster.usage import engine
from quartermaster.usage.bucket_rows import BucketRow, BucketsAsked
from quartermaster.usage.query import owed, settled
from quartermaster.usage.table import UsageTable

_MEASURED: Final = (
    *("audio.transcriptions", "audio.translations", "audio.speech"),
    *("images.generations", "images.edits", "images.variations"),
)
"""Endpoints whose usage object tells what no axis counts."""
# OpenAI's `TranscriptTextUsageDuration`, and what the gateway notes of speech, and of images where
# tokens are counted.
_MEASURE: Final = re.compile(
    rb'"(?:seconds|characters|images)"\s*:\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)'
)

_COLUMNS: Final = ("project", "key_id", "model", "service_class", "endpoint")


def buckets(table: UsageTable, cut: Cut, customer: str, asked: BucketsAsked) -> list[BucketRow]:
    """Groups with a request, by bucket, in a fixed order.

    Args:
        table: the usage table.
        cut: which rows count.
        customer: whose.
        asked: which buckets and groups.
    """
    files = table.files()
    if not files or not cut:
        return []
    every = engine.served(engine.scan(files)).filter(engine.at_cut(cut))
    every = every.filter(_.customer == customer)
    rows = owed(settled(every.filter(_within(asked)), every))
    keys = ["start_s", *asked.by]
    if set(asked.endpoints) & set(_MEASURED):
        keys.append("upstream_usage")
    start = (_.opened_at.epoch_seconds() // asked.width_s).cast("int64") * asked.width_s
    found = (
        rows.mutate(start_s=start)
        .group_by(keys)
        .aggregate(requests=_.count(), **{axis: _[axis].sum() for axis in AXES})
        .order_by(keys)
    )
    return _added_up(engine.rows_of(found))


def _within(asked: BucketsAsked) -> Any:  # noqa: ANN401 - Ibis is not typed
    first, end = (as_datetime(Instant(at * US_PER_S)) for at in (asked.first_s, asked.end_s))
    where = (
        (_.event_date >= ibis.literal(first.date()))
        & (_.event_date <= ibis.literal(end.date()))
        & (_.opened_at >= ibis.literal(first))
        & (_.opened_at < ibis.literal(end))
    )
    wanted = (
        ("endpoint", asked.endpoints),
        ("project", asked.projects),
        ("key_id", asked.keys),
        ("model", asked.models),
    )
    for name, values in wanted:
        if values:
            where = where & _[name].isin(values)
    if asked.batch is not None:
        is_batch = _.service_class == "batch"
        where = where & (is_batch if asked.batch else ~is_batch)
    return where


def _added_up(rows: list[dict[str, Any]]) -> list[BucketRow]:
    """Rows that only the usage object tells apart, as one, with what those objects say."""
    requests: dict[tuple[Any, ...], int] = defaultdict(int)
    counts: dict[tuple[Any, ...], Counts] = defaultdict(Counts)
    measured: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in rows:
        key = (row["start_s"], *(row.get(name) for name in _COLUMNS))
        requests[key] += int(row["requests"])
        counts[key] += Counts(*(int(row[axis]) for axis in AXES))
        said = _MEASURE.search(row.get("upstream_usage") or b"")
        if said is not None:
            measured[key] += Decimal(said[1].decode()) * int(row["requests"])
    return [_row(key, requests[key], counts[key], measured[key]) for key in requests]


def _row(key: tuple[Any, ...], requests: int, counts: Counts, measured: Decimal) -> BucketRow:
    start_s, project, key_id, model, service_class, endpoint = key
    return BucketRow(
        start_s=start_s,
        project=project,
        key_id=key_id,
        model=model,
        service_class=service_class,
        endpoint=endpoint,
        requests=requests,
        counts=counts,
        measured=int(measured.quantize(Decimal(1), ROUND_HALF_UP)),
    )
