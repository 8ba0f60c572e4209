"""Lines without an answer cost nothing, whatever was metered on the way."""

from pathlib import Path

import msgspec
import pytest
from tests.unit.app.batch_world import NOW, World, request

from quartermaster.app.batch_void import Voider
from quartermaster.book.batches import Line
from quartermaster.commands.batch import ENDPOINTS
from quartermaster.kernel.batch_run import ATTEMPT_STEP, BatchRun, read, sign
from quartermaster.kernel.errors import UnavailableError
from quartermaster.usage.cut import certify, current_cut
from quartermaster.usage.query import hourly, usage_rows
from quartermaster.usage.settings import UsageSettings
from quartermaster.usage.ship import ship_sealed
from quartermaster.usage.table import UsageTable

PEPPER = b"p" * 32


def test_voiding_twice_is_voiding_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.book.reading() as unit:
        batch = unit.batches.find(world.queue(request(0)))
    assert batch is not None
    lines = [Line(n, 0, 0, f"req_{n:026d}", attempt=1 + ATTEMPT_STEP) for n in range(3)]
    table = UsageTable(tmp_path / "usage")
    voider = Voider(world.book, tmp_path, UsageSettings(drain_seconds=0.01))
    for _ in range(2):
        voider.void(batch, lines)
        ship_sealed(tmp_path / "wal", table)
    cut = current_cut(table)
    certificate = certify(table, cut)
    assert (certificate.rows, certificate.quarantined) == (3, 3)
    (row,) = hourly(table, cut)
    assert (row.customer, row.service_class, row.requests) == ("acme", "batch", 3)
    assert row.counts.tokens == 0
    (event,) = usage_rows(table, request_id=lines[0].request_id)
    assert event.opened.attempt == 1 + 2 * ATTEMPT_STEP
    assert event.closed.failure == "batch_line_unanswered"


def test_lines_of_every_address_can_be_voided(tmp_path: Path) -> None:
    """Images could be asked for and not voided, and a batch of them never ended."""
    world = World(tmp_path)
    with world.book.reading() as unit:
        batch = unit.batches.find(world.queue(request(0)))
    assert batch is not None
    voider = Voider(world.book, tmp_path, UsageSettings(drain_seconds=0.01))
    for number, endpoint in enumerate(ENDPOINTS):
        of = msgspec.structs.replace(batch, endpoint=endpoint)
        voider.void(of, [Line(1, 0, 0, f"req_{number:026d}", attempt=1)])
    table = UsageTable(tmp_path / "usage")
    ship_sealed(tmp_path / "wal", table)
    (events,) = zip(
        *(usage_rows(table, request_id=f"req_{n:026d}") for n in range(len(ENDPOINTS))), strict=True
    )
    assert [f"/v1/{event.opened.endpoint.replace('.', '/')}" for event in events] == [*ENDPOINTS]


def test_one_runner_at_a_time_voids(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.book.reading() as unit:
        batch = unit.batches.find(world.queue(request(0)))
    assert batch is not None
    voider = Voider(world.book, tmp_path, UsageSettings(drain_seconds=0.01))
    import fcntl

    voider.void(batch, [])
    with (tmp_path / "wal" / "batch-void" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError):
            voider.void(batch, [])


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_credential_that_was_changed_is_none(at: int) -> None:
    run = BatchRun("key_1", "req_1", 101, NOW + 1)
    credential = sign(run, PEPPER)
    assert read(credential, PEPPER, NOW) == run
    assert read(credential, PEPPER, NOW + 1) is None
    assert read(credential, b"q" * 32, NOW) is None
    other = "A" if credential[at] != "A" else "B"
    assert read(credential[:at] + other + credential[at + 1 :], PEPPER, NOW) is None
    for text in ("", "qmb-", "qmb-.", "qmb-é.é", credential + "0", "qmb-" + "x" * 600):
        assert read(text, PEPPER, NOW) is None
