"""Agreements, keys and tokens through the API: what is written, what is refused, in which shape."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.api.api_world import NOW, World

from quartermaster.api.operation import PREFIX
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.ids import key_hash


def post(client: TestClient, path: str, body: object, **headers: str) -> tuple[int, Any]:
    answer = client.post(PREFIX + path, json=body, headers=headers)
    return answer.status_code, answer.json()


def test_a_customer_from_group_to_key(world: World) -> None:
    finance, admin = world.client("finance"), world.client("admin")
    assert post(finance, "/groups", {"id": "initech", "name": "Initech"})[0] == 201
    new = {"id": "initech-de", "name": "Initech GmbH", "group": "initech", "country": "DE"}
    assert post(finance, "/customers", new)[0] == 201
    prices = [{"model": "m", "axis": axis, "amount": "0.10"} for axis in ("input", "output")]
    book = {"id": "own", "version": 1, "currency": "EUR", "valid_from": 0, "prices": prices}
    assert post(finance, "/price-books", book)[0] == 201
    agreed = {"id": "initech-1", "customer": "initech-de", "price_book": "own"}
    status, signed = post(finance, "/contracts", agreed)
    assert status == 201
    assert (signed["contract"]["currency"], signed["contract"]["version"]) == ("EUR", 1)
    assert signed["contract"]["valid_from"] == NOW - NOW % US_PER_HOUR
    assert signed["published"]["gateways"]["acknowledged"] == ["gateway-0"]
    status, key = post(admin, "/keys", {"contract": "initech-1", "models": ["m"]})
    assert status == 201
    issued = world.book.view().keys[key["id"]].issued
    assert issued.key_hash == key_hash(key["secret"].encode(), b"p" * 32).hex()
    shown = admin.get(f"{PREFIX}/keys/{key['id']}")
    assert shown.json()["live"] is True
    assert key["secret"] not in shown.text
    status, gone = post(world.client("trust"), f"/keys/{key['id']}/revocation", {"reason": "leak"})
    assert (status, gone["id"]) == (201, key["id"])
    assert admin.get(f"{PREFIX}/keys/{key['id']}").json()["live"] is False
    whole = admin.get(f"{PREFIX}/customers/initech-de").json()
    assert whole["keys"] == [key["id"]]
    assert admin.get(f"{PREFIX}/groups/initech").json()["customers"] == ["initech-de"]
    by = {entry.actor for entry in world.book.entries() if b"initech" in entry.fact}
    assert by == {"usr_finance", "usr_admin"}


def test_a_deployment_is_set_and_its_secret_only_named(world: World) -> None:
    admin = world.client("admin")
    body = {"model": "m", "url": "http://10.0.0.1/v1", "secret_file": "secrets/vllm"}
    answer = admin.put(f"{PREFIX}/deployments/vllm", json=body)
    assert answer.status_code == 200
    assert answer.json()["deployment"]["upstream_model"] == "m"
    assert admin.put(f"{PREFIX}/deployments/vllm", json=body).status_code == 200
    facts = [entry for entry in world.book.entries() if b"10.0.0.1" in entry.fact]
    assert len(facts) == 1
    refused = admin.put(f"{PREFIX}/deployments/vllm", json=body | {"url": "http://a:b@h/v1"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "url")


def test_a_deployment_is_drained_and_takes_requests_again(world: World) -> None:
    admin = world.client("admin")
    body = {"model": "m", "url": "http://10.0.0.1/v1", "routing": {"weight": 3, "zones": ["EU"]}}
    answer = admin.put(f"{PREFIX}/deployments/vllm", json=body)
    assert answer.json()["deployment"]["routing"]["zones"] == ["EU"]
    drain = f"{PREFIX}/deployments/vllm/drain"
    assert world.client("trust").post(drain, json={"reason": "r"}).status_code == 403
    drained = admin.post(drain, json={"reason": "new weights"})
    assert (drained.status_code, drained.json()["drained"]["others"]) == (200, 1)
    assert admin.get(f"{PREFIX}/deployments/vllm").json()["drained"] is True
    undrain = f"{PREFIX}/deployments/vllm/undrain"
    assert admin.post(undrain, json={"reason": "done"}).status_code == 200
    assert admin.get(f"{PREFIX}/deployments/vllm").json()["drained"] is False
    bad = admin.put(f"{PREFIX}/deployments/vllm", json=body | {"routing": {"weight": 0}})
    assert (bad.status_code, bad.json()["error"]["field"]) == (400, "weight")


def test_a_token_makes_no_wider_token(world: World) -> None:
    finance = world.client("finance")
    status, made = post(finance, "/tokens", {"name": "nightly", "roles": ["finance"], "days": 1})
    assert status == 201
    world.secrets["nightly"] = made["secret"]
    assert world.client("nightly").get(f"{PREFIX}/me").json()["roles"] == ["finance"]
    for roles in (["admin"], ["finance", "viewer"], ["customer"]):
        assert post(finance, "/tokens", {"name": "more", "roles": roles})[0] in (400, 403)
    assert post(finance, "/tokens", {"name": "theirs", "customer": "acme"})[0] == 403
    assert post(finance, "/tokens", {"name": "neither"})[0] == 400
    listed = [token["name"] for token in finance.get(f"{PREFIX}/tokens").json()["items"]]
    assert listed == ["a finance's", "nightly"]
    assert (
        post(world.client("viewer"), f"/tokens/{made['id']}/revocation", {"reason": "x"})[0] == 404
    )
    assert post(finance, f"/tokens/{made['id']}/revocation", {"reason": "done"})[0] == 201
    assert world.client("nightly").get(f"{PREFIX}/me").status_code == 401
    assert len(world.client("admin").get(f"{PREFIX}/tokens").json()["items"]) == 7


def test_an_admin_makes_a_token_for_a_customer(world: World) -> None:
    status, made = post(world.client("admin"), "/tokens", {"name": "theirs", "customer": "acme"})
    assert status == 201
    world.secrets["theirs"] = made["secret"]
    assert world.client("theirs").get(f"{PREFIX}/me").json()["customer"] == "acme"


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/customers", {"id": "x"}, 400, None),
        ("/customers", {"id": "x", "name": 3}, 400, "name"),
        ("/customers", {"id": "x", "name": "X", "colour": "red"}, 400, None),
        ("/customers", {"id": "x y", "name": "X"}, 400, "customer"),
        ("/customers", {"id": "x", "name": "X", "group": "none"}, 404, "group"),
        ("/customers", {"id": "acme", "name": "Other"}, 409, None),
        ("/contracts", {"id": "c", "customer": "acme", "price_book": "none"}, 404, "price_book"),
        ("/contracts", {"id": "c", "customer": "no", "price_book": "list"}, 404, "customer"),
        (
            "/contracts",
            {"id": "c", "customer": "acme", "price_book": "list", "time_zone": "Mars"},
            400,
            None,
        ),
        (
            "/contracts",
            {"id": "c", "customer": "acme", "price_book": "list", "valid_from": 7},
            400,
            "valid_from",
        ),
        (
            "/price-books",
            {
                "id": "p",
                "version": 1,
                "currency": "USD",
                "valid_from": 0,
                "prices": [{"model": "m", "axis": "input", "amount": "-1"}],
            },
            400,
            None,
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_and_writes_nothing(
    world: World, path: str, body: object, status: int, field: str | None
) -> None:
    before = len(world.book.entries())
    found, answer = post(world.client("finance"), path, body)
    assert found == status
    assert set(answer["error"]) == {"code", "message", "hint", "field"}
    assert answer["error"]["field"] == field
    assert answer["error"]["message"]
    assert len(world.book.entries()) == before


def test_bodies_are_bounded_and_of_a_known_kind(world: World) -> None:
    finance = world.client("finance")
    large = b'{"id": "x", "name": "' + b"x" * 1_100_000 + b'"}'
    typed = {"content-type": "application/json"}
    assert finance.post(f"{PREFIX}/groups", content=large, headers=typed).status_code == 413
    chunks = iter([b"x" * 600_000, b"x" * 600_000])
    assert finance.post(f"{PREFIX}/groups", content=chunks, headers=typed).status_code == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = finance.post(f"{PREFIX}/groups", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415
    for body in (b"", b"{", b"[1]", b"\xff", b'{"id": "\xff"}', b"null"):
        answer = finance.post(f"{PREFIX}/groups", content=body, headers=typed)
        assert answer.status_code == 400
    assert finance.request("GET", f"{PREFIX}/me", content=b"x").status_code == 413


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/customers", "limit=0", "limit"),
        ("/customers", "limit=501", "limit"),
        ("/customers", "limit=x", "limit"),
        ("/customers", "limit=1&limit=2", "limit"),
        ("/customers", "after=nobody", "after"),
        ("/customers", "colour=red", "colour"),
        ("/me", "colour=red", "colour"),
        ("/usage/hourly", "", None),
        ("/usage/hourly", "period=2026-13", "period"),
        ("/usage/hourly", "period=2026-11&time_zone=Mars", None),
        ("/usage/hourly", "period=2026-11&after=!!", "after"),
        ("/usage/hourly", "period=2026-11&after=e30=", "after"),
        ("/journal/head", "expect=1", "expect"),
    ],
)
def test_a_query_is_checked(world: World, path: str, query: str, field: str | None) -> None:
    answer = world.client("viewer").get(f"{PREFIX}{path}?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field


def test_pages_follow_each_other_to_the_end(world: World) -> None:
    client, seen, after = world.client("viewer"), [], ""
    for _ in range(6):
        answer = client.get(f"{PREFIX}/tokens", params={"limit": "1", "after": after}).json()
        seen += [token["id"] for token in answer["items"]]
        if answer["next"] is None:
            break
        after = answer["next"]
    assert len(seen) == 1
    admin, seen, after = world.client("admin"), [], ""
    while True:
        answer = admin.get(f"{PREFIX}/tokens", params={"limit": "4", "after": after}).json()
        seen += [token["id"] for token in answer["items"]]
        if answer["next"] is None:
            break
        after = answer["next"]
    assert len(seen) == len(set(seen)) == 6


def test_pages_of_hours_keep_their_cut(world: World) -> None:
    client, seen, after = world.client("viewer"), [], ""
    while True:
        query = {"period": "2026-11", "limit": "4", "after": after}
        answer = client.get(f"{PREFIX}/usage/hourly", params=query).json()
        assert answer["cut"] == {"gateway-0": 4}
        seen += answer["items"]
        if answer["next"] is None:
            break
        after = answer["next"]
    assert len(seen) == 6
    ahead = "eyJjdXQiOnsiZ2F0ZXdheS0wIjo5fSwic2hvd24iOjF9"  # {"cut":{"gateway-0":9},"shown":1}
    refused = client.get(f"{PREFIX}/usage/hourly", params={"period": "2026-11", "after": ahead})
    assert refused.json()["error"]["field"] == "after"


def test_the_journals_head_is_checked(world: World) -> None:
    client = world.client("trust")
    head = client.get(f"{PREFIX}/journal/head").json()
    assert head["seq"] == len(world.book.entries())
    noted = f"{head['seq']}:{head['sha256']}"
    assert client.get(f"{PREFIX}/journal/head", params={"expect": noted}).status_code == 200
    forged = f"{head['seq']}:{'0' * 64}"
    broken = client.get(f"{PREFIX}/journal/head", params={"expect": forged})
    assert (broken.status_code, broken.json()["error"]["code"]) == (409, "conflict")


def test_the_gateways_are_shown(world: World) -> None:
    (status,) = world.client("viewer").get(f"{PREFIX}/gateways").json()
    assert (status["app_id"], status["refusals"]) == ("gateway-0", {"unknown_key": 2})
