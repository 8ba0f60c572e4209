"""Standing, keys and projects at the terminal: what is printed, and what goes on where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quartermaster.app.rooms import Rooms
from quartermaster.cli.main import run
from quartermaster.commands import contract as contracts
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.config import Settings
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.snapshot import decode

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def var(tmp_path: Path) -> Path:
    rooms = Rooms(Settings(var=str(tmp_path)))
    now = rooms.now()
    hour = Instant(now - now % US_PER_HOUR)
    price_books.publish(
        rooms.book, OPERATOR, PriceBook("list", 1, "USD", 0, (Price("m", "input", "1"),)), now
    )
    add_customer(rooms.book, OPERATOR, Customer("acme", "ACME", "acme"), now)
    contracts.sign(rooms.book, OPERATOR, Contract("c", 1, "acme", "list", "USD", "UTC", hour), now)
    rooms.book.close()
    return tmp_path


@pytest.fixture
def say(var: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    def said(*arguments: str) -> tuple[int, str, str]:
        code = run(["--var", str(var), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return said


def json_of(said: tuple[int, str, str]) -> Any:
    assert said[0] == 0, said[2]
    return msgspec.json.decode(said[1])


def test_a_proposal_says_how_a_second_person_signs_it_off(say: Say, var: Path) -> None:
    code, out, err = say("customer", "standing", "acme", "suspended", "--reason", "extraction")
    assert code == 0
    proposal = out.strip()
    assert f"quartermaster customer sign-off {proposal}" in err
    assert "its share of revenue is not known" in err
    (waiting,) = json_of(say("customer", "standing", "--json"))
    assert (waiting["standing"], waiting["waiting"]["fact"]["standing"]) == ("active", "suspended")
    code, _, err = say("customer", "sign-off", proposal)
    assert code != 0
    assert "second person" in err
    assert say("customer", "decline", proposal, "--reason", "no")[1].startswith("acme: proposal")
    assert not (var / "snapshot.json").exists(), "nothing has changed for the gateways"


def test_a_standing_is_set_shown_and_published(
    say: Say, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTERMASTER_STANDING__SIGN_OFF_SHARE", "1")
    code, out, err = say(
        "customer", "standing", "acme", "throttled", "--reason", "judging", "--model", "m",
        "--requests-per-minute", "6",
    )  # fmt: skip
    assert (code, out) == (0, "acme: throttled (was active)\n")
    assert "snapshot 1: served by no running gateway" in err
    shown = say("customer", "standing", "acme")[1]
    assert shown == "acme  throttled: judging\n  models m: requests per minute 6\n"
    assert decode((var / "snapshot.json").read_bytes()).throttles["acme"].models == ("m",)
    assert say("customer", "standing", "acme", "warned")[0] != 0, "not without a reason"
    assert say("customer", "investigate", "acme", "--reason", "why")[0] == 0
    assert "under investigation" in say("customer", "standing")[1]
    assert decode((var / "snapshot.json").read_bytes()).investigated == ("acme",)
    assert say("customer", "investigate", "acme", "--reason", "no", "--end")[0] == 0


def test_keys_of_a_project_are_rotated_and_end_with_it(say: Say, var: Path) -> None:
    assert say("project", "add", "acme", "chat", "--name", "Chat")[1] == "chat\n"
    made = json_of(
        say("key", "issue", "--contract", "c", "--project", "chat", "--network", "2001:db8::/32",
            "--endpoint", "embeddings", "--json")
    )  # fmt: skip
    turned = json_of(say("key", "rotate", made["key_id"], "--overlap", "7d", "--json"))
    rows = {row["id"]: row for row in json_of(say("key", "list", "--json"))}
    assert rows[made["key_id"]]["successor"] == turned["key_id"]
    assert rows[turned["key_id"]]["networks"] == ["2001:db8::/32"]
    (project,) = json_of(say("project", "list", "--json"))
    assert (project["project"], project["live_keys"]) == ("chat", 2)
    assert len(decode((var / "snapshot.json").read_bytes()).keys) == 2
    assert say("key", "rotate", turned["key_id"], "--overlap", "soon")[0] != 0
    assert say("project", "archive", "acme", "chat", "--reason", "over")[0] == 0
    assert decode((var / "snapshot.json").read_bytes()).keys == ()
    assert say("project", "list")[1] == "acme  chat  Chat  archived\n"


def test_units_are_signed_from_a_file(say: Say, tmp_path: Path) -> None:
    units = tmp_path / "units.toml"
    units.write_text(
        '[[provisioned]]\nmodel = "m"\nregion = "eu"\nunits = 5\n'
        "start = 2026-12-01T00:00:00Z\nend = 2027-12-01T00:00:00Z\n"
        'price_per_ptu_hour = "1.00"\ninput_tokens_per_minute = 2500\n'
    )
    sign = ("customer", "sign", "acme", "--contract", "units", "--price-book", "list")
    assert say(*sign, "--provisioned", str(units))[1] == "units version 1\n"
    units.write_text(units.read_text().replace("2500", "0"))
    code, _, err = say(*sign[:4], "units-2", *sign[5:], "--provisioned", str(units))
    assert code != 0
    assert "input tokens a minute" in err
