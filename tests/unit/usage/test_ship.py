"""Sealed segments reach the table once, whatever dies between two steps."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from tests.unit.usage import usage_facts
from tests.unit.usage.sealed_logs import (
    UNSYNCED,
    Request,
    UnsyncedFiles,
    new_table,
    requests,
    ship,
    write_segment,
)

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.units import COUNT_MAX, Counts
from quartermaster.usage import segment
from quartermaster.usage.cut import certify, current_cut
from quartermaster.usage.delta import DeltaFacts
from quartermaster.usage.query import recent_events, usage_rows
from quartermaster.usage.ship import ship_sealed
from quartermaster.usage.table import UsageTable


class Died(BaseException):
    """The clerk is dead."""


class Countdown:
    """Dies before the step with this number."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> None:
        if self.left == 0:
            raise Died
        self.left -= 1


class MortalFacts(DeltaFacts):
    """A Delta table whose user may die before or after each of its steps."""

    def __init__(self, facts: DeltaFacts, tick: Callable[[], None]) -> None:
        super().__init__(facts.path, facts.schema, ("event_date",), UNSYNCED)
        self._tick = tick

    def append(self, snapshot: DeltaTable, rows: pa.Table, app_id: str, version: int) -> bool:
        self._tick()
        done = super().append(snapshot, rows, app_id, version)
        self._tick()
        return done

    def make_durable(self, partitions: object = ()) -> None:
        self._tick()
        super().make_durable(partitions)  # type: ignore[arg-type]


class MortalFiles(UnsyncedFiles):
    """File operations whose user may die before each of them."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick

    def rename(self, source: Path, target: Path) -> None:
        self._tick()
        super().rename(source, target)

    def sync_directory(self, path: Path) -> None:
        self._tick()
        super().sync_directory(path)

    def unlink(self, path: Path) -> None:
        self._tick()
        super().unlink(path)


@pytest.fixture
def table(tmp_path: Path) -> UsageTable:
    return new_table(tmp_path / "usage")


def ids(table: UsageTable) -> list[str]:
    rows = recent_events(table, current_cut(table), limit=1_000)
    return sorted(row.opened.request_id for row in rows)


def reasons(table: UsageTable) -> list[str]:
    """Why each row in quarantine is there."""
    found: list[str] = []
    for path in table.quarantine.files():
        found += pq.read_table(path)["reason"].to_pylist()
    return found


def with_conflict() -> list[Request]:
    """A request whose id the first segment has with other counts, and two ordinary ones."""
    return [(usage_facts.opened(2), usage_facts.closed(999)), *requests(3, 4)]


def test_rows_come_out_as_they_went_in(tmp_path: Path, table: UsageTable) -> None:
    sent = [
        *requests(1),
        (usage_facts.opened(2, policy="free", attempt=3), usage_facts.closed(5, failure="x")),
    ]
    write_segment(tmp_path / "wal" / "gateway-0", sent)
    (fact,) = ship(tmp_path / "wal", table)
    assert (fact.app_id, fact.segment, fact.rows) == ("gateway-0", 1, 2)
    for opened, closed in sent:
        (row,) = usage_rows(table, request_id=opened.request_id)
        assert (row.opened, row.closed, row.status) == (opened, closed, "closed")
        assert (row.app_id, row.segment) == ("gateway-0", 1)


def test_shipping_twice_ships_once(tmp_path: Path, table: UsageTable) -> None:
    write_segment(tmp_path / "wal" / "gateway-0", requests(1, 2))
    assert len(ship(tmp_path / "wal", table)) == 1
    assert ship(tmp_path / "wal", table) == []
    assert len(ids(table)) == 2


def test_nothing_to_ship_makes_no_table(tmp_path: Path, table: UsageTable) -> None:
    assert ship(tmp_path / "wal", table) == []
    assert not table.path.exists()
    assert (current_cut(table), table.files()) == ({}, [])


def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(tmp_path: Path) -> None:
    before = tmp_path / "before"
    write_segment(before / "wal" / "gateway-0", requests(1, 2))
    ship(before / "wal", new_table(before / "usage"))
    write_segment(before / "wal" / "gateway-0", with_conflict())
    deaths = 0
    for steps in range(100):
        root = tmp_path / str(steps)
        shutil.copytree(before, root)
        wal, table = root / "wal", new_table(root / "usage")
        tick = Countdown(steps)
        mortal = new_table(root / "usage")
        mortal.rows = MortalFacts(mortal.rows, tick)
        mortal.quarantine = MortalFacts(mortal.quarantine, tick)
        try:
            ship_sealed(wal, mortal, files=MortalFiles(tick))
        except Died:
            deaths += 1
        else:
            break
        # A reader in between is told of no segment whose rows are not all there.
        certify(table, current_cut(table))
        ship(wal, table)
        assert ids(table) == [usage_facts.request_id(number) for number in range(1, 5)]
        assert reasons(table) == ["conflict"]
        assert current_cut(table) == {"gateway-0": 2}
    assert deaths >= 10, "the steps of shipping are not all exercised"


def test_the_interrupted_segment_is_reported_by_the_run_that_lets_it_go(
    tmp_path: Path, table: UsageTable
) -> None:
    write_segment(tmp_path / "wal" / "gateway-0", requests(1))
    mortal = new_table(table.path)
    mortal.rows = MortalFacts(mortal.rows, Countdown(2))
    with pytest.raises(Died):
        ship(tmp_path / "wal", mortal)
    assert len(ids(table)) == 1, "committed before the death"
    assert [fact.segment for fact in ship(tmp_path / "wal", table)] == [1]
    assert len(ids(table)) == 1


def test_the_same_id_with_other_content_is_quarantined(tmp_path: Path, table: UsageTable) -> None:
    write_segment(tmp_path / "wal" / "gateway-0", requests(1, 2))
    ship(tmp_path / "wal", table)
    write_segment(tmp_path / "wal" / "gateway-1", with_conflict())
    ship(tmp_path / "wal", table)
    (kept,) = usage_rows(table, request_id=usage_facts.request_id(2))
    assert kept.closed.counts.output == 20, "the first stays"
    assert reasons(table) == ["conflict"]
    assert certify(table, current_cut(table)).quarantined == 1


def test_the_same_id_with_the_same_content_counts_once(tmp_path: Path, table: UsageTable) -> None:
    write_segment(tmp_path / "wal" / "gateway-0", requests(1, 2))
    write_segment(tmp_path / "wal" / "gateway-1", requests(2))
    ship(tmp_path / "wal", table)
    assert Counter(ids(table)) == Counter(usage_facts.request_id(n) for n in (1, 2))
    assert reasons(table) == ["repeat"]
    assert certify(table, current_cut(table)).cut == {"gateway-0": 1, "gateway-1": 1}


def test_an_absurd_count_is_queued_for_a_person(tmp_path: Path, table: UsageTable) -> None:
    opened, closed = requests(1)[0]
    absurd = msgspec.structs.replace(closed, counts=Counts(output=COUNT_MAX + 1))
    write_segment(tmp_path / "wal" / "gateway-0", [(opened, absurd), *requests(2)])
    ship(tmp_path / "wal", table)
    assert ids(table) == [usage_facts.request_id(2)]
    certificate = certify(table, current_cut(table))
    assert (certificate.rows, certificate.quarantined) == (1, 1)


def test_a_log_that_begins_again_is_refused_and_not_skipped(
    tmp_path: Path, table: UsageTable
) -> None:
    write_segment(tmp_path / "wal" / "gateway-0", requests(1))
    ship(tmp_path / "wal", table)
    for path in (tmp_path / "wal" / "gateway-0").iterdir():
        path.unlink()
    write_segment(tmp_path / "wal" / "gateway-0", requests(2))
    with pytest.raises(IntegrityError, match="has another segment 1 of gateway-0"):
        ship(tmp_path / "wal", table)


def test_a_missing_segment_is_refused(tmp_path: Path, table: UsageTable) -> None:
    for number in (1, 2):
        write_segment(tmp_path / "wal" / "gateway-0", requests(number))
    segment.seal_name(tmp_path / "wal" / "gateway-0", 1).unlink()
    with pytest.raises(IntegrityError, match="segment 2 of gateway-0 cannot follow segment 0"):
        ship(tmp_path / "wal", table)


def test_a_damaged_segment_is_refused(tmp_path: Path, table: UsageTable) -> None:
    write_segment(tmp_path / "wal" / "gateway-0", requests(1))
    path = segment.seal_name(tmp_path / "wal" / "gateway-0", 1)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    write_segment(tmp_path / "wal" / "gateway-1", requests(2, 3))
    with pytest.raises(IntegrityError, match="damaged at offset 0"):
        ship(tmp_path / "wal", table)
    assert current_cut(table) == {"gateway-1": 1}, "the other log did not wait"
    assert path.exists()


class LossyFacts(DeltaFacts):
    """A table that loses a row of every commit."""

    def append(self, snapshot: DeltaTable, rows: pa.Table, app_id: str, version: int) -> bool:
        return super().append(snapshot, rows.slice(1), app_id, version)


def test_a_segment_that_did_not_arrive_whole_is_not_let_go(
    tmp_path: Path, table: UsageTable
) -> None:
    write_segment(tmp_path / "wal" / "gateway-0", requests(1, 2))
    table.rows = LossyFacts(table.path, table.rows.schema, ("event_date",), UNSYNCED)
    with pytest.raises(IntegrityError, match="has 2 rows, the usage table 1"):
        ship(tmp_path / "wal", table)
    assert segment.seal_name(tmp_path / "wal" / "gateway-0", 1).exists()


def test_the_newest_shipped_file_stays_for_the_chain(tmp_path: Path, table: UsageTable) -> None:
    directory = tmp_path / "wal" / "gateway-0"
    for number in (1, 2, 3):
        write_segment(directory, requests(number))
        ship(tmp_path / "wal", table)
    files = sorted(path.name for path in directory.iterdir() if path.name != "lock")
    assert files == ["0000000003.shipped"]
    assert certify(table, current_cut(table)).segments == 3
