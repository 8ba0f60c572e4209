"""Standing through the API: decided, obeyed, signed off by another person, and shown."""

from tests.unit.api.api_world import World

from quartermaster.api.operation import PREFIX

GLOBEX = f"{PREFIX}/groups/globex/standing"
ACME = f"{PREFIX}/groups/acme/standing"
SUSPEND = {"standing": "suspended", "reason": "mass extraction", "case": "case-7"}


def test_a_standing_is_set_and_the_answer_says_who_obeys(world: World) -> None:
    trust = world.client("trust")
    put = trust.put(GLOBEX, json=SUSPEND)
    assert put.status_code == 200
    assert put.json()["changed"]["standing"] == "suspended"
    assert put.json()["published"]["gateways"]["acknowledged"] == ["gateway-0"]
    shown = world.client("viewer").get(GLOBEX).json()
    assert (shown["standing"], shown["reason"], shown["case"]) == (
        "suspended", "mass extraction", "case-7",
    )  # fmt: skip
    assert trust.put(GLOBEX, json={"standing": "active", "reason": "settled"}).status_code == 200
    assert trust.get(f"{PREFIX}/standings").json()["items"] == []


def test_a_large_customer_waits_for_a_second_person(world: World) -> None:
    trust, finance = world.client("trust"), world.client("finance")
    put = trust.put(ACME, json=SUSPEND).json()
    assert (put["published"], put["changed"]["standing"]) == (None, "active")
    assert (put["changed"]["waits_for"], put["changed"]["revenue_share"]) == ("suspended", "0.24")
    proposal = f"{PREFIX}/standing-proposals/{put['changed']['proposal']}"
    assert trust.post(f"{proposal}/sign-off").status_code == 403
    assert world.client("viewer").post(f"{proposal}/sign-off").status_code == 403
    (waiting,) = trust.get(f"{PREFIX}/standings").json()["items"]
    assert waiting["waiting"]["actor"] == "usr_trust"
    signed = finance.post(f"{proposal}/sign-off")
    assert signed.status_code == 201
    assert signed.json()["changed"]["standing"] == "suspended"
    assert signed.json()["published"]["gateways"]["acknowledged"] == ["gateway-0"]
    assert finance.post(f"{proposal}/refusal", json={"reason": "late"}).status_code == 404


def test_a_proposal_is_declined(world: World) -> None:
    put = world.client("trust").put(ACME, json=SUSPEND).json()
    refusal = f"{PREFIX}/standing-proposals/{put['changed']['proposal']}/refusal"
    declined = world.client("finance").post(refusal, json={"reason": "not proven"})
    assert declined.status_code == 201
    assert (declined.json()["standing"], declined.json()["waiting"]) == ("active", None)


def test_a_slice_is_throttled(world: World) -> None:
    trust = world.client("trust")
    throttle = {"limits": {"requests_per_minute": 6}, "models": ["m"]}
    asked = {"standing": "throttled", "reason": "r", "throttle": throttle}
    assert trust.put(GLOBEX, json=asked).status_code == 200
    shown = trust.get(GLOBEX).json()["throttle"]
    assert (shown["models"], shown["limits"]["requests_per_minute"]) == (["m"], 6)
    nothing = {"standing": "throttled", "reason": "r"}
    assert trust.put(GLOBEX, json=nothing).json()["error"]["field"] == "throttle"


def test_what_cannot_follow_and_who_may_not(world: World) -> None:
    trust = world.client("trust")
    terminate = {"standing": "terminated", "reason": "r"}
    assert trust.put(GLOBEX, json=terminate).status_code == 409
    assert trust.put(GLOBEX, json={**terminate, "standing": "gone"}).status_code == 400
    assert world.client("finance").put(GLOBEX, json=SUSPEND).status_code == 403
    for who in ("globex", None):
        assert world.client(who).get(GLOBEX).status_code in (401, 403)
    assert trust.get(f"{PREFIX}/groups/nobody/standing").status_code == 404


def test_an_investigation_is_opened_and_ended(world: World) -> None:
    trust = world.client("trust")
    path = f"{PREFIX}/groups/acme/investigation"
    put = trust.put(path, json={"under": True, "reason": "extraction?", "case": "case-7"})
    assert put.json()["held"]["under_investigation"] is True
    assert trust.put(path, json={"under": False, "reason": "no"}).json()["held"]["standing"] == (
        "active"
    )
