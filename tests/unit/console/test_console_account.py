"""A customer's own page over the real book: keys made, rotated and stopped, and nobody else's."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.unit.console.console_fakes import FakeLive, FakeOverview, live_facts
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts
from tests.unit.usage import sealed_logs, usage_facts

from quartermaster.app import clerk
from quartermaster.app.console_account import RealAccounts
from quartermaster.app.rooms import Rooms
from quartermaster.book.pepper import load_pepper
from quartermaster.commands import contract as contracts
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.budget import Terms, set_budget
from quartermaster.commands.customer import add_customer
from quartermaster.commands.identity import Identity
from quartermaster.commands.limit import Limited, set_limits
from quartermaster.config import Settings
from quartermaster.console.report_words import catalogue
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.events import Opened
from quartermaster.kernel.ids import key_hash
from quartermaster.kernel.limit import Limits, LimitScope
from quartermaster.kernel.price import TEXT_AXES, Price, PriceBook
from quartermaster.kernel.snapshot import decode
from quartermaster.kernel.standing_facts import StandingChanged

NOW = Instant(usage_facts.NOON)
SESSION = "quartermaster_session"
PASSWORD = "a long enough password"


class World:
    """Two customers with a key each, some usage of both, and a user of each."""

    def __init__(self, var: Path) -> None:
        self.rooms = Rooms(Settings(var=str(var)))
        book = self.rooms.book
        prices = tuple(Price("m", axis, "2") for axis in TEXT_AXES)
        price_books.publish(book, OPERATOR, PriceBook("list", 1, "USD", 0, prices), NOW)
        self.keys = {}
        pepper = load_pepper(var / "secrets" / "key_pepper")
        start = NOW - NOW % US_PER_HOUR - 48 * US_PER_HOUR
        for who in ("acme", "globex"):
            add_customer(book, OPERATOR, Customer(who, f"{who.title()} Ltd", who), NOW)
            contract = Contract(f"{who}-1", 1, who, "list", "USD", "UTC", start)
            contracts.sign(book, OPERATOR, contract, NOW)
            issued = keys.issue(book, OPERATOR, contract=contract.id, pepper=pepper, now=NOW)
            self.keys[who] = issued.key_id
        sealed_logs.write_segment(
            var / "wal" / "gateway-0", [(self._opened(1, "acme"), usage_facts.closed(at=NOW)),
                                        (self._opened(2, "globex"), usage_facts.closed(at=NOW))]
        )  # fmt: skip
        clerk.ship(self.rooms)
        self.identity = Identity(book)
        self.app: Starlette = build(
            ConsoleSettings(), self.identity, FakeOverview(None), FakeLive(live_facts()),
            FakeExposure(exposure_facts()), lambda: NOW, accounts=RealAccounts(self.rooms),
        )  # fmt: skip

    def _opened(self, number: int, who: str) -> Opened:
        opened = usage_facts.opened(number, at=NOW, customer=who, model="m")
        said = {name: getattr(opened, name) for name in Opened.__struct_fields__}
        own = {"contract": f"{who}-1", "key_id": self.keys[who], "price_book": "list"}
        return Opened(**said | own)

    def browser(self, *roles: str, customer: str = "") -> TestClient:
        link = self.identity.issue_link(roles, NOW, customer=customer)
        name = customer or roles[0]
        token = self.identity.redeem_link(link, name, PASSWORD, NOW)
        client = TestClient(self.app, "http://127.0.0.1:8470", follow_redirects=False)
        client.cookies.set(SESSION, token)
        return client


def csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("account"))
    yield world
    world.rooms.book.close()


@pytest.fixture(scope="module")
def acme(world: World) -> TestClient:
    return world.browser("customer", customer="acme")


def post(client: TestClient, path: str, **form: str) -> tuple[int, str]:
    secret = csrf(client.get("/help").text)
    answer = client.post(path, data={"csrf": secret, **form})
    return answer.status_code, answer.text


def secret_in(page: str) -> str:
    found = re.search(r'class="secret">([^<]+)<', page)
    assert found is not None
    return found[1]


def test_a_customer_lands_on_its_own_account_and_sees_nothing_of_the_others(
    world: World, acme: TestClient
) -> None:
    assert acme.get("/").headers["location"] == "/account"
    page = acme.get("/account").text
    assert "Acme Ltd" in page
    assert world.keys["acme"] in page
    assert "globex" not in page.lower()
    for path in ("/exposure", "/traffic", "/warning", "/report"):
        assert acme.get(path).status_code == 403
        assert f'href="{path}"' not in page
    document = acme.get("/account?format=json").json()
    assert [row["key"] for row in document["usage"]] == [world.keys["acme"]]
    assert [row["contract"] for row in document["invoices"]] == ["acme-1"] * 2
    assert "globex" not in str(document)
    csv = acme.get("/account?format=csv&table=usage")
    assert csv.text.splitlines()[1].split(",")[2] == world.keys["acme"]


def test_a_key_is_shown_once_and_reaches_the_gateways(world: World, acme: TestClient) -> None:
    status, page = post(
        acme, "/account/keys", contract="acme-1", project="default", models="m",
        networks="203.0.113.0/24, 2001:db8::/32",
    )  # fmt: skip
    assert status == 200
    secret = secret_in(page)
    assert secret not in acme.get("/account").text
    snapshot = decode((world.rooms.var / "snapshot.json").read_bytes())
    pepper = load_pepper(world.rooms.var / "secrets" / "key_pepper")
    hashed = key_hash(secret.encode(), pepper).hex()
    (grant,) = [one for one in snapshot.keys if one.key_hash == hashed]
    assert (grant.customer, grant.models) == ("acme", ("m",))
    assert grant.networks == ("203.0.113.0/24", "2001:db8::/32")
    assert world.rooms.book.entries()[-1].actor.startswith("usr_")


def test_a_key_is_rotated_and_stopped(world: World, acme: TestClient) -> None:
    _, page = post(acme, "/account/keys", contract="acme-1", project="default")
    first = re.search(r"secret of (key_\w+)", page)
    assert first is not None
    status, page = post(acme, f"/account/keys/{first[1]}/rotation", hours="1")
    assert status == 200
    second = re.search(r"secret of (key_\w+)", page)
    assert second is not None
    assert f"{first[1]} works until" in page
    view = world.rooms.book.view()
    assert view.keys[first[1]].expires_at == NOW + US_PER_HOUR
    assert post(acme, f"/account/keys/{second[1]}/revocation")[0] == 303
    assert not world.rooms.book.view().keys[second[1]].live(NOW)


def test_tenants_do_not_meet(world: World, acme: TestClient) -> None:
    theirs = world.keys["globex"]
    before = world.rooms.book.view().seq
    for path in (f"/account/keys/{theirs}/rotation", f"/account/keys/{theirs}/revocation"):
        assert post(acme, path)[0] == 404
    assert post(acme, "/account/keys", contract="globex-1", project="default")[0] == 404
    assert world.rooms.book.view().seq == before
    assert post(acme, "/account/projects", project="x", customer="globex")[0] == 303
    assert ("acme", "x") in world.rooms.book.view().projects


def test_what_cannot_be_made_is_said_on_the_page(acme: TestClient) -> None:
    status, page = post(
        acme, "/account/keys", contract="acme-1", project="default", networks="everywhere"
    )
    assert status == 400
    assert 'value="everywhere"' in page
    assert 'role="alert"' in page
    acme.cookies.set("lang", "de")
    for path, form, said in (
        ("keys", {"networks": "everywhere"}, "Das sind keine Netze"),
        ("keys", {"contract": "globex-1"}, "Sie haben keinen solchen Vertrag."),
        ("keys", {"project": "nope"}, "Dieses Projekt geht nicht"),
        ("keys/key_1/rotation", {}, "Sie haben keinen solchen Schlüssel."),
        ("projects", {"project": "a b"}, "Dieses Projekt geht nicht"),
    ):
        asked = {"contract": "acme-1", "project": "default", **form}
        _, page = post(acme, f"/account/{path}", **asked)
        assert said in page
        assert "quartermaster " not in page
    acme.cookies.delete("lang")
    assert acme.get("/account?month=soon").status_code == 400
    assert acme.get("/account?format=xml").status_code == 400


def test_a_customer_sees_its_own_budgets_and_limits_and_nobody_else_s(
    world: World, acme: TestClient
) -> None:
    book = world.rooms.book
    owners: tuple[tuple[LimitScope, str], ...] = (
        ("group", "acme"), ("project", "acme/default"), ("key", world.keys["acme"]),
        ("group", "globex"), ("project", "globex/default"), ("key", world.keys["globex"]),
    )  # fmt: skip
    for scope, name in owners:
        set_budget(book, OPERATOR, scope, name, Terms(amount_minor=4_200), NOW)
    slow = Limited("project", "acme/default", Limits(requests_per_minute=77))
    set_limits(book, OPERATOR, slow, NOW)
    page = acme.get("/account").text
    assert "77 requests a minute" in page
    assert page.count("$42.00") == 3
    assert "The whole account" in page
    document = acme.get("/account?format=json").json()
    assert {(one["scope"], one["name"]) for one in document["budgets"]} == set(owners[:3])
    csv = acme.get("/account?format=csv&table=budgets").text
    assert ("globex" in csv, len(csv.splitlines())) == (False, 4)
    # What a sister spends is nobody else's business.
    add_customer(book, OPERATOR, Customer("acme-labs", "Acme Labs", "acme"), NOW)
    scopes = [one["scope"] for one in acme.get("/account?format=json").json()["budgets"]]
    assert scopes == ["key", "project"]
    for path in ("/budgets", "/budgets/group/acme", "/standing", "/standing/acme"):
        assert acme.get(path).status_code == 403


def test_nobody_without_an_account_comes_in(world: World) -> None:
    admin = world.browser("admin")
    assert admin.get("/account").status_code == 403
    stranger = TestClient(world.app, "http://127.0.0.1:8470", follow_redirects=False)
    assert stranger.get("/account").status_code == 303
    assert stranger.post("/account/keys", data={"contract": "acme-1"}).status_code in (303, 403)


def test_a_form_without_the_session_s_secret_changes_nothing(
    world: World, acme: TestClient
) -> None:
    before = world.rooms.book.view().seq
    assert acme.post("/account/keys", data={"contract": "acme-1"}).status_code == 403
    assert world.rooms.book.view().seq == before


def test_both_languages_say_the_same(acme: TestClient) -> None:
    keys_of = [set(catalogue("account", lang)._messages) for lang in ("de", "en")]
    assert keys_of[0] == keys_of[1]
    page = acme.get("/account?lang=de").text
    assert "Rechnungsentwurf" in page
    acme.get("/account?lang=en")


def test_who_is_suspended_is_led_to_what_it_can_do(world: World, acme: TestClient) -> None:
    words = ("What it is about, and what you can do", "Worum es geht, und was Sie tun können")
    stopped = StandingChanged(group="acme", standing="suspended", reason="a case", case="case_1")
    assert words[0] not in acme.get("/account?lang=en").text
    world.rooms.book.append(stopped, actor=OPERATOR, now=NOW)
    for lang, said in zip(("en", "de"), words, strict=True):
        assert f'<a href="/account/cases">{said}</a>' in acme.get(f"/account?lang={lang}").text
    again = StandingChanged(group="acme", standing="active", reason="settled", case="case_1")
    world.rooms.book.append(again, actor=OPERATOR, now=NOW)
    acme.get("/account?lang=en")


def test_a_customer_sees_the_history_of_its_own_budgets_only(
    world: World, acme: TestClient
) -> None:
    for key in world.keys.values():
        terms = Terms(amount_minor=4_300)
        set_budget(world.rooms.book, OPERATOR, "key", key, terms, NOW, reason="as agreed")
    here = f"/account/budgets/key/{world.keys['acme']}"
    page = acme.get(here).text
    assert "Acme Ltd" not in page
    assert "spent by the end of each day" in page
    assert f'href="{here}"' in acme.get("/account").text
    document = acme.get(f"{here}?format=json").json()
    month = document["month"]
    assert document["days"][-1]["spent"] == document["days"][-1]["spent_so_far"] != "0.00"
    assert document["events"]
    assert not any(set(row) & {"by", "reason"} for row in document["events"])
    text = acme.get(f"{here}?format=csv&table=days&month={month}").text
    assert text.count(month) == len(document["days"])
    for seen in (page, text, str(document)):
        assert "operator" not in seen
        assert "as agreed" not in seen
    for path in (
        here.replace(world.keys["acme"], world.keys["globex"]),
        "/account/budgets/all/a",
        f"{here}s",
    ):
        assert acme.get(path).status_code == 404
        assert acme.get(f"{path}?format=csv").status_code == 404
