"""A customer's own keys and projects through the API, and nobody else's."""

from tests.unit.api.api_world import World

from quartermaster.api.operation import PREFIX


def test_a_customer_makes_a_project_and_keys_of_it(world: World) -> None:
    acme = world.client("acme")
    made = acme.post(f"{PREFIX}/projects", json={"project": "chat", "name": "Chat"})
    assert (made.status_code, made.json()["customer"]) == (201, "acme")
    scope = {
        "contract": "acme-1",
        "project": "chat",
        "endpoints": ["chat.completions"],
        "networks": ["2001:db8::/32"],
    }
    key = acme.post(f"{PREFIX}/keys", json=scope).json()
    assert key["published"]["gateways"]["acknowledged"] == ["gateway-0"]
    shown = acme.get(f"{PREFIX}/keys/{key['id']}").json()
    assert (shown["project"], shown["networks"]) == ("chat", ["2001:db8::/32"])
    (listed,) = acme.get(f"{PREFIX}/projects").json()["items"]
    assert (listed["project"], listed["live_keys"]) == ("chat", 1)
    archive = f"{PREFIX}/projects/acme/chat/archive"
    ended = acme.post(archive, json={"reason": "over"}).json()["project"]
    assert (ended["live_keys"], ended["archived_at"] is None) == (0, False)


def test_a_rotated_key_is_shown_with_its_end_and_its_successor(world: World) -> None:
    acme, old = world.client("acme"), world.keys["acme"]
    turned = acme.post(f"{PREFIX}/keys/{old}/rotation", json={"overlap_s": 3600})
    assert turned.status_code == 201
    shown = acme.get(f"{PREFIX}/keys/{old}").json()
    assert (shown["successor"], shown["expires_at"]) == (
        turned.json()["id"],
        turned.json()["ends_at"],
    )
    assert acme.post(f"{PREFIX}/keys/{old}/rotation", json={}).status_code == 409
    revoked = acme.post(f"{PREFIX}/keys/{turned.json()['id']}/revocation", json={"reason": "r"})
    assert revoked.status_code == 201


def test_tenants_do_not_meet(world: World) -> None:
    acme, theirs = world.client("acme"), world.keys["globex"]
    world.client("admin").post(
        f"{PREFIX}/projects", json={"customer": "globex", "project": "x", "name": "X"}
    )
    assert acme.get(f"{PREFIX}/projects?customer=globex").json()["items"] == []
    assert acme.post(f"{PREFIX}/projects/globex/x/archive", json={"reason": "r"}).status_code == 404
    for path in (f"/keys/{theirs}/rotation", f"/keys/{theirs}/revocation"):
        body = {"reason": "r"} if path.endswith("revocation") else {}
        assert acme.post(PREFIX + path, json=body).status_code == 404
    assert acme.post(f"{PREFIX}/keys", json={"contract": "globex-1"}).status_code == 404
    said = {"customer": "globex", "project": "mine", "name": "M"}
    assert acme.post(f"{PREFIX}/projects", json=said).json()["customer"] == "acme"
    assert world.client("viewer").post(f"{PREFIX}/projects", json=said).status_code == 403
