"""Webhooks through the API: added, shown without their secrets, turned, paused, tested, removed."""

from pathlib import Path

import msgspec
import pytest
from tests.unit.api.api_world import HOOK, World

from quartermaster.api.operation import PREFIX
from quartermaster.commands.webhook_record import Delivered, Delivery, delivered_path

HOOKS = f"{PREFIX}/webhooks"
NEW = {"url": "https://ops.example.com/hook", "group": "acme"}


def test_a_secret_is_shown_once_and_turned_with_an_overlap(world: World) -> None:
    admin, viewer = world.client("admin"), world.client("viewer")
    made = admin.post(HOOKS, json=NEW, headers={"idempotency-key": "1"})
    again = admin.post(HOOKS, json=NEW, headers={"idempotency-key": "1"})
    assert (made.status_code, again.json()) == (201, made.json())
    own = f"{HOOKS}/{made.json()['webhook']}"
    turned = admin.post(f"{own}/rotation").json()
    assert turned["secret"] != made.json()["secret"]
    shown = viewer.get(own)
    assert shown.json()["group"] == "acme"
    for answer in (shown, viewer.get(HOOKS), viewer.get(f"{own}/deliveries")):
        assert answer.is_success
        assert "whsec_" not in answer.text
    assert [one["url"] for one in viewer.get(HOOKS).json()["items"]] == [HOOK, NEW["url"]]


def test_only_admins_read_an_address_whole(world: World) -> None:
    admin, viewer = world.client("admin"), world.client("viewer")
    url = f"{NEW['url']}?token=hunter2"
    own = f"{HOOKS}/{admin.post(HOOKS, json={'url': url}).json()['webhook']}"
    assert admin.get(own).json()["url"] == url
    assert viewer.get(own).json()["url"] == "https://ops.example.com/hook…"
    assert "hunter2" not in viewer.get(HOOKS).text


def test_a_webhook_is_paused_tested_and_removed(world: World) -> None:
    admin, own = world.client("admin"), f"{HOOKS}/{world.webhook}"
    for paused in (True, True, False):
        assert admin.put(f"{own}/pause", json={"paused": paused}).json()["paused"] is paused
    tested = admin.post(f"{own}/test").json()
    assert (tested["taken"], tested["url"]) == (False, HOOK)
    assert "no answer" in tested["refusal"]
    assert admin.delete(own).is_success
    assert [one.status_code for one in (admin.get(own), admin.delete(own))] == [404, 404]


def test_what_is_no_webhook_is_refused_by_name(world: World) -> None:
    admin = world.client("admin")
    for body, status, field in (
        ({"url": "http://ops.example.com/"}, 400, "url"),
        ({**NEW, "group": "nobody"}, 404, "group"),
        ({"url": HOOK, "allow_private": True}, 409, "url"),
    ):
        refused = admin.post(HOOKS, json=body)
        assert (refused.status_code, refused.json()["error"]["field"]) == (status, field)


@pytest.mark.parametrize("role", ["viewer", "finance", "trust", "acme"])
def test_only_an_admin_sends_alerts_elsewhere(world: World, role: str) -> None:
    client, own = world.client(role), f"{HOOKS}/{world.webhook}"
    answers = (
        client.post(HOOKS, json=NEW),
        client.post(f"{own}/rotation"),
        client.put(f"{own}/pause", json={"paused": True}),
        client.post(f"{own}/test"),
        client.delete(own),
    )
    assert {one.status_code for one in answers} == {403}
    assert client.get(own).status_code == (403 if role == "acme" else 200)


def test_what_was_sent_is_sent_again_by_an_admin(world: World, tmp_path: Path) -> None:
    sent = Delivery("msg_1", "budget.exhausted", 1, 1, "answered with status 500", "{}")
    path = delivered_path(tmp_path, world.webhook)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(Delivered(given_up=1, recent=(sent,))))
    own = f"{HOOKS}/{world.webhook}/deliveries"
    assert world.client("viewer").post(f"{own}/msg_1/redelivery").status_code == 403
    again = world.client("admin").post(f"{own}/msg_1/redelivery")
    assert (again.status_code, again.json()["message"]) == (201, "msg_1")
    waiting = world.client("viewer").get(own).json()["waiting"]
    assert [one["message"] for one in waiting] == ["msg_1"]
    assert world.client("admin").post(f"{own}/msg_2/redelivery").status_code == 404
