"""Clients and a model server for the crash test, in one event loop.

A client knows only what it received: a response counts as received in full when its last byte, as
HTTP defines it, has arrived.
"""

import asyncio
import json
import random
from dataclasses import dataclass, field

from tests.simulation.crash_processes import MODEL

CHUNKS = 4
CHUNK_PAUSE_S = 0.004
RECONNECT_PAUSE_S = 0.03
PATIENCE_S = 10.0
"""A response that takes longer was lost with its gateway."""


class ModelServer:
    """Answers with counts that the request asks for, so that every answer is recognisable."""

    def __init__(self, seed: int) -> None:
        self._luck = random.Random(seed)
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stop listening."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (message := await _read_message(reader)) is not None:
                asked = json.loads(message[1])
                await asyncio.sleep(self._luck.random() * 0.02)
                await self._answer(writer, asked)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, asked: dict[str, object]) -> None:
        tokens = asked["max_tokens"]
        usage = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7}
        base = {"id": f"chatcmpl-{tokens}", "created": 0, "model": MODEL}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "word " * 5}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
            body = json.dumps(answer).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        base["object"] = "chat.completion.chunk"
        for at in range(CHUNKS):
            last = at == CHUNKS - 1
            choice = {
                "index": 0,
                "delta": {} if last else {"content": " word"},
                "finish_reason": "stop" if last else None,
            }
            _send_event(writer, {**base, "choices": [choice], "usage": None})
            await writer.drain()
            await asyncio.sleep(CHUNK_PAUSE_S)
        _send_event(writer, {**base, "choices": [], "usage": usage})
        writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _send_event(writer: asyncio.StreamWriter, event: dict[str, object]) -> None:
    writer.write(_chunk(b"data: %b\n\n" % json.dumps(event).encode()))


async def _read_message(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes] | None:
    """Head fields and body of one HTTP message, whole; None at the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").rstrip().split("\r\n")
    fields = {"": lines[0]}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return fields, body
    return fields, await reader.readexactly(int(fields.get("content-length", "0")))


@dataclass
class Traffic:
    """What all clients together have seen."""

    key: str
    port: int
    seed: int
    received: dict[str, int] = field(default_factory=dict)
    """Output tokens by request id, of responses received in full."""
    refused: int = 0
    last_refusal: str = ""
    in_flight: int = 0
    stopping: bool = False

    async def client(self, number: int) -> None:
        """One client: a request at a time on a connection that is renewed when it breaks."""
        luck = random.Random(self.seed * 1_000 + number)
        while not self.stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(RECONNECT_PAUSE_S)
                continue
            try:
                while not self.stopping:
                    await self._ask(reader, writer, luck)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                await asyncio.sleep(RECONNECT_PAUSE_S)
            finally:
                writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: random.Random
    ) -> None:
        tokens, stream = luck.randint(1, 1_000_000), luck.random() < 0.5
        asked = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "say words"}],
            "max_tokens": tokens,
            "stream": stream,
        }
        body = json.dumps(asked).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n"
            b"authorization: Bearer %b\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (self.key.encode(), len(body), body)
        )
        self.in_flight += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                message = await _read_message(reader)
        finally:
            self.in_flight -= 1
        assert message is not None
        fields, answer = message
        if not fields[""].startswith("HTTP/1.1 200"):
            self.refused += 1
            self.last_refusal = answer.decode()
            await asyncio.sleep(RECONNECT_PAUSE_S)
            return
        if stream and not answer.endswith(b"data: [DONE]\n\n"):
            return
        request_id = fields["x-request-id"]
        assert request_id not in self.received
        self.received[request_id] = tokens
