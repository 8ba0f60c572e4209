"""A worker's way to the shared store where the network does its worst: every exchange ends."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.redis_server import RedisServer, running_redis

from quartermaster.gateway.limits_store import RedisStore
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.shared_store import CALL_WITHIN_S

KEYS = ("workers", "standing", "obeyed", "life")
ARGUMENTS = ("one", 5_000_000, 0, "", "", 0)
SLACK_S = 5.0
"""The machine that runs the tests has other work, too; what hangs here hangs for ever."""
NAME = "store.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


async def ask(store: RedisStore) -> int:
    """One exchange; workers of all machines."""
    peers, _, _, _ = await store.run(KEYS, ARGUMENTS)
    return peers


async def fails(store: RedisStore) -> str:
    """One exchange that ends in time without an answer; why."""
    began = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        await ask(store)
    assert time.monotonic() - began < CALL_WITHIN_S + SLACK_S
    return caught.value.message


class Resolver:
    """What the machine's resolver says of one name."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0
        self._real = socket.getaddrinfo

    def look(self, host: str, *rest: object, **options: object) -> object:
        """As `socket.getaddrinfo`."""
        if host != NAME:
            return self._real(host, *rest, **options)  # type: ignore[arg-type]
        self.asked += 1
        self.answers.wait()
        if not self.addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(2, 1, 6, "", (address, 0)) for address in self.addresses]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver("127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", found.look)
    yield found
    found.answers.set()


def named(server: RedisServer) -> RedisStore:
    """The store under a name."""
    url = f"redis://{NAME}:{server.port}/0"
    return RedisStore(GatewaySettings(shared_limits_url=url), Path())


def test_a_name_server_that_hangs_holds_one_thread_and_nobody(
    server: RedisServer, resolver: Resolver
) -> None:
    async def run() -> None:
        store = named(server)
        resolver.answers.clear()
        before = threading.active_count()
        for _ in range(4):
            assert "not looked up in time" in await fails(store)
        assert resolver.asked == 1
        assert threading.active_count() == before + 1
        resolver.answers.set()
        while True:
            try:
                assert await ask(store) == 1
                break
            except UnavailableError:
                await asyncio.sleep(0.01)
        # Who has been there once finds it again without the name server.
        resolver.answers.clear()
        await store._client.connection_pool.disconnect()
        assert await ask(store) == 1
        await store.aclose()

    asyncio.run(run())


def test_a_name_that_moves_is_followed_and_one_of_two_addresses_is_enough(
    server: RedisServer, resolver: Resolver
) -> None:
    async def run() -> None:
        store = named(server)
        # Nobody listens on the first.
        resolver.addresses = ["127.0.0.77", "127.0.0.1"]
        assert await ask(store) == 1
        await store._client.connection_pool.disconnect()
        resolver.addresses = ["127.0.0.77"]
        await fails(store)
        resolver.addresses = []
        assert "not known" in await fails(store)
        resolver.addresses = ["127.0.0.1"]
        assert await ask(store) == 1
        await store.aclose()

    asyncio.run(run())


def test_a_machine_that_takes_no_connection_is_given_up_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        # The queue is full: what comes now is dropped, as behind a firewall.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        url = f"redis://127.0.0.1:{port}/0"

        async def run() -> None:
            store = RedisStore(GatewaySettings(shared_limits_url=url), Path())
            for _ in range(2):
                await fails(store)
            await store.aclose()

        asyncio.run(run())
        for one in waiting:
            one.close()


@pytest.mark.long
def test_a_server_that_hangs_is_given_up_in_time(server: RedisServer) -> None:
    async def run() -> None:
        store = RedisStore(GatewaySettings(shared_limits_url=server.url), Path())
        await ask(store)
        server.freeze()
        try:
            for _ in range(2):
                await fails(store)
        finally:
            server.thaw()
        assert await ask(store) == 1
        await store.aclose()

    asyncio.run(run())
