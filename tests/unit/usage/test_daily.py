"""Daily use: tokens of every axis by customer, project, model and UTC day."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.unit.usage import sealed_logs, usage_facts

from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime, as_instant
from quartermaster.usage.cut import current_cut
from quartermaster.usage.daily import daily
from quartermaster.usage.query import hourly

FIRST = as_datetime(Instant(usage_facts.NOON)).date()


def test_days_add_up_to_what_the_hourly_rollup_holds(tmp_path: Path) -> None:
    table = sealed_logs.new_table(tmp_path / "usage")
    midnight = as_instant(datetime.combine(FIRST, datetime.min.time(), UTC))
    for number, hours in ((1, 0), (2, 5), (3, 23), (4, 24), (5, 71)):
        at = midnight + hours * US_PER_HOUR
        sealed_logs.write_segment(tmp_path / "wal" / "g", sealed_logs.requests(number, at=at))
    sealed_logs.ship(tmp_path / "wal", table)
    cut = current_cut(table)
    rows = daily(table, cut, first=FIRST, last=FIRST + timedelta(days=5))
    assert [(row.day, row.requests) for row in rows] == [
        (FIRST, 3),
        (FIRST + timedelta(days=1), 1),
        (FIRST + timedelta(days=2), 1),
    ]
    whole = sum(row.counts.tokens for row in hourly(table, cut))
    assert sum(row.tokens for row in rows) == whole > 0
    (second,) = daily(table, cut, first=FIRST + timedelta(days=1), last=FIRST + timedelta(days=1))
    assert second == rows[1]
    assert daily(table, {}, first=FIRST, last=FIRST) == []


def test_an_empty_table_has_no_days(tmp_path: Path) -> None:
    table = sealed_logs.new_table(tmp_path / "usage")
    assert daily(table, {"g": 1}, first=date(2024, 1, 1), last=date(2024, 1, 2)) == []
