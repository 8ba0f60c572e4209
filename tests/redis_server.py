"""A real redis-server on a free port, for tests of what machines share."""

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.contract.gateway_process import free_port

DEADLINE_S = 20.0


def server_program() -> str:
    """Where `redis-server` is; skips the test where there is none, and fails it on CI."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        reason = "no redis-server; on Debian or Ubuntu: apt-get install redis-server"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return found


class RedisServer:
    """One server process, that can be killed, frozen and started again.

    Args:
        folder: where it keeps its data.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For the setting."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> "redis.Redis":
        """A client of its own."""
        return redis.Redis(port=self.port, decode_responses=True, retry=Retry(NoBackoff(), 0))

    def start(self, *options: str) -> None:
        """Start it, also again; it answers afterwards."""
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        # A replica is not kept waiting for others that might come.
        arguments += ["--save", "", "--repl-diskless-sync-delay", "0"]
        self.process = subprocess.Popen(
            [server_program(), *arguments, *options], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + DEADLINE_S
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    assert time.monotonic() < deadline, "redis-server did not start"
                    time.sleep(0.01)

    def follow(self, primary: "RedisServer") -> None:
        """Be its replica, with everything that it has."""
        with self.client() as client:
            client.replicaof("127.0.0.1", str(primary.port))
            deadline = time.monotonic() + DEADLINE_S
            while client.info("replication").get("master_link_status") != "up":
                assert time.monotonic() < deadline, "the replica did not catch up"
                time.sleep(0.01)

    def promote(self) -> None:
        """Be a primary from now on."""
        with self.client() as client:
            client.replicaof("NO", "ONE")

    def kill(self) -> None:
        """It is gone, and nothing of it is left."""
        assert self.process is not None, "it was started"
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self) -> None:
        """It neither answers nor hangs up."""
        assert self.process is not None, "it was started"
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process is not None, "it was started"
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """A server until the block ends."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Forwarder:
    """One address for whichever server is the primary, as a name or a proxy is.

    Args:
        server: the first one.
    """

    def __init__(self, server: RedisServer) -> None:
        self._target: RedisServer | None = server
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self.port = free_port()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)

    @property
    def url(self) -> str:
        """For the setting."""
        return f"redis://127.0.0.1:{self.port}/0"

    def to(self, server: RedisServer | None) -> None:
        """Lead there from now on; nowhere answers nothing, as a partition does."""
        self._target = server
        self._loop.call_soon_threadsafe(self._hang_up)

    def stop(self) -> None:
        """Nobody is there any more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)

    def _hang_up(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._target is None:
                await reader.read()
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._target.port)
            self._open.add(back)
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
            self._open.discard(back)
        except OSError:
            pass  # a server that is gone hangs up
        finally:
            writer.transport.abort()
            self._open.discard(writer)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()
