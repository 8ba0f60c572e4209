"""Every operation refuses whoever it is not for: a walk over all rows, so none is forgotten."""

import pytest
from starlette.testclient import TestClient
from tests.unit.api.api_world import NOW, PEPPER, STAFF, World

from quartermaster.api.operation import ANYBODY, PREFIX, Operation
from quartermaster.api.routes import OPERATIONS
from quartermaster.commands import api_token as tokens
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.events import RolesChanged

ROWS = {row.name: row for row in OPERATIONS}
PATHS = {
    "{group}": "globex",
    "{customer}": "globex",
    "{contract}": "globex-1",
    "{price_book}": "list",
    "{token}": "tok_x",
    "{proposal}": "prop_x",
    "{project}": "chat",
    "{deployment}": "d",
    "{request_id}": "req_globex",
    "{period}": "2026-11",
    "{lever}": "leave",
    "{case}": "case_x",
    "{message}": "msg_x",
}


def path_of(row: Operation, world: World) -> str:
    path = row.path.replace("{key}", world.keys["globex"]).replace("{webhook}", world.webhook)
    for name, value in PATHS.items():
        path = path.replace(name, value)
    assert "{" not in path, f"say what to put into {path}"
    return PREFIX + path


def ask(client: TestClient, row: Operation, world: World) -> tuple[int, str]:
    answer = client.request(row.method, path_of(row, world))
    body = answer.json()
    return answer.status_code, body["error"]["code"] if "error" in body else ""


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One world for the walks: what they ask is refused, or writes nothing that another sees."""
    world = World(tmp_path_factory.mktemp("walk"))
    revoked = tokens.make_for_user(
        world.book,
        Actor("usr_admin", ("admin",)),
        user="usr_admin",
        name="revoked",
        roles=("admin",),
        expires_at=NOW + US_PER_HOUR,
        pepper=PEPPER,
        now=NOW,
    )
    tokens.revoke(world.book, OPERATOR, revoked.token_id, "a test", NOW)
    world.secrets["revoked"] = revoked.secret
    return world


@pytest.mark.parametrize("name", ROWS)
def test_nobody_comes_in_without_a_live_token(walked: World, name: str) -> None:
    row = ROWS[name]
    refused = (401, "unauthenticated")
    assert ask(walked.client(), row, walked) == refused
    assert ask(walked.client("revoked"), row, walked) == refused
    for header in ("Basic dXNlcjpwYXNz", "Bearer", "Bearer nonsense", "Bearer a b c"):
        assert ask(walked.client(authorization=header), row, walked) == refused
    cookie = {"cookie": f"quartermaster_session={walked.secrets['finance']}"}
    assert ask(walked.client(**cookie), row, walked) == refused
    walked.now = Instant(NOW + 25 * US_PER_HOUR)
    try:
        assert ask(walked.client("viewer"), row, walked) == refused
    finally:
        walked.now = NOW


@pytest.mark.parametrize("name", ROWS)
def test_only_the_named_roles_come_in(walked: World, name: str) -> None:
    row = ROWS[name]
    assert row.roles, "a row that is open to nobody is no row"
    assert row.roles <= ANYBODY
    for role in (*STAFF, "customer"):
        status, code = ask(walked.client("acme" if role == "customer" else role), row, walked)
        if role in row.roles:
            assert code not in ("not_allowed", "unauthenticated")
        else:
            assert (status, code) == (403, "not_allowed")


@pytest.mark.parametrize("name", [row.name for row in OPERATIONS if "customer" in row.roles])
def test_a_customer_never_sees_another_ones_account(walked: World, name: str) -> None:
    row, client = ROWS[name], walked.client("acme")
    for query in ({}, {"customer": "globex"}):
        asked = {"period": "2026-11"} | query if name == "listHours" else query
        written: dict[str, str] | None = None if row.method == "GET" else {}
        answer = client.request(row.method, path_of(row, walked), params=asked, json=written)
        assert answer.status_code in (200, 400, 404)
        # The path of the question may come back in a refusal; nothing else of it may.
        if name != "showOpenApi" and answer.status_code == 200:
            assert "globex" not in answer.text.lower()
            assert walked.keys["globex"] not in answer.text


def test_a_customer_sees_its_own_account(world: World) -> None:
    client = world.client("acme")
    assert client.get(f"{PREFIX}/me").json()["customer"] == "acme"
    keys = client.get(f"{PREFIX}/keys").json()["items"]
    assert [key["customer"] for key in keys] == ["acme"]
    assert client.get(f"{PREFIX}/keys/{world.keys['acme']}").status_code == 200
    hours = client.get(f"{PREFIX}/usage/hourly", params={"period": "2026-11"}).json()["items"]
    assert {(hour["customer"], hour["deployment"]) for hour in hours} == {("acme", None)}
    attempt = client.get(f"{PREFIX}/usage/requests/req_acme").json()[0]
    assert (attempt["counts"]["output"], attempt["metered"]) == (4, None)
    assert client.get(f"{PREFIX}/usage/requests/req_globex").status_code == 404
    drafts = client.get(f"{PREFIX}/invoices").json()["items"]
    assert [draft["contract"] for draft in drafts] == ["acme-1"]
    invoice = client.get(f"{PREFIX}/invoices/acme-1/2026-11").json()
    assert invoice["total_minor"] == 3 * (15 + 30)
    assert client.get(f"{PREFIX}/invoices/globex-1/2026-11").status_code == 404


def test_the_staff_sees_where_a_request_was_served(world: World) -> None:
    attempt = world.client("viewer").get(f"{PREFIX}/usage/requests/req_acme").json()[0]
    assert attempt["metered"]["deployment"] == "d"
    found = world.client("viewer").get(f"{PREFIX}/usage/hourly", params={"period": "2026-11"})
    assert {hour["customer"] for hour in found.json()["items"]} == {"acme", "globex"}


def test_a_token_loses_what_its_user_loses(world: World) -> None:
    client = world.client("finance")
    assert client.get(f"{PREFIX}/customers").status_code == 200
    changed = RolesChanged(user="usr_finance", roles=("trust",))
    world.book.append(changed, actor=Actor("usr_admin", ("admin",)), now=NOW)
    assert client.get(f"{PREFIX}/customers").status_code == 401


def test_a_foreign_host_name_is_refused(world: World) -> None:
    answer = world.client("viewer", host="evil.example").get(f"{PREFIX}/me")
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "unknown_host"


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/customers/acme/secrets", "/keys/%2e%2e"])
def test_what_is_no_row_does_not_exist(world: World, path: str) -> None:
    answer = world.client("admin").get(PREFIX + path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_another_method_is_refused_in_the_same_shape(world: World) -> None:
    answer = world.client("admin").delete(f"{PREFIX}/customers")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_answers_are_not_kept_by_anybody_on_the_way(world: World) -> None:
    for answer in (world.client("viewer").get(f"{PREFIX}/me"), world.client().get(f"{PREFIX}/me")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
