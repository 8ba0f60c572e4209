"""Batches of customers who are suspended, reinstated or terminated while their lines wait."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.app.batch_world import STEP_S, World, request, said

from quartermaster.app.batch_gateway import Answered, Outgoing
from quartermaster.app.batch_judged import BARRED_S, judged
from quartermaster.app.batch_runner import Runner
from quartermaster.book.batches import Line
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.standing import RevenueShare, change
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.contract import Standing


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, batch_requests_at_once=2)


def decide(world: World, standing: Standing) -> None:
    """Somebody decides on the standing of the batch's customer."""
    small = RevenueShare(Decimal("0.01"))
    change(
        world.book, OPERATOR, "acme", standing, "as agreed", Instant(world.now),
        weight=small, sign_off_share=Decimal(1),
    )  # fmt: skip


def barred(line: Outgoing, code: str = "account_suspended") -> Answered:
    """What a gateway answers that knows of a suspension."""
    body = {"error": {"message": "This account is suspended.", "param": None, "code": code}}
    return Answered(line, "answered", 403, json.dumps(body).encode())


def rounds(world: World, runner: Runner, count: int) -> None:
    for _ in range(count):
        runner.step()
        world.now += STEP_S * US_PER_S


def status_of(world: World, batch_id: str) -> str:
    with world.book.reading() as unit:
        batch = unit.batches.find(batch_id)
    assert batch is not None
    return batch.status


def test_lines_wait_while_their_customer_is_suspended_and_go_on_after(world: World) -> None:
    """Those that were on their way were refused; none of them fails for it."""
    runner = world.runner()
    world.reply = barred
    batch_id = world.queue(*(request(n) for n in range(6)))
    rounds(world, runner, 2)
    decide(world, "suspended")
    rounds(world, runner, 3)
    sent = len(world.sent)
    assert sent > 0
    rounds(world, runner, 20)
    assert len(world.sent) == sent
    assert status_of(world, batch_id) == "in_progress"
    decide(world, "active")
    world.reply = said
    done = world.run(runner, batch_id)
    assert done["request_counts"] == {"total": 6, "completed": 6, "failed": 0}
    assert world.voided == []


def test_a_suspension_that_lasts_ends_the_batch_as_any_that_ran_out_of_time(world: World) -> None:
    batch_id = world.queue(request(1))
    decide(world, "suspended")
    runner = world.runner()
    rounds(world, runner, 3)
    world.now += 86_400 * US_PER_S
    rounds(world, runner, 3)
    assert (status_of(world, batch_id), world.sent) == ("expired", [])


def test_a_termination_cancels_the_batch_with_a_word_on_every_line(world: World) -> None:
    """What was answered before stays answered, and is paid."""
    runner = world.runner()
    world.reply = lambda line: said(line) if line.custom_id in ("q0", "q1") else barred(line)
    batch_id = world.queue(*(request(n) for n in range(5)))
    rounds(world, runner, 6)
    decide(world, "suspended")
    rounds(world, runner, 2)
    decide(world, "terminated")
    rounds(world, runner, 4)
    assert status_of(world, batch_id) == "cancelled"
    # Whoever is let in again finds everything.
    decide(world, "active")
    found = world.client().get(f"/v1/batches/{batch_id}").json()
    assert found["request_counts"] == {"total": 5, "completed": 2, "failed": 3}
    assert [error["code"] for error in found["errors"]["data"]] == ["account_terminated"]
    assert list(world.lines_of(found["output_file_id"])) == ["q0", "q1"]
    lines = world.lines_of(found["error_file_id"])
    assert list(lines) == ["q2", "q3", "q4"]
    for line in lines.values():
        assert line["response"] is None
        assert line["error"]["code"] == "account_terminated"
        assert "terminated" in line["error"]["message"]


def test_a_batch_that_nobody_has_read_yet_is_cancelled_too(world: World) -> None:
    batch_id = world.queue(request(1))
    decide(world, "suspended")
    decide(world, "terminated")
    rounds(world, world.runner(), 3)
    assert (status_of(world, batch_id), world.sent) == ("cancelled", [])


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("account_suspended", "waiting"),
        # A throttle may be lifted as well.
        ("account_throttled", "waiting"),
        ("model_not_priced", "failed"),
    ],
)
def test_who_may_be_let_in_again_waits(code: str, state: str) -> None:
    line = Line(1, 0, 9, "req_1", "sent", attempt=1, failures=4)
    outgoing = Outgoing("b", 1, 1, "k", "req_1", "/v1/chat/completions", "a", b"{}")
    after = judged(line, barred(outgoing, code), 0)
    assert after.state == state
    if state == "waiting":
        assert (after.failures, after.not_before) == (4, BARRED_S * US_PER_S)
