"""Budgets through the API: set, shown to whom they concern, paid into, lifted, refused by name."""

from tests.unit.api.api_world import World

from quartermaster.api.operation import PREFIX

GROUP = f"{PREFIX}/groups/acme/budget"


def test_budgets_are_set_shown_paid_and_lifted(world: World) -> None:
    finance, viewer = world.client("finance"), world.client("viewer")
    key = f"{PREFIX}/keys/{world.keys['acme']}/budget"
    put = finance.put(key, json={"amount_minor": 5_000, "reason": "agreed"})
    assert put.status_code == 200
    assert put.json()["published"]["gateways"]["acknowledged"] == ["gateway-0"]
    assert put.json()["budget"]["amount"] == "50.00"
    assert world.client("acme").get(key).json()["spent"] is None
    assert world.client("globex").get(key).status_code == 404
    assert finance.put(GROUP, json={"prepaid": True}).status_code == 200
    for _ in range(2):
        paid = finance.post(f"{GROUP}/top-ups", json={"amount_minor": 700, "payment": "wire-1"})
        assert (paid.status_code, paid.json()["amount"]) == (200, "7.00")
    listed = viewer.get(f"{PREFIX}/budgets").json()["items"]
    assert [(one["scope"], one["prepaid"]) for one in listed] == [("group", True), ("key", False)]
    paused = finance.put(f"{GROUP}/pause", json={"paused": True})
    assert (paused.json()["budget"]["paused"], paused.json()["budget"]["amount"]) == (True, "7.00")
    assert finance.delete(GROUP).status_code == 200
    assert viewer.get(GROUP).status_code == 404


def test_what_is_no_budget_is_refused_by_name(world: World) -> None:
    finance = world.client("finance")
    refused = finance.put(GROUP, json={"amount_minor": 0})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "amount")
    assert finance.put(GROUP, json={"usd": 1}).status_code == 400
    assert finance.post(f"{GROUP}/top-ups", json={"amount_minor": 1}).status_code == 400
    assert finance.delete(GROUP).status_code == 404
    assert world.client("trust").put(GROUP, json={"amount_minor": 5}).status_code == 403
    assert world.client("acme").get(GROUP).status_code == 403
