"""The pool of upstream connections, against sockets of this process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from tests.unit.gateway.gateway_fakes import (
    DONE,
    HELLO,
    HELLO_STREAM,
    STREAM_HEAD,
    Bench,
    an_index,
    chat_request,
    chunked,
    delta,
    plain_response,
)

from quartermaster.gateway.exchange import Exchange
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.upstream import DETACHED_S, UpstreamConnection, UpstreamPool
from quartermaster.kernel.snapshot import Deployment

Answers = Callable[[asyncio.StreamWriter], Awaitable[None]]
SETTINGS = GatewaySettings(upstream_idle_s=4, upstream_connections_max=2, connect_timeout_s=1)


class Scene:
    """A pool, a model server that answers by script, and the exchanges between them."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.connections = 0
        self.pool = UpstreamPool(asyncio.get_running_loop(), SETTINGS)
        self.bench = Bench(settings=SETTINGS)
        self.bench.dial = self.pool.send

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One upstream connection."""
        self.connections += 1
        while not reader.at_eof() and await reader.read(65536):
            await self.answers(writer)
        writer.close()

    def exchange(self, *, stream: bool = False) -> Exchange:
        """An admitted request, on its way."""
        body = HELLO_STREAM if stream else HELLO
        exchange = self.bench.request(chat_request(body), self.bench.client())
        assert exchange is not None
        self.bench.turn()
        return exchange

    async def closes(self, count: int) -> None:
        """Wait until so many requests have been closed."""
        async with asyncio.timeout(5):
            while len(self.bench.wal.closes) < count:
                await asyncio.sleep(0.001)


def run(answers: Answers, play: Callable[[Scene], Awaitable[None]]) -> None:
    """Play a scene."""

    async def staged() -> None:
        scene = Scene(answers)
        server = await asyncio.start_server(scene.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        toy = Deployment("toy@here", "toy", f"http://127.0.0.1:{port}/v1", "toy")
        scene.bench.dispatcher.index = an_index(deployments=(toy,))
        await play(scene)
        await scene.pool.aclose()
        server.close()

    asyncio.run(staged())


async def plainly(writer: asyncio.StreamWriter) -> None:
    writer.write(plain_response(b"{}"))


def failures(scene: Scene) -> list[str]:
    return [closed.failure for closed in scene.bench.wal.closes.values()]


def test_a_connection_is_used_again_and_closed_when_idle() -> None:
    async def play(scene: Scene) -> None:
        for count in range(1, 6):
            scene.exchange()
            await scene.closes(count)
        assert scene.connections == 1
        scene.pool.tick(4.0)
        assert len(scene.pool.connections) == 1
        scene.pool.tick(5.0)
        async with asyncio.timeout(5):
            while scene.pool.connections:
                await asyncio.sleep(0.001)
        scene.exchange()
        await scene.closes(6)
        assert scene.connections == 2
        assert failures(scene) == [""] * 6

    run(plainly, play)


def test_an_upstream_that_closes_each_time_is_dialled_each_time() -> None:
    async def once(writer: asyncio.StreamWriter) -> None:
        writer.write(plain_response(b"{}", "200 OK", "connection: close"))
        writer.close()

    async def play(scene: Scene) -> None:
        for count in (1, 2, 3):
            scene.exchange()
            await scene.closes(count)
        assert scene.connections == 3
        assert failures(scene) == [""] * 3

    run(once, play)


def test_a_stale_connection_is_replaced_without_the_client_noticing() -> None:
    async def first_then_hang_up(writer: asyncio.StreamWriter) -> None:
        if writer not in seen:
            seen.append(writer)
            await plainly(writer)
        else:
            writer.transport.abort()

    async def play(scene: Scene) -> None:
        scene.exchange()
        await scene.closes(1)
        scene.exchange()
        await scene.closes(2)
        assert failures(scene) == ["", ""]
        assert scene.connections == 2
        assert [fresh for _, fresh in scene.bench.dialled] == [False, False, True]

    seen: list[asyncio.StreamWriter] = []
    run(first_then_hang_up, play)


def test_a_connection_that_nobody_waited_for_may_be_stale_too() -> None:
    async def hang_up_then_answer(writer: asyncio.StreamWriter) -> None:
        if scene_of[0].connections == 1:
            writer.transport.abort()
        else:
            await plainly(writer)

    async def play(scene: Scene) -> None:
        scene_of.append(scene)
        scene.exchange().client_gone()
        async with asyncio.timeout(5):
            while not scene.pool.connections:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        scene.exchange()
        await scene.closes(2)
        assert failures(scene) == ["client_gone", ""]
        assert scene.connections == 2

    scene_of: list[Scene] = []
    run(hang_up_then_answer, play)


class OddLoop:
    """A loop whose connections go wrong in ways that sockets show too rarely to test."""

    def __init__(self, error: Exception | None) -> None:
        self.create_task = asyncio.get_running_loop().create_task
        self._error = error

    async def create_connection(
        self, factory: Callable[[], UpstreamConnection], *_: object, **__: object
    ) -> tuple[asyncio.Transport, UpstreamConnection]:
        """Raises, or makes a connection that is lost before anybody can use it."""
        if self._error is not None:
            raise self._error
        connection, transport = factory(), ClosedTransport()
        connection.connection_made(transport)
        connection.connection_lost(None)
        return transport, connection


class ClosedTransport(asyncio.Transport):
    """Nothing can be written to it."""

    def is_closing(self) -> bool:
        """It is closed."""
        return True


@pytest.mark.parametrize("error", [None, UnicodeError("label too long"), OSError(), TimeoutError()])
def test_a_connection_that_cannot_be_used_ends_the_request_at_once(
    error: Exception | None,
) -> None:
    async def play() -> None:
        scene = Scene(plainly)
        scene.pool = UpstreamPool(cast(asyncio.AbstractEventLoop, OddLoop(error)), SETTINGS)
        scene.bench.dial = scene.pool.send
        scene.exchange()
        await scene.closes(1)
        assert failures(scene) == ["upstream_unreachable"]
        assert not scene.pool.connections

    asyncio.run(play())


def test_what_comes_after_done_is_read_unseen_and_the_connection_kept() -> None:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunked(delta("x", "stop")) + chunked(DONE))
        await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")

    async def play(scene: Scene) -> None:
        for count in (1, 2):
            scene.exchange(stream=True)
            await scene.closes(count)
            await asyncio.sleep(0.05)
        assert scene.connections == 1
        assert failures(scene) == ["", ""]

    run(stream, play)


def test_a_stream_that_never_ends_after_done_is_cut() -> None:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunked(delta("x", "stop")) + chunked(DONE))

    async def play(scene: Scene) -> None:
        scene.exchange(stream=True)
        await scene.closes(1)
        assert len(scene.pool.connections) == 1
        scene.pool.tick(DETACHED_S + 1.0)
        async with asyncio.timeout(5):
            while scene.pool.connections:
                await asyncio.sleep(0.001)

    run(stream, play)


def test_nonsense_and_unasked_bytes_drop_the_connection() -> None:
    async def twice(writer: asyncio.StreamWriter) -> None:
        writer.write(plain_response(b"{}") * 2)

    async def play(scene: Scene) -> None:
        scene.exchange()
        await scene.closes(1)
        assert failures(scene) == ["upstream_malformed"]
        async with asyncio.timeout(5):
            while scene.pool.connections:
                await asyncio.sleep(0.001)

    run(twice, play)


def test_only_so_many_connections_are_opened() -> None:
    async def never(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0)

    async def play(scene: Scene) -> None:
        for _ in range(3):
            scene.exchange()
        assert failures(scene) == ["upstream_saturated"]
        assert scene.bench.wal.only_close.http_status == 503

    run(never, play)


def test_idle_connections_to_one_server_leave_room_for_another() -> None:
    async def play(scene: Scene) -> None:
        busy = [scene.exchange(), scene.exchange()]
        await scene.closes(2)
        one = busy[0].target.deployment
        elsewhere = Deployment("toy@there", "toy", one.url.replace("127.0.0.1", "localhost"), "toy")
        scene.bench.dispatcher.index = an_index(deployments=(elsewhere,))
        scene.exchange()
        await scene.closes(3)
        assert failures(scene) == ["", "", ""]
        assert len(scene.pool.connections) <= 2

    run(plainly, play)


def test_a_model_server_that_is_not_there() -> None:
    async def play(scene: Scene) -> None:
        gone = Deployment("toy@gone", "toy", "http://127.0.0.1:1/v1", "toy")
        scene.bench.dispatcher.index = an_index(deployments=(gone,))
        scene.exchange()
        await scene.closes(1)
        assert failures(scene) == ["upstream_unreachable"]

    run(plainly, play)
