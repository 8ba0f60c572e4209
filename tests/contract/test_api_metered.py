"""The API over a real data folder: what gateways metered, by hour, by request and as an invoice."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from tests.unit.usage import usage_facts
from tests.unit.usage.sealed_logs import new_table, requests, ship, write_segment

from quartermaster.api.operation import PREFIX
from quartermaster.api.settings import ApiSettings
from quartermaster.app.api import with_api
from quartermaster.app.rooms import Rooms
from quartermaster.book.pepper import load_pepper
from quartermaster.cli.main import run
from quartermaster.commands import api_token as tokens
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.contract import sign
from quartermaster.config import Settings
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month_named, system_clock
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.events import UserAdded
from quartermaster.kernel.ids import key_hash
from quartermaster.kernel.snapshot import decode

ROOT = Path(__file__).parents[2]
FLEET = ROOT / "examples" / "fleet-sample.toml"
PERIOD = "2026-09"
PAGES = PlainTextResponse("a page")


class RoomsThen(Rooms):
    """The week after the use: a panel of daily use ends with the day that is over."""

    def now(self) -> Instant:
        return Instant(usage_facts.NOON + 7 * 24 * US_PER_HOUR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two customers, one of whom sent three requests that are shipped."""
    folder = tmp_path_factory.mktemp("var")
    write_segment(folder / "wal" / "gateway-0", requests(1, 2))
    write_segment(folder / "wal" / "gateway-0", requests(3, at=usage_facts.NOON + US_PER_HOUR))
    ship(folder / "wal", new_table(folder / "usage"))
    starter = ROOT / "src/quartermaster/billing/data/starter.toml"
    for line in (
        f"bill prices publish {starter}",
        "customer add cus_tiktok --name TikTok --country SG",
        "customer add cus_other --name Other",
    ):
        assert run(["--var", str(folder), *line.split()]) == 0
    book = Rooms(Settings(var=str(folder))).book
    currency = book.view().price_books["starter"][0].currency
    september = month_named(PERIOD, "UTC").start
    contract = Contract("ctr_1", 1, "cus_tiktok", "starter", currency, "UTC", september)
    sign(book, OPERATOR, contract, system_clock())
    return folder


@pytest.fixture(scope="module")
def rooms(folder: Path) -> Rooms:
    rooms = RoomsThen(Settings(var=str(folder)))
    ada = UserAdded(user="usr_ada", name="Ada", roles=("viewer", "admin"))
    rooms.book.append(ada, actor=OPERATOR, now=rooms.now())
    return rooms


def client(rooms: Rooms, customer: str = "") -> TestClient:
    """A program of a customer, or of Ada."""
    given: dict[str, Any] = {
        "name": "a test",
        "expires_at": rooms.now() + US_PER_HOUR,
        "pepper": load_pepper(rooms.var / "secrets" / "key_pepper"),
        "now": rooms.now(),
    }
    if customer:
        made = tokens.make_for_customer(rooms.book, OPERATOR, customer=customer, **given)
    else:
        operator = rooms.actor
        made = tokens.make_for_user(
            rooms.book, operator, user="usr_ada", roles=("viewer", "admin"), **given
        )
    app = with_api(rooms)(PAGES)
    return TestClient(app, "http://localhost", headers={"authorization": f"Bearer {made.secret}"})


def test_hours_of_a_month_are_what_rating_reads(rooms: Rooms) -> None:
    found = client(rooms).get(f"{PREFIX}/usage/hourly", params={"period": PERIOD}).json()
    assert found["cut"] == {"gateway-0": 2}
    hours = [(item["hour"], item["requests"], item["counts"]["output"]) for item in found["items"]]
    assert hours == [("2026-09-21T14:00:00Z", 2, 30), ("2026-09-21T15:00:00Z", 1, 30)]
    assert {item["deployment"] for item in found["items"]} == {"embedded"}
    other = client(rooms, "cus_other").get(f"{PREFIX}/usage/hourly", params={"period": PERIOD})
    assert other.json()["items"] == []


def test_a_request_is_found_by_its_id(rooms: Rooms) -> None:
    path = f"{PREFIX}/usage/requests/{usage_facts.request_id(2)}"
    (attempt,) = client(rooms).get(path).json()
    assert attempt["counts"]["output"] == 20
    assert attempt["metered"]["segment"] == 1
    (own,) = client(rooms, "cus_tiktok").get(path).json()
    assert own["metered"] is None
    assert client(rooms, "cus_other").get(path).status_code == 404


def test_an_invoice_is_what_the_command_line_drafts(
    rooms: Rooms, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"{PREFIX}/invoices/ctr_1/{PERIOD}"
    before = len(rooms.book.entries())
    answer = client(rooms, "cus_tiktok").get(path)
    assert len(rooms.book.entries()) == before + 1, "only the token was made"
    line = f"bill draft --contract ctr_1 --period {PERIOD} --json"
    assert run(["--var", str(rooms.var), *line.split()]) == 0
    drafted = json.loads(capsys.readouterr().out)
    # The month runs for the API's clock; for the command line's it was over long ago.
    assert (drafted["accrued_until"], type(answer.json()["accrued_until"])) == (None, int)
    assert {**answer.json(), "accrued_until": None} == drafted
    assert {line["axis"] for line in answer.json()["lines"]} == {"input", "output"}
    assert client(rooms, "cus_other").get(path).status_code == 404
    (draft,) = client(rooms, "cus_tiktok").get(f"{PREFIX}/invoices").json()["items"]
    assert draft["total_minor"] == answer.json()["total_minor"]


def test_a_key_that_is_issued_stands_in_the_snapshot(rooms: Rooms) -> None:
    answer = client(rooms).post(f"{PREFIX}/keys", json={"contract": "ctr_1"}).json()
    snapshot = decode((rooms.var / "snapshot.json").read_bytes())
    assert snapshot.version == answer["published"]["snapshot_version"]
    pepper = load_pepper(rooms.var / "secrets" / "key_pepper")
    hashed = key_hash(answer["secret"].encode(), pepper).hex()
    assert [grant.key_id for grant in snapshot.keys if grant.key_hash == hashed] == [answer["id"]]


def test_capacity_takes_its_demand_from_the_meters(rooms: Rooms) -> None:
    fleet = FLEET.read_text().replace('model = "sample-70b"', 'model = "toy"')
    answer = client(rooms).post(f"{PREFIX}/capacity", json={"fleet": fleet})
    tokens_of = {line["customer"]: line["decode_tokens"] for line in answer.json()["customers"]}
    assert tokens_of["cus_tiktok"] == 60


def test_usage_of_days_becomes_a_panel(rooms: Rooms) -> None:
    answer = client(rooms).get(f"{PREFIX}/warnings")
    assert answer.status_code == 200
    assert [one["tenant"] for one in answer.json()["tenants"]] == ["cus_tiktok"]


def test_everything_else_is_the_consoles(rooms: Rooms) -> None:
    for path in ("/", "/api", "/api/v10/me", "/apiv1"):
        assert client(rooms).get(path).text == "a page"
    off = Rooms(Settings(var=str(rooms.var), api=ApiSettings(enabled=False)))
    assert TestClient(with_api(off)(PAGES), "http://localhost").get(f"{PREFIX}/me").text == "a page"
