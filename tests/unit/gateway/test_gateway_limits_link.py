"""The link of a worker to the store of shared limits: when it says what."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.redis_server import RedisServer, running_redis

from quartermaster.gateway import limits_leased, limits_link
from quartermaster.gateway.limits import Scoped
from quartermaster.gateway.limits_leased import LeasedLimiter
from quartermaster.gateway.limits_link import LimitLink
from quartermaster.gateway.limits_store import RedisStore
from quartermaster.gateway.notices import Notices
from quartermaster.gateway.rate_headers import RateLimitedError
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.ids import PEPPER_BYTES
from quartermaster.kernel.limit import Limits

PAUSE_S = 0.001
PEPPER = b"p" * PEPPER_BYTES


class Miserly:
    """A store that remembers nothing and gives nothing besides what is held already."""

    def __init__(self) -> None:
        self.heard: list[Sequence[str]] = []

    async def run(
        self, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> tuple[int, str, str, list[str]]:
        """Of a report's numbers the fourth is what is held of requests."""
        self.heard.append(keys)
        kept = [str(line).split()[3] for line in arguments[6:]]
        return 1, "", "a", [f"1 {keep} 0 0 0 0 0 0 0 0 0" for keep in kept]

    async def aclose(self) -> None:
        """Nothing."""


def limited(name: str, per_minute: int) -> tuple[Scoped, ...]:
    """A key with a limit of requests."""
    return (Scoped("key", name, Limits(requests_per_minute=per_minute)),)


def test_new_customers_do_not_make_time_pass_for_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(limits_leased, "IDLE_ROUNDS", 40)
    store = Miserly()
    limiter = LeasedLimiter(1, 0)

    async def run() -> None:
        notices = Notices(tmp_path, "a", PEPPER)
        link = asyncio.create_task(LimitLink(store, limiter, "a", time.monotonic_ns, notices).run())
        limiter.admit(limited("slow", 1), 1, 0).end()
        for number in range(80):
            limiter.admit(limited(f"new-{number}", 10), 1, 0).end()
            await asyncio.sleep(PAUSE_S)
        # It has not been idle for long, so this is not a first request.
        with pytest.raises(RateLimitedError):
            limiter.admit(limited("slow", 1), 1, 0)
        link.cancel()

    asyncio.run(run())
    heard = [key for keys in store.heard for key in keys]
    assert sum("new-" in key for key in heard) >= 80
    # Each of the new ones was heard at once.
    assert len(store.heard) > 40


class Forgetful(Miserly):
    """A store whose client forgets a cancellation, as `asyncio.wait_for` may in Python 3.11."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def run(
        self, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> tuple[int, str, str, list[str]]:
        """The answer, and no word of the cancellation."""
        if not self.asked.is_set():
            self.asked.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return await super().run(keys, arguments)


def test_a_cancellation_that_the_client_forgets_ends_it_all_the_same(tmp_path: Path) -> None:
    async def run() -> None:
        store = Forgetful()
        link = LimitLink(
            store, LeasedLimiter(1, 0), "a", time.monotonic_ns, Notices(tmp_path, "a", PEPPER)
        )
        task = asyncio.create_task(link.run())
        await store.asked.wait()
        task.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server that has just begun."""
    monkeypatch.setattr(limits_link, "SETTLE_S", 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


def open_link(server: RedisServer, name: str, var: Path = Path("nowhere")) -> LimitLink:
    """A worker's link, one of two."""
    store = RedisStore(GatewaySettings(shared_limits_url=server.url), Path())
    notices = Notices(var, name, PEPPER)
    return LimitLink(store, LeasedLimiter(2, 0), name, system_clock, notices)


async def granted(link: LimitLink, limited: tuple[Scoped, ...]) -> int:
    """How many requests pass until nothing more is given for a while."""
    passed = refused = 0
    while refused < 10:
        try:
            link.limiter.admit(limited, 1, system_clock()).end()
            passed, refused = passed + 1, 0
        except RateLimitedError:
            refused += 1
            await asyncio.sleep(0.02)
    return passed


def test_a_worker_that_ends_gives_back_what_it_held(server: RedisServer) -> None:
    of = limited("acme", 60), (Scoped("group", "acme", Limits(concurrent=4)),)

    async def run() -> tuple[int, int]:
        one, other = open_link(server, "one"), open_link(server, "other")
        first = asyncio.create_task(one.run())
        for each in of:
            one.limiter.admit(each, 1, system_clock()).end()
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        with server.client() as client:
            for key in client.scan_iter("{quartermaster}:limit:*"):
                _, _, *held = str(client.hget(key, "w:one")).split(" ")
                assert held == ["0", "0", "0"], key
        second = asyncio.create_task(other.run())
        passed = await granted(other, of[0])
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        return passed, other.limiter.peers

    passed, peers = asyncio.run(run())
    assert peers == 2
    # Nothing is missing but the one request of the first.
    assert 57 <= passed <= 61


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a link."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def ask(links: list[LimitLink], limited: tuple[Scoped, ...], times: int) -> int:
    """Requests at every worker; how many pass."""
    passed = 0
    for link in links * times:
        try:
            link.limiter.admit(limited, 1, system_clock()).end()
            passed += 1
        except RateLimitedError:
            pass
    return passed


def test_without_the_server_each_keeps_to_its_part_and_tells_it_afterwards(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_link, "ALONE_AFTER_S", 0.05)
    monkeypatch.setattr(limits_link, "RETRY_S", 0.02)
    of = limited("outage", 600)

    async def run() -> None:
        began = time.monotonic()
        links = [open_link(server, name) for name in ("one", "two")]
        tasks = [asyncio.create_task(link.run()) for link in links]
        passed = ask(links, of, 4)
        assert passed == 8
        await until(lambda: all(link.limiter.peers >= 2 for link in links))
        server.kill()
        try:
            for link in links:
                await until(lambda link=link: link.limiter.alone)  # type: ignore[misc]
                assert "does not answer" in link.note
                assert link.shown().failures > 0
            # Half of the limit for each of two, without what the other one held a moment ago.
            alone = ask(links, of, 400)
            assert 280 <= alone <= 600
        finally:
            server.start()
        for link in links:
            await until(lambda link=link: not link.limiter.alone)  # type: ignore[misc]
            assert not link.note
        after = refused = 0
        for _ in range(20):
            some = ask(links, of, 20)
            after, refused = after + some, refused + 40 - some
            await asyncio.sleep(0.02)
        # What they let pass alone is told to the new server: nothing is let pass twice.
        first_meetings = 2 * (600 // 16 + 1)
        assert passed + alone + after <= 600 + 10 * (time.monotonic() - began) + first_meetings
        assert after > 0
        assert refused > 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
