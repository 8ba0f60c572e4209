"""Compaction: fewer files, the same rows, and shipping goes on."""

import datetime as dt
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
from tests.unit.usage import usage_facts
from tests.unit.usage.sealed_logs import (
    UnsyncedFiles,
    new_table,
    requests,
    ship,
    write_segment,
)

from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.errors import UnavailableError
from quartermaster.usage import compact as compacting
from quartermaster.usage.compact import compact
from quartermaster.usage.cut import certify, current_cut
from quartermaster.usage.query import hourly, recent_events, usage_rows
from quartermaster.usage.table import UsageTable

US_PER_DAY = 24 * 3_600 * 1_000_000
TODAY = as_datetime(Instant(usage_facts.NOON)).date()
TOMORROW = TODAY + dt.timedelta(days=1)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two workers, some segments each, one row of the first repeated so that it is set aside."""
    folder = tmp_path_factory.mktemp("shipped")
    table = new_table(folder / "usage")
    for number in range(1, 7):
        write_segment(folder / "wal" / "gateway-0", requests(number, 100 + number))
        write_segment(folder / "wal" / "gateway-1", requests(200 + number))
        ship(folder / "wal", table)
    write_segment(folder / "wal" / "gateway-1", requests(1, 999))
    ship(folder / "wal", table)
    return folder


@pytest.fixture
def table(shipped: Path, tmp_path: Path) -> UsageTable:
    """A copy of it in the test's own folder, where shipping goes on."""
    shutil.copytree(shipped, tmp_path, dirs_exist_ok=True)
    return UsageTable(tmp_path / "usage")


def everything(table: UsageTable) -> tuple[object, ...]:
    """What anybody reads from the table."""
    cut = current_cut(table)
    return (
        cut,
        certify(table, cut),
        hourly(table, cut),
        hourly(table, {"gateway-0": 3, "gateway-1": 2}),
        recent_events(table, cut, limit=5),
        [len(usage_rows(table, request_id=opened.request_id)) for opened, _ in requests(1, 102)],
        sorted(table.segment_hashes("gateway-1", 7)),
    )


def test_a_past_date_becomes_one_file_with_the_same_rows(table: UsageTable) -> None:
    before = everything(table)
    result = compact(table, today=TOMORROW)
    assert result.files_before == len(table.quarantine.files()) + 13
    assert len(table.files()) == 1
    assert result.files_after == 1 + len(table.quarantine.files())
    assert everything(table) == before
    again = compact(table, today=TOMORROW)
    assert again.files_before == again.files_after, "there was nothing more to do"


def test_shipping_goes_on_and_a_repeat_is_still_known(table: UsageTable, tmp_path: Path) -> None:
    compact(table, today=TOMORROW)
    cut = current_cut(table)
    write_segment(tmp_path / "wal" / "gateway-0", requests(2, 777))
    (fact,) = ship(tmp_path / "wal", table)
    assert fact.segment == cut["gateway-0"] + 1
    assert ship(tmp_path / "wal", table) == []
    assert current_cut(table)["gateway-0"] == fact.segment
    certificate = certify(table, current_cut(table))
    assert certificate.quarantined == 2, "the repeated request was counted before the compaction"


def test_a_date_that_grows_is_left_alone_until_it_is_crowded(
    table: UsageTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(table.files())
    assert compact(table, today=TODAY).files_after == compact(table, today=TODAY).files_before
    assert len(table.files()) == count
    monkeypatch.setattr(compacting, "SMALL_FILES_MAX", 3)
    before = everything(table)
    compact(table, today=TODAY)
    assert len(table.files()) == 1
    assert everything(table) == before


def test_replaced_files_stay_for_readers_and_go_later(
    table: UsageTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = table.files()
    assert compact(table, today=TOMORROW).vacuumed == 0
    assert all(Path(name).exists() for name in old), "a reader may hold the older list"
    before = everything(table)
    monkeypatch.setattr(compacting, "KEPT_HOURS", 0)
    time.sleep(0.01)
    assert compact(table, today=TOMORROW).vacuumed == len(old)
    assert not any(Path(name).exists() for name in old)
    assert everything(table) == before


def test_the_log_is_shortened_and_says_how_long_it_is_kept(
    table: UsageTable, tmp_path: Path
) -> None:
    compact(table, today=TOMORROW)
    log_folder = table.path / "_delta_log"
    assert list(log_folder.glob("*.checkpoint.parquet"))
    configuration = table.rows.open().metadata().configuration
    assert configuration["delta.logRetentionDuration"] == compacting.LOG_KEPT
    before = everything(table)
    long_ago = time.time() - 3 * 24 * 3_600
    for entry in log_folder.glob("*.json"):
        os.utime(entry, (long_ago, long_ago))
    kept = len(list(log_folder.glob("*.json")))
    write_segment(tmp_path / "wal" / "gateway-0", requests(50, at=usage_facts.NOON + US_PER_DAY))
    write_segment(tmp_path / "wal" / "gateway-0", requests(51, at=usage_facts.NOON + US_PER_DAY))
    ship(tmp_path / "wal", table)
    compact(table, today=TOMORROW + dt.timedelta(days=1))
    assert len(list(log_folder.glob("*.json"))) < kept
    assert current_cut(table)["gateway-0"] == 8
    assert before[1] != certify(table, current_cut(table))


def test_a_disk_that_refuses_leaves_the_table_as_it_was(table: UsageTable) -> None:
    before, names = everything(table), sorted(table.path.rglob("*"))
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(UnavailableError, match="cannot be compacted"):
            compact(table, today=TOMORROW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert sorted(table.path.rglob("*")) == names
    assert everything(table) == before
    assert compact(table, today=TOMORROW).files_after == 2


def test_every_date_is_durable_before_the_next_is_touched(
    table: UsageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turn in range(2):
        at = usage_facts.NOON + US_PER_DAY
        write_segment(tmp_path / "wal" / "gateway-0", requests(300 + turn, at=at))
        ship(tmp_path / "wal", table)
    synced: list[list[str]] = []
    monkeypatch.setattr(table.rows, "make_durable", lambda dates=(): synced.append(list(dates)))
    compact(table, today=TOMORROW + dt.timedelta(days=1))
    assert [len(dates) for dates in synced] == [1, 1, 0]


class CountedFiles(UnsyncedFiles):
    """Notes which files are synced."""

    def __init__(self) -> None:
        self.synced: list[str] = []

    def sync_file(self, path: Path) -> None:
        self.synced.append(path.name)


def test_what_has_gone_is_forgotten_and_what_is_known_is_not_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = CountedFiles()
    table = UsageTable(tmp_path / "usage", files=files)
    for number in range(1, 6):
        write_segment(tmp_path / "wal" / "gateway-0", requests(number))
        ship(tmp_path / "wal", table)
    data = [name for name in files.synced if name.endswith(".parquet")]
    assert len(data) == len(set(data)) == 5
    monkeypatch.setattr(compacting, "KEPT_HOURS", 0)
    time.sleep(0.01)
    assert compact(table, today=TOMORROW).vacuumed == 5
    for number in range(6, 8):
        write_segment(tmp_path / "wal" / "gateway-0", requests(number))
        ship(tmp_path / "wal", table)
    remembered = {folder / name for folder, names in table.rows._synced.items() for name in names}
    assert all(path.exists() for path in remembered)
    assert any(path.suffix == ".parquet" for path in remembered)
