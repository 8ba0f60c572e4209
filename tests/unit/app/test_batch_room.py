"""Batches of images, and the room that their answers take among the customer's files."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.batch_world import World, refused, request

from quartermaster.app.batch_gateway import Answered, Outgoing
from quartermaster.book.batches import Batches, Line

IMAGES = "/v1/images/generations"
EDITS = "/v1/images/edits"
MEGABYTE = 1_048_576


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def picture(number: int) -> dict[str, Any]:
    """A line that asks for an image."""
    body = {"model": "m", "prompt": f"A ship, {number}", "n": 1}
    return request(number, url=IMAGES, body=body)


def drawn(line: Outgoing) -> Answered:
    """An image of a megabyte."""
    body = {"created": 1, "data": [{"b64_json": "A" * MEGABYTE}]}
    return Answered(line, "answered", 200, json.dumps(body).encode())


def test_images_come_in_a_batch_and_are_not_held_in_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of megabytes were read five hundred at a time."""
    world.reply = drawn
    pages = list[int]()
    lines = Batches.lines

    def counted(batches: Batches, *given: Any, **named: Any) -> list[Line]:
        found = lines(batches, *given, **named)
        pages.append(sum(len(line.answer or b"") for line in found))
        return found

    monkeypatch.setattr(Batches, "lines", counted)
    monkeypatch.setattr("quartermaster.book.batches.ANSWER_BYTES_AT_ONCE", 3 * MEGABYTE)
    done = world.run(world.runner(), world.queue(*map(picture, range(10)), endpoint=IMAGES))
    assert done["request_counts"] == {"total": 10, "completed": 10, "failed": 0}
    assert {line.endpoint for line in world.sent} == {IMAGES}
    assert max(pages) < 5 * MEGABYTE
    found = world.lines_of(done["output_file_id"])
    assert len(found) == 10
    assert len(found["q9"]["response"]["body"]["data"][0]["b64_json"]) == MEGABYTE


def test_edits_of_images_come_in_a_batch_as_json(world: World) -> None:
    world.reply = drawn
    edit = {"model": "m", "prompt": "At night", "images": [{"image_url": "https://x.io/a.png"}]}
    lines = [request(number, url=EDITS, body=edit) for number in range(2)]
    done = world.run(world.runner(), world.queue(*lines, endpoint=EDITS))
    assert done["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    assert [(line.endpoint, json.loads(line.body)) for line in world.sent] == [(EDITS, edit)] * 2


def test_answers_wait_for_room_among_the_customer_s_files(tmp_path: Path) -> None:
    """Whatever answers take, no batch fills the disk that all customers share."""
    world = World(tmp_path, customer_file_bytes_max=4 * MEGABYTE, batch_requests_at_once=1)
    world.reply = drawn
    full = world.upload(b"x" * 2 * MEGABYTE)
    batch_id = world.queue(*map(picture, range(3)), endpoint=IMAGES)
    runner = world.runner()
    for _ in range(50):
        runner.step()
    assert len(world.sent) == 2
    assert world.client().get(f"/v1/batches/{batch_id}").json()["status"] == "in_progress"
    with world.book.reading() as unit:
        assert unit.files.bytes_of("acme", world.now) > 4 * MEGABYTE
    world.client().delete(f"/v1/files/{full}")
    done = world.run(runner, batch_id)
    assert done["request_counts"]["completed"] == 3
    with world.book.reading() as unit:
        # The file has taken the place of what was reserved for it.
        files = world.client().get("/v1/files").json()["data"]
        assert unit.files.bytes_of("acme", world.now) == sum(file["bytes"] for file in files)
    # The answer that takes the last of the room is the batch's last: it is over.
    last = world.run(runner, world.queue(picture(0), endpoint=IMAGES))
    assert last["request_counts"]["completed"] == 1
    assert error_of_full(world) == "quota_exceeded"


def test_answers_that_are_not_kept_take_no_room(world: World) -> None:
    """Each refusal of a line that waits on counted among the customer's files until the end."""
    world.reply = lambda line: refused(line, 503)
    world.queue(request(0))
    before = taken(world)
    world.let(world.runner(), 200)
    assert len(world.sent) > 3
    assert taken(world) == before


def taken(world: World) -> int:
    """Bytes of the customer's quota that are not free."""
    with world.book.reading() as unit:
        return unit.files.bytes_of("acme", world.now)


def error_of_full(world: World) -> str:
    """Why no more can be uploaded."""
    answer = world.client().post(
        "/v1/files", files={"file": ("a", b"x" * 10_000)}, data={"purpose": "batch"}
    )
    return str(answer.json()["error"]["code"])
