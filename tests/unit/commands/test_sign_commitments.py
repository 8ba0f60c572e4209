"""Commitments from the command line: signed from a file, shown, and said where they end."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from quartermaster.app.rooms import Rooms
from quartermaster.cli.main import run
from quartermaster.commands import contract as contracts
from quartermaster.config import Settings
from quartermaster.kernel.clock import US_PER_HOUR, as_instant
from quartermaster.kernel.contract import Commitment, Contract

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def var(tmp_path: Path) -> Path:
    var = tmp_path / "var"
    for line in (
        f"bill prices publish {EXAMPLES / 'price-book.toml'}",
        "customer add acme --name ACME",
    ):
        assert run(["--var", str(var), *line.split()]) == 0
    return var


def sign(var: Path, *options: str) -> int:
    words = "customer sign acme --contract c --price-book list --time-zone Europe/Berlin"
    return run(["--var", str(var), *words.split(), *options])


def test_a_file_of_floors_is_signed_and_shown(
    var: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(var, "--commitments", str(EXAMPLES / "commitments.toml")) == 0
    (signed,) = Rooms(Settings(var=str(var))).book.view().contracts["c"]
    (floor,) = signed.commitments
    assert (floor.floor_minor, floor.per) == (1_000_000, "month")
    assert floor.start == as_instant(datetime(2030, 1, 16, tzinfo=BERLIN))
    assert floor.service_classes == ("standard", "batch")
    capsys.readouterr()
    assert run(["--var", str(var), "customer", "show", "acme"]) == 0
    assert "  at least 10000.00 USD a month from 2030-01-15T23:00:00+00:00 to " in (
        capsys.readouterr().out
    )


def test_a_version_without_them_says_what_it_ends(
    var: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rooms = Rooms(Settings(var=str(var)))
    begins = as_instant(datetime(2024, 2, 1, tzinfo=BERLIN))
    over = Commitment(300, begins, begins + 24 * US_PER_HOUR, "term")
    ends = rooms.now() // US_PER_HOUR * US_PER_HOUR + 24 * US_PER_HOUR
    runs = Commitment(700, over.end, ends, "term")
    floors = over, runs
    first = Contract("c", 1, "acme", "list", "USD", "Europe/Berlin", begins, commitments=floors)
    contracts.sign(rooms.book, rooms.actor, first, rooms.now())
    assert sign(var) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "ends with" in line]
    assert said == ["ends with this version: at least 7.00 USD a term"]
