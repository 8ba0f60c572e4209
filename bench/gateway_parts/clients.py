"""Clients of the gateway benches that wrk is not: many paced streams, and a steady open loop."""

import asyncio
import json
import os
import time
from collections import deque
from typing import Final, NamedTuple, cast

import uvloop

from bench.gateway_parts.processes import LOAD_CPU

# Longer than any stream of the benches; what is open then hangs.
DEADLINE_S: Final = 60.0
_END: Final = b"0\r\n\r\n"
# The last frame with the end of its chunk, and the last chunk.
_TAIL_BYTES: Final = 40


class Streamed(NamedTuple):
    """What many streams at once came to."""

    streams: int
    whole: int
    """Streams that ended with `[DONE]`."""
    chunks: int
    open_max: int
    seconds: float


class Answered(NamedTuple):
    """One request of the open loop."""

    request_id: str
    latency_ms: float
    """From the moment at which it was due: a client that waits for a free connection counts it."""
    status: int


def request_bytes(path: str, key: str, body: str) -> bytes:
    """A request as these clients send it."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


class _Stream(asyncio.Protocol):
    """Asks once and counts until the stream's end."""

    def __init__(self, request: bytes, ended: "asyncio.Queue[_Stream]") -> None:
        self._request = request
        self._ended = ended
        self.chunks = 0
        self.whole = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.chunks += data.count(b"data: ")
        # The last frame and the last chunk may come apart.
        self._tail = self._tail[-_TAIL_BYTES:] + data
        if self._tail.endswith(_END):
            self.whole = b"[DONE]" in self._tail
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a stream that was cut is not whole
        self._ended.put_nowait(self)


async def _streams(port: int, request: bytes, count: int, spread_s: float) -> Streamed:
    loop = asyncio.get_running_loop()
    ended: asyncio.Queue[_Stream] = asyncio.Queue()
    began = time.perf_counter()
    open_max = 0
    for number in range(count):
        await loop.create_connection(lambda: _Stream(request, ended), "127.0.0.1", port)
        open_max = max(open_max, number + 1 - ended.qsize())
        ahead_s = spread_s * (number + 1) / count - (time.perf_counter() - began)
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
    async with asyncio.timeout(DEADLINE_S):
        found = [await ended.get() for _ in range(count)]
    seconds = time.perf_counter() - began
    whole = sum(one.whole for one in found)
    # The frames of the end are no content: the finish reason, the usage, `[DONE]`.
    return Streamed(count, whole, sum(one.chunks for one in found), open_max, seconds)


def streams(port: int, request: bytes, count: int, spread_s: float) -> Streamed:
    """So many streams at once, begun evenly over some seconds, from the load CPU."""
    with _on_load_cpu():
        return uvloop.run(_streams(port, request, count, spread_s))


class _OpenLoop:
    """Sends when a request is due, over whichever connection is free."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.free: deque[_Caller] = deque()
        self.waiting: deque[float] = deque()
        self.answers: list[Answered] = []

    def due(self, at: float) -> None:
        """A request is due now."""
        if self.free:
            self.free.popleft().ask(at)
        else:
            self.waiting.append(at)

    def done(self, caller: "_Caller") -> None:
        """A connection is free again."""
        if self.waiting:
            caller.ask(self.waiting.popleft())
        else:
            self.free.append(caller)


class _Caller(asyncio.Protocol):
    """One keep-alive connection; answers come in one piece, which the benches' do."""

    def __init__(self, loop: _OpenLoop) -> None:
        self._loop = loop
        self._due = 0.0
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop.free.append(self)

    def ask(self, due: float) -> None:
        """Send the request that was due at that moment."""
        self._due = due
        self._transport.write(self._loop.request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, end, body = self._seen.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.split(b"\r\n")
        pairs = (line.partition(b": ") for line in lines[1:])
        headers = {name.lower(): value for name, _, value in pairs}
        if len(body) < int(headers[b"content-length"]):
            return
        self._seen = b""
        now = time.perf_counter()
        request_id = headers.get(b"x-request-id", b"").decode()
        status = int(lines[0].split()[1])
        took_ms = (now - self._due) * 1_000
        self._loop.answers.append(Answered(request_id, took_ms, status))
        self._loop.done(self)


async def _open_loop(
    port: int, request: bytes, rate: int, seconds: float, connections: int
) -> list[Answered]:
    running = asyncio.get_running_loop()
    loop = _OpenLoop(request)
    for _ in range(connections):
        await running.create_connection(lambda: _Caller(loop), "127.0.0.1", port)
    count, began = int(rate * seconds), time.perf_counter() + 0.05
    for number in range(count):
        due = began + number / rate
        ahead_s = due - time.perf_counter()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
        # From when it was sent, or could have been: a timer's own delay is not the gateway's.
        loop.due(max(due, time.perf_counter() if ahead_s > 0 else due))
    async with asyncio.timeout(DEADLINE_S):
        while len(loop.answers) < count:
            await asyncio.sleep(0.01)
    return loop.answers


def open_loop(
    port: int, request: bytes, *, rate: int, seconds: float, connections: int = 64
) -> list[Answered]:
    """So many requests a second, whether or not the last ones are answered, from the load CPU."""
    with _on_load_cpu():
        return uvloop.run(_open_loop(port, request, rate, seconds, connections))


class _on_load_cpu:  # noqa: N801 - read as a verb
    """Runs the block on the load CPU."""

    def __enter__(self) -> None:
        self._cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {LOAD_CPU} & self._cpus or self._cpus)

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self._cpus)


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def log_lines(text: str) -> dict[str, dict[str, float]]:
    """Times of the access log's lines, by request id."""
    found = {}
    for line in text.splitlines():
        row = json.loads(line)
        if "duration_ms" in row:
            found[row["request_id"]] = row
    return found
