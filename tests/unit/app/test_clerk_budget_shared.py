"""Two budget offices of two machines: what they grant together, with the store and without it."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import redis
from tests.redis_server import RedisServer, running_redis
from tests.unit.usage import sealed_logs

from quartermaster.app import clerk, clerk_budget
from quartermaster.app.budget_shares import BudgetShares
from quartermaster.app.clerk_budget import BudgetOffice, leases_folder
from quartermaster.app.first_start import FIRST_CONTRACT, FIRST_CUSTOMER, prepare
from quartermaster.app.part_store import MACHINES, RedisParts, machine_name
from quartermaster.app.rooms import Rooms, open_usage
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.budget import Terms, set_budget
from quartermaster.commands.budget_shown import read_states
from quartermaster.config import Settings
from quartermaster.kernel.budget import epochs
from quartermaster.kernel.lease import Ask, AskedLease, read_grant, write_ask

NAME = f"group:{FIRST_CUSTOMER}"
AMOUNT_MINOR = 10_000
AMOUNT = 100 * 10**9
LOOKS = 12


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as running:
        yield running


class Reached(RedisParts):
    """A store, and then another one under the same name."""

    def reach(self, server: RedisServer) -> None:
        """From now on it is this one that answers."""
        self.__init__(server.client(), settle_us=0)  # type: ignore[misc]


class SharedOffice(BudgetOffice):
    """One machine's office, looked at step by step."""

    def __init__(self, rooms: Rooms, client: "redis.Redis") -> None:
        name = machine_name(rooms.var)
        self.store = store = Reached(client, settle_us=0)
        shares = BudgetShares(name, store, rooms.var / "shared" / "machines.json")
        usage = open_usage(rooms.var)
        super().__init__(rooms.var, rooms.book, usage, rooms.now, lambda _: None, shares)
        self.rooms = rooms
        self.asked = 0
        self.restore()

    def look(self) -> None:
        """Everything that it does from time to time, with a worker that lives."""
        status = self.rooms.var / "status" / "gateway-0.json"
        status.parent.mkdir(exist_ok=True)
        status.touch()
        self.follow_book()
        self.grant()
        self.look_around()

    def ask(self, epoch: str, held: int, want: int) -> None:
        """Its only worker asks."""
        self.asked += 1
        lease = AskedLease(NAME, epoch, 1, held, 0, 0, want, 0)
        write_ask(leases_folder(self.rooms.var), "gateway-0", Ask("a", 1, self.asked, (lease,)))

    def granted(self, epoch: str) -> int:
        """What its worker may spend."""
        path = leases_folder(self.rooms.var) / "gateway-0.grant"
        if not path.exists():
            return 0
        return sum(one.limit for one in read_grant(path).now.leases if one.epoch == epoch)

    @property
    def trouble_now(self) -> str:
        """What the clerk's health would say."""
        return self._shares_trouble


@pytest.fixture
def offices(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[SharedOffice, SharedOffice]]:
    monkeypatch.setattr(clerk_budget, "REST_EVERY_S", 0.05)
    one = Rooms(Settings(var=str(tmp_path / "one")))
    prepare(one)
    two = Rooms(Settings(var=str(tmp_path / "two"), book=one.settings.book_url))
    with server.client() as client:
        yield SharedOffice(one, client), SharedOffice(two, client)


def budget(rooms: Rooms) -> str:
    """A monthly budget; its period."""
    terms = Terms(amount_minor=AMOUNT_MINOR)
    found = set_budget(rooms.book, OPERATOR, "group", FIRST_CUSTOMER, terms, rooms.now())
    return epochs(found.budget, rooms.now())[0].id


def looks(offices: tuple[SharedOffice, ...]) -> None:
    for _ in range(LOOKS):
        for office in offices:
            office.look()


def test_two_offices_grant_one_budget(offices: tuple[SharedOffice, SharedOffice]) -> None:
    one, two = offices
    epoch = budget(one.rooms)
    one.ask(epoch, 0, AMOUNT)
    looks(offices)
    two.ask(epoch, 0, AMOUNT)
    looks(offices)
    assert 0 < one.granted(epoch) + two.granted(epoch) <= AMOUNT
    before = two.granted(epoch)
    # What one gives back, the other has soon.
    one.ask(epoch, AMOUNT // 10, AMOUNT // 10)
    looks(offices)
    assert two.granted(epoch) > max(before, AMOUNT // 2)
    assert one.granted(epoch) + two.granted(epoch) <= AMOUNT


def test_without_the_store_no_part_grows_and_with_a_new_one_they_do(
    offices: tuple[SharedOffice, SharedOffice], server: RedisServer
) -> None:
    one, two = offices
    epoch = budget(one.rooms)
    one.ask(epoch, 0, AMOUNT // 10)
    looks(offices)
    granted = one.granted(epoch)
    assert granted == AMOUNT // 10
    server.kill()
    two.ask(epoch, 0, AMOUNT)
    looks(offices)
    assert two.granted(epoch) < AMOUNT // 4, "more than the spare part that it held"
    assert "does not answer" in one.trouble_now
    server.start()
    time.sleep(0.06)
    one.look()
    one.look()
    assert two.granted(epoch) < AMOUNT // 4
    time.sleep(0.06)
    looks(offices)
    assert not one.trouble_now
    assert two.granted(epoch) > AMOUNT // 4
    assert one.granted(epoch) + two.granted(epoch) <= AMOUNT


def test_what_one_machine_settled_is_spent_on_both(
    offices: tuple[SharedOffice, SharedOffice],
) -> None:
    one, _ = offices
    requests = [
        (
            msgspec.structs.replace(
                opened,
                customer=FIRST_CUSTOMER,
                contract=FIRST_CONTRACT,
                contract_version=1,
                price_book="starter",
                model="toy",
            ),
            closed,
        )
        for opened, closed in sealed_logs.requests(1, 2, at=one.rooms.now())
    ]
    sealed_logs.write_segment(one.rooms.var / "wal" / "gateway-0", requests)
    clerk.ship(one.rooms)
    epoch = budget(one.rooms)
    one.shipped()
    looks(offices)
    settled = [
        next(
            state.settled for state in read_states(office.rooms.var).states if state.epoch == epoch
        )
        for office in offices
    ]
    assert settled[0] == settled[1] > 0


def test_a_machine_that_is_missing_is_named(
    offices: tuple[SharedOffice, SharedOffice], server: RedisServer
) -> None:
    one, _ = offices
    epoch = budget(one.rooms)
    with server.client() as client:
        RedisParts(client).join("gone-1", [])
        one.ask(epoch, 0, AMOUNT)
        one.look()
        one.look()
        assert one.granted(epoch) == 0
        assert "gone-1" in one.trouble_now
        RedisParts(client).release("gone-1")
    looks((one,))
    assert not one.trouble_now
    assert one.granted(epoch) > 0


def reach(server: RedisServer, *offices: SharedOffice) -> None:
    """The name of the store means another server."""
    for office in offices:
        office.store.reach(server)
        office._shares_rest_until_s = 0.0


def split(
    offices: tuple[SharedOffice, SharedOffice], old: RedisServer, folder: Path
) -> tuple[int, int]:
    """What both have after a failover of which one forgets again; of the whole budget."""
    one, two = offices
    epoch = budget(one.rooms)
    two.ask(epoch, 0, AMOUNT * 3 // 4)
    looks(offices)
    new = RedisServer(folder)
    folder.mkdir()
    new.start()
    try:
        new.follow(old)
        new.promote()
        reach(new, one, two)
        # On the new primary nearly all of it moves from one to the other.
        two.ask(epoch, 0, 0)
        looks(offices)
        one.ask(epoch, 0, AMOUNT)
        looks(offices)
        has = one.granted(epoch)
        # The old one, which was only unreachable, answers one of them again.
        reach(old, two)
        two.ask(epoch, 0, AMOUNT)
        looks((two,))
        return has, two.granted(epoch)
    finally:
        new.kill()


def test_after_a_failover_parts_move_on_and_an_old_primary_grants_nothing(
    offices: tuple[SharedOffice, SharedOffice], server: RedisServer, tmp_path: Path
) -> None:
    has, more = split(offices, server, tmp_path / "replica")
    assert has > AMOUNT * 3 // 4
    assert has + more <= AMOUNT
    # Said by name, until both are with the same server.
    two = offices[1]
    assert machine_name(offices[0].rooms.var) in two.trouble_now
    reach(server, *offices)
    looks(offices)
    assert not two.trouble_now
    assert offices[0].granted(budget(two.rooms)) + two.granted(budget(two.rooms)) <= AMOUNT


@pytest.mark.long
def test_an_old_primary_that_is_believed_overruns_a_budget(
    offices: tuple[SharedOffice, SharedOffice],
    server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    join = RedisParts.join
    monkeypatch.setattr(
        Reached,
        "join",
        lambda store, machine, known, last="": join(store, machine, known, now_has(store)),
    )
    has, more = split(offices, server, tmp_path / "replica")
    assert has + more > AMOUNT


def now_has(store: RedisParts) -> str:
    """Planted: whatever the store has is what the machine was with."""
    return str(store._client.hget(MACHINES, "generation") or "")


def test_a_replica_that_was_not_promoted_grants_nothing(
    offices: tuple[SharedOffice, SharedOffice], server: RedisServer, tmp_path: Path
) -> None:
    one, two = offices
    epoch = budget(one.rooms)
    one.ask(epoch, 0, AMOUNT // 10)
    looks(offices)
    (tmp_path / "replica").mkdir()
    with running_redis(tmp_path / "replica") as replica:
        replica.follow(server)
        reach(replica, *offices)
        two.ask(epoch, 0, AMOUNT)
        looks(offices)
        assert two.granted(epoch) < AMOUNT // 4, "more than the spare part that it held"
        assert "read only" in two.trouble_now


def test_a_name_server_that_hangs_holds_up_nobody(
    offices: tuple[SharedOffice, SharedOffice], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = offices
    epoch = budget(one.rooms)
    one.ask(epoch, 0, AMOUNT // 10)
    looks(offices)
    has = one.granted(epoch)
    assert has == AMOUNT // 10
    answers = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.wait() and [])
    one.store.__init__(redis.Redis(host="store.example"), settle_us=0)  # type: ignore[misc]
    try:
        # What it holds of the budget is leased on, and nothing more.
        one.ask(epoch, has, AMOUNT)
        began = time.monotonic()
        one.look()
        assert time.monotonic() - began < 15
        assert has <= one.granted(epoch) < AMOUNT // 4
        assert "does not answer" in one.trouble_now
    finally:
        answers.set()
