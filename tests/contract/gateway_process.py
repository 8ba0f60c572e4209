"""A real gateway worker in its own process, and a scripted model server in a thread."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from quartermaster.gateway.status import WorkerStatus, read_status
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.events import UsageEvent
from quartermaster.kernel.ids import PEPPER_BYTES, key_hash, new_key_secret
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot, write
from quartermaster.usage.segment import read_sealed

DEADLINE_S = 30.0

# What runs in the child: the product, and at the end what it had imported.
SERVE = """
import json, sys
from pathlib import Path
import msgspec
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.worker import run
settings = msgspec.convert(json.loads(sys.argv[2]), GatewaySettings)
code = run(settings, var=Path(sys.argv[1]), worker=0)
print(json.dumps(sorted(sys.modules)))
sys.exit(code)
"""


def planted(*lines: str) -> str:
    """What runs in the child where lines of Python change the product before it starts."""
    return SERVE.replace("settings = ", "\n".join((*lines, "settings = ")), 1)


Asked = dict[str, Any]
Alive = Callable[[], bool]
Script = Callable[[Asked, asyncio.StreamWriter, Alive], Awaitable[None]]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# -- the model server --------------------------------------------------------------------------


def frame(content: Any) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
ENVELOPE = {"id": "chatcmpl-7", "created": 1_700_000_000, "model": "theirs"}
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 3,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
WORDS = ("The", " quick", " fox")


def delta(text: str | None, finish_reason: str | None = None) -> bytes:
    """A chunk with one delta, or the one that ends the choice."""
    inner = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": inner, "logprobs": None, "finish_reason": finish_reason}
    content = {**ENVELOPE, "object": "chat.completion.chunk", "choices": [choice], "usage": None}
    return frame(content)


def plain(status: str, content: Any, *headers: str) -> bytes:
    """A whole response."""
    body = json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}\r\n\r\n"]).encode() + body


async def talk(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """An ordinary model: a sentence, streamed or not, with usage when asked."""
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        answer = {**ENVELOPE, "object": "chat.completion", "choices": [choice], "usage": USAGE}
        writer.write(plain("200 OK", answer))
        return
    writer.write(STREAM_HEAD)
    for word in WORDS:
        writer.write(chunk(delta(word)))
        await writer.drain()
        await asyncio.sleep(0.002)
    writer.write(chunk(delta(None, "stop")))
    if (asked.get("stream_options") or {}).get("include_usage"):
        last = {**ENVELOPE, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
        writer.write(chunk(frame(last)))
    writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def limit(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """A model that is busy."""
    error = {"message": "busy", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    writer.write(plain("429 Too Many Requests", {"error": error}, "retry-after: 17"))


async def crash(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """A model server with a bug."""
    writer.write(plain("500 Internal Server Error", {"detail": "traceback"}))


async def drop(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """A model server that dies in the middle."""
    if asked.get("stream"):
        writer.write(STREAM_HEAD + chunk(delta("The")) + chunk(delta(" quick")))
    else:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{")
    await writer.drain()
    writer.transport.abort() if asked.get("hard") else writer.close()


async def babble(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """A model that never stops."""
    writer.write(STREAM_HEAD)
    while alive():
        writer.write(chunk(delta(" word" * int(asked.get("width", 1)))))
        await writer.drain()
        await asyncio.sleep(float(asked.get("pause", 0.005)))


async def silent(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """A model that never answers."""
    while alive():
        await asyncio.sleep(0.01)


SCRIPTS: dict[str, Script] = {
    "talk": talk,
    "limit": limit,
    "crash": crash,
    "drop": drop,
    "babble": babble,
    "silent": silent,
}


class ModelServer:
    """Plays the script that the model's name asks for; counts what it was asked."""

    scripts = SCRIPTS

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.heads: list[str] = []
        self.connections = 0
        self.open = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line.partition(":")[2])
                    for line in head.split("\r\n")
                    if line.startswith("content-length:")
                )
                asked = json.loads(await reader.readexactly(length))
                self.asked.append(asked)
                self.heads.append(head)
                await self.scripts[asked["model"]](asked, writer, lambda: not reader.at_eof())
                await writer.drain()
        self.open -= 1
        writer.close()

    @contextmanager
    def running(self) -> Iterator["ModelServer"]:
        """Serve until the block ends."""
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(DEADLINE_S)


# -- the gateway -------------------------------------------------------------------------------


class Gateway:
    """One worker process with its data folder."""

    stderr: IO[str] | None = None
    """Where the worker complains; with the tests, unless somebody listens."""

    def __init__(
        self, var: Path, upstream_port: int, settings: dict[str, Any], script: str = SERVE
    ) -> None:
        self.var = var
        self.key = new_key_secret()
        self.pepper = os.urandom(PEPPER_BYTES)
        self.down_port = free_port()
        self.upstream_port = upstream_port
        self.modules: list[str] = []
        self.version = 0
        (var / "secrets").mkdir(parents=True)
        (var / "secrets" / "key_pepper").write_bytes(self.pepper)
        (var / "secrets" / "upstream").write_text("sk-upstream\n")
        self.publish()
        self.start(settings, script)

    def start(self, settings: dict[str, Any], script: str = SERVE) -> None:
        """Start the worker process, also again after a stop."""
        self.app_id = f"{settings.get('app_prefix', 'gateway')}-0"
        given = json.dumps({"port": 0, **settings})
        command = [sys.executable, "-c", script, str(self.var), given]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.stderr, text=True
        )
        until(self._serving)
        self.port = self.status.port

    def _serving(self) -> bool:
        assert self.process.poll() is None, "the worker ended"
        if not self._status_path.exists():
            return False
        return self.status.pid == self.process.pid and self.status.state == "serving"

    @property
    def _status_path(self) -> Path:
        return self.var / "status" / f"{self.app_id}.json"

    @property
    def status(self) -> WorkerStatus:
        """What the worker says about itself."""
        return read_status(self._status_path)

    @property
    def url(self) -> str:
        """The base URL for an SDK."""
        return f"http://127.0.0.1:{self.port}/v1"

    def grant(self, secret: str, **fields: Any) -> KeyGrant:
        """What a key may do."""
        given: dict[str, Any] = {
            "key_id": f"key_{secret[-6:]}",
            "key_hash": key_hash(secret.encode(), self.pepper).hex(),
            "customer": "cus_1",
            "group": "grp_1",
            "project": "default",
            "contract": "con_1",
            "contract_version": 1,
            "price_book": "list",
            "price_book_version": 1,
            "cancelled_stream": "bill_delivered",
        }
        return KeyGrant(**{**given, **fields})

    def publish(self, *grants: KeyGrant, standing: dict[str, Standing] | None = None) -> int:
        """Publish a snapshot; the ordinary key is always in it."""
        self.version += 1
        upstream = f"http://127.0.0.1:{self.upstream_port}/v1"
        deployments = [
            Deployment(f"{name}@mock", name, upstream, name, "secrets/upstream") for name in SCRIPTS
        ]
        down = f"http://127.0.0.1:{self.down_port}/v1"
        deployments.append(Deployment("down@mock", "down", down, "down"))
        keys = (self.grant(self.key, unpriced_models=("silent",)), *grants)
        snapshot = Snapshot(self.version, 0, keys, standing or {}, tuple(deployments))
        write(self.var / "snapshot.json", snapshot)
        return self.version

    def stop(self) -> list[UsageEvent]:
        """Drain the worker; every row of its log."""
        self.process.send_signal(signal.SIGTERM)
        return self.stop_was_asked()

    def stop_was_asked(self) -> list[UsageEvent]:
        """Wait for the worker to end; every row of its log."""
        out, _ = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0
        self.modules = json.loads(out)
        return self.rows()

    def rows(self) -> list[UsageEvent]:
        """The rows of the sealed segments."""
        sealed = sorted((self.var / "wal" / self.app_id).glob("*.sealed"))
        return [row for path in sealed for row in read_sealed(path.read_bytes(), path.name)[0]]


@contextmanager
def running_gateway(
    var: Path, upstream: ModelServer, script: str = SERVE, **settings: Any
) -> Iterator[Gateway]:
    """A worker until the block ends."""
    gateway = Gateway(var, upstream.port, settings, script)
    try:
        yield gateway
    finally:
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.communicate()
