"""The wall and the gate: who gets in, what every response carries, what a POST must prove."""

import re
from collections.abc import Callable
from typing import get_args

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.unit.console.console_fakes import NOW, FakeIdentity, FakeLive, FakeOverview, live_facts
from tests.unit.console.exposure_fakes import FakeExposure

from quartermaster.console.gate import PUBLIC, Page
from quartermaster.console.guard import BODY_BYTES_MAX, CONTENT_SECURITY_POLICY
from quartermaster.console.ports import Role
from quartermaster.console.routes import PAGES
from quartermaster.console.server import build, config
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.errors import ConfigError

PUBLIC_PATHS = {"/sign-in", "/join/{token}", "/static/{path:path}", "/healthz", "/preferences"}
ROLES: tuple[str, ...] = get_args(Role)
PROTECTED = [page for page in PAGES if page.roles is not PUBLIC]


def address(page: Page) -> str:
    path = page.path.replace("{token}", "x").replace("{path:path}", "x")
    path = path.replace("{scope}/{name:path}", "group/acme").replace("{group}", "acme")
    return path.replace("{customer}", "grp_1")


def test_the_table_is_all_there_is(console: Starlette) -> None:
    served = [
        (r.path, r.methods - {"HEAD"}) for r in console.routes if isinstance(r, Route) and r.methods
    ]
    assert len(served) == len(console.routes)
    assert served == [(page.path, set(page.methods)) for page in PAGES]
    assert {page.path for page in PAGES if page.roles is PUBLIC} == PUBLIC_PATHS


@pytest.mark.parametrize("page", PROTECTED, ids=lambda page: f"{page.methods[0]} {page.path}")
def test_without_a_session_every_page_is_denied(stranger: TestClient, page: Page) -> None:
    for method in page.methods:
        answer = stranger.request(method, address(page))
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
    fragment = stranger.get(address(page), headers={"hx-request": "true"})
    if "GET" in page.methods:
        assert (fragment.status_code, fragment.headers["hx-redirect"]) == (401, "/sign-in")


@pytest.mark.parametrize("page", PROTECTED, ids=lambda page: f"{page.methods[0]} {page.path}")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_what_its_row_names_and_nothing_else(
    signed_in: Callable[..., TestClient], page: Page, role: Role
) -> None:
    client = signed_in(role)
    answer = client.request(
        page.methods[0], address(page), headers={"x-csrf-token": f"csrf-token-of-{role}"}
    )
    assert page.roles is not None
    assert (answer.status_code == 403) == (role not in page.roles)
    # 400: a form that came without its fields. 404: a webhook or budget that is nobody's.
    named = "{webhook}" in page.path or page.path.startswith("/account/budgets/")
    assert answer.status_code in {200, 303, 400, 403, *({404} if named else ())}


def test_a_customer_does_not_see_the_business(signed_in: Callable[..., TestClient]) -> None:
    customer = signed_in("customer")
    assert customer.get("/", follow_redirects=False).headers["location"] == "/account"
    assert customer.get("/live").status_code == 403
    assert "ByteDance" not in customer.get("/").text
    assert signed_in().get("/").status_code == 403


def test_json_and_csv_are_denied_without_a_page(stranger: TestClient) -> None:
    for wanted in ("json", "csv"):
        assert stranger.get(f"/?format={wanted}").status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/join/x", "/healthz", "/no-such-page", "/live", "/static/x", "/help"]
)
def test_every_response_carries_the_headers(
    stranger: TestClient, viewer: TestClient, path: str
) -> None:
    for client in (stranger, viewer):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_the_policy_is_strict() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }


def test_a_wrong_method_is_refused_in_words(viewer: TestClient) -> None:
    answer = viewer.delete("/")
    assert answer.status_code == 405
    assert "cannot be taken like this" in answer.text


def test_our_failure_is_words_and_carries_the_headers(
    identity: FakeIdentity, viewer: TestClient
) -> None:
    class Broken:
        def overview(self, now: int) -> None:
            raise RuntimeError("secret detail")

    client = TestClient(
        build(
            ConsoleSettings(),
            identity,
            Broken(),
            FakeLive(live_facts()),
            FakeExposure(None),
            lambda: NOW,
        ),
        base_url="http://localhost:8470",
        cookies=viewer.cookies,
        raise_server_exceptions=False,
    )
    answer = client.get("/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Something failed on our side" in answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8470", 200),
        ("127.0.0.1", 200),
        ("[::1]:8470", 200),
        ("LOCALHOST", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8470", 421),
        ("", 421),
    ],
)
def test_a_foreign_host_name_is_refused(stranger: TestClient, host: str, status: int) -> None:
    answer = stranger.get("/healthz", headers={"host": host})
    assert answer.status_code == status
    assert "content-security-policy" in answer.headers


def test_an_allowed_host_name_is_served(
    identity: FakeIdentity, overview: FakeOverview, live: FakeLive
) -> None:
    settings = ConsoleSettings(allowed_hosts=("Console.Example.com",))
    client = TestClient(
        build(settings, identity, overview, live, FakeExposure(None)), base_url="http://x"
    )
    assert client.get("/healthz", headers={"host": "console.example.com:443"}).status_code == 200


@pytest.mark.parametrize("wrong", ["https://console.example.com", "console.example.com:8470"])
def test_a_setting_that_is_no_host_name_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="host name"):
        ConsoleSettings(allowed_hosts=(wrong,))


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="port"):
        ConsoleSettings(port=70_000)


def test_a_large_body_is_refused(stranger: TestClient) -> None:
    big = b"name=" + b"a" * BODY_BYTES_MAX
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert stranger.post("/sign-in", content=big, headers=kind).status_code == 413
    answer = stranger.post("/sign-in", content=iter([big[:9_000], big[9_000:]]), headers=kind)
    assert answer.status_code == 413
    assert "content-security-policy" in answer.headers


def post(client: TestClient, path: str, headers: dict[str, str] | None = None, **form: str) -> int:
    return client.post(path, data=form, headers=headers).status_code


def test_a_post_needs_the_secret_of_its_session(viewer: TestClient) -> None:
    secret = "csrf-token-of-viewer"
    assert post(viewer, "/preferences", theme="dark") == 403
    assert post(viewer, "/preferences", theme="dark", csrf="wrong") == 403
    assert post(viewer, "/preferences", theme="dark", csrf="") == 403
    assert post(viewer, "/preferences", theme="dark", csrf=secret) == 303
    assert post(viewer, "/preferences", {"x-csrf-token": secret}, theme="dark") == 303
    assert post(viewer, "/preferences", {"x-csrf-token": "wrong"}, csrf=secret) == 403


def test_a_post_from_another_origin_is_refused(viewer: TestClient) -> None:
    secret = "csrf-token-of-viewer"
    for headers, status in [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost:8470", "sec-fetch-site": "same-origin"}, 303),
    ]:
        assert post(viewer, "/preferences", headers, csrf=secret) == status


def test_a_stranger_cannot_post_without_our_form(stranger: TestClient) -> None:
    assert post(stranger, "/sign-in", name="ada", password="a long password") == 403
    assert post(stranger, "/preferences", theme="dark") == 403
    page = stranger.get("/sign-in").text
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    assert post(stranger, "/preferences", theme="dark", csrf=found[1]) == 303


def test_every_post_route_is_guarded_by_the_secret(signed_in: Callable[..., TestClient]) -> None:
    client = signed_in("admin")
    posts = [page for page in PAGES if "POST" in page.methods]
    assert len(posts) >= 4
    for page in posts:
        assert client.post(address(page)).status_code == 403


def test_the_server_says_nothing_about_itself_and_trusts_no_proxy(console: Starlette) -> None:
    plan = config(console, ConsoleSettings())
    assert (plan.host, plan.server_header, plan.access_log, plan.proxy_headers) == (
        "127.0.0.1",
        False,
        False,
        False,
    )


def test_a_path_of_two_slashes_leads_to_no_other_host(viewer: TestClient) -> None:
    answer = viewer.get(f"{viewer.base_url}//evil.example/x")
    assert answer.status_code == 404
    assert "evil.example" not in answer.text


def test_a_session_that_ended_under_a_form_leads_back_to_a_page(stranger: TestClient) -> None:
    assert stranger.post("/sign-out").headers["location"] == "/sign-in"
