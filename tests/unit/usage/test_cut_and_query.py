"""Cuts, certificates and the hourly rollup."""

import itertools
import shutil
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from msgspec.structs import replace
from tests.unit.usage import usage_facts
from tests.unit.usage.sealed_logs import Request, new_table, requests, ship, write_segment
from tests.unit.usage.usage_facts import HOUR, NOON

from quartermaster.kernel.clock import month
from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.units import AXES, Counts
from quartermaster.usage import columns, policy
from quartermaster.usage.cut import certify, current_cut
from quartermaster.usage.query import hourly, recent_events, usage_rows
from quartermaster.usage.rollup import rows_sha256, write_rollup
from quartermaster.usage.table import UsageTable

THIS_HOUR = NOON - NOON % HOUR


@pytest.fixture
def table(tmp_path: Path) -> UsageTable:
    return new_table(tmp_path / "usage")


def send(tmp_path: Path, table: UsageTable, app_id: str, sent: list[Request]) -> None:
    write_segment(tmp_path / "wal" / app_id, sent)
    ship(tmp_path / "wal", table)


def totals(rows: list[HourlyUsage]) -> tuple[int, int]:
    return sum(row.requests for row in rows), sum(row.counts.output for row in rows)


def test_a_cut_selects_the_same_rows_for_ever(tmp_path: Path, table: UsageTable) -> None:
    send(tmp_path, table, "gateway-0", requests(1, 2))
    send(tmp_path, table, "gateway-1", requests(3))
    cut = current_cut(table)
    before = hourly(table, cut)
    written = write_rollup(table, cut, tmp_path / "usage_hourly")
    stored = _stored(tmp_path / "usage_hourly")
    send(tmp_path, table, "gateway-0", requests(4))
    send(tmp_path, table, "gateway-2", requests(5))
    assert cut == {"gateway-0": 1, "gateway-1": 1}
    assert hourly(table, cut) == before
    assert rows_sha256(hourly(table, cut)) == rows_sha256(before) == written.sha256
    later = write_rollup(table, current_cut(table), tmp_path / "usage_hourly")
    assert later != written
    assert write_rollup(table, cut, tmp_path / "usage_hourly") == written
    assert _stored(tmp_path / "usage_hourly") == stored
    assert totals(before) == (3, 60)
    assert totals(hourly(table, current_cut(table))) == (5, 150)


def _stored(path: Path) -> bytes:
    """The rows of the rollup table as Arrow bytes."""
    rows = DeltaTable(str(path)).to_pyarrow_table()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    stored: bytes = sink.getvalue().to_pybytes()
    return stored


def test_rewriting_the_same_rollup_commits_nothing(tmp_path: Path, table: UsageTable) -> None:
    send(tmp_path, table, "gateway-0", requests(1))
    path = tmp_path / "usage_hourly"
    first = write_rollup(table, current_cut(table), path)
    before = sorted(p.name for p in path.rglob("*"))
    assert write_rollup(table, current_cut(table), path) == first
    assert sorted(p.name for p in path.rglob("*")) == before


def test_rows_are_grouped_by_every_key_and_ordered(tmp_path: Path, table: UsageTable) -> None:
    sent = [
        (usage_facts.opened(1, at=NOON + HOUR), usage_facts.closed(1)),
        (usage_facts.opened(2, customer="cus_b"), usage_facts.closed(2)),
        (usage_facts.opened(3, customer="cus_a", model="m2"), usage_facts.closed(3)),
        (usage_facts.opened(4, customer="cus_a", model="m1"), usage_facts.closed(4)),
        (usage_facts.opened(5, customer="cus_a", model="m1"), usage_facts.closed(40)),
        (usage_facts.opened(6, customer="cus_a", service_class="batch"), usage_facts.closed(5)),
    ]
    send(tmp_path, table, "gateway-0", sent)
    rows = hourly(table, current_cut(table))
    seen = [(r.customer, r.model, r.service_class, r.hour, r.counts.output) for r in rows]
    assert seen == [
        ("cus_a", "m1", "standard", THIS_HOUR, 44),
        ("cus_a", "m2", "standard", THIS_HOUR, 3),
        ("cus_a", "toy", "batch", THIS_HOUR, 5),
        ("cus_b", "toy", "standard", THIS_HOUR, 2),
        ("cus_tiktok", "toy", "standard", THIS_HOUR + HOUR, 1),
    ]
    assert rows[0].requests == 2
    assert [r.customer for r in hourly(table, current_cut(table), customer="cus_b")] == ["cus_b"]


def test_what_a_contract_waives_is_zero_and_still_counted(
    tmp_path: Path, table: UsageTable
) -> None:
    failures = ("", "upstream_dropped", policy.CLIENT_GONE, policy.WORKER_DIED)
    kinds: tuple[CancelledStream, ...] = get_args(CancelledStream)
    cases = list(itertools.product(kinds, failures))
    sent = [
        (
            usage_facts.opened(n, policy=kind, customer=f"cus_{n:02d}"),
            usage_facts.closed(8, failure=failure),
        )
        for n, (kind, failure) in enumerate(cases)
    ]
    send(tmp_path, table, "gateway-0", sent)
    rows = hourly(table, current_cut(table))
    for row, (kind, failure) in zip(rows, cases, strict=True):
        owed = Counts() if policy.is_waived(kind, failure) else Counts(input=100, output=8)
        assert (row.requests, row.counts) == (1, owed), (kind, failure)


def test_a_period_is_half_open_and_in_the_contract_zone(tmp_path: Path, table: UsageTable) -> None:
    berlin = month(2026, 9, "Europe/Berlin")
    instants = (berlin.start - 1, berlin.start, berlin.end - 1, berlin.end)
    sent = [(usage_facts.opened(n, at=at), usage_facts.closed()) for n, at in enumerate(instants)]
    send(tmp_path, table, "gateway-0", sent)
    rows = hourly(table, current_cut(table), period=berlin)
    assert [row.hour for row in rows] == [berlin.start, berlin.end - HOUR]


def test_sums_do_not_overflow(tmp_path: Path, table: UsageTable) -> None:
    """Not by shipping, which quarantines such counts, but in the query itself."""
    send(tmp_path, table, "gateway-0", requests(1))
    row = table.rows.open().to_pyarrow_table()
    huge = pa.array([2**62], pa.int64())
    row = row.set_column(row.schema.get_field_index("output"), "output", huge)
    for _ in range(3):
        write_deltalake(table.rows.open(), row, mode="append")
    assert totals(hourly(table, {"gateway-0": 1}))[1] == 3 * 2**62 + 10


def test_the_newest_requests_come_first_whatever_file_they_are_in(
    tmp_path: Path, table: UsageTable
) -> None:
    for at, number in ((3, 1), (1, 2), (2, 3)):
        send(tmp_path, table, "gateway-0", requests(number, at=NOON + at))
    cut = current_cut(table)
    shown = [row.opened.opened_at - NOON for row in recent_events(table, cut, limit=2)]
    assert shown == [3, 2]
    assert len(recent_events(table, {"gateway-0": 1}, limit=9)) == 1


def test_a_complete_cut_gets_a_certificate(tmp_path: Path, table: UsageTable) -> None:
    send(tmp_path, table, "gateway-0", requests(1, 2))
    send(tmp_path, table, "gateway-0", requests(3))
    certificate = certify(table, {"gateway-0": 2})
    assert (certificate.segments, certificate.rows, certificate.quarantined) == (2, 3, 0)
    assert certify(table, {"gateway-0": 1}).rows == 2
    assert certify(table, {}).rows == 0


def test_a_cut_beyond_the_table_is_refused(tmp_path: Path, table: UsageTable) -> None:
    send(tmp_path, table, "gateway-0", requests(1))
    with pytest.raises(IntegrityError, match="segment 2 of gateway-0 is not in the usage table"):
        certify(table, {"gateway-0": 2})


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("segment != 1", "segment 1 of gateway-0 is not in the usage table"),
        ("sequence != 1 OR segment != 2", "segment 2 of gateway-0 was sealed with 2 rows, 1"),
    ],
)
def test_rows_that_went_missing_are_found(
    tmp_path: Path, table: UsageTable, where: str, message: str
) -> None:
    send(tmp_path, table, "gateway-0", requests(1))
    send(tmp_path, table, "gateway-0", requests(2, 3))
    table.rows.open().delete(f"NOT ({where})")
    with pytest.raises(IntegrityError, match=message):
        certify(table, {"gateway-0": 2})


def test_doubled_rows_are_found(tmp_path: Path, table: UsageTable) -> None:
    """The commit that Delta accepts and must not be made: the same segment on a fresh snapshot."""
    send(tmp_path, table, "gateway-0", requests(1))
    rows = table.rows.open().to_pyarrow_table()
    assert table.rows.append(table.rows.open(), rows, "gateway-0", 1), "Delta refuses by itself now"
    with pytest.raises(IntegrityError, match="sealed with 1 rows, 2 are there"):
        certify(table, {"gateway-0": 1})


def test_one_request_under_two_logs_is_found(tmp_path: Path, table: UsageTable) -> None:
    """What quarantine keeps out of the table, had it failed."""
    send(tmp_path, table, "gateway-0", requests(1))
    rows = table.rows.open().to_pyarrow_table()
    other = pa.array(["gateway-1"], pa.string())
    rows = rows.set_column(rows.schema.get_field_index("app_id"), "app_id", other)
    table.rows.append(table.rows.open(), rows, "gateway-1", 1)
    with pytest.raises(IntegrityError, match="2 usage rows have only 1 different request ids"):
        certify(table, {"gateway-0": 1, "gateway-1": 1})


def test_a_changed_chain_is_found(tmp_path: Path, table: UsageTable) -> None:
    send(tmp_path, table, "gateway-0", requests(1))
    send(tmp_path, table, "gateway-0", requests(2))
    table.rows.open().update(updates={"segment_sha256": f"'{'f' * 64}'"}, predicate="segment = 1")
    with pytest.raises(IntegrityError, match="segment 2 of gateway-0 does not continue 1"):
        certify(table, {"gateway-0": 2})


def test_an_attempt_that_another_took_the_place_of_is_nobodys_request(
    tmp_path: Path, table: UsageTable
) -> None:
    given_up = (
        usage_facts.opened(1, attempt=1),
        replace(usage_facts.closed(7, failure="upstream_error"), cost_only=True),
    )
    heard_out = replace(usage_facts.closed(30), upstream_counts=Counts(input=100, output=90))
    served = (usage_facts.opened(1, attempt=2), heard_out)
    send(tmp_path, table, "gateway-0", [given_up, served])
    cut = current_cut(table)
    assert totals(hourly(table, cut)) == (1, 30)
    assert certify(table, cut).rows == 2
    rows = usage_rows(table, request_id=usage_facts.request_id(1))
    assert [(row.closed.cost_only, row.closed.upstream_counts) for row in rows] == [
        (True, None),
        (False, Counts(input=100, output=90)),
    ]


def test_a_table_of_an_older_version_gets_the_columns_it_lacks(
    tmp_path: Path, table: UsageTable
) -> None:
    send(tmp_path, table, "gateway-0", requests(1))
    later = {"cost_only", *(f"upstream_{axis}" for axis in AXES)}
    old = pa.schema([field for field in columns.SCHEMA if field.name not in later])
    rows = DeltaTable(str(table.path)).to_pyarrow_table().select(old.names)
    shutil.rmtree(table.path)
    write_deltalake(
        str(table.path),
        rows,
        partition_by=["event_date"],
        commit_properties=CommitProperties(app_transactions=[Transaction("gateway-0", 1)]),
    )
    before = hourly(table, current_cut(table))
    assert usage_rows(table, request_id=usage_facts.request_id(1))
    send(tmp_path, table, "gateway-0", requests(2))
    assert totals(before) == (1, 10)
    assert totals(hourly(table, current_cut(table))) == (2, 30)
    for number in (1, 2):
        (row,) = usage_rows(table, request_id=usage_facts.request_id(number))
        assert (row.closed.cost_only, row.closed.upstream_counts) == (False, None)
