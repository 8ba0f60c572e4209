"""Webhooks in the console: added, tried, turned, paused, removed, and what was sent sent again."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

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
from tests.unit.console.control_world import FakeHooks, control_world
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts

from quartermaster.commands.webhook import shortened
from quartermaster.console.ports_control import Control
from quartermaster.console.report_words import catalogue
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings

SESSION = "quartermaster_session"
SLACK = "https://hooks.slack.com/services/T0001/B0002/s3cr3t?x=hunter2"

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
    answer = browser.post(path, data={"csrf": "csrf", **form})
    return answer.status_code, answer.headers.get("location", answer.text)


def hooks_of(control: Control) -> FakeHooks:
    assert isinstance(control.webhooks, FakeHooks)
    return control.webhooks


def only(control: Control) -> str:
    (webhook,) = control.book.view().webhooks
    return f"/webhooks/{webhook}"


def secret_in(page: str) -> str:
    _, _, rest = page.partition('class="secret">')
    return rest.partition("<")[0]


def test_an_address_is_added_and_its_secret_is_shown_once(client: Client, control: Control) -> None:
    admin = client("admin")
    status, page = post(admin, "/webhooks", url=SLACK, group="globex")
    assert status == 200
    secret = secret_in(page)
    assert secret.startswith("whsec_")
    (added,) = [one for one in control.book.view().webhooks.values() if one.added.url == SLACK]
    assert added.added.group == "globex"
    folder = control.webhooks.secrets
    assert (folder / added.added.webhook).read_text() == secret
    for path in ("/webhooks", f"/webhooks/{added.added.webhook}", "/budgets"):
        assert secret not in admin.get(path).text


@pytest.mark.parametrize("role", ["viewer", "finance", "trust", "admin"])
def test_nobody_is_shown_what_follows_the_host(client: Client, role: str) -> None:
    assert post(client("admin"), "/webhooks", url=SLACK)[0] == 200
    browser = client(role)
    for path in (
        "/webhooks",
        "/budgets",
        "/webhooks?format=json",
        "/webhooks?format=csv",
        "/budgets?format=json",
    ):
        page = browser.get(path).text
        assert "https://hooks.slack.com/serv…" in page
        for part in ("s3cr3t", "hunter2", "T0001"):
            assert part not in page


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SLACK, "https://hooks.slack.com/serv…"),
        ("https://ops.example.com?token=a", "https://ops.example.com?toke…"),
        ("https://ops.example.com:8443/", "https://ops.example.com:8443/"),
        ("https://ops.example.com", "https://ops.example.com"),
    ],
)
def test_of_an_address_a_few_characters_are_shown(url: str, shown: str) -> None:
    assert shortened(url) == shown


@pytest.mark.parametrize(
    "form",
    [
        {"url": "http://ops.example.com/"},
        {"url": "ops.example.com"},
        {"url": "https://ops.example.com/hook?token=hunter2", "group": "acme"},
        {"url": "https://new.example.com/", "group": "nobody"},
    ],
)
def test_what_is_no_address_is_refused_and_stays_typed(
    client: Client, control: Control, form: dict[str, str]
) -> None:
    before = control.book.view().seq
    status, page = post(client("admin"), "/webhooks", **form)
    assert status in (400, 404, 409)
    assert "This address cannot be used" in page or "no such customer group" in page
    assert form["url"] in page
    assert control.book.view().seq == before


def test_the_log_says_what_was_said_and_when_it_is_tried_again(
    client: Client, control: Control
) -> None:
    page = client("viewer").get(only(control)).text
    for words in ("ACME", "80% of the budget is spent", "answered with status 500", "taken"):
        assert words in page
    assert "/deliveries/" not in page
    german = client("viewer", "de").get(only(control)).text
    assert "80 % des Budgets sind verbraucht" in german
    assert "Nächster Versuch" in german
    viewer = client("viewer")
    text = viewer.get("/webhooks?format=csv&table=deliveries").text
    rows = list(csv.DictReader(text.splitlines()))
    assert [(row["message"], row["state"]) for row in rows] == [
        ("msg_1", "waiting"),
        ("msg_1", "refused"),
        ("msg_0", "taken"),
    ]
    document = viewer.get("/webhooks?format=json").json()
    assert document["deliveries"][0]["next_try"] == rows[0]["next_try"] != ""


def test_an_alert_is_sent_again(client: Client, control: Control) -> None:
    admin, here = client("admin"), only(control)
    page = admin.get(here).text
    # What waits is offered where it waits, and what was taken where it was taken.
    assert page.count("/deliveries/msg_1") == page.count("/deliveries/msg_0") == 1
    assert post(admin, f"{here}/deliveries/msg_0") == (303, f"{here}?sent=1")
    assert hooks_of(control).again == [(here.removeprefix("/webhooks/"), "msg_0")]
    assert "It is on its way" in admin.get(f"{here}?sent=1").text
    status, page = post(admin, f"{here}/deliveries/msg_7")
    assert (status, "not kept any more" in page) == (404, True)
    assert post(admin, "/webhooks/whk_none/deliveries/msg_0")[0] == 404


def test_a_test_says_whether_it_was_taken(client: Client, control: Control) -> None:
    admin, here = client("admin"), only(control)
    assert "The test was taken" in post(admin, here, act="test")[1]
    hooks_of(control).refusal = "answered with status 404"
    assert "The test was not taken: answered with status 404" in post(admin, here, act="test")[1]
    assert len(hooks_of(control).tested) == 2


def test_it_is_paused_resumed_turned_and_removed(client: Client, control: Control) -> None:
    admin, here = client("admin"), only(control)
    path = control.webhooks.secrets / here.removeprefix("/webhooks/")
    before = path.read_text()
    for act in ("pause", "resume", "rotate", "remove"):
        status, page = post(admin, here, act=act)
        assert (status, "tick that you mean it" in page) == (400, True)
    assert path.read_text() == before
    for act, paused in (("pause", True), ("resume", False)):
        assert post(admin, here, act=act, confirmed="1") == (303, here)
        (found,) = control.book.view().webhooks.values()
        assert found.paused is paused
        assert ("when it is resumed" in admin.get(here).text) is paused
    status, page = post(admin, here, act="rotate", confirmed="1")
    newest, old = path.read_text().splitlines()
    assert (status, newest, old.split()[0]) == (200, secret_in(page), before)
    assert "signs beside it for a day" in page
    assert post(admin, here, act="remove", confirmed="1") == (303, "/webhooks")
    assert not path.exists()
    assert admin.get(here).status_code == 404
    assert "Nobody is told" in admin.get("/webhooks").text


@pytest.mark.parametrize("role", ["viewer", "finance", "trust"])
def test_only_an_admin_has_the_forms(client: Client, control: Control, role: str) -> None:
    browser, here, before = client(role), only(control), control.book.view().seq
    for path in ("/webhooks", here):
        page = browser.get(path).text
        assert 'action="/webhooks' not in page
        assert "The role admin says where alerts go" in page
    for path in ("/webhooks", here, f"{here}/deliveries/msg_0"):
        form = {"url": SLACK, "act": "remove", "confirmed": "1"}
        assert post(browser, path, **form)[0] == 403
    assert control.book.view().seq == before
    assert hooks_of(control).again == []


def test_a_form_of_another_page_is_refused(client: Client, control: Control) -> None:
    answer = client("admin").post("/webhooks", data={"csrf": "guessed", "url": SLACK})
    assert answer.status_code == 403
    assert len(control.book.view().webhooks) == 1


def test_both_languages_have_every_word() -> None:
    english, german = (set(catalogue("webhook", lang)._messages) for lang in ("en", "de"))
    assert english == german
