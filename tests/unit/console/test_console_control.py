"""Budgets, limits and standing in the console: shown, changed by who may, and handed on."""

import csv
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient
from tests.unit.console.console_fakes import (
    NOW,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    FakeSignedIn,
    live_facts,
)
from tests.unit.console.control_world import control_world
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts

from quartermaster.commands.publish import Acknowledgement
from quartermaster.commands.standing import RevenueShare
from quartermaster.commands.webhook_record import Delivered, Record
from quartermaster.console.control_view import acknowledged, person_name
from quartermaster.console.format import Lang
from quartermaster.console.number_field import amount_of
from quartermaster.console.ports_control import Control
from quartermaster.console.report_words import catalogue
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.console.spending_facts import all_spending
from quartermaster.console.spending_view import view_of
from quartermaster.console.standing_facts import stand_of
from quartermaster.console.standing_view import group_view
from quartermaster.console.webhook_facts import Hook
from quartermaster.kernel.clock import Period
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.events import HourlyUsage

SESSION = "quartermaster_session"
ACME, SEARCH = "/budgets/group/acme", "/budgets/project/acme/search"

Client = Callable[..., TestClient]


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with control_world(tmp_path) as control:
        yield control


@pytest.fixture
def client(control: Control) -> Client:
    identity = FakeIdentity()
    app = build(
        ConsoleSettings(), identity, FakeOverview(None), FakeLive(live_facts()),
        FakeExposure(exposure_facts()), lambda: NOW, control=control,
    )  # fmt: skip

    def signed_in(role: str, lang: str = "en") -> TestClient:
        identity.sessions[role] = FakeSignedIn(f"usr_{role}", role, (role,), "csrf")
        browser = TestClient(app, "http://localhost:8470", follow_redirects=False)
        browser.cookies.update({SESSION: role, "lang": lang})
        return browser

    return signed_in


def post(browser: TestClient, path: str, **form: str) -> tuple[int, str]:
    """The status, and where it leads or what the page says."""
    answer = browser.post(path, data={"csrf": "csrf", "confirmed": "1", **form})
    return answer.status_code, answer.headers.get("location", answer.text)


def cents(control: Control, who: str = "acme") -> int:
    return control.book.view().budgets["group", who].amount_minor


# -- budgets and limits ----------------------------------------------------------------------------


def test_the_list_says_who_has_how_much_and_what_is_gone(client: Client) -> None:
    page = client("viewer").get("/budgets").text
    assert "1 of 4 budgets is spent or paused" in page
    for words in ("ACME / Search", "$4,300.00", "$450.00", "86.0%", "50% sent", "not known yet"):
        assert words in page
    document = client("viewer").get("/budgets?format=json").json()
    assert [one["name"] for one in document["budgets"]][:3] == ["globex", "acme", "acme/search"]
    assert (document["budgets"][1]["spent_share"], document["budgets"][1]["left"]) == (
        "0.86",
        "450.00",
    )
    assert "was not taken: answered with status 500" in page
    german = client("viewer", "de").get("/budgets").text
    assert "wurde nicht angenommen: Antwort mit Status 500" in german
    assert document["alerts"][0]["waiting"] == 1
    assert document["alerts"][0]["url"] == "https://ops.example.com/hook…"
    assert "https://ops.example.com/hook…" in page
    for table in ("budgets", "limits", "alerts"):
        text = client("viewer").get(f"/budgets?format=csv&table={table}").text
        rows = list(csv.DictReader(text.splitlines()))
        assert [{k: str(v) for k, v in one.items()} for one in document[table]] == [
            {k: v.replace("true", "True").replace("false", "False") for k, v in row.items()}
            for row in rows
        ]
    assert client("viewer").get("/budgets?format=csv&table=keys").status_code == 400


def test_a_name_leads_to_its_page(client: Client) -> None:
    viewer = client("viewer")
    found = viewer.get("/budgets?scope=project&name=acme/search")
    assert (found.status_code, found.headers["location"]) == (303, SEARCH)
    assert viewer.get(SEARCH).status_code == 200
    for path in ("/budgets/project/acme/none", "/budgets/key/acme", "/budgets/all/acme"):
        assert viewer.get(path).status_code == 404


def test_a_budget_is_raised_once_it_is_confirmed(client: Client, control: Control) -> None:
    finance = client("finance")
    form = {"act": "set", "kind": "month", "amount": "6,500.50", "alerts": "40, 90"}
    status, page = post(finance, ACME, **form, confirmed="")
    assert (status, cents(control)) == (400, 500_000)
    assert "tick that you mean it" in page
    assert 'value="6,500.50"' in page
    assert post(finance, ACME, **form) == (303, f"{ACME}?published=1")
    budget = control.book.view().budgets["group", "acme"]
    assert (budget.amount_minor, budget.thresholds) == (650_050, (40, 90))
    shown = finance.get(f"{ACME}?published=1").text
    assert "is not served by every gateway worker yet" in shown
    assert "gateway-1" in shown
    german = {**form, "amount": "7.250,25"}
    assert post(client("admin", "de"), ACME, **german)[0] == 303
    assert cents(control) == 725_025


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"amount": "0"}, "This amount cannot be used"),
        ({"amount": "1.005"}, "This amount cannot be used"),
        ({"amount": "lots"}, "This amount cannot be used"),
        ({"amount": "5", "alerts": "50, 101"}, "whole per cents from 1 to 100"),
        ({"amount": "5", "output_tokens": "many"}, "Output tokens are a whole number"),
        ({"amount": "5", "kind": "none"}, "The kind of a budget cannot change"),
        ({"amount": "5", "kind": "weekly"}, "Choose a kind"),
        ({"act": "top_up", "amount": "5", "payment": "a b"}, "A payment is called by"),
    ],
)
def test_what_is_no_budget_is_refused_in_words(
    client: Client, control: Control, form: dict[str, str], says: str
) -> None:
    status, page = post(client("finance"), ACME, **{"act": "set", "kind": "month", **form})
    assert status in (400, 409)
    assert says in page
    assert cents(control) == 500_000


def test_a_budget_is_paused_resumed_and_removed(client: Client, control: Control) -> None:
    finance = client("finance")
    for act, paused in (("pause", True), ("resume", False)):
        assert post(finance, ACME, act=act, reason="a leaked key")[0] == 303
        assert control.book.view().budgets["group", "acme"].paused is paused
        assert ('said risk">paused<' in finance.get(ACME).text) is paused
    assert post(finance, ACME, act="remove")[0] == 303
    assert "There is no budget" in finance.get(ACME).text


def test_the_history_of_a_budget_is_a_figure_a_table_and_a_file(client: Client) -> None:
    viewer = client("viewer")
    page = viewer.get(ACME).text
    for words in (
        "In March 2024 $4,300.00 were spent",
        "Budget of ACME: spent by the end of each day of March 2024",
        "50% spent: told",
        "somebody at the command line",
    ):
        assert words in page
    german = client("viewer", "de").get(ACME).text
    assert "Im März 2024 wurden 4.300,00\N{NO-BREAK SPACE}$ verbraucht" in german
    document = viewer.get(f"{ACME}?format=json").json()
    assert (document["month"], document["schema"]) == ("2024-03", "budget-history/1")
    assert document["days"][-1]["amount"] == "5000.00"
    assert Decimal(document["days"][-1]["spent_so_far"]).quantize(Decimal("0.1")) == 4300
    text = viewer.get(f"{ACME}?format=csv&table=events").text
    assert [row["event"] for row in csv.DictReader(text.splitlines())] == ["set", "alert"]
    assert viewer.get(f"{ACME}?month=2024-02").status_code == 400
    assert viewer.get("/budgets/project/initech/default?format=json").status_code == 404


def test_without_usage_a_budget_is_still_shown(client: Client, control: Control) -> None:
    def unreadable(customer: str | None, period: Period) -> list[HourlyUsage]:
        raise UnavailableError("the usage engine is not installed")

    object.__setattr__(control, "usage", unreadable)
    page = client("viewer").get(ACME)
    assert page.status_code == 200
    assert "Usage cannot be read on this machine" in page.text
    assert client("viewer").get(f"{ACME}?format=json").status_code == 503


def test_a_payment_is_recorded_once(client: Client, control: Control) -> None:
    (key,) = [name for scope, name in control.book.view().budgets if scope == "key"]
    for _ in range(2):
        form = {"act": "top_up", "amount": "10", "payment": "wire-2"}
        assert post(client("finance"), f"/budgets/key/{key}", **form)[0] == 303
    assert control.book.view().budgets["key", key].amount_minor == 3_500


def test_limits_are_set_and_lifted(client: Client, control: Control) -> None:
    trust = client("trust")
    assert post(trust, SEARCH, act="limits", requests_per_minute="60")[0] == 303
    limits = control.book.view().limits["project", "acme/search"]
    assert limits.named() == [("requests_per_minute", 60)]
    assert "60 requests a minute" in trust.get(SEARCH).text
    large = {"output_tokens": "500", "body_bytes": "90000", "stream_seconds": "30"}
    assert post(trust, SEARCH, act="limits", **large)[0] == 303
    assert "500 output tokens an answer" in trust.get("/budgets").text
    status, page = post(trust, SEARCH, act="limits", concurrent="1")
    assert (status, "one for every gateway worker" in page) == (400, True)
    assert post(trust, SEARCH, act="limits")[0] == 303
    assert ("project", "acme/search") not in control.book.view().limits


@pytest.mark.parametrize(
    ("role", "act", "form"),
    [
        ("trust", "set", {"kind": "month", "amount": "9"}),
        ("trust", "pause", {}),
        ("finance", "limits", {"concurrent": "9"}),
    ],
)
def test_another_role_is_shown_no_form_and_refused(
    client: Client, control: Control, role: str, act: str, form: dict[str, str]
) -> None:
    browser, before = client(role), control.book.view().seq
    assert f'name="act" value="{act}"' not in browser.get(ACME).text
    status, page = post(browser, ACME, act=act, **form)
    assert (status, "Your role does not do this" in page) == (403, True)
    assert control.book.view().seq == before


@pytest.mark.parametrize(
    ("text", "lang", "digits"),
    [
        ("1,234.50", "en", "1234.50"),
        ("1.234,50", "de", "1234.50"),
        ("5.000", "de", "5000"),
        ("5.000", "en", "5.000"),
        ("12,5", "de", "12.5"),
        ("1 000 000", "en", "1000000"),
        ("-5", "en", None),
        ("1.2.3", "de", None),
        ("٣", "en", None),
        ("", "en", None),
    ],
)
def test_amounts_are_read_as_the_language_writes_them(
    text: str, lang: str, digits: str | None
) -> None:
    found = amount_of(text, "de" if lang == "de" else "en")
    assert found == digits
    assert found is None or Decimal(found) >= 0


# -- standing --------------------------------------------------------------------------------------


def test_the_list_of_groups_begins_with_those_apart(client: Client) -> None:
    viewer = client("viewer")
    page = viewer.get("/standing").text
    assert "1 change of standing waits for a second person" in page
    assert page.index("ACME") < page.index("GLOBEX") < page.index("INITECH")
    document = viewer.get("/standing?format=json").json()
    assert [(one["group"], one["standing"], one["waits_for"]) for one in document["standings"]] == [
        ("acme", "active", "suspended"),
        ("globex", "warned", ""),
        ("initech", "active", ""),
    ]
    history = viewer.get("/standing?format=csv&table=history").text.splitlines()
    assert [line.split(",")[1:4] for line in history[1:]] == [
        ["acme", "proposed", "suspended"],
        ["globex", "changed", "warned"],
    ]


def test_a_proposal_takes_a_second_person(client: Client, control: Control) -> None:
    proposal = control.book.view().standing_waiting["acme"].fact.proposal
    first = client("trust")
    page = first.get("/standing/acme").text
    assert "You proposed it" in page
    assert 'value="sign"' not in page
    form = {"act": "sign", "proposal": proposal}
    status, page = post(first, "/standing/acme", **form)
    assert (status, "not whoever proposed it" in page) == (403, True)
    assert post(client("viewer"), "/standing/acme", **form)[0] == 403
    second = client("finance")
    assert 'value="sign"' in second.get("/standing/acme").text
    assert post(second, "/standing/acme", **form) == (303, "/standing/acme?published=1")
    assert control.book.view().standing["acme"] == "suspended"
    shown = second.get("/standing/acme?published=1").text
    assert "does not obey it yet" in shown
    assert "usr_trust; signed by usr_finance" in shown
    assert "suspended was proposed" in shown


def test_a_light_group_is_changed_by_one_with_a_reason(client: Client, control: Control) -> None:
    trust, path = client("trust"), "/standing/initech"
    offered = trust.get(path).text
    assert 'name="concurrent"' in offered
    assert 'name="output_tokens"' not in offered, "a throttle says how much at once"
    form = {"act": "change", "standing": "throttled"}
    assert post(trust, path, **form, reason="too fast")[0] == 400
    assert post(trust, path, **form, concurrent="2", reason=" ")[0] == 400
    status, where = post(
        trust, path, **form, concurrent="2", models="m, n", reason="too fast", case="case-7"
    )
    assert (status, where) == (303, f"{path}?published=1")
    throttle = control.book.view().throttle_of("initech")
    assert throttle is not None
    assert (throttle.limits.named(), throttle.models) == ([("concurrent", 2)], ("m", "n"))
    shown = trust.get(path).text
    assert "Throttled: models m, n; 2 requests at once." in shown
    assert '<a href="/cases/case-7">case-7</a>' in shown
    found = trust.get("/standing?group=initech")
    assert (found.status_code, found.headers["location"]) == (303, path)
    status, page = post(trust, path, act="change", standing="terminated", reason="gone")
    assert (status, "cannot follow from the present one" in page) == (409, True)


def test_a_proposal_is_declined_and_an_investigation_opened_and_ended(
    client: Client, control: Control
) -> None:
    trust, waiting = client("admin", "de"), control.book.view().standing_waiting["acme"]
    form = {"act": "decline", "proposal": waiting.fact.proposal, "reason": "not so"}
    assert post(trust, "/standing/acme", **form) == (303, "/standing/acme")
    for act, under in (("investigate", True), ("settle", False)):
        assert post(trust, "/standing/acme", act=act, reason="a hint")[0] == 303
        assert ("acme" in control.book.view().investigated) is under
    page = trust.get("/standing/acme").text
    for words in ("Vorschlag abgelehnt", "Untersuchung begonnen", "Untersuchung beendet"):
        assert words in page
    assert trust.get("/standing/nobody").status_code == 404


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ("no revenue yet", "0,0 % des Umsatzes (noch ist nichts abgerechnet)."),
        ("USD, 2024-03 to 2024-03", "0,0 % des Umsatzes (USD, März 2024)."),
        ("USD, 2024-01 to 2024-03", "0,0 % des Umsatzes (USD, Januar 2024 bis März 2024)."),
    ],
)
def test_what_a_group_weighs_is_said_in_the_readers_words(
    control: Control, of: str, said: str
) -> None:
    view = control.book.view()
    weight, stand = RevenueShare(Decimal(0), of), stand_of(view, "acme")
    words = catalogue("control", "de")
    shown = group_view(view, stand, weight, Decimal("0.1"), "", words).weight
    assert shown.replace("\N{NO-BREAK SPACE}", " ").startswith(said)


def test_whoever_used_the_command_line_is_named_in_words(control: Control) -> None:
    words = catalogue("control", "de")
    assert person_name(control.book.view(), "os:ann", words) == "ann an der Kommandozeile"


def test_every_reason_of_the_sender_has_german_words(control: Control) -> None:
    words, said = catalogue("control", "de"), []
    webhook = next(iter(control.book.view().webhooks.values()))
    facts = all_spending(control, NOW)
    for error in (
        "no answer: [Errno 111] Connection refused",
        "hook.example.com is not known: [Errno -2] Name or service not known",
        "hook.example.com leads into a network that is not public",
        "the secret of whk_1 cannot be read: No such file or directory",
    ):
        told = Hook(webhook, Record(Delivered(given_up=1, last_at=int(NOW), error=error), ()))
        (row,) = view_of(msgspec.structs.replace(facts, alerts=(told,)), words).alerts
        said.append(row.state.removeprefix("wurde nicht angenommen: "))
    assert said == [
        "keine Antwort",
        "der Name hook.example.com ist unbekannt",
        "hook.example.com führt in ein Netz, das nicht öffentlich ist",
        "das Geheimnis, mit dem gezeichnet wird, lässt sich nicht lesen",
    ]


@pytest.mark.parametrize("path", ["/budgets/key/nobody", "/budgets/city/acme", "/standing/nobody"])
def test_what_is_not_there_is_said_in_the_readers_words(client: Client, path: str) -> None:
    admin = client("admin", "de")
    for answer in (admin.get(path), admin.post(path, data={"csrf": "csrf"})):
        assert answer.status_code == 404
        assert "Diese Seite gibt es nicht." in answer.text
        assert "quartermaster " not in answer.text


def test_what_is_gone_meanwhile_is_said_in_the_readers_words(client: Client) -> None:
    status, page = post(client("admin", "de"), "/budgets/group/initech", act="remove")
    assert (status, "es gibt nicht mehr, was geändert werden soll" in page) == (404, True)
    form = {"act": "sign", "proposal": "prop_1"}
    status, page = post(client("admin", "de"), "/standing/acme", **form)
    assert (status, "wartet nicht mehr auf eine zweite Person" in page) == (404, True)


@pytest.mark.parametrize("lang", ["de", "en"])
def test_machines_that_could_not_be_told_are_said(lang: Lang) -> None:
    words = catalogue("control", lang)
    partly = Acknowledgement(("gateway-0",), (), (), partly=("two-0.aa",))
    assert acknowledged(7, partly, words).workers[1][1] == words("published.partly")
    seen = Acknowledgement(("gateway-0",), (), (), "the store does not answer")
    said = acknowledged(7, seen, words)
    assert said.sentence == words("published.unreached", version="7")
    assert [name for name, _, _ in said.workers] == ["gateway-0"]
