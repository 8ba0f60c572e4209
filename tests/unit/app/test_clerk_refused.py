"""A clerk on a full disk: it says so, does what can be done, and mends the rest by itself."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from deltalake.exceptions import DeltaError
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.unit.app.test_clerk_budget import budget, seal

from quartermaster.app import clerk, clerk_budget, clerk_health, clerk_steps, live
from quartermaster.app.clerk_steps import Steps
from quartermaster.app.clerk_warning import DailyLook
from quartermaster.app.first_start import prepare, snapshot_path
from quartermaster.app.rooms import Rooms
from quartermaster.book.store import Book
from quartermaster.commands.budget_shown import read_states
from quartermaster.config import ClerkSettings, Settings
from quartermaster.kernel import snapshot
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import DataError, UnavailableError
from quartermaster.kernel.events import Cut, JournalFact
from quartermaster.usage.cut import current_cut
from quartermaster.usage.table import UsageTable

DEADLINE_S = 20.0


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    for module in (clerk, clerk_steps):
        monkeypatch.setattr(module, "RETRY_S", 0.02)
    monkeypatch.setattr(clerk_budget, "REST_EVERY_S", 0.02)
    often = ClerkSettings(ship_seconds=0.02)
    found = Rooms(Settings(var=str(tmp_path), clerk=often))
    prepare(found)
    return found


@contextmanager
def working(rooms: Rooms) -> Iterator[list[BaseException]]:
    """A clerk that takes turns until the block ends; what ended it before is in the list."""
    stopping, ended = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            clerk.work(rooms, stopping)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ended
    finally:
        stopping.set()
        thread.join(DEADLINE_S)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def asked(rooms: Rooms) -> tuple[int, Any]:
    """What `/readyz` of the console says."""
    app = clerk_health.with_readiness(rooms, Starlette())
    answer = TestClient(app, "http://localhost").get("/readyz")
    return answer.status_code, answer.json()


def waiting(rooms: Rooms) -> set[str]:
    """The steps that wait, by what `/readyz` of the console says."""
    code, answer = asked(rooms)
    assert (code == 200) == (answer["waits"] == [] and answer["status"] == "ready")
    return set(answer["waits"])


def test_what_cannot_be_written_is_said_and_written_later(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The states of budgets ended the clerk, and with it shipping, rating and leases."""
    monkeypatch.setattr(clerk, "LOOK_EVERY_S", 0.1)
    assert asked(rooms) == (503, {"status": "silent", "waits": []})
    budget(rooms, 1_000)
    snapshot_path(rooms.var).unlink(missing_ok=True)
    in_the_way = [
        rooms.var / "budgets.new",
        live.live_path(rooms.var),
        snapshot_path(rooms.var).with_suffix(".new"),
    ]
    for path in in_the_way:
        path.mkdir(parents=True)
    with working(rooms) as ended:
        waits = {"budgets", "publishing", "rating"}
        until(lambda: ended != [] or waiting(rooms) >= waits)
        # What needs none of these files is done meanwhile.
        seal(rooms, 1, 2)
        until(lambda: ended != [] or rooms.book.view().shipped.get("gateway-0") == 1)
        health = clerk_health.read_health(rooms.var)
        assert health is not None
        # The early warning joins them once it got to the file that cannot be read.
        assert {trouble.step for trouble in health.troubles} - {"early warning"} == waits
        assert all("directory" in trouble.reason for trouble in health.troubles)
        for path in in_the_way:
            path.rmdir()
        until(lambda: ended != [] or asked(rooms) == (200, {"status": "ready", "waits": []}))
        assert ended == []
    assert any(state.settled > 0 for state in read_states(rooms.var).states)
    rated = live.read(rooms.var)
    assert rated is not None
    assert sum(row.requests for row in rated.revenue) == 2
    assert snapshot.decode(snapshot_path(rooms.var).read_bytes()).keys


def test_a_table_that_cannot_be_read_ends_no_leases(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shipping waited for it, and the budget office ended the clerk."""
    torn = [DeltaError("the log of the table is torn")] * 3

    def cut(table: UsageTable) -> Cut:
        if torn and threading.current_thread().name == "budget-office":
            raise torn.pop()
        return current_cut(table)

    monkeypatch.setattr(clerk_budget, "current_cut", cut)
    budget(rooms, 1_000)
    with working(rooms) as ended:
        seal(rooms, 1, 2)
        until(lambda: ended != [] or any(one.settled > 0 for one in read_states(rooms.var).states))
        assert (ended, torn) == ([], [])


def test_segments_are_recorded_in_their_order_after_a_refusal(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that lacks one segment and has the next would lack it for ever."""
    refusing, append = True, Book.append

    def refuse(book: Book, fact: JournalFact, **named: Any) -> Any:
        if refusing:
            raise UnavailableError("the book did not answer: database or disk is full")
        return append(book, fact, **named)

    monkeypatch.setattr(Book, "append", refuse)
    shipping, steps = clerk.Shipping(rooms), Steps(rooms.var, rooms.now)
    seal(rooms, 1)
    assert not steps.attempt("shipping", shipping.turn)
    seal(rooms, 2)
    refusing = False
    assert steps.attempt("shipping", shipping.turn)
    assert shipping.news
    found = rooms.book.keyed("segment:gateway-0:")
    assert [getattr(entry.fact, "segment", None) for entry in found] == [1, 2]


def test_a_full_disk_has_room_for_what_the_clerk_says(rooms: Rooms) -> None:
    """The file is written over in place: it takes its block once, and its name stays."""
    steps = Steps(rooms.var, rooms.now)
    steps.tell()
    path = clerk_health.health_path(rooms.var)
    before = path.stat()
    for step in "abcdefghij":
        steps.state(step, "x" * 5_000)
    steps.tell()
    after = path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    health = clerk_health.read_health(rooms.var)
    assert health is not None
    assert len(health.troubles) == 10
    path.write_bytes(b"{torn")
    assert asked(rooms) == (503, {"status": "silent", "waits": []})
    steps.tell()
    assert asked(rooms)[1]["status"] == "waits"


@pytest.mark.parametrize("letter", ["ß", '"', "\udcff"])
def test_what_is_longer_than_its_block_is_not_left_behind(rooms: Rooms, letter: str) -> None:
    """Behind a shorter word it made the file unreadable, and a clerk that works silent."""
    steps = Steps(rooms.var, rooms.now)
    for step in "abcdefghij":
        steps.state(step, letter * 5_000)
    steps.tell()
    assert asked(rooms)[1]["waits"] == list("abcdefghij")
    for step in "abcdefghij":
        steps.state(step, "")
    steps.tell()
    assert asked(rooms) == (200, {"status": "ready", "waits": []})


def test_a_clerk_that_says_nothing_is_not_ready(rooms: Rooms) -> None:
    steps = Steps(rooms.var, rooms.now)
    steps.tell()
    assert asked(rooms)[0] == 200
    said = clerk_health.ClerkHealth(rooms.now() - 301 * US_PER_S, os.getpid())
    clerk_health.health_path(rooms.var).write_bytes(msgspec.json.encode(said))
    assert asked(rooms) == (503, {"status": "silent", "waits": []})


def test_the_daily_looks_are_tried_again_on_a_full_disk(rooms: Rooms) -> None:
    errors: list[Exception] = [
        OSError(errno.ENOSPC, "No space left on device"),
        DeltaError("the log of the table is torn"),
        DataError("more customers than can be looked at"),
    ]
    looked = []

    def look(_: Rooms) -> None:
        if errors:
            raise errors.pop(0)
        looked.append(1)

    daily = DailyLook(rooms, look, refusals=clerk_steps.REFUSALS)

    def polled() -> str:
        daily.poll()
        until(lambda: not daily.running)
        return daily.trouble

    assert "No space left" in polled()
    assert "torn" in polled()
    # What no other try mends is in the log; it makes nobody wait.
    assert polled() == ""
    assert polled() == ""
    assert looked == [1]
    rooms.now = lambda: Instant(Rooms.now(rooms) + 86_400 * US_PER_S)  # type: ignore[method-assign]
    assert polled() == ""
    assert looked == [1, 1]


def test_an_analysis_that_cannot_be_done_holds_no_warning_up(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began anew in every turn, and the look behind it waited for it for ever."""
    began = {"analysis of conduct": 0, "early warning": 0}

    def made(rooms: Rooms, do: object = None, what: str = "early warning", *_: object) -> DailyLook:
        def look(_: Rooms) -> None:
            began[what] += 1
            if do is not None:
                time.sleep(0.02)
                raise DataError("a name of the registry is none")

        return DailyLook(rooms, look, what)

    monkeypatch.setattr(clerk, "DailyLook", lambda rooms, *given, **_: made(rooms, *given))
    looks, steps = clerk.Looks(rooms), Steps(rooms.var, rooms.now)

    def turn() -> bool:
        looks.poll(steps)
        return began["early warning"] > 0

    until(turn)
    assert began == {"analysis of conduct": 1, "early warning": 1}
