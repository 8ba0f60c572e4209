"""The clerk: what it ships is rated, shown and recorded, also after it died half-way."""

import os
from pathlib import Path

import pytest
from tests.unit.usage import sealed_logs

from quartermaster.app import clerk, live
from quartermaster.app.first_start import FIRST_CONTRACT, FIRST_CUSTOMER, prepare, snapshot_path
from quartermaster.app.rooms import Rooms
from quartermaster.config import Settings
from quartermaster.kernel import snapshot
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import Opened
from quartermaster.usage.columns import US_PER_DAY
from quartermaster.usage.rollup import write_rollup
from quartermaster.usage.ship import ship_sealed

LOG = "gateway-0"


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    found = Rooms(Settings(var=str(tmp_path)))
    prepare(found)
    return found


def _write(rooms: Rooms, *numbers: int) -> None:
    requests = [
        (_of_first_customer(rooms, opened), closed)
        for opened, closed in sealed_logs.requests(*numbers, at=rooms.now())
    ]
    sealed_logs.write_segment(rooms.var / "wal" / LOG, requests)


def _of_first_customer(rooms: Rooms, opened: Opened) -> Opened:
    fields = {name: getattr(opened, name) for name in Opened.__struct_fields__}
    fields |= {"customer": FIRST_CUSTOMER, "contract": FIRST_CONTRACT, "contract_version": 1}
    fields |= {"price_book": "starter", "model": "toy"}
    return Opened(**fields)


def test_shipped_usage_is_rated_and_shown(rooms: Rooms) -> None:
    _write(rooms, 1, 2)
    assert clerk.ship(rooms) == 1
    book = clerk.recompute(rooms)
    assert book == live.read(rooms.var)
    (row,) = book.revenue
    assert (row.customer, row.requests, row.currency) == (FIRST_CUSTOMER, 2, "USD")
    assert row.amount > 0
    assert book.cut == {LOG: 1}
    assert len(book.recent) == 2


def test_a_segment_shipped_before_a_crash_is_recorded_at_the_next_start(rooms: Rooms) -> None:
    _write(rooms, 1)
    clerk.ship(rooms)
    _write(rooms, 2, 3)
    _write(rooms, 4)
    lost = ship_sealed(rooms.var / "wal", rooms.usage)  # the clerk dies before it records these
    assert rooms.book.view().shipped == {LOG: 1}

    assert clerk.record_missing(rooms) == 2
    assert rooms.book.view().shipped == {LOG: 3}
    assert rooms.book.view().shipped_rows == {LOG: 4}
    recorded = [entry.fact for entry in rooms.book.facts()][-2:]
    assert recorded == lost
    assert clerk.record_missing(rooms) == 0
    rooms.book.verify()


def test_usage_of_past_days_is_compacted_and_shown_as_before(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Instant(rooms.now() + 2 * US_PER_DAY)
    for number in (1, 2, 3):
        _write(rooms, number)
        clerk.ship(rooms)
    before = clerk.recompute(rooms)
    write_rollup(rooms.usage, before.cut, rooms.var / "usage_hourly")
    clerk.compact_tables(rooms)
    assert len(rooms.usage.files()) == 3, "three files of today are few"
    monkeypatch.setattr(rooms, "now", lambda: later)
    clerk.compact_tables(rooms)
    assert len(rooms.usage.files()) == 1
    after = clerk.recompute(rooms)
    assert (after.revenue, after.recent) == (before.revenue, before.recent)


def test_a_compaction_that_fails_is_said_and_stops_nothing(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        _write(rooms, number)
        clerk.ship(rooms)
    damaged = Path(rooms.usage.files()[0])
    damaged.write_bytes(damaged.read_bytes()[:-1])
    later = Instant(rooms.now() + 2 * US_PER_DAY)
    monkeypatch.setattr(rooms, "now", lambda: later)
    clerk.compact_tables(rooms)
    assert "cannot be compacted" in caplog.text
    _write(rooms, 3)
    assert clerk.ship(rooms) == 1


def test_a_log_left_behind_is_recovered_and_a_damaged_one_is_said(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    _write(rooms, 1)
    damaged = rooms.var / "wal" / "gateway-5"
    sealed_logs.write_segment(damaged, sealed_logs.requests(2))
    (sealed,) = damaged.glob("*.sealed")
    sealed.write_bytes(sealed.read_bytes()[:-1])
    left = rooms.var / "wal" / "gateway-6"
    left.mkdir()
    for directory in (damaged, left):
        (directory / "0000000002.open").touch()
        os.utime(directory / "0000000002.open", (1, 1))
    assert clerk.recover_orphans(rooms) == 1
    assert list(left.glob("*.open")) == []
    assert "gateway-5 cannot be recovered" in caplog.text
    assert clerk.recover_orphans(rooms) == 0


def test_the_first_start_is_idempotent_and_publishes_a_snapshot(rooms: Rooms) -> None:
    before = rooms.book.verify()
    published = snapshot.decode(snapshot_path(rooms.var).read_bytes())
    secret = prepare(rooms)
    assert rooms.book.verify() == before
    assert snapshot.decode(snapshot_path(rooms.var).read_bytes()) == published
    assert [grant.customer for grant in published.keys] == [FIRST_CUSTOMER]
    assert secret not in snapshot_path(rooms.var).read_text()
    assert (rooms.var / "secrets" / "first_customer_key").stat().st_mode & 0o077 == 0


def test_a_revoked_first_key_is_replaced(rooms: Rooms) -> None:
    first = prepare(rooms)
    (key,) = rooms.book.view().keys
    from quartermaster.commands.key import revoke

    revoke(rooms.book, rooms.actor, key, "test", rooms.now())
    assert prepare(rooms) != first
    assert len(snapshot.decode(snapshot_path(rooms.var).read_bytes()).keys) == 1
