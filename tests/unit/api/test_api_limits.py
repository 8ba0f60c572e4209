"""Limits through the API: set, shown to whom they concern, lifted, refused by name."""

from tests.unit.api.api_world import World

from quartermaster.api.operation import PREFIX

GROUP = f"{PREFIX}/groups/acme/limits"


def test_limits_are_set_shown_and_lifted(world: World) -> None:
    trust, viewer = world.client("trust"), world.client("viewer")
    key = f"{PREFIX}/keys/{world.keys['acme']}/limits"
    put = trust.put(key, json={"requests_per_minute": 60, "reason": "agreed"})
    assert put.status_code == 200
    assert put.json()["published"]["gateways"]["acknowledged"] == ["gateway-0"]
    trust.put(GROUP, json={"concurrent": 4})
    listed = viewer.get(f"{PREFIX}/limits").json()["items"]
    assert [(one["scope"], one["limits"]["concurrent"]) for one in listed] == [
        ("group", 4),
        ("key", None),
    ]
    assert world.client("acme").get(key).json()["limits"]["requests_per_minute"] == 60
    assert world.client("globex").get(key).status_code == 404
    for _ in range(2):
        assert trust.put(GROUP, json={}).status_code == 200
    assert viewer.get(GROUP).json()["limits"]["concurrent"] is None
    assert len(viewer.get(f"{PREFIX}/limits").json()["items"]) == 1


def test_a_customer_sees_its_own_projects_limits_and_budgets_and_nobody_else_s(
    world: World,
) -> None:
    project = f"{PREFIX}/projects/acme/default"
    assert world.client("trust").put(f"{project}/limits", json={"concurrent": 2}).is_success
    assert world.client("finance").put(f"{project}/budget", json={"amount_minor": 900}).is_success
    for what in ("limits", "budget"):
        own = world.client("acme").get(f"{project}/{what}").json()
        assert (own["scope"], own["name"]) == ("project", "acme/default")
        assert world.client("globex").get(f"{project}/{what}").status_code == 404
        assert world.client("acme").put(f"{project}/{what}", json={}).status_code == 403
    assert world.client("viewer").get(f"{PREFIX}/projects/acme/none/limits").status_code == 404
    assert world.client("finance").delete(f"{project}/budget").is_success


def test_what_is_no_limit_is_refused_by_name(world: World) -> None:
    trust = world.client("trust")
    refused = trust.put(GROUP, json={"concurrent": 0})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "concurrent")
    assert trust.put(GROUP, json={"rpm": 1}).status_code == 400
    assert trust.put(f"{PREFIX}/groups/nobody/limits", json={}).status_code == 404
    assert world.client("finance").put(GROUP, json={"concurrent": 1}).status_code == 403
