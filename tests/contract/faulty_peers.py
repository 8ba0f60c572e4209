"""Everything that can go wrong on either side of a gateway, one fault at a time."""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, NamedTuple

from tests.contract.gateway_process import (
    DEADLINE_S,
    ENVELOPE,
    SCRIPTS,
    SERVE,
    STREAM_HEAD,
    USAGE,
    Alive,
    Asked,
    Gateway,
    ModelServer,
    Script,
    chunk,
    delta,
    frame,
    plain,
    until,
)

from quartermaster.kernel.contract import CancelledStream, Standing
from quartermaster.kernel.ids import new_key_secret
from quartermaster.kernel.routing import Routing
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot, write

MEBIBYTE = 1024 * 1024
PATIENCE_S = 1
CHAT = "/v1/chat/completions"
WORDS_MADE = 10
LONG_USAGE = {"prompt_tokens": 11, "completion_tokens": 20, "total_tokens": 31}
DONE = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


# -- the model server's faults -----------------------------------------------------------------


def says(stream: bytes, otherwise: bytes, *, then_close: bool = False) -> Script:
    """A server that says these bytes."""

    async def script(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
        writer.write(stream if asked.get("stream") else otherwise)
        await writer.drain()
        if then_close:
            writer.close()

    return script


async def resets(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """Dies in the middle, with a reset."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{"
    writer.write(STREAM_HEAD + chunk(delta("The")) if asked.get("stream") else head)
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()


async def stalls(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """Begins, and says nothing more."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{"
    writer.write(STREAM_HEAD + chunk(delta("The")) if asked.get("stream") else head)
    while alive():
        await asyncio.sleep(0.01)


async def trickles(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """Never stands still and never ends."""
    stream = bool(asked.get("stream"))
    writer.write(STREAM_HEAD if stream else b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n{")
    while alive():
        writer.write(chunk(delta("word")) if stream else b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def floods(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """Sends a head without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while alive():
        writer.write(b"x-more: %b\r\n" % (b"y" * 1000) * 20)
        await writer.drain()


async def never_breaks(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
    """Sends one line without end: no event and no answer can be so large."""
    if asked.get("stream"):
        writer.write(STREAM_HEAD + chunk(b"data: "))
    else:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n")
    piece = b"y" * MEBIBYTE
    while alive():
        writer.write(chunk(piece) if asked.get("stream") else piece)
        await writer.drain()


def goes_on(left: Container[str]) -> Script:
    """A server that answers by halves, and counts twice as many tokens as it sends deltas.

    The second half comes a moment after its client has left: how fast the client is does not
    matter.

    Args:
        left: the models whose clients have.
    """

    async def script(asked: Asked, writer: asyncio.StreamWriter, alive: Alive) -> None:
        stream = bool(asked.get("stream"))
        if stream:
            writer.write(STREAM_HEAD)
        for number in range(WORDS_MADE):
            if number == WORDS_MADE // 2:
                while alive() and asked["model"] not in left:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.02)
            if stream:
                writer.write(chunk(delta("word", "stop" if number == WORDS_MADE - 1 else None)))
        if stream:
            last = {**ENVELOPE, "object": "chat.completion.chunk", "choices": []}
            writer.write(chunk(frame({**last, "usage": LONG_USAGE})) + DONE)
            return
        choice = {"index": 0, "message": {"content": "words"}, "finish_reason": "stop"}
        writer.write(plain("200 OK", {**ENVELOPE, "choices": [choice], "usage": LONG_USAGE}))

    return script


def with_usage(usage: dict[str, Any]) -> Script:
    """A server whose count cannot be."""
    choice = {"index": 0, "message": {"content": "words"}, "finish_reason": "stop"}
    answer = {**ENVELOPE, "object": "chat.completion", "choices": [choice], "usage": usage}
    last = {**ENVELOPE, "object": "chat.completion.chunk", "choices": [], "usage": usage}
    stream = STREAM_HEAD + chunk(delta("words", "stop")) + chunk(frame(last)) + DONE
    return says(stream, plain("200 OK", answer))


_BOMB = gzip.compress(bytes(MEBIBYTE))
_PACKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
)
_ERROR = {"error": {"message": "out of memory", "type": "server_error"}}
_BROKEN = STREAM_HEAD + chunk(b'data: {"choices": [{"delta": {"content": "a"}}\n\n')
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n"
_WHOLE = {**ENVELOPE, "choices": [{"message": {"content": "a"}}], "usage": USAGE}

FAULTS: dict[str, Script] = {
    "talks": SCRIPTS["talk"],
    "closes_at_once": says(b"", b"", then_close=True),
    "closes_in_the_middle": SCRIPTS["drop"],
    "resets": resets,
    "ends_unfinished": says(
        STREAM_HEAD + chunk(delta("The")) + b"0\r\n\r\n", _JSON + b'{"choices":['
    ),
    "breaks_json": says(_BROKEN + b"0\r\n\r\n", _JSON + b'{"choices": '),
    "speaks_no_http": says(b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"),
    "floods": floods,
    "never_breaks": never_breaks,
    "packs": says(
        _PACKED % (b"text/event-stream", len(_BOMB)) + _BOMB,
        _PACKED % (b"application/json", len(_BOMB)) + _BOMB,
    ),
    "says_more": says(
        STREAM_HEAD + chunk(delta("a", "stop")) + DONE + b"HTTP/1.1 200 OK\r\n\r\n",
        plain("200 OK", _WHOLE) + b"HTTP/1.1 200 OK\r\n\r\n",
    ),
    "errs_in_the_answer": says(
        STREAM_HEAD + chunk(delta("The")) + chunk(frame(_ERROR)) + DONE, plain("200 OK", _ERROR)
    ),
    "counts_negative": with_usage({"prompt_tokens": -5, "completion_tokens": 3}),
    "counts_absurdly": with_usage({"prompt_tokens": 5, "completion_tokens": 10**15}),
    "says_nothing": SCRIPTS["silent"],
    "stalls": stalls,
    "trickles": trickles,
    "is_busy": SCRIPTS["limit"],
    "is_overloaded": says(*(plain("503 Service Unavailable", _ERROR),) * 2),
    "crashes": SCRIPTS["crash"],
}


class FaultyServer(ModelServer):
    """Plays a fault for each model.

    Args:
        models: the fault of each.
    """

    def __init__(self, models: dict[str, str]) -> None:
        super().__init__()
        self.models = models
        self.left: set[str] = set()
        """Models whose clients have left."""
        faults = {**FAULTS, "goes_on": goes_on(self.left)}
        self.scripts = {model: faults[f] for model, f in models.items() if f in faults}

    def began(self, model: str) -> bool:
        """Whether it was asked for this model."""
        return any(one["model"] == model for one in self.asked)


class FaultyGateway(Gateway):
    """One worker whose every case has a model of its own, so that its rows can be told apart.

    Args:
        var: the data folder.
        upstream: where the faults are played.
        script: what runs in the worker's process.
    """

    def __init__(self, var: Path, upstream: FaultyServer, script: str = SERVE) -> None:
        self.script = script
        self.said = var.parent / f"{var.name}.stderr"
        self.stderr = self.said.open("w")
        self.models = upstream.models
        policies: tuple[CancelledStream, ...] = ("bill_delivered", "bill_full", "free")
        self.secrets = {policy: new_key_secret() for policy in policies}
        super().__init__(
            var,
            upstream.port,
            {"client_timeout_s": PATIENCE_S, "answer_bytes_max": MEBIBYTE, "hear_out_s": 3},
        )

    def start(self, settings: dict[str, Any], script: str = "") -> None:
        """Start the worker process."""
        super().start(settings, script or self.script)

    def publish(self, *grants: KeyGrant, standing: dict[str, Standing] | None = None) -> int:
        """A key a policy, and a deployment a model; `unreachable` has nobody listening."""
        self.version += 1
        routing = Routing(first_byte_s=PATIENCE_S, idle_s=PATIENCE_S)
        own = {"trickles": Routing(total_s=PATIENCE_S), "goes_on": Routing()}
        deployments = []
        for model, fault in self.models.items():
            port = self.down_port if fault == "unreachable" else self.upstream_port
            url = f"http://127.0.0.1:{port}/v1"
            deployments.append(
                Deployment(model, model, url, model, routing=own.get(fault, routing))
            )
        keys = [
            self.grant(secret, cancelled_stream=policy) for policy, secret in self.secrets.items()
        ]
        snapshot = Snapshot(self.version, 0, (*keys, *grants), standing or {}, tuple(deployments))
        write(self.var / "snapshot.json", snapshot)
        return self.version


# -- the client's faults -----------------------------------------------------------------------


class Call(NamedTuple):
    """One request of one case."""

    port: int
    key: str
    model: str
    stream: bool
    began: Callable[[str], bool]
    """Whether the model server was asked."""
    left: Callable[[str], None]
    """Tells the model server that the client has left."""

    def head(self, *headers: str, length: int | None = None, target: str = CHAT) -> bytes:
        """The request's head; its body's own length unless another is given."""
        size = len(self.body) if length is None else length
        lines = [f"POST {target} HTTP/1.1", "host: g", f"authorization: Bearer {self.key}"]
        return "\r\n".join([*lines, *headers, f"content-length: {size}\r\n\r\n"]).encode()

    @property
    def body(self) -> bytes:
        """The request's body."""
        messages = [{"role": "user", "content": "Hello"}]
        asked = {"model": self.model, "messages": messages, "stream": self.stream}
        return json.dumps(asked).encode()

    @property
    def whole(self) -> bytes:
        """The request as it should be."""
        return self.head("connection: close") + self.body

    def connect(self) -> socket.socket:
        """A connection to the gateway."""
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)


Behaviour = Callable[[Call], bytes]


def reads_all(asking: socket.socket) -> bytes:
    """Everything until the gateway closes; what a reset destroys was not read."""
    data = b""
    try:
        while piece := asking.recv(65_536):
            data += piece
    except ConnectionResetError:
        return data
    return data


def behaves(call: Call) -> bytes:
    """Asks and reads to the end."""
    with call.connect() as asking:
        asking.sendall(call.whole)
        return reads_all(asking)


def sends(make: Callable[[Call], bytes]) -> Behaviour:
    """Sends these bytes and reads to the end."""

    def behaviour(call: Call) -> bytes:
        with call.connect() as asking:
            asking.sendall(make(call))
            return reads_all(asking)

    return behaviour


def leaves(call: Call, *, reset: bool = False) -> bytes:
    """Hangs up after the first words of a stream, or while a plain answer is made."""
    with call.connect() as asking:
        asking.sendall(call.whole)
        data = b""
        while call.stream and data.count(b"word") < 2:
            data += asking.recv(65_536)
        until(lambda: call.began(call.model))
        if reset:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.left(call.model)
    return data


def resets_on_us(call: Call) -> bytes:
    """The same, with a reset in the place of an end."""
    return leaves(call, reset=True)


def half_closes(call: Call) -> bytes:
    """Says that it will say nothing more, and goes on reading."""
    with call.connect() as asking:
        asking.sendall(call.whole)
        until(lambda: call.began(call.model))
        asking.shutdown(socket.SHUT_WR)
        call.left(call.model)
        return reads_all(asking)


def reads_slowly(call: Call) -> bytes:
    """Takes a byte now and then through a narrow window, and then the rest."""
    asking = socket.socket()
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    asking.settimeout(DEADLINE_S)
    with asking:
        asking.connect(("127.0.0.1", call.port))
        asking.sendall(call.whole)
        data = b"".join(asking.recv(1) for _ in range(200))
        return data + reads_all(asking)


def pipelines(call: Call) -> bytes:
    """Sends three requests at once."""
    with call.connect() as asking:
        asking.sendall((call.head() + call.body) * 2 + call.whole)
        return reads_all(asking)


def stops_talking(call: Call) -> bytes:
    """Sends half a head."""
    with call.connect() as asking:
        asking.sendall(call.head()[:40])
        return reads_all(asking)
