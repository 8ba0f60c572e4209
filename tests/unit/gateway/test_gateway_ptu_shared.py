"""Provisioned units of workers that share a store: one leaky bucket, whoever is asked."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from tests.redis_server import RedisServer, running_redis
from tests.unit.gateway.test_gateway_limits_link import open_link, until

from quartermaster.gateway import limits_link
from quartermaster.gateway.limits import Limiter, Scoped
from quartermaster.gateway.limits_leased import LeasedLimiter
from quartermaster.gateway.limits_link import LimitLink
from quartermaster.gateway.ptu import Lanes, Ride, enter
from quartermaster.gateway.ptu_leased import SharedLanes, lanes_of
from quartermaster.gateway.rate_headers import RateLimitedError
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.snapshot import Provisioned
from quartermaster.kernel.units import Counts

TERMS = Provisioned("m {x} y", 60_000, 1, spillover=False)
TOKENS = 1_000
KEPT_S = 1.2


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server that has just begun."""
    monkeypatch.setattr(limits_link, "SETTLE_S", 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


def rides(lanes: Lanes, contract: str, tokens: int = TOKENS) -> Ride | None:
    """A request for some tokens; None where the units are fully used."""
    lane = lanes.lane(contract, TERMS, system_clock())
    try:
        return Ride(lane, tokens) if enter(lane) else None
    except RateLimitedError:
        return None


async def passed(lanes: Lanes, contract: str, for_s: float = KEPT_S) -> int:
    """How many requests pass in somewhat longer than a worker keeps a part that it does not use."""
    found, ends_s = 0, time.monotonic() + for_s
    while time.monotonic() < ends_s:
        if rides(lanes, contract) is None:
            await asyncio.sleep(0.02)
        else:
            found += 1
    return found


@pytest.mark.long
def test_two_workers_use_what_one_bucket_holds(server: RedisServer) -> None:
    async def run() -> None:
        began = time.monotonic()
        links = [open_link(server, name) for name in ("one", "two")]
        tasks = [asyncio.create_task(link.run()) for link in links]
        one, two = (SharedLanes(link.limiter) for link in links)
        # Both hold a part, and all of it is there for whoever is asked.
        assert rides(two, "c1") is not None
        first, gives_up_s = 0, began + 20
        while first <= 40:
            assert time.monotonic() < gives_up_s, "an even part would be 30"
            first += await passed(one, "c1", 0.1)
        second = await passed(two, "c1")
        drained = (time.monotonic() - began) * TERMS.input_tokens_per_minute / 60
        # The last request of each may go over.
        most = TERMS.input_tokens_per_minute + drained + 3 * TOKENS
        assert (1 + first + second) * TOKENS <= most
        for lanes in (one, two):
            (status,) = lanes.status(system_clock())
            assert status.input_tokens_per_minute == TERMS.input_tokens_per_minute
            assert 800 < status.utilisation_permille < 1_100, "as all of them use it"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def test_what_was_not_used_is_there_for_the_others(server: RedisServer) -> None:
    async def run() -> None:
        links = [open_link(server, name) for name in ("one", "two")]
        tasks = [asyncio.create_task(link.run()) for link in links]
        one, two = (SharedLanes(link.limiter) for link in links)
        ride = rides(one, "c2", tokens=90_000)
        assert ride is not None
        await asyncio.sleep(0.2)
        # A first one passes before the store was asked, and an eighth of an even part.
        even = 60 // links[1].limiter.peers
        assert sum(rides(two, "c2") is not None for _ in range(10)) == even // 8 + 1
        # One request of the other went over.
        await until(lambda: rides(two, "c2") is None)
        ride.metered(Counts(input=500), system_clock())
        await until(lambda: rides(two, "c2") is not None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


@pytest.mark.long
def test_without_the_store_each_has_its_even_part(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_link, "ALONE_AFTER_S", 0.05)
    monkeypatch.setattr(limits_link, "RETRY_S", 0.02)

    async def run() -> None:
        link: LimitLink = open_link(server, "one")
        lanes = SharedLanes(link.limiter)
        task = asyncio.create_task(link.run())
        assert rides(lanes, "c3") is not None
        await asyncio.sleep(0.2)
        server.kill()
        try:
            await until(lambda: link.limiter.alone)
            (status,) = lanes.status(system_clock())
            assert status.input_tokens_per_minute == TERMS.input_tokens_per_minute // 2
            alone = sum(rides(lanes, "c3") is not None for _ in range(50))
            assert 25 <= alone <= 33
        finally:
            server.start()
        await until(lambda: not link.limiter.alone)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_lanes_are_kept_as_long_as_their_contract_and_limits_apart_from_them() -> None:
    limiter = LeasedLimiter(1, 0)
    lanes = lanes_of(limiter, 1, 0)
    key = Scoped("key", "k", Limits(requests_per_minute=5))
    limiter.account(key, 0)
    lanes.lane("c4", TERMS, 0)
    limiter.keep((key,))
    lanes.keep({("c4", TERMS.model)})
    assert len(limiter.accounts) == 2
    limiter.keep(())
    assert [scope for scope, _ in limiter.accounts] == ["lane"]
    more = Provisioned(TERMS.model, 90_000, 1, spillover=True)
    lane = lanes.lane("c4", more, 0)
    assert (lane.bucket.per_minute, lane.terms) == (90_000, more)
    lanes.keep(())
    assert not limiter.accounts
    assert not lanes.lanes
    assert not isinstance(lanes_of(Limiter(2, 0), 2, 0), SharedLanes)
