"""Cases in the console over a real book: the queue, two persons, the portal of one customer."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.unit.conduct.case_made_up import HARVEST, ONLY_REASONING, SMALL
from tests.unit.console.conftest import SESSION, browser
from tests.unit.console.console_fakes import (
    NOW,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    FakeSignedIn,
    live_facts,
    overview_facts,
)
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts

from quartermaster.app.console_cases import RealCases
from quartermaster.app.rooms import Rooms
from quartermaster.commands import case as cases
from quartermaster.commands import case_read as reading
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.customer import add_customer
from quartermaster.config import Settings
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.case import CaseEvidence, CaseFinding, CaseOpened
from quartermaster.kernel.contract import Customer
from quartermaster.kernel.events import UserAdded

PEOPLE = {
    "ada": (("trust",), ""),
    "bob": (("admin",), ""),
    "cy": (("trust",), ""),
    "eve": (("viewer",), ""),
    "buyer": (("customer",), "acme"),
    "rival": (("customer",), "other"),
}


class World:
    def __init__(self, folder: Path, *, sample: bool = True) -> None:
        self.rooms = Rooms(Settings(var=str(folder)))
        identity = FakeIdentity()
        for name in ("acme", "other"):
            add_customer(self.rooms.book, OPERATOR, Customer(name, name.upper(), name), NOW)
        for name, (roles, customer) in PEOPLE.items():
            user = f"usr_{name}"
            fact = UserAdded(user=user, name=name.title(), roles=roles, customer=customer)
            self.rooms.book.append(fact, actor=OPERATOR, now=NOW)
            signed_in = FakeSignedIn(user, name, roles, f"csrf-{name}", customer)
            identity.sessions[name] = signed_in
        self.app: Starlette = build(
            ConsoleSettings(),
            identity,
            FakeOverview(overview_facts()),
            FakeLive(live_facts()),
            FakeExposure(exposure_facts()),
            lambda: NOW,
            cases=RealCases(self.rooms, sample=sample),
        )

    def who(self, name: str) -> TestClient:
        client = browser(self.app)
        client.cookies.set(SESSION, name)
        client.headers["x-csrf-token"] = f"csrf-{name}"
        return client

    def opened(self, finding: CaseFinding = HARVEST) -> str:
        opening = CaseOpened(
            group="acme", reason="an alarm", evidence=CaseEvidence(findings=(finding,)), stake=SMALL
        )
        return cases.open_case(self.rooms.book, Actor("usr_ada", ("trust",)), opening, NOW).id

    def step(self, who: str, case: str, move: str, **form: str) -> int:
        data = {"move": move, "reason": f"to {move}", **form}
        return self.who(who).post(f"/cases/{case}/steps", data=data).status_code

    def suspended(self) -> str:
        case = self.opened()
        assert self.step("ada", case, "inform") == 303
        assert self.step("ada", case, "suspend", urgent="1") == 303
        assert (
            self.who("bob").post(f"/cases/{case}/signature", data={"proposal": "3"}).status_code
            == 303
        )
        return case


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.rooms.book.close()


def test_the_queue_shows_real_cases_and_the_sample_apart(world: World) -> None:
    empty = world.who("eve").get("/cases").text
    assert "No case is open" in empty
    assert "A sample case" in empty
    case = world.opened()
    page = world.who("eve").get("/cases").text
    assert f"/cases/{case}" in page
    assert page.index(case) < page.index("A sample case")


@pytest.mark.parametrize("lang", ["en", "de"])
def test_the_sample_case_tells_the_whole_story_and_takes_no_step(world: World, lang: str) -> None:
    page = world.who("ada").get(f"/cases/sample?lang={lang}")
    assert page.status_code == 200
    assert page.text.count('class="fig"') == 8  # four figures, for desks and phones
    for section in ("extent", "days", "evidence", "rank", "clusters", "topics", "cost", "against"):
        assert f'id="{section}"' in page.text
    assert world.step("ada", "sample", "reinstate") == 404
    assert 'action="/cases/sample/steps"' not in page.text


def test_two_persons_suspend_and_the_page_says_who_waits(world: World) -> None:
    case = world.opened()
    assert world.step("ada", case, "suspend") == 409
    assert world.step("ada", case, "inform") == 303
    assert world.step("ada", case, "suspend", urgent="1") == 303
    assert "Ada proposed: Suspend" in world.who("bob").get(f"/cases/{case}").text
    assert f'action="/cases/{case}/signature"' in world.who("bob").get(f"/cases/{case}").text
    mine = world.who("ada").get(f"/cases/{case}").text
    assert f'action="/cases/{case}/signature"' not in mine
    assert "somebody else signs it" in mine
    assert (
        world.who("ada").post(f"/cases/{case}/signature", data={"proposal": "3"}).status_code == 403
    )
    assert (
        world.who("eve").post(f"/cases/{case}/signature", data={"proposal": "3"}).status_code == 403
    )
    assert (
        world.who("bob").post(f"/cases/{case}/signature", data={"proposal": "3"}).status_code == 303
    )
    assert world.rooms.book.view().standing == {"acme": "suspended"}


def test_nobody_signs_what_was_swapped_behind_the_page(world: World) -> None:
    case = world.opened()
    world.step("ada", case, "inform")
    world.step("ada", case, "suspend", urgent="1")
    page = world.who("bob").get(f"/cases/{case}").text
    assert 'name="proposal" value="3"' in page
    world.who("ada").post(f"/cases/{case}/withdrawal", data={"reason": "changed my mind"})
    world.step("ada", case, "throttle", urgent="1", keys="key_1", requests_per_minute="1")
    swapped = world.who("bob").post(f"/cases/{case}/signature", data={"proposal": "3"})
    assert swapped.status_code == 409
    assert world.rooms.book.view().standing == {}


def test_a_form_cannot_say_who_acts(world: World) -> None:
    case = world.opened()
    world.step("ada", case, "inform")
    form = {"urgent": "1", "actor": "usr_bob", "user": "usr_bob", "by": "usr_bob"}
    assert world.step("ada", case, "suspend", **form) == 303
    pending = reading.read(world.rooms.book, case).pending
    assert pending is not None
    assert pending.by == "usr_ada"


def test_a_viewer_reads_and_steps_nothing(world: World) -> None:
    case = world.opened()
    page = world.who("eve").get(f"/cases/{case}").text
    assert "the roles trust and admin step them" in page
    assert f'action="/cases/{case}/steps"' not in page
    assert world.step("eve", case, "inform") == 403


def test_reasoning_alone_offers_no_step(world: World) -> None:
    case = world.opened(ONLY_REASONING)
    page = world.who("ada").get(f"/cases/{case}").text
    assert "never leads beyond observation" in page
    assert world.step("ada", case, "inform") == 409


def test_the_portal_shows_a_customer_its_own_case_and_nothing_of_the_evidence(
    world: World,
) -> None:
    case = world.opened()
    assert case not in world.who("buyer").get("/account/cases").text
    world.step("ada", case, "inform")
    mine = world.who("buyer").get("/account/cases").text
    assert case in mine
    assert "Please tell us about your use" in mine
    assert "usr_ada" not in mine
    assert "Expected" not in mine
    assert case not in world.who("rival").get("/account/cases").text
    for path in ("answers", "appeals"):
        refused = world.who("rival").post(f"/account/cases/{case}/{path}", data={"text": "x"})
        assert refused.status_code == 404
        assert (
            world.who("ada").post(f"/account/cases/{case}/{path}", data={"text": "x"}).status_code
            == 403
        )
    for who in ("buyer", "rival"):
        assert world.who(who).get(f"/cases/{case}").status_code == 403
    assert reading.read(world.rooms.book, case).answers == ()


def test_a_customer_answers_appeals_and_another_person_grants_it(world: World) -> None:
    case = world.suspended()
    buyer = world.who("buyer")
    said = {"text": "to a very limited extent", "share": "2,5"}
    assert buyer.post(f"/account/cases/{case}/answers", data=said).status_code == 303
    assert reading.read(world.rooms.book, case).statements[0].high == 0.025
    appeal = {"text": "You are mistaken."}
    assert buyer.post(f"/account/cases/{case}/appeals", data=appeal).status_code == 303
    decision = {"reason": "they are right", "decision": "grant", "confirmed": "1"}
    for who in ("ada", "bob"):
        denied = world.who(who).post(f"/cases/{case}/appeal-decision", data=decision)
        assert denied.status_code == 403
    bob = world.who("bob")
    bob.cookies.set("lang", "de")
    german = bob.post(f"/cases/{case}/appeal-decision", data=decision).text
    assert "Wer an der Maßnahme beteiligt war, entscheidet nicht über den Widerspruch." in german
    buyer.cookies.set("lang", "de")
    german = buyer.post(f"/account/cases/{case}/appeals", data=appeal).text
    assert "Ein Widerspruch von Ihnen wartet schon auf eine Entscheidung." in german
    buyer.cookies.set("lang", "en")
    granted = world.who("cy").post(f"/cases/{case}/appeal-decision", data=decision)
    assert granted.status_code == 303
    assert world.rooms.book.view().standing["acme"] == "active"
    assert "Granted: they are right" in buyer.get("/account/cases").text


def test_a_decision_on_an_appeal_is_chosen_and_confirmed_never_the_default(world: World) -> None:
    case = world.suspended()
    world.who("buyer").post(f"/account/cases/{case}/appeals", data={"text": "You are mistaken."})
    cy, address = world.who("cy"), f"/cases/{case}/appeal-decision"
    form = re.search(rf'<form [^>]*"{address}".*?</form>', cy.get(f"/cases/{case}").text, re.DOTALL)
    assert form is not None
    # What Enter presses decides nothing: the one button has no value, and nothing is chosen.
    assert form[0].count("<button") == 1
    assert "<button>" in form[0]
    assert "checked" not in form[0]
    typed = {"form": "appeal", "reason": "they are right"}
    for chosen, words in (
        ({}, "Choose whether you grant or refuse it"),
        ({"decision": ""}, "Choose whether you grant or refuse it"),
        ({"decision": "grant"}, "Confirm the decision"),
    ):
        asked = cy.post(address, data={**typed, **chosen})
        assert asked.status_code == 400
        assert words in asked.text
        assert 'name="reason" required maxlength="4000" value="they are right"' in asked.text
    assert world.rooms.book.view().standing["acme"] == "suspended"


def test_a_wrong_share_keeps_the_answer_and_names_the_field(world: World) -> None:
    case = world.suspended()
    buyer, address = world.who("buyer"), f"/account/cases/{case}/answers"
    for share in ("a lot", "101", "-1", "nan", "inf"):
        wrong = buyer.post(address, data={"text": "Our <own> tests.", "share": share})
        assert wrong.status_code == 400
        assert "Our &lt;own&gt; tests.</textarea>" in wrong.text
        assert f'value="{share}" aria-invalid="true" aria-describedby="refusal"' in wrong.text
        assert "Give the share in per cent" in wrong.text
    assert reading.read(world.rooms.book, case).answers == ()
    kept = buyer.post(f"/account/cases/{case}/appeals", data={"text": "x" * 4_001})
    assert "x" * 4_001 + "</textarea>" in kept.text
    assert buyer.post(address, data={"text": "x", "share": " 2.5 % "}).status_code == 303
    assert reading.read(world.rooms.book, case).statements[0].high == 0.025


def test_a_throttle_says_what_is_missing(world: World) -> None:
    case = world.opened()
    world.step("ada", case, "inform")
    refused = world.who("ada").post(
        f"/cases/{case}/steps", data={"move": "throttle", "reason": "r", "urgent": "1"}
    )
    assert refused.status_code == 400
    assert "Name the offending slice" in refused.text
    for rate in ("many", "9" * 5_000):
        assert world.step("ada", case, "throttle", urgent="1", requests_per_minute=rate) == 400
    assert world.step("ada", case, "explode") == 400


def test_a_wrong_rate_is_kept_and_the_field_named(world: World) -> None:
    case, ada = world.opened(), world.who("ada")
    world.step("ada", case, "inform")
    typed = {"move": "throttle", "reason": "why <now>", "urgent": "1", "models": "m"}
    says = {
        "many": "Requests a minute that still pass: “many” is not a whole number; give one",
        "1.5": "Requests a minute that still pass: “1.5” is not a whole number; give one",
        "-1": "Requests a minute that still pass: “-1” is not a whole number; give one",
    }
    for rate, words in says.items():
        wrong = ada.post(f"/cases/{case}/steps", data={**typed, "requests_per_minute": rate})
        assert wrong.status_code == 400
        assert words in wrong.text
        assert f'value="{rate}" aria-invalid="true" aria-describedby="refusal"' in wrong.text
        assert 'value="why &lt;now&gt;"' in wrong.text
        assert 'name="models" maxlength="2000" value="m"' in wrong.text
    none = ada.post(f"/cases/{case}/steps", data={**typed, "requests_per_minute": "0"})
    assert none.status_code == 400
    assert "Requests a minute that still pass: 0 is no limit; give" in none.text
    assert 'value="0" aria-invalid="true"' in none.text


def test_a_case_file_is_remembered_by_the_journal(world: World) -> None:
    case = world.suspended()
    made = world.who("ada").post(f"/cases/{case}/file", data={"format": "json"})
    assert made.status_code == 200
    assert made.headers["content-disposition"].endswith(f'case-{case}-en.json"')
    import hashlib

    step = reading.read(world.rooms.book, case).history[-1]
    assert step.event.sha256 == hashlib.sha256(made.content).hexdigest()  # type: ignore[union-attr]
    assert len(made.json()["entries"]) == 4
    page = world.who("ada").post(f"/cases/{case}/file", data={"format": "html"})
    assert "ACME" in page.text
    assert world.who("ada").post(f"/cases/{case}/file", data={"format": "odt"}).status_code == 400


def test_the_tour_leads_to_pages_that_exist(world: World) -> None:
    page = world.who("eve").get("/tour").text
    for path in ("/exposure", "/cases", "/cases/sample"):
        assert f'href="{path}' in page
    assert world.who("eve").get("/cases/sample").status_code == 200
    assert world.who("buyer").get("/tour").status_code == 403


def test_a_console_of_a_real_book_has_neither_sample_nor_tour(tmp_path: Path) -> None:
    world = World(tmp_path, sample=False)
    assert "A sample case" not in world.who("eve").get("/cases").text
    assert world.who("eve").get("/cases/sample").status_code == 404
    tour = world.who("eve").get("/tour")
    assert "/cases/sample" not in tour.text
    assert "your own book" in tour.text
    world.rooms.book.close()


def test_a_case_on_nothing_says_so_and_who_opened_it(world: World) -> None:
    opening = CaseOpened(group="acme", reason="a hint", evidence=CaseEvidence(), stake=SMALL)
    case = cases.open_case(world.rooms.book, Actor("os:ann", ("admin",)), opening, NOW).id
    page = world.who("ada").get(f"/cases/{case}").text
    assert "ann at the command line: Opened the case: a hint" in page
    assert "os:ann" not in page
    assert "Nothing is known of that yet" in page
