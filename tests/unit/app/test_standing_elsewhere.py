"""A change that other machines must know: told at once, waited for, and told again by the clerk."""

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.redis_server import RedisServer, running_redis

from quartermaster.app import clerk_standing, handing
from quartermaster.app.clerk_standing import NoDesk, StandingDesk, open_desk
from quartermaster.app.first_start import FIRST_CUSTOMER, pepper_path, prepare, snapshot_path
from quartermaster.app.handing import Gateways
from quartermaster.app.rooms import Rooms
from quartermaster.app.standing_store import StandingStore
from quartermaster.app.store_thread import StoreThread
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.limit import Limited, set_limits
from quartermaster.commands.publish import publish
from quartermaster.commands.standing import RevenueShare, change
from quartermaster.config import Settings
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.notice import Obeyed, notice_of, sign_obeyed
from quartermaster.kernel.shared_store import NOTICE, OBEYED, WORKERS
from quartermaster.kernel.snapshot import decode


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def rooms(server: RedisServer, tmp_path: Path) -> Iterator[Rooms]:
    found = Rooms(
        Settings(var=str(tmp_path / "one"), gateway=GatewaySettings(shared_limits_url=server.url))
    )
    prepare(found)
    yield found
    found.book.close()


@pytest.fixture
def store(server: RedisServer, rooms: Rooms) -> Iterator[StandingStore]:
    with server.client() as client:
        yield StandingStore(client, pepper_path(rooms.var).read_bytes())


def set_standing(rooms: Rooms, standing: Standing) -> None:
    """Decide it, which publishes nothing yet."""
    none = RevenueShare()
    change(
        rooms.book,
        OPERATOR,
        FIRST_CUSTOMER,
        standing,
        "a reason",
        rooms.now(),
        weight=none,
        sign_off_share=Decimal(1),
    )


def obey(rooms: Rooms, server: RedisServer, name: str, version: int, served: int = 1) -> None:
    """A worker of another machine says so."""
    with server.client() as client:
        client.zadd(WORKERS, {name: system_clock()})
        pepper = pepper_path(rooms.var).read_bytes()
        signed = sign_obeyed(name, Obeyed(version, served), pepper)
        client.hset(OBEYED, name, f"{system_clock()} {signed}")


def test_other_machines_are_told_and_waited_for(
    rooms: Rooms, server: RedisServer, store: StandingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing, "ACKNOWLEDGE_TIMEOUT_S", 0.3)
    obey(rooms, server, "two-0.aa", 40)
    obey(rooms, server, "two-1.bb", 3)
    set_standing(rooms, "suspended")
    version, seen = Gateways(rooms).hand_over(rooms.now())
    # Higher than what any machine serves, or workers there would not look at it.
    assert version == 41
    assert seen.late == ("two-0.aa", "two-1.bb")
    assert not seen.unreached
    said = store.notice()
    assert said is not None
    assert (said.version, said.standing) == (41, {FIRST_CUSTOMER: "suspended"})
    obey(rooms, server, "two-0.aa", 41)
    assert Gateways(rooms).serving(41).partly == ("two-0.aa",)
    obey(rooms, server, "two-0.aa", 41, served=42)
    assert Gateways(rooms).serving(41).acknowledged == ("two-0.aa",)
    # The next one is higher still, whoever publishes it.
    assert publish(rooms.book, rooms.var / "elsewhere.json", rooms.now()).version == 42


@pytest.mark.parametrize("everything", [True, False])
def test_whoever_heard_all_that_is_new_serves_it_and_others_in_part(
    rooms: Rooms, server: RedisServer, monkeypatch: pytest.MonkeyPatch, everything: bool
) -> None:
    monkeypatch.setattr(handing, "ACKNOWLEDGE_TIMEOUT_S", 20)
    obey(rooms, server, "two-0.aa", 10**6)
    set_standing(rooms, "suspended")
    if not everything:
        limited = Limited("group", FIRST_CUSTOMER, Limits(requests_per_minute=5))
        set_limits(rooms.book, OPERATOR, limited, rooms.now())
    obeys = threading.Thread(target=hear, args=(rooms, server))
    obeys.start()
    _, seen = Gateways(rooms).hand_over(rooms.now())
    obeys.join()
    assert (seen.acknowledged if everything else seen.partly) == ("two-0.aa",)
    assert not seen.late


def hear(rooms: Rooms, server: RedisServer) -> None:
    """The other machine's worker obeys the next notice."""
    with server.client() as client:
        until(lambda: bool(client.get(NOTICE)))
    obey(rooms, server, "two-0.aa", 10**6 + 1)


def test_a_change_is_made_without_the_store_too(
    rooms: Rooms, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing, "ACKNOWLEDGE_TIMEOUT_S", 0.3)
    server.kill()
    try:
        set_standing(rooms, "suspended")
        version, seen = Gateways(rooms).hand_over(rooms.now())
        assert "does not answer" in seen.unreached
        assert decode(snapshot_path(rooms.var).read_bytes()).version == version
    finally:
        server.start()


def test_a_forged_notice_is_in_nobodys_way(
    rooms: Rooms, server: RedisServer, store: StandingStore
) -> None:
    with server.client() as client:
        client.set(NOTICE, "f" * 64 + '.{"version":999}')
    assert store.notice() is None
    snapshot = publish(rooms.book, snapshot_path(rooms.var), rooms.now())
    store.tell(snapshot)
    assert store.notice() == notice_of(snapshot)


def test_the_clerk_says_again_what_the_store_has_not(
    rooms: Rooms, server: RedisServer, store: StandingStore
) -> None:
    desk = StandingDesk(store, snapshot_path(rooms.var))
    desk.look()
    set_standing(rooms, "suspended")
    snapshot = publish(rooms.book, snapshot_path(rooms.var), rooms.now())
    desk.look()
    assert store.notice() == notice_of(snapshot)
    with server.client() as client:
        client.flushall()
    desk.look()
    assert store.notice() == notice_of(snapshot)
    assert not desk.news(), "nobody else published anything"


def test_the_clerk_publishes_when_another_machine_has(rooms: Rooms, store: StandingStore) -> None:
    desk = StandingDesk(store, snapshot_path(rooms.var))
    set_standing(rooms, "suspended")
    store.tell(publish(rooms.book, rooms.var / "elsewhere.json", rooms.now()))
    desk.look()
    assert desk.news()
    # Once, also where there is nothing to publish.
    desk.look()
    assert not desk.news()


def test_the_clerk_goes_on_where_the_store_is_gone(
    rooms: Rooms, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerk_standing, "LOOK_EVERY_S", 0.01)
    desk = open_desk(rooms.settings.gateway, rooms.var)
    server.kill()
    desk.start()
    until(lambda: "does not answer" in desk.trouble)
    assert not desk.news()
    server.start()
    until(lambda: not desk.trouble)
    desk.stop()
    assert isinstance(open_desk(GatewaySettings(), rooms.var), NoDesk)
    pepper_path(rooms.var).unlink()
    assert "pepper" in open_desk(rooms.settings.gateway, rooms.var).trouble


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_call_that_hangs_holds_nobody() -> None:
    ends, calls = threading.Event(), StoreThread(within_s=0.05)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="in time"):
        calls.call(ends.wait)
    with pytest.raises(UnavailableError, match="does not answer"):
        calls.call(lambda: 1)
    assert time.monotonic() - began < 10
    ends.set()
    until(lambda: answers(calls))
    with pytest.raises(ZeroDivisionError):
        calls.call(lambda: 1 // 0)


def test_calls_of_many_threads_take_turns() -> None:
    calls = StoreThread(within_s=20)
    found: list[int] = []

    def ask() -> None:
        found.extend(calls.call(lambda: 1) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 160


def answers(calls: StoreThread) -> bool:
    """Whether the call before has ended."""
    try:
        return calls.call(lambda: True)
    except UnavailableError:
        return False
