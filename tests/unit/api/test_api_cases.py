"""Cases through the API: steps, two persons, and a customer that sees its own alone."""

from tests.unit.api.api_world import World

from quartermaster.api.operation import PREFIX

CASES, OWN = f"{PREFIX}/cases", f"{PREFIX}/own-cases"
SIGNED = {"proposal": 3}
NEW = {"group": "acme", "reason": "an alarm", "reported": "a partner, by letter of 2026-11-02"}


def opened(world: World) -> str:
    made = world.client("trust").post(CASES, json=NEW)
    assert made.status_code == 201, made.text
    return str(made.json()["summary"]["id"])


def step(world: World, case: str, move: str, who: str = "trust", **more: object) -> int:
    asked = {"move": move, "reason": f"to {move}", **more}
    return world.client(who).post(f"{CASES}/{case}/steps", json=asked).status_code


def test_a_case_goes_its_way_and_two_sign_a_suspension(world: World) -> None:
    case = opened(world)
    assert step(world, case, "inform") == 201
    assert step(world, case, "suspend") == 409  # it leaves out steps
    assert step(world, case, "suspend", urgent=True) == 201
    trust, admin = world.client("trust"), world.client("admin")
    assert trust.get(f"{CASES}/{case}").json()["pending"]["by"] == "usr_trust"
    assert trust.post(f"{CASES}/{case}/signature", json=SIGNED).status_code == 403
    other = admin.post(f"{CASES}/{case}/signature", json={"proposal": 2})
    assert other.status_code == 409
    signed = admin.post(f"{CASES}/{case}/signature", json=SIGNED)
    assert signed.status_code == 201
    assert signed.json()["case"]["summary"]["standing"] == "suspended"
    assert signed.json()["published"]["gateways"]["acknowledged"] == ["gateway-0"]
    assert world.book.view().standing["acme"] == "suspended"
    (line,) = trust.get(CASES).json()["items"]
    assert (line["id"], line["state"]) == (case, "suspended")


def test_a_customer_sees_answers_and_appeals_its_own_case_only(world: World) -> None:
    case = opened(world)
    acme, globex = world.client("acme"), world.client("globex")
    assert acme.get(OWN).json()["items"] == []
    assert acme.get(f"{OWN}/{case}").status_code == 404
    step(world, case, "inform")
    step(world, case, "suspend", urgent=True)
    world.client("admin").post(f"{CASES}/{case}/signature", json=SIGNED)
    (mine,) = acme.get(OWN).json()["items"]
    assert [one["move"] for one in mine["notices"]] == ["inform", "suspend"]
    assert not {"evidence", "stake", "steps", "opened_by"} & set(mine)
    assert globex.get(OWN).json()["items"] == []
    for path, body in (("answers", {"text": "x"}), ("appeals", {"text": "x"})):
        assert globex.post(f"{OWN}/{case}/{path}", json=body).status_code == 404
        assert world.client("trust").post(f"{OWN}/{case}/{path}", json=body).status_code == 403
    for path in ("", f"/{case}"):
        assert acme.get(f"{CASES}{path}").status_code == 403
    said = {"text": "to a very limited extent", "share_high": 0.01}
    assert acme.post(f"{OWN}/{case}/answers", json=said).status_code == 201
    assert acme.post(f"{OWN}/{case}/appeals", json={"text": "wrong"}).status_code == 201
    decision = {"granted": True, "reason": "they are right"}
    address = f"{CASES}/{case}/appeal-decision"
    assert world.client("trust").post(address, json=decision).status_code == 403
    assert world.client("admin").post(address, json=decision).status_code == 403
    assert world.book.view().standing["acme"] == "suspended"


def test_a_throttle_is_refused_without_its_slice(world: World) -> None:
    case = opened(world)
    step(world, case, "inform")
    asked = {"move": "throttle", "reason": "r", "urgent": True}
    refused = world.client("trust").post(f"{CASES}/{case}/steps", json=asked)
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "throttle")


def test_evidence_and_notes_are_added(world: World) -> None:
    case = opened(world)
    trust = world.client("trust")
    more = trust.post(f"{CASES}/{case}/evidence", json={"reported": "a second letter"})
    assert [one["source"] for one in more.json()["evidence"]["findings"]][-1] == "a second letter"
    noted = trust.post(f"{CASES}/{case}/notes", json={"text": "called them"})
    assert noted.json()["steps"][-1]["event"] == {"event": "noted", "text": "called them"}
    assert (
        world.client("viewer").post(f"{CASES}/{case}/notes", json={"text": "x"}).status_code == 403
    )


def test_the_case_file_is_for_the_staff(world: World) -> None:
    case = opened(world)
    file = world.client("viewer").get(f"{CASES}/{case}/file")
    assert file.status_code == 200
    assert file.json()["case"]["summary"]["id"] == case
    assert world.client("acme").get(f"{CASES}/{case}/file").status_code == 403
    assert world.client("viewer").get(f"{CASES}/none/file").status_code == 404
