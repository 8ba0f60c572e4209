"""Parts of budgets on several machines: nothing overruns one, whatever the store forgets."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.lease_world import EPOCHS, GRANT, World
from tests.redis_server import RedisServer, running_redis

from quartermaster.app import part_store
from quartermaster.app.budget_shares import BudgetShares, Holding, PartStore, Told, read_roster
from quartermaster.app.part_store import RedisParts
from quartermaster.billing.leases import LeaseLedger, Name
from quartermaster.billing.parts import Part
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.lease import Ask, AskedLease

STEPS = 900
MACHINES = ("one", "two", "three")
LIVES = count()


class FakeParts:
    """The store in memory; what time is to the real one, a word from every machine is here."""

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        """Everything is forgotten."""
        self.generation = ""
        self.past: set[str] = set()
        self.restart()
        self.members: set[str] = set()
        self.budgets: dict[Name, tuple[int, dict[str, tuple[str, Part]]]] = {}

    def restart(self) -> None:
        """Another life, with the data that was saved."""
        self.past.add(self.generation)
        self.generation = f"life-{next(LIVES)}"
        self.silent = set(MACHINES)

    def join(
        self, machine: str, known: Iterable[str], last: str = ""
    ) -> tuple[str, frozenset[str]]:
        """As `part_store.lua`."""
        if last != self.generation and (not last or last not in self.past):
            self.restart()
            self.past.add(last)
        if machine not in self.members:
            self.silent = set(MACHINES)
        self.members |= {machine, *known}
        return self.generation, frozenset(self.members)

    def hold(self, machine: str, generation: str, said: Sequence[Holding]) -> list[Told] | None:
        """As `part_store.lua`."""
        if generation != self.generation:
            return None
        told = [self._hold(machine, one) for one in said]
        self.silent.discard(machine)
        return told

    def _hold(self, machine: str, one: Holding) -> Told:
        version, parts = self.budgets.get(one.name, (0, {}))
        assert one.seen <= version, "a version of other data was taken for one of these"
        if one.seen != version:
            return Told("stale", version, {who: part for who, (_, part) in parts.items()})
        missing = [
            member
            for member in sorted(self.members - {machine})
            if member not in parts or parts[member][0] != self.generation
        ]
        if one.grows and (missing or self.silent):
            return Told("waits", missing=(*missing, *([""] if self.silent else [])))
        parts = {**parts, machine: (self.generation, one.part)}
        self.budgets[one.name] = version + 1, parts
        return Told("held", version + 1)


class Unreliable:
    """A store whose questions and answers are lost now and then."""

    def __init__(
        self, store: PartStore, choose: random.Random, *, loses_answers: bool = False
    ) -> None:
        self._store = store
        self._random = choose
        self._loses_answers = loses_answers
        self.loses = 0.1

    def join(
        self, machine: str, known: Iterable[str], last: str = ""
    ) -> tuple[str, frozenset[str]]:
        """Perhaps."""
        self._lose()
        answer = self._store.join(machine, known, last)
        self._lose()
        return answer

    def hold(self, machine: str, generation: str, said: Sequence[Holding]) -> list[Told] | None:
        """Perhaps."""
        if not self._loses_answers:
            self._lose()
        answer = self._store.hold(machine, generation, said)
        self._lose()
        return answer

    def _lose(self) -> None:
        if self._random.random() < self.loses:
            raise UnavailableError("lost")


class Machine(World):
    """Two workers and a clerk, with parts of budgets that others share."""

    def __init__(
        self,
        name: str,
        seed: int,
        amount: int,
        store: PartStore,
        folder: Path,
        *,
        quiet: bool = False,
    ) -> None:
        self.name = name
        self.store = store
        self.roster = folder / f"{name}.json"
        self.roster.unlink(missing_ok=True)
        super().__init__(seed, amount, lambda: LeaseLedger(shared=True), quiet=quiet)
        del self.workers[2:]

    def start_grantor(self) -> None:
        """The clerk starts: what it held is known from files and table."""
        super().start_grantor()
        self.shares = BudgetShares(self.name, self.store, self.roster)

    @property
    def generation(self) -> str:
        """Of the data that it was last with."""
        return read_roster(self.roster).generation

    def grant(self) -> None:
        """Ask the store first, as the budget office does."""
        self.ask_store(tell=self.random.random() < 0.1)
        super().grant()

    def ask_store(self, *, tell: bool) -> None:
        """One look."""
        amounts = {(GRANT.id, epoch.id): self.amount for epoch in EPOCHS}
        try:
            if tell:
                self.shares.meet()
            self.shares.look(self.ledger, amounts, dict.fromkeys(amounts, 0), tell=tell)
        except UnavailableError:
            return


class Machines:
    """Some machines, one store, and one budget in each period."""

    def __init__(
        self,
        seed: int,
        amount: int,
        store: PartStore,
        empty: Callable[[], None],
        folder: Path,
        *,
        quiet: bool = False,
    ) -> None:
        self.random = random.Random(seed)
        self.amount = amount
        self.unreliable = Unreliable(store, self.random)
        self.empty = empty
        self.all = [
            Machine(name, seed + at, amount, self.unreliable, folder, quiet=quiet)
            for at, name in enumerate(MACHINES)
        ]
        self.forgetful = self.random.choice((0.0, 0.002, 0.01))

    def step(self) -> None:
        """Anything happens somewhere."""
        self.random.choice(self.all).step()
        if self.random.random() < self.forgetful:
            self.empty()

    def meet(self) -> None:
        """All know each other."""
        for machine in self.all * 2:
            machine.shares.meet()

    def overrun(self) -> int:
        """By how much a budget is exceeded, if everything that runs cost its worst case."""
        return max(
            sum(machine.charged(epoch.id) for machine in self.all)
            + sum(
                request.bound.input_tokens + request.bound.output_tokens
                for machine in self.all
                for worker in machine.workers
                for request in worker.running
                if request.epoch == epoch.id
            )
            - self.amount
            for epoch in EPOCHS
        )


def forgets(store: FakeParts, choose: random.Random) -> Callable[[], None]:
    """Emptied, or restarted with older data."""
    saved: list[dict[Name, tuple[int, dict[str, tuple[str, Part]]]]] = [{}]

    def forget() -> None:
        if choose.random() < 0.5:
            store.empty()
        else:
            store.restart()
            store.budgets, saved[0] = saved[0], dict(store.budgets)

    return forget


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), amount=st.sampled_from((300, 5_000)))
def test_no_interleaving_of_machines_overruns_a_budget(
    tmp_path_factory: pytest.TempPathFactory, seed: int, amount: int
) -> None:
    store = FakeParts()
    empty = forgets(store, random.Random(seed))
    world = Machines(seed, amount, store, empty, tmp_path_factory.getbasetemp())
    for _ in range(STEPS):
        world.step()
        assert world.overrun() <= 0


@pytest.mark.long
@settings(max_examples=1_500, deadline=None)
@given(seed=st.integers(0, 2**32), amount=st.sampled_from((300, 1_000, 5_000)))
def test_no_interleaving_of_machines_overruns_a_budget_in_the_long_form(
    tmp_path_factory: pytest.TempPathFactory, seed: int, amount: int
) -> None:
    store = FakeParts()
    empty = forgets(store, random.Random(seed))
    world = Machines(seed, amount, store, empty, tmp_path_factory.getbasetemp())
    for _ in range(2 * STEPS):
        world.step()
        assert world.overrun() <= 0


def test_machines_can_spend_a_budget_to_its_end(tmp_path: Path) -> None:
    store = FakeParts()
    world = Machines(1, 2_000, store, store.empty, tmp_path, quiet=True)
    world.forgetful = world.unreliable.loses = 0
    for _ in range(5_000):
        world.step()
        for machine in world.all:
            machine.now = 0
    charged = [machine.charged(EPOCHS[0].id) for machine in world.all]
    assert 0.9 * world.amount < sum(charged) <= world.amount
    assert min(charged) > 0


def test_what_was_given_back_is_not_granted_where_the_answer_was_lost(tmp_path: Path) -> None:
    name = GRANT.id, EPOCHS[0].id
    store = FakeParts()
    way = Unreliable(store, random.Random(0), loses_answers=True)
    way.loses = 0
    ledger = LeaseLedger(shared=True)
    ledger.agree({name: 1_000})
    ledger.settle(name, 0)
    shares = BudgetShares("one", way, tmp_path / "one.json")
    shares.meet()
    store.silent.clear()

    def ask(number: int, held: int, want: int) -> None:
        asked = AskedLease(*name, 1, held, spent=0, reserved=0, want=want, need=0)
        ledger.ask("gateway-0", Ask("a", 1, number, (asked,)))

    for number in range(1, 9):
        ask(number, ledger.wish(name).liable, 900)
        shares.look(ledger, {name: 1_000}, {name: 0}, tell=False)
        ledger.grants()
    assert ledger.wish(name).liable > 800
    ask(9, 100, 100)
    way.loses = 1
    with pytest.raises(UnavailableError):
        shares.look(ledger, {name: 1_000}, {name: 0}, tell=False)
    # The store is not asked for a while, and what was given back may be another machine's by now.
    ask(10, 100, 900)
    ledger.grants()
    _, part = store.budgets[name][1]["one"]
    assert ledger.wish(name).liable <= part.held < 300


class WritesOnOldViews(FakeParts):
    """Planted: what another machine said in between is not looked at."""

    def _hold(self, machine: str, one: Holding) -> Told:
        version, _ = self.budgets.get(one.name, (0, {}))
        return super()._hold(machine, Holding(one.name, version, one.part, one.grows, 0))


class GrowsAtOnce(FakeParts):
    """Planted: after the data was lost, the first to come takes what others hold."""

    def _hold(self, machine: str, one: Holding) -> Told:
        return super()._hold(machine, Holding(one.name, one.seen, one.part, False, 0))


class ForgetsMachines(FakeParts):
    """Planted: nobody's memory of other machines counts."""

    def join(
        self, machine: str, known: Iterable[str], last: str = ""
    ) -> tuple[str, frozenset[str]]:
        """As if there were nobody else."""
        self.silent = set()
        self.members = {machine}
        return self.generation, frozenset(self.members)


@pytest.mark.parametrize(
    "planted",
    [
        GrowsAtOnce,
        pytest.param(WritesOnOldViews, marks=pytest.mark.long),
        pytest.param(ForgetsMachines, marks=pytest.mark.long),
    ],
)
def test_planted_bugs_are_found(planted: type[FakeParts], tmp_path: Path) -> None:
    for seed in range(300):
        store = planted()
        world = Machines(seed, 300, store, forgets(store, random.Random(seed)), tmp_path)
        for _ in range(STEPS):
            world.step()
            if world.overrun() > 0:
                return
    raise AssertionError("no interleaving showed the bug")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.mark.parametrize("seed", range(2))
def test_the_real_store_is_as_the_one_in_memory(
    server: RedisServer, tmp_path: Path, seed: int
) -> None:
    with server.client() as client:
        client.flushall()
        store = RedisParts(client, settle_us=0)
        # Emptied is what it may be here, where no time has to pass before anything grows.
        world = Machines(seed, 5_000, store, lambda: None, tmp_path, quiet=True)
        for step in range(STEPS):
            world.step()
            assert world.overrun() <= 0
            if step == STEPS // 2:
                spent = sum(machine.passed for machine in world.all)
                client.flushall()
                world.unreliable.loses = 0
                for _ in range(3):
                    for machine in world.all:
                        machine.ask_store(tell=True)
                emptied = store.join("one", [], world.all[0].generation)[0]
        assert sum(machine.passed for machine in world.all) > spent > 0
        # All hold parts of the same data, and nobody waits.
        assert store.join("one", [], emptied)[0] == emptied
        for machine in world.all:
            machine.ask_store(tell=True)
            assert machine.shares.missing == ()


def test_a_machine_is_waited_for_until_it_is_released(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()
        store = RedisParts(client, settle_us=0)
        generation, machines = store.join("one", ["two"])
        assert machines == {"one", "two"}
        said = [Holding(("key:k", "now@1"), 0, Part(5, 0, 0), True, 0)]
        assert store.hold("one", generation, said) == [Told("waits", missing=("two",))]
        assert store.release("two")
        assert not store.release("two")
        assert store.hold("one", generation, said) == [Told("held", 1)]
        assert store.hold("one", "another", said) is None


def test_time_passes_before_anything_grows(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()
        store = RedisParts(client)
        generation, _ = store.join("one", [])
        said = [Holding(("key:k", "now@1"), 0, Part(5, 0, 0), True, 0)]
        assert store.hold("one", generation, said) == [Told("waits", missing=("",))]


def test_what_somebody_deleted_is_asked_for_again(server: RedisServer) -> None:
    name = ("key:k", "now@1")
    with server.client() as client:
        client.flushall()
        store = RedisParts(client, settle_us=0)
        generation, _ = store.join("one", [])
        assert store.hold("one", generation, [Holding(name, 0, Part(5, 0, 0), True, 0)])
        client.delete("{quartermaster}:budget:key:k:now@1")
        assert store.hold("one", generation, [Holding(name, 1, Part(5, 0, 0), True, 0)]) is None
        assert store.join("one", [])[0] != generation


def test_a_store_that_may_forget_budgets_is_refused(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(UnavailableError, match="allkeys-lru"):
                RedisParts(client).join("one", [])
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")


def test_a_store_that_hides_its_restarts_is_refused(server: RedisServer) -> None:
    told = "redis.call('INFO', 'server')"
    script = Path(part_store.__file__).with_suffix(".lua").read_text("utf-8")
    assert told in script
    with server.client() as client, pytest.raises(redis.ResponseError, match="run_id"):
        client.eval(script.replace(told, "'# Server'"), 1, part_store.MACHINES, "one", 0, "")
