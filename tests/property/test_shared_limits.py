"""Shared limits under arbitrary interleavings: many workers, one real store, kept to one limit."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.redis_server import RedisServer, running_redis

from quartermaster.gateway import limits_leased
from quartermaster.gateway.limits import Permit, Scoped
from quartermaster.gateway.limits_leased import (
    FIRST_PART,
    HEARTBEAT_ROUNDS,
    IDLE_ROUNDS,
    REJOIN_ROUNDS,
    LeasedLimiter,
)
from quartermaster.gateway.limits_link import answer_of, line_of
from quartermaster.gateway.rate_headers import RateLimitedError
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.limit import Limits

SCRIPT = Path(limits_leased.__file__).with_suffix(".lua").read_text("utf-8")
EXPIRE_US = 5 * US_PER_S
SETTLE_US = US_PER_S
MINUTE_US = 60 * US_PER_S
STEPS = 300
LARGEST = 200
"""Tokens of the largest request."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


class SharedWorker:
    """One worker of one machine, with a way to the store that may lose words."""

    script = SCRIPT

    def __init__(self, name: str, workers: int) -> None:
        self.name = name
        self.limiter = LeasedLimiter(workers, 0)
        self.open: list[Permit] = []
        self.life = ""
        self.said_at = 0
        """When the store heard last what it holds; 0 is never."""

    def exchange(self, store: "redis.Redis", now: int, *, lost: str = "") -> None:
        """One round; the question or the answer may be lost."""
        reports = self.limiter.reports(100)
        if lost == "question":
            return
        self.said_at = now if reports else self.said_at
        arguments: list[str | int] = [self.name, EXPIRE_US, now, "", "", SETTLE_US]
        keys = ["workers", "standing", "obeyed", "life"]
        for (scope, name), report in reports.items():
            keys.append(f"{scope}:{name}")
            arguments.append(line_of(report))
        peers, _, life, *answers = store.eval(self.script, len(keys), *keys, *arguments)
        if not lost:
            given = {name: answer_of(words) for name, words in zip(reports, answers, strict=True)}
            if life != self.life:
                self.life = life
                self.limiter.say_again()
            self.limiter.answered(given, now, peers)


class SharedWorld:
    """Some workers, and what all of them together let pass when."""

    def __init__(self, seed: int, limits: Limits, store: "redis.Redis") -> None:
        store.flushall()
        self.random = random.Random(seed)
        self.store = store
        self.limited = (Scoped("group", "acme", limits),)
        self.limits = limits
        self.count = self.random.choice((1, 2, 4, 8))
        self.workers = [SharedWorker(f"w{number}", self.count) for number in range(self.count)]
        self.now = 1_700_000_000 * US_PER_S
        self.began = self.now
        self.requests: list[int] = []
        self.spent = 0
        """Tokens, by the estimates of what runs and the counts of what has ended."""
        self.estimates: dict[Permit, int] = {}
        self.refused = 0
        self.dead = 0

    def ask(self, worker: SharedWorker, estimate: int) -> bool:
        """A request arrives."""
        try:
            permit = worker.limiter.admit(self.limited, estimate, self.now)
        except RateLimitedError:
            return False
        self.requests.append(self.now)
        self.spent += estimate
        self.estimates[permit] = estimate
        worker.open.append(permit)
        return True

    def end(self, worker: SharedWorker, actual: int) -> None:
        """Some request ends, with at most what was estimated."""
        if worker.open:
            permit = worker.open.pop(self.random.randrange(len(worker.open)))
            permit.metered(actual, self.now)
            permit.end()
            self.spent += actual - self.estimates.pop(permit)

    def die(self, worker: SharedWorker) -> None:
        """Another life under another name."""
        self.dead += 1
        at = self.workers.index(worker)
        self.workers[at] = SharedWorker(f"{worker.name}'", self.count)

    def step(self) -> None:
        """Anything happens."""
        self.now += self.random.choice((0, 1_000, 20_000, 50_000, 400_000))
        worker = self.random.choice(self.workers)
        deed = self.random.random()
        if deed < 0.45:
            for _ in range(self.random.choice((1, 1, 5, 40))):
                self.ask(worker, self.random.choice((1, 10, LARGEST)))
        elif deed < 0.6:
            self.end(worker, 1)
        elif deed < 0.62:
            self.die(worker)
        else:
            lost = self.random.choice(("", "", "", "", "question", "answer"))
            worker.exchange(self.store, self.now, lost=lost)
        for one in self.workers:
            # Who lives says every second what it holds; rounds are rarer here than that.
            if one.said_at and self.now - one.said_at > EXPIRE_US - US_PER_S:
                for _ in range(HEARTBEAT_ROUNDS):
                    one.exchange(self.store, self.now)

    @property
    def meetings(self) -> int:
        """How often a worker can have met the customer for the first time."""
        minutes = (self.now - self.began) // MINUTE_US + 1
        return (self.count + self.dead) * minutes

    def slack(self, limit: int, first: int) -> int:
        """What first meetings may let pass besides, as documented."""
        return self.meetings * (limit // (self.count * FIRST_PART) + first)

    def most(self, limit: int, first: int) -> int:
        """What may have passed in all, as documented."""
        elapsed = self.now - self.began
        return limit + -(-limit * elapsed // MINUTE_US) + self.slack(limit, first)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.sampled_from((3, 60, 600)))
def test_all_workers_together_let_no_more_requests_pass_than_the_limit(
    server: RedisServer, seed: int, limit: int
) -> None:
    with server.client() as store:
        world = SharedWorld(seed, Limits(requests_per_minute=limit), store)
        for _ in range(STEPS):
            world.step()
            assert len(world.requests) <= world.most(limit, 1)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.sampled_from((400, 20_000)))
def test_tokens_that_were_not_used_come_back_and_no_others_do(
    server: RedisServer, seed: int, limit: int
) -> None:
    with server.client() as store:
        world = SharedWorld(seed, Limits(tokens_per_minute=limit), store)
        for _ in range(STEPS):
            world.step()
            assert world.spent <= world.most(limit, LARGEST)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.sampled_from((2, 40)))
def test_no_more_requests_are_open_than_the_limit(
    server: RedisServer, seed: int, limit: int
) -> None:
    with server.client() as store:
        world = SharedWorld(seed, Limits(concurrent=limit), store)
        for _ in range(STEPS):
            world.step()
            # Whoever died may have had as many open as it held.
            assert sum(len(one.open) for one in world.workers) <= limit + world.slack(limit, 1)


def test_the_whole_limit_can_be_used_by_whoever_is_asked(server: RedisServer) -> None:
    limit = 600
    with server.client() as store:
        world = SharedWorld(1, Limits(requests_per_minute=limit), store)
        world.workers = world.workers[:1] + [SharedWorker(f"w{n}", 4) for n in range(1, 4)]
        world.count = 4
        for turn in range(600):
            # All come to one worker, and later to another one.
            worker = world.workers[turn * 4 // 600]
            for _ in range(3):
                world.ask(worker, 1)
            for one in world.workers:
                one.exchange(store, world.now)
            world.now += 50_000
    assert 0.95 * 1.5 * limit <= len(world.requests) <= world.most(limit, 1)


def test_a_store_that_was_emptied_is_told_again(server: RedisServer) -> None:
    limit = 600
    with server.client() as store:
        world = SharedWorld(2, Limits(requests_per_minute=limit), store)
        for turn in range(400):
            for worker in world.workers:
                for _ in range(20):
                    world.ask(worker, 1)
                worker.exchange(store, world.now)
            if turn % 100 == 50:
                store.flushall()
            world.now += 50_000
        # What was used before is what the first worker remembers; what others hold, they say.
        assert len(world.requests) <= world.most(limit, 1) + 4 * limit // 10


def passed_over_a_failover(store: "redis.Redis", replica: str) -> tuple[int, int]:
    """Requests where a replica takes over that has missed a second, and how many may have passed.

    Args:
        store: both.
        replica: how the replica calls itself; the primary is `a`.
    """
    world = SharedWorld(5, Limits(requests_per_minute=600), store)
    world.workers, world.count = [SharedWorker(f"w{n}", 4) for n in range(4)], 4
    older: dict[str, Any] = {}
    for turn in range(90):
        for worker in world.workers:
            for _ in range(20):
                world.ask(worker, 1)
            worker.exchange(store, world.now)
        if turn == 21:
            older = {key: store.hgetall(key) for key in ("group:acme", "life")}
        if turn == 40:
            store.set("run", replica)
            for key, fields in older.items():
                store.delete(key)
                store.hset(key, mapping=fields)
        world.now += 50_000
    return len(world.requests), world.most(600, 1)


def test_a_replica_that_missed_something_lets_nothing_pass_twice(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "redis.pcall('INFO', 'server')"
    assert told in SCRIPT
    says = SCRIPT.replace(told, "('run_id:' .. (redis.call('GET', 'run') or 'a'))")
    monkeypatch.setattr(SharedWorker, "script", says)
    with server.client() as store:
        passed, most = passed_over_a_failover(store, "b")
        assert passed <= most
        # Were it taken for the one before, what was spent in that second would be spent again.
        passed, most = passed_over_a_failover(store, "a")
        assert passed > most


@pytest.mark.parametrize("lost", ["question", "answer"])
def test_what_was_let_pass_alone_is_told_to_the_store_that_is_back(
    server: RedisServer, lost: str
) -> None:
    limit = 600
    with server.client() as store:
        world = SharedWorld(3, Limits(requests_per_minute=limit), store)
        world.workers, world.count = [SharedWorker(f"w{n}", 2) for n in range(2)], 2
        for turn in range(60):
            for worker in world.workers:
                for _ in range(40):
                    world.ask(worker, 1)
                # The last report before the store is gone stays without an answer.
                if turn < 2 or turn > 20:
                    worker.exchange(store, world.now)
                elif turn == 2:
                    worker.exchange(store, world.now, lost=lost)
                elif turn == 3:
                    worker.limiter.stand_alone()
            if turn == 20:
                store.flushall()
            world.now += 50_000
        assert len(world.requests) <= world.most(limit, 1) + 2


def test_whoever_was_idle_when_the_store_went_shares_again_when_it_is_back(
    server: RedisServer,
) -> None:
    limit = 600
    with server.client() as store:
        world = SharedWorld(4, Limits(requests_per_minute=limit), store)
        world.workers, world.count = [SharedWorker(f"w{n}", 2) for n in range(2)], 2
        one, other = world.workers
        world.ask(one, 1)
        world.end(one, 1)
        one.exchange(store, world.now)
        # After a minute it is about to give everything back, and nobody hears it.
        for turn in range(IDLE_ROUNDS):
            one.exchange(store, world.now, lost="question" if turn > IDLE_ROUNDS - 3 else "")
            world.now += 50_000
        one.limiter.stand_alone()
        for _ in range(2 * REJOIN_ROUNDS):
            one.exchange(store, world.now)
            world.now += 50_000
        assert not one.limiter.alone
        world.requests.clear()
        world.began = world.now
        # All go to the other worker, and then to this one: nothing is left of the limit.
        for worker in (other, one):
            for _ in range(40):
                for _ in range(40):
                    world.ask(worker, 1)
                for each in world.workers:
                    each.exchange(store, world.now)
                world.now += 50_000
        assert len(world.requests) <= world.most(limit, 1)


def test_a_planted_bug_is_seen(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    counts_others = "others[i] = others[i] + parts[2 + i]"
    assert counts_others in SCRIPT
    monkeypatch.setattr(SharedWorker, "script", SCRIPT.replace(counts_others, "others[i] = 0"))
    with server.client() as store:
        for seed in range(20):
            world = SharedWorld(seed, Limits(concurrent=40), store)
            for _ in range(STEPS):
                world.step()
                held = sum(len(one.open) for one in world.workers)
                if held > 40 + world.slack(40, 1):
                    return
    raise AssertionError("no interleaving showed the bug")


@pytest.mark.parametrize("line", ["", "1", "1 " + " ".join("0" * 9), "1 nan" + " 0" * 9])
def test_what_another_script_answers_is_refused(line: str) -> None:
    with pytest.raises(UnavailableError):
        answer_of(line)
    assert answer_of("1" + " 0" * 9 + " 1").lacked
