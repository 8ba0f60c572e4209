"""A customer's own usage by bucket, and lines of batches that were sent more than once."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.usage import usage_facts
from tests.unit.usage.sealed_logs import Request, new_table, ship, write_segment
from tests.unit.usage.usage_facts import HOUR, NOON

from quartermaster.kernel.clock import Instant, Period, as_datetime
from quartermaster.kernel.events import Closed
from quartermaster.kernel.units import Counts
from quartermaster.usage.bucket_rows import BucketsAsked
from quartermaster.usage.buckets import buckets
from quartermaster.usage.cut import current_cut
from quartermaster.usage.daily import daily
from quartermaster.usage.query import hourly
from quartermaster.usage.table import UsageTable

NOON_S = NOON // 1_000_000
DAY_S = 86_400
MIDNIGHT_S = NOON_S - NOON_S % DAY_S
WHO = "cus_tiktok"


@pytest.fixture
def table(tmp_path: Path) -> UsageTable:
    return new_table(tmp_path / "usage")


def send(tmp_path: Path, table: UsageTable, sent: list[Request], app_id: str = "gateway-0") -> None:
    write_segment(tmp_path / "wal" / app_id, sent)
    ship(tmp_path / "wal", table)


def asked(**changes: Any) -> BucketsAsked:
    whole = BucketsAsked(first_s=MIDNIGHT_S, end_s=MIDNIGHT_S + DAY_S, width_s=DAY_S)
    return replace(whole, **changes)


def line(number: int, attempt: int, output: int, *, at: int = NOON) -> Request:
    """One attempt at a line of a batch."""
    opened = usage_facts.opened(number, service_class="batch", attempt=attempt, at=at)
    return opened, usage_facts.closed(output)


def test_of_a_line_only_the_last_attempt_is_billed(tmp_path: Path, table: UsageTable) -> None:
    """Whichever log its attempts are in, and wherever a month or an hour begins between them."""
    send(tmp_path, table, [line(1, 1, 10), line(2, 1, 20), line(3, 1, 40)])
    send(tmp_path, table, [line(1, 101, 11, at=NOON + HOUR)], "gateway-1")
    nothing = Closed(NOON, 0, 0, Counts(), "engine", "", "", b"", failure="unanswered")
    voided = (line(2, 101, 0)[0], nothing)
    send(tmp_path, table, [voided], "batch-void")
    cut = current_cut(table)
    found = hourly(table, cut)
    assert sum(row.counts.output for row in found) == 11 + 0 + 40
    assert sum(row.requests for row in found) == 3
    this_hour = NOON - NOON % HOUR
    first = hourly(table, cut, period=Period(this_hour, this_hour + HOUR, "", "UTC"))
    assert sum(row.counts.output for row in first) == 40
    before = hourly(table, {"gateway-0": 1})
    assert sum(row.counts.output for row in before) == 10 + 20 + 40
    (bucket,) = buckets(table, cut, WHO, asked())
    assert (bucket.counts.output, bucket.requests) == (51, 3)
    today = as_datetime(Instant(NOON)).date()
    (day,) = daily(table, cut, first=today, last=today)
    assert (day.requests, day.tokens) == (3, 51 + 200)


def test_attempts_outside_of_batches_are_all_counted(tmp_path: Path, table: UsageTable) -> None:
    again = [
        (usage_facts.opened(1, attempt=attempt), usage_facts.closed(attempt)) for attempt in (1, 2)
    ]
    send(tmp_path, table, [*again, line(2, 1, 5), line(2, 2, 7)])
    found = hourly(table, current_cut(table))
    assert {row.service_class: row.counts.output for row in found} == {"standard": 3, "batch": 7}


def test_buckets_of_every_width(tmp_path: Path, table: UsageTable) -> None:
    instants = (NOON, NOON + 39_000_000, NOON + 41_000_000, NOON + HOUR)
    send(
        tmp_path,
        table,
        [(usage_facts.opened(n, at=at), usage_facts.closed(n)) for n, at in enumerate(instants, 1)],
    )
    cut = current_cut(table)

    def by(width_s: int, **changes: Any) -> dict[int, int]:
        found = buckets(table, cut, WHO, asked(width_s=width_s, **changes))
        return {row.start_s: row.counts.output for row in found}

    assert by(DAY_S) == {MIDNIGHT_S: 10}
    hour_s = NOON_S - NOON_S % 3_600
    assert by(3_600) == {hour_s: 6, hour_s + 3_600: 4}
    minute_s = NOON_S - NOON_S % 60
    assert by(60) == {minute_s: 3, minute_s + 60: 3, minute_s + 3_600: 4}
    # Half-open, by the instant of opening.
    assert by(DAY_S, first_s=NOON_S + 1, end_s=NOON_S + 3_600) == {MIDNIGHT_S: 5}


def test_groups_filters_and_customers(tmp_path: Path, table: UsageTable) -> None:
    def one(number: int, **changes: Any) -> Request:
        return replace(usage_facts.opened(number), **changes), usage_facts.closed(number)

    send(
        tmp_path,
        table,
        [
            one(1, model="a", project="p"),
            one(2, model="b", project="p", key_id="key_2"),
            one(4, model="b", project="q", endpoint="embeddings"),
            one(8, service_class="batch"),
            one(16, customer="cus_other"),
        ],
    )
    cut = current_cut(table)

    def outputs(**changes: Any) -> list[int]:
        return [row.counts.output for row in buckets(table, cut, WHO, asked(**changes))]

    assert outputs() == [15]
    assert outputs(projects=("p",)) == [3]
    assert outputs(models=("b",)) == [6]
    assert outputs(keys=("key_2", "nobody's")) == [2]
    assert outputs(batch=True) == [8]
    assert outputs(batch=False) == [7]
    assert outputs(endpoints=("embeddings",)) == [4]
    (first, *_) = rows = buckets(table, cut, WHO, asked(by=("model", "project")))
    assert [(row.model, row.project, row.counts.output) for row in rows] == [
        ("a", "p", 1),
        ("b", "p", 2),
        ("b", "q", 4),
        ("toy", "default", 8),
    ]
    assert (first.key_id, first.service_class, first.endpoint) == (None, None, None)
    assert buckets(table, cut, "nobody", asked()) == []
    assert buckets(table, {}, WHO, asked()) == []


def test_what_no_axis_counts_is_read_from_the_usage_object(
    tmp_path: Path, table: UsageTable
) -> None:
    told = (b'{"type":"duration","seconds":2.4}', b'{"type":"duration","seconds":2.4}', b"{}", b"")
    sent = [
        (
            replace(usage_facts.opened(n), endpoint="audio.transcriptions"),
            replace(usage_facts.closed(1), upstream_usage=usage),
        )
        for n, usage in enumerate(told, 1)
    ]
    send(tmp_path, table, sent)
    endpoints = ("audio.transcriptions",)
    (row,) = buckets(table, current_cut(table), WHO, asked(endpoints=endpoints))
    assert (row.measured, row.requests, row.counts.output) == (5, 4, 4)


def test_images_that_are_counted_in_tokens_are_counted_too(
    tmp_path: Path, table: UsageTable
) -> None:
    """The gateway's own number stands first, whatever a model server says."""
    told = (b'{"images":2,"input_tokens":50}', b'{"images":3,"input_tokens":7,"images":99}', b"")
    sent = [
        (
            replace(usage_facts.opened(n), endpoint="images.generations"),
            replace(usage_facts.closed(1), upstream_usage=usage),
        )
        for n, usage in enumerate(told, 1)
    ]
    send(tmp_path, table, sent)
    (row,) = buckets(table, current_cut(table), WHO, asked(endpoints=("images.generations",)))
    assert (row.measured, row.requests) == (5, 3)
