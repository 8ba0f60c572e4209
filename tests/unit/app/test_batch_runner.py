"""Batches from the queue to their files, with a gateway that fails as it likes."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.batch_world import World, jsonl, refused, request, said

from quartermaster.app.api_relayed import key_of
from quartermaster.app.batch_ending import Ending
from quartermaster.app.batch_gateway import Answered, Outgoing
from quartermaster.app.batch_runner import is_gone
from quartermaster.book.batch_states import Batch
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.key import revoke
from quartermaster.kernel.batch_run import ATTEMPT_STEP
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import UnavailableError

DAY_US = 86_400 * US_PER_S


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Of tests that send nothing."""
    return World(tmp_path_factory.mktemp("shared"))


def test_a_batch_is_answered_line_by_line(world: World) -> None:
    batch_id = world.queue(*(request(n) for n in range(25)), metadata={"night": "7"})
    done = world.run(world.runner(), batch_id)
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 25, "completed": 25, "failed": 0}
    assert done["metadata"] == {"night": "7"}
    assert done["usage"]["input_tokens"] == 25 * 5
    assert done["usage"]["total_tokens"] == 25 * 7
    assert "error_file_id" not in done
    assert done["created_at"] <= done["in_progress_at"] <= done["finalizing_at"]
    assert done["finalizing_at"] <= done["completed_at"]
    lines = world.lines_of(done["output_file_id"])
    assert list(lines) == [f"q{n}" for n in range(25)]
    response = lines["q3"]["response"]
    assert response["status_code"] == 200
    assert response["body"]["choices"][0]["message"]["content"] == "Hello"
    assert lines["q3"]["error"] is None
    sent = {line.custom_id: line for line in world.sent}
    assert sent["q3"].request_id == response["request_id"]
    assert {line.attempt for line in world.sent} == {1}
    assert {line.key_id for line in world.sent} == {world.key_ids["acme"]}
    assert sent["q3"].body == json.dumps(request(3)["body"]).encode()
    assert world.voided == []


BAD_LINES: list[tuple[Any, str]] = [
    (b"{", "invalid_json_line"),
    (b'{"custom_id": "\xff"}', "invalid_json_line"),
    ({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}, "missing_required"),
    (request(1, custom_id=3), "invalid_type"),
    (request(1, custom_id=""), "invalid_custom_id"),
    (request(1, method="GET"), "invalid_method"),
    (request(1, url="/v1/embeddings"), "invalid_url"),
    (request(1, body={"messages": []}), "missing_required"),
    (request(1, body={"model": "m", "stream": True}), "unsupported_value"),
    (request(1, body={"model": "unknown"}), "model_not_found"),
    (request(1, body={"model": "dear"}), "model_not_priced"),
    (request(1, body={"model": "m", "text": "x" * 10_000}), "line_too_long"),
    (request(0), "duplicate_custom_id"),
]


@pytest.mark.parametrize(("line", "code"), BAD_LINES, ids=[f"{n}" for n in range(len(BAD_LINES))])
def test_a_bad_line_fails_the_batch_and_sends_nothing(shared: World, line: Any, code: str) -> None:
    world = shared
    data = line + b"\n" if isinstance(line, bytes) else jsonl(line)
    file_id = world.upload(jsonl(request(0)) + data + jsonl(request(2)))
    asked = {"input_file_id": file_id, "endpoint": "/v1/chat/completions"}
    created = world.client().post("/v1/batches", json={**asked, "completion_window": "24h"})
    failed = world.run(world.runner(), created.json()["id"])
    assert failed["status"] == "failed"
    (error,) = failed["errors"]["data"]
    assert error["code"].startswith(code)
    assert error["line"] == 2
    assert world.sent == []
    # Nothing reads the file any more.
    assert world.client().delete(f"/v1/files/{file_id}").json()["deleted"] is True


def test_too_many_and_too_few_lines(tmp_path: Path) -> None:
    world = World(tmp_path, batch_lines_max=2)
    failed = world.run(world.runner(), world.queue(*(request(n) for n in range(3))))
    assert [error["code"] for error in failed["errors"]["data"]] == ["too_many_tasks"]
    file_id = world.upload(b"\n \n")
    asked = {"input_file_id": file_id, "endpoint": "/v1/chat/completions"}
    created = world.client().post("/v1/batches", json={**asked, "completion_window": "24h"})
    failed = world.run(world.runner(), created.json()["id"])
    assert [error["code"] for error in failed["errors"]["data"]] == ["empty_file"]


def test_errors_that_time_mends_are_tried_again(world: World) -> None:
    replies = itertools.chain([429, 503, 500, 502], itertools.repeat(200))

    def reply(line: Outgoing) -> Answered:
        status = next(replies)
        return said(line) if status == 200 else refused(line, status)

    world.reply = reply
    done = world.run(world.runner(), world.queue(request(0)))
    assert done["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
    assert [line.attempt for line in world.sent] == [1 + ATTEMPT_STEP * n for n in range(5)]
    assert len({line.request_id for line in world.sent}) == 1
    assert world.voided == []


def test_errors_that_stay_are_in_the_error_file(world: World) -> None:
    answers = {"q0": 400, "q1": 500, "q2": 200}

    def reply(line: Outgoing) -> Answered:
        status = answers[line.custom_id]
        return said(line) if status == 200 else refused(line, status)

    world.reply = reply
    done = world.run(world.runner(), world.queue(*(request(n) for n in range(3))))
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    errors = world.lines_of(done["error_file_id"])
    assert {name: line["response"]["status_code"] for name, line in errors.items()} == {
        "q0": 400,
        "q1": 500,
    }
    assert errors["q0"]["response"]["body"]["error"]["code"] == "y"
    assert list(world.lines_of(done["output_file_id"])) == ["q2"]
    counts = [line.custom_id for line in world.sent]
    assert (counts.count("q0"), counts.count("q1")) == (1, 5)


def test_a_busy_gateway_is_waited_for_as_it_asks(world: World) -> None:
    times: list[int] = []

    def reply(line: Outgoing) -> Answered:
        times.append(world.now)
        return refused(line, 429, 120.0) if len(times) < 5 else said(line)

    world.reply = reply
    done = world.run(world.runner(), world.queue(request(0)))
    assert done["status"] == "completed"
    assert all(b - a >= 120 * US_PER_S for a, b in itertools.pairwise(times))


def test_answers_that_never_come_are_voided(world: World) -> None:
    world.reply = lambda line: Answered(line, "lost")
    done = world.run(world.runner(), world.queue(request(0)))
    assert done["request_counts"] == {"total": 1, "completed": 0, "failed": 1}
    error = world.lines_of(done["error_file_id"])["q0"]
    assert error["response"] is None
    assert error["error"]["code"] == "no_answer"
    ((batch_id, (line,)),) = world.voided
    assert batch_id == done["id"]
    assert line.request_id == world.sent[0].request_id
    assert line.attempt == max(sent.attempt for sent in world.sent)


def test_the_window_ends(world: World) -> None:
    world.reply = lambda line: said(line) if line.custom_id == "q0" else refused(line, 503, 600.0)
    batch_id = world.queue(*(request(n) for n in range(3)))
    runner = world.runner()
    world.let(runner, 20)
    world.now += DAY_US
    ended = world.run(runner, batch_id)
    assert ended["status"] == "expired"
    assert ended["expired_at"] >= ended["expires_at"]
    assert list(world.lines_of(ended["output_file_id"])) == ["q0"]
    errors = world.lines_of(ended["error_file_id"])
    assert {line["error"]["code"] for line in errors.values()} == {"batch_expired"}
    assert ended["request_counts"] == {"total": 3, "completed": 1, "failed": 2}


def test_cancelling_keeps_what_was_answered(world: World) -> None:
    world.reply = lambda line: said(line) if line.custom_id == "q0" else refused(line, 503, 600.0)
    batch_id = world.queue(*(request(n) for n in range(3)))
    runner = world.runner()
    world.let(runner, 20)
    cancelled = world.client().post(f"/v1/batches/{batch_id}/cancel")
    assert cancelled.json()["status"] == "cancelling"
    again = world.client().post(f"/v1/batches/{batch_id}/cancel")
    assert again.json()["status"] == "cancelling"
    ended = world.run(runner, batch_id)
    assert ended["status"] == "cancelled"
    assert list(world.lines_of(ended["output_file_id"])) == ["q0"]
    errors = world.lines_of(ended["error_file_id"])
    assert {line["error"]["code"] for line in errors.values()} == {"batch_cancelled"}
    late = world.client().post(f"/v1/batches/{batch_id}/cancel")
    assert late.status_code == 409


def test_a_batch_cancelled_before_it_was_read(world: World) -> None:
    batch_id = world.queue(request(0))
    assert world.client().post(f"/v1/batches/{batch_id}/cancel").status_code == 200
    ended = world.run(world.runner(), batch_id)
    assert ended["status"] == "cancelled"
    assert "output_file_id" not in ended
    assert world.sent == []


def test_a_successor_sends_again_what_nobody_answered_for(world: World) -> None:
    """The first runner dies with a line on its way; nothing of it was ever kept."""
    batch_id = world.queue(*(request(n) for n in range(2)))
    stuck = world.runner()
    world.reply = lambda line: said(line, "first")
    stuck._pool.shutdown()  # sends, but never hears
    stuck._pool = _Silent()  # type: ignore[assignment]
    world.let(stuck, 3)
    assert len(stuck._pool.taken) == 2  # type: ignore[attr-defined]
    heir = world.runner()
    world.let(heir, 5)
    assert world.sent == []  # the claim still holds
    world.now += 20 * US_PER_S
    done = world.run(heir, batch_id)
    assert done["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    assert {line.attempt for line in world.sent} == {1 + ATTEMPT_STEP}
    assert world.voided == []
    # What the first one hears now changes nothing.
    stuck._keep([said(outgoing, "late") for _, outgoing in stuck._pool.taken])  # type: ignore[attr-defined]
    assert world.client().get(f"/v1/batches/{batch_id}").json() == done


class _Silent:
    """A pool whose threads died with their process."""

    def __init__(self) -> None:
        self.taken: list[tuple[Any, Outgoing]] = []

    def submit(self, do: Any, line: Outgoing) -> None:
        self.taken.append((do, line))


def test_a_defect_in_one_batch_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every round ended at the batch that met it, and those behind it were never looked at."""
    broken, ending = world.queue(request(0)), Ending.end

    def end(self: Ending, batch: Batch, *given: Any) -> None:
        if batch.id == broken:
            raise KeyError("/v1/nobody/thought/of")
        ending(self, batch, *given)

    monkeypatch.setattr(Ending, "end", end)
    done = world.run(world.runner(), world.queue(request(1)))
    assert done["status"] == "completed"
    assert f"{broken} waits for a defect of ours" in caplog.text
    assert "KeyError" in caplog.text


def test_a_line_lost_and_then_cancelled_is_voided(world: World) -> None:
    replies = iter(["lost", "busy"])

    def reply(line: Outgoing) -> Answered:
        if next(replies, "busy") == "lost":
            return Answered(line, "lost")
        return refused(line, 503, 600.0)

    world.reply = reply
    batch_id = world.queue(request(0))
    runner = world.runner()
    world.let(runner, 20)
    world.client().post(f"/v1/batches/{batch_id}/cancel")
    world.run(runner, batch_id)
    ((_, (line,)),) = world.voided
    assert line.lost


def test_every_batch_gets_its_share(world: World) -> None:
    """A small batch does not wait for a large one that came before it."""
    large = world.queue(*(request(n) for n in range(60)))
    small = world.queue(request(0))
    runner = world.runner()
    world.run(runner, small)
    left = world.client().get(f"/v1/batches/{large}").json()["request_counts"]
    assert left["completed"] < 60
    assert world.run(runner, large)["request_counts"]["completed"] == 60


def test_a_batch_goes_on_under_the_key_that_its_own_was_rotated_to(world: World) -> None:
    batch_id = world.queue(request(0))
    with world.book.reading() as unit:
        batch = unit.batches.find(batch_id)
    assert batch is not None
    assert key_of(world.rooms, batch) == world.key_ids["acme"]
    revoke(world.book, OPERATOR, world.key_ids["acme"], "left", Instant(world.now))
    assert key_of(world.rooms, batch) == world.key_ids["acme"]  # the gateway refuses it


def test_a_dead_process_of_this_machine_is_not_waited_for(world: World) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    runner = world.runner()
    here, _, token = runner.name.rpartition(":")
    where = here.rpartition(":")[0]
    dead = f"{where}:{process.pid}:{token}"
    assert is_gone(dead)
    assert not is_gone(runner.name)
    assert not is_gone(f"elsewhere{where}:{process.pid}:{token}")
    assert not is_gone("")
    batch_id = world.queue(request(0))
    with world.book.writing() as unit:
        unit.batches.claim(dead, now=world.now, until=world.now + DAY_US, gone=lambda _: False)
    assert world.run(runner, batch_id)["status"] == "completed"


def test_a_stopping_runner_waits_for_no_model(world: World) -> None:
    """Lines on their way are hung up on, and sent again by the next one."""

    def reply(line: Outgoing) -> Answered:
        assert world.hung_up.wait(30)
        return Answered(line, "lost")

    world.reply = reply
    batch_id = world.queue(request(0))
    runner = world.runner()
    for _ in range(2):
        runner.step()
    assert runner.sending
    world.now += 10 * US_PER_S
    deadline = iter(range(world.now, world.now + 600 * US_PER_S, US_PER_S))
    runner._clock = lambda: Instant(next(deadline))
    runner.stop()
    assert world.hung_up.is_set()
    world.reply = said
    done = world.run(world.runner(), batch_id)
    assert done["request_counts"]["completed"] == 1
    assert world.sent[-1].attempt == 1 + ATTEMPT_STEP


def test_answers_wait_for_a_book_that_is_busy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered and metered is not lost because somebody else writes at that moment."""
    busy: set[int] = set()

    def reply(line: Outgoing) -> Answered:
        busy.update(range(3))  # the next three transactions
        return said(line)

    world.reply = reply
    batch_id = world.queue(request(0))
    runner, write = world.runner(), world.book.writing

    def writing() -> Any:
        if busy:
            busy.pop()
            raise UnavailableError("another process holds the lock")
        return write()

    monkeypatch.setattr(runner, "_book", _Busy(world.book, writing))
    for _ in range(20):
        try:
            runner.step()
        except UnavailableError:
            continue
    assert not runner.sending
    assert world.run(runner, batch_id)["status"] == "completed"
    assert [line.attempt for line in world.sent] == [1]


class _Busy:
    """A book that can be read, and not always be written."""

    def __init__(self, book: Any, writing: Any) -> None:
        self.reading, self.view, self.writing = book.reading, book.view, writing


def test_one_batch_that_cannot_be_read_holds_up_no_other(world: World) -> None:
    damaged, lost, whole = (world.queue(request(n)) for n in range(3))
    runner = world.runner()
    with world.book.reading() as unit:
        files = [unit.batches.find(name) for name in (damaged, lost)]
    path = world.folder / "files"
    first, second = (batch.input_file for batch in files if batch is not None)
    (path / first).write_bytes(b"x" * 100)
    (path / second).unlink()
    assert world.run(runner, whole)["status"] == "completed"
    for batch_id in (damaged, lost):
        failed = world.run(runner, batch_id)
        assert failed["status"] == "failed"
        assert failed["errors"]["data"][0]["code"] == "file_unreadable"


def test_a_file_damaged_after_its_lines_were_checked(world: World) -> None:
    world.reply = lambda line: said(line) if line.custom_id == "q0" else refused(line, 503, 600.0)
    batch_id = world.queue(*(request(n) for n in range(3)))
    runner = world.runner()
    world.let(runner, 20)
    file_id = world.client().get(f"/v1/batches/{batch_id}").json()["input_file_id"]
    (world.folder / "files" / file_id).write_bytes(b"x" * 70_000)
    world.now += DAY_US
    ended = world.run(world.runner(), batch_id)  # the other one's claim is over
    assert ended["status"] == "expired"
    assert ended["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    assert list(world.lines_of(ended["output_file_id"])) == ["q0"]
    data = world.client().get(f"/v1/files/{ended['error_file_id']}/content").content
    assert [json.loads(line)["custom_id"] for line in data.splitlines()] == ["", ""]
