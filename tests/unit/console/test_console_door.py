"""Joining once, signing in and out, and what a cookie may be."""

import re
from http.cookies import SimpleCookie

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.unit.console.conftest import SESSION
from tests.unit.console.console_fakes import NOW, FakeIdentity, FakeLive, FakeOverview
from tests.unit.console.exposure_fakes import FakeExposure

from quartermaster.commands.passwords import PASSWORD_CHARS_MIN
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.console.visit import local_path
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import RefusedError

PASSWORD = "correct horse battery"


def secret_on(client: TestClient, path: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def join(client: TestClient, link: str, name: str = "ada", **changed: str) -> int:
    path = f"/join/{link}"
    form = {"name": name, "password": PASSWORD, "again": PASSWORD} | changed
    return client.post(path, data=form | {"csrf": secret_on(client, path)}).status_code


def sign_in(client: TestClient, password: str = PASSWORD, target: str = "/") -> tuple[int, str]:
    form = {"name": "ada", "password": password, "next": target}
    answer = client.post("/sign-in", data=form | {"csrf": secret_on(client, "/sign-in")})
    return answer.status_code, answer.headers.get("location", "")


def test_the_first_admin_joins_by_a_link_that_works_once(
    stranger: TestClient, identity: FakeIdentity, console: Starlette
) -> None:
    link = identity.issue_link(("admin",))
    assert "Nobody has joined yet" in stranger.get("/sign-in").text
    assert stranger.get(f"/join/{link}").status_code == 200
    assert join(stranger, link) == 303
    assert stranger.get("/").status_code == 200
    other = TestClient(console, base_url="http://localhost", follow_redirects=False)
    assert join(other, link, "eve") == 422
    assert join(other, identity.issue_link(("viewer",)), "ada") == 422
    assert set(identity.users) == {"ada"}
    assert "Nobody has joined yet" not in other.get("/sign-in").text


@pytest.mark.parametrize(
    "changed",
    [
        {"password": "x" * (PASSWORD_CHARS_MIN - 1), "again": "x" * (PASSWORD_CHARS_MIN - 1)},
        {"again": "something else altogether"},
        {"name": "  "},
        {"name": "a" * 65},
        {"name": "ada\x00"},
        {"password": "x" * 300, "again": "x" * 300},
    ],
)
def test_joining_asks_for_a_name_and_a_password(
    stranger: TestClient, identity: FakeIdentity, changed: dict[str, str]
) -> None:
    link = identity.issue_link(("admin",))
    assert join(stranger, link, **changed) == 422
    assert not identity.users
    assert link in identity.links


def test_signing_in_and_out(stranger: TestClient, identity: FakeIdentity) -> None:
    identity.users["ada"] = (PASSWORD, ("viewer",))
    assert sign_in(stranger, "wrong") == (403, "")
    assert SESSION not in stranger.cookies
    assert sign_in(stranger, target="/help") == (303, "/help")
    assert stranger.get("/").status_code == 200
    assert stranger.get("/sign-in").headers["location"] == "/"
    out = stranger.post("/sign-out", data={"csrf": secret_on(stranger, "/")})
    assert out.headers["location"] == "/sign-in"
    assert not identity.sessions
    assert stranger.get("/").status_code == 303


def test_the_answer_to_a_wrong_name_is_that_to_a_wrong_password(
    stranger: TestClient, identity: FakeIdentity
) -> None:
    wrong_name = sign_in(stranger)
    identity.users["ada"] = ("another password", ("viewer",))
    assert sign_in(stranger) == wrong_name


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(
    identity: FakeIdentity, overview: FakeOverview, live: FakeLive
) -> None:
    for settings, scheme, secure in [
        (ConsoleSettings(), "http", False),
        (ConsoleSettings(), "https", True),
        (ConsoleSettings(behind_tls=True), "http", True),
    ]:
        identity.users["ada"] = (PASSWORD, ("viewer",))
        console = build(settings, identity, overview, live, FakeExposure(None), lambda: NOW)
        client = TestClient(console, base_url=f"{scheme}://localhost", follow_redirects=False)
        page = client.get("/sign-in")
        door = SimpleCookie(page.headers["set-cookie"])[f"{SESSION}_door"]
        form = {"name": "ada", "password": PASSWORD, "csrf": door.value}
        sent = {"cookie": f"{SESSION}_door={door.value}"}
        answer = client.post("/sign-in", data=form, headers=sent)
        session = SimpleCookie(answer.headers["set-cookie"])[SESSION]
        for cookie in (door, session):
            assert cookie["httponly"] is True
            assert cookie["samesite"] == "lax"
            assert bool(cookie["secure"]) is secure
            assert cookie["max-age"] == ""


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "javascript:alert(1)",
        "/\n/evil.example",
        "help",
        "",
    ],
)
def test_signing_in_never_leads_to_another_site(target: str) -> None:
    assert local_path(target) == "/"


def test_signing_in_leads_back_to_the_page(stranger: TestClient) -> None:
    assert local_path("/?format=json&x=1") == "/?format=json&x=1"
    assert stranger.get("/help?a=1").headers["location"] == "/sign-in?next=%2Fhelp%3Fa%3D1"


def test_a_door_that_asks_to_wait_is_obeyed(
    overview: FakeOverview, live: FakeLive, identity: FakeIdentity
) -> None:
    class Slow(FakeIdentity):
        def sign_in(self, name: str, password: str, now: Instant) -> str | None:
            raise RefusedError("wait 4 s", code="too_many_attempts", http_status=429)

    console = build(ConsoleSettings(), Slow(), overview, live, FakeExposure(None), lambda: NOW)
    client = TestClient(console, base_url="http://localhost", follow_redirects=False)
    assert sign_in(client) == (429, "")
