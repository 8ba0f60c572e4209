"""The story on the command line: prices, customer, contract, key, journal."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from quartermaster.book.chain import GENESIS
from quartermaster.book.pepper import load_pepper
from quartermaster.book.store import open_book
from quartermaster.cli.main import run
from quartermaster.commands.actor import CLERK
from quartermaster.commands.identity import Identity
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.events import SegmentShipped
from quartermaster.kernel.ids import key_hash
from quartermaster.kernel.snapshot import Snapshot, decode


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


Quartermaster = Callable[..., Ran]

STARTER = Path(__file__).parents[3] / "src/quartermaster/billing/data/starter.toml"


@pytest.fixture
def quartermaster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Quartermaster:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Ran:
        code = run(["--var", str(tmp_path / "var"), *arguments])
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def signed(quartermaster: Quartermaster) -> Quartermaster:
    for line in (
        f"bill prices publish {STARTER}",
        "customer add acme --name ACME --country DE",
        "customer sign acme --contract acme-1 --price-book starter --time-zone Europe/Berlin",
    ):
        ran = quartermaster(*line.split())
        assert ran.code == 0, ran.err
    return quartermaster


def snapshot(tmp_path: Path) -> Snapshot:
    return decode((tmp_path / "var" / "snapshot.json").read_bytes())


def test_a_key_is_printed_alone_and_works_in_the_published_snapshot(
    signed: Quartermaster, tmp_path: Path
) -> None:
    issued = signed("key", "issue", "--contract", "acme-1")
    secret = issued.out.strip()
    assert issued.out == f"{secret}\n"
    pepper = load_pepper(tmp_path / "var" / "secrets" / "key_pepper")
    (grant,) = snapshot(tmp_path).keys
    assert grant.key_hash == key_hash(secret.encode(), pepper).hex()
    assert "served by no running gateway" in issued.err
    revoked = signed("key", "revoke", grant.key_id, "--reason", "lost")
    assert revoked.code == 0
    assert snapshot(tmp_path).keys == ()
    (row,) = signed("key", "list", "--json").json
    assert (row["id"], row["live"]) == (grant.key_id, False)


def test_workers_that_have_not_got_the_snapshot_are_named(
    signed: Quartermaster, tmp_path: Path
) -> None:
    status = tmp_path / "var" / "status"
    status.mkdir()
    (status / "gw-0.json").write_text('{"snapshot_version": 1000}')
    issued = signed("key", "issue", "--contract", "acme-1")
    assert "served by gw-0" in issued.err
    (status / "gw-1.json").write_text('{"snapshot_version": 1}')
    issued = signed("key", "issue", "--contract", "acme-1")
    assert "warning: gw-1 does not serve it yet" in issued.err
    assert issued.code == 0


def test_every_reading_command_speaks_json(signed: Quartermaster) -> None:
    signed("key", "issue", "--contract", "acme-1")
    shown = signed("customer", "show", "acme", "--json").json
    assert shown["standing"] == "active"
    assert [contract["version"] for contract in shown["contracts"]] == [1]
    assert "key_hash" not in shown["keys"][0]
    assert [customer["id"] for customer in signed("customer", "list", "--json").json] == ["acme"]
    assert signed("bill", "prices", "show", "--json").json[0]["currency"] == "USD"
    for line in ("customer show acme", "customer list", "key list", "bill prices show"):
        assert signed(*line.split()).out.strip()


def test_a_draft_without_usage_is_an_invoice_of_zero(signed: Quartermaster) -> None:
    drafted = signed("bill", "draft", "--contract", "acme-1")
    assert drafted.code == 0, drafted.err
    assert "No rated usage" in drafted.out
    assert "ACME (acme)" in drafted.out
    invoice = signed("bill", "draft", "--contract", "acme-1", "--json").json
    assert (invoice["total_minor"], invoice["currency"]) == (0, "USD")
    assert signed("bill", "draft", "--contract", "acme-1", "--period", "2026-1").code == 2


def test_a_changed_contract_is_its_next_version(signed: Quartermaster) -> None:
    again = "customer sign acme --contract acme-1 --price-book starter --time-zone Europe/Berlin"
    ran = signed(*again.split(), "--rounding", "half_even")
    # It would begin in the same hour as the first version.
    assert (ran.code, "does not begin after" in ran.err) == (2, True)


def test_the_journal_verifies_exports_and_shows_tampering(
    signed: Quartermaster, tmp_path: Path
) -> None:
    verified = signed("journal", "verify")
    assert verified.code == 0
    head = verified.out.strip()
    lines = signed("journal", "export", "--json").out.splitlines()
    entries = [msgspec.json.decode(line) for line in lines]
    assert head == f"{entries[-1]['seq']}:{entries[-1]['sha256']}"
    assert [entry["prev"] for entry in entries] == [GENESIS, *(e["sha256"] for e in entries[:-1])]
    assert len(signed("journal", "export", "--after", "2").out.splitlines()) == len(entries) - 2
    signed("customer", "add", "b", "--name", "B")
    assert signed("journal", "verify", "--expect", head).code == 0
    for wrong in ("nonsense", f"{'9' * 5_000}:ab"):
        assert signed("journal", "verify", "--expect", wrong).code == 2
    beyond = signed("journal", "export", "--after", "9" * 30)
    assert (beyond.code, "--after" in beyond.err) == (2, True)
    connection = sqlite3.connect(tmp_path / "var" / "book.sqlite")
    connection.execute("DROP TRIGGER journal_keeps")
    connection.execute("UPDATE journal SET actor = 'eve' WHERE seq = 2")
    connection.commit()
    connection.close()
    tampered = signed("journal", "verify")
    assert tampered.code == 5
    assert "entry 2 was changed" in tampered.err
    assert tampered.out == ""


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("customer show nobody", 1, "no customer 'nobody'"),
        ("key issue --contract x", 1, "no contract 'x'"),
        ("key revoke key_x --reason lost", 1, "no key 'key_x'"),
        ("bill prices show x", 1, "no price book 'x'"),
        ("customer sign acme --contract c --price-book x", 1, "no price book 'x'"),
        ("customer add ../acme --name A", 2, "customer: '../acme' cannot be an id"),
        (f"customer add {'a' * 3_000} --name A", 2, f"{'a' * 64}...' cannot be an id"),
        ("customer sign", 2, "Missing argument"),
    ],
)
def test_mistakes_are_one_sentence_and_an_exit_code(
    signed: Quartermaster, line: str, code: int, message: str
) -> None:
    ran = signed(*line.split())
    assert ran.code == code
    assert message in ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err


def test_a_deployment_reaches_the_snapshot_and_is_listed(
    signed: Quartermaster, tmp_path: Path
) -> None:
    ran = signed(
        *("deployment", "set", "vllm-1", "--model", "toy", "--url", "http://10.0.0.5:8000/v1"),
        *("--upstream-model", "meta/toy", "--secret-file", "secrets/vllm"),
    )
    assert (ran.code, ran.out) == (0, "")
    (deployment,) = snapshot(tmp_path).deployments
    assert (deployment.model, deployment.upstream_model) == ("toy", "meta/toy")
    assert deployment.secret_file == "secrets/vllm"
    (listed,) = signed("deployment", "list", "--json").json
    assert (listed["name"], listed["url"]) == ("vllm-1", "http://10.0.0.5:8000/v1")
    assert signed("deployment", "list").out.startswith("vllm-1  toy  http://10.0.0.5:8000/v1")


def test_a_bad_deployment_names_field_and_remedy(signed: Quartermaster) -> None:
    ran = signed("deployment", "set", "d", "--model", "toy", "--url", "10.0.0.5:8000")
    assert (ran.code, ran.out) == (2, "")
    assert "is not an HTTP address" in ran.err
    assert "http://127.0.0.1:8472/v1" in ran.err
    ran = signed("deployment", "set", "d", "--model", "toy", "--url", "http://h/v1", "--axis", "x")
    assert (ran.code, ran.out) == (2, "")
    assert "'x' is not one of 'input'" in ran.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("deployment set d --model m --url http://[::1", "is not an HTTP address"),
        ("deployment set d --model m --url http://host:99999/v1", "is not an HTTP address"),
        ("deployment set d --model m --url http://h/v1 --secret-file ../key", "below the data"),
        ("deployment set d --model m --url http://h/v1 --secret-file /etc/key", "below the data"),
        ("customer add b --name B --country Germany", "is not a country"),
        ("bill draft --contract acme-1 --period 9999-12", "is not a month"),
        ("usage hourly --at gateway-0=99999999999999999999", "is no part of a cut"),
    ],
)
def test_a_wrong_argument_is_answered_in_words(
    signed: Quartermaster, line: str, words: str
) -> None:
    ran = signed(*line.split())
    assert ran.code == 2
    assert words in ran.err


def test_names_are_kept_without_surrounding_spaces(quartermaster: Quartermaster) -> None:
    assert quartermaster("customer", "add", "acme", "--name", " ACME ").code == 0
    assert quartermaster("customer", "list", "--json").json[0]["name"] == "ACME"


def test_a_second_version_within_the_hour_says_when_it_can_be_signed(signed: Quartermaster) -> None:
    again = "customer sign acme --contract acme-1 --price-book starter --time-zone Europe/Berlin"
    ran = signed(*again.split())
    assert ran.code == 2
    assert "sign the next one in a later hour" in ran.err


def test_a_lost_usage_table_is_no_empty_proof_and_no_invoice(
    signed: Quartermaster, tmp_path: Path
) -> None:
    shipped = SegmentShipped(app_id="gateway-0", segment=3, rows=1, sha256="0")
    book = open_book(f"sqlite:///{tmp_path / 'var' / 'book.sqlite'}")
    book.append(shipped, actor=CLERK, now=system_clock())
    for line in ("usage check", "bill draft --contract acme-1"):
        ran = signed(*line.split())
        assert ran.code == 5
        assert "ends at segment 0 of gateway-0" in ran.err
    assert signed("usage", "check", "--at", "gateway-1=0").code == 0


def test_an_invitation_makes_one_user_with_its_roles(
    quartermaster: Quartermaster, tmp_path: Path
) -> None:
    ran = quartermaster("user", "invite", "--role", "finance", "--role", "viewer")
    assert ran.code == 0
    address, _, token = ran.out.strip().rpartition("/")
    assert address == "http://127.0.0.1:8470/join"
    identity = Identity(open_book(f"sqlite:///{tmp_path / 'var' / 'book.sqlite'}"))
    identity.redeem_link(token, "ada", "a long enough password", system_clock())
    (user,) = quartermaster("user", "list", "--json").json
    assert (user["name"], user["roles"]) == ("ada", ["finance", "viewer"])
    assert token not in quartermaster("journal", "export").out
    assert quartermaster("user", "invite", "--role", "customer").code == 2


def test_what_the_system_refuses_is_one_line(
    quartermaster: Quartermaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    ran = quartermaster("bill", "prices", "publish", str(STARTER))
    assert ran.code == 1
    assert ran.err.startswith(f"error: {STARTER}: Permission denied\nhint: ")
