"""What a gateway does with an API process that is slow, hasty, broken or gone."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.contract.gateway_process import (
    DEADLINE_S,
    Gateway,
    ModelServer,
    free_port,
    running_gateway,
    until,
)
from tests.contract.raw_client import Raw, raw

from quartermaster.kernel.relayed_key import HEADER

LARGE = 5_000_000


class Api:
    """Answers by the last part of the path; remembers what it was sent."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.taken = 0
        self.read_on = asyncio.Event()
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def running(self) -> Iterator["Api"]:
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(DEADLINE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=65_536)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self.loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            name = head.split(b" ")[1].partition(b"?")[2].decode()
            await getattr(self, f"_{name or 'echo'}")(reader, writer, head)
            await writer.drain()
        writer.close()

    async def _echo(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        body = b""
        if b"content-length: " in head:
            body = await reader.readexactly(
                int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            )
        else:
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
        told = json.dumps({"size": len(body), "end": body[-3:].decode()}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told))

    async def _large(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LARGE)
        for number in range(LARGE // 1_000):
            writer.write(b"%0999d\n" % number)
            await writer.drain()

    async def _half(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 100)

    async def _none(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.close()

    async def _hasty(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\n{}")

    async def _stuck(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        await self.read_on.wait()
        while data := await reader.read(65_536):
            self.taken += len(data)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api().running() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        ModelServer().running() as upstream,
        running_gateway(
            tmp_path_factory.mktemp("control"),
            upstream,
            control_url=f"http://127.0.0.1:{api.port}",
            body_bytes_max=20_000,
            upload_bytes_max=50_000_000,
        ) as running,
    ):
        yield running


def asked(client: Raw, line: str, *headers: str, body: bytes = b"") -> None:
    """Send a request."""
    lines = [line, "host: g", f"authorization: Bearer {client.key}", *headers]
    if not any(header.startswith(("transfer-encoding", "content-length")) for header in headers):
        lines.append(f"content-length: {len(body)}")
    client.send("\r\n".join([*lines, "\r\n"]).encode() + body)


def chunked(client: Raw) -> tuple[bytes, bytes]:
    """Head and body of a chunked answer."""
    head, body = client.until(b"\r\n\r\n"), b""
    while size := int(client.until(b"\r\n").strip(), 16):
        while len(client.rest) < size + 2:
            client.rest += client.socket.recv(65_536)
        body, client.rest = body + client.rest[:size], client.rest[size + 2 :]
    client.until(b"\r\n")
    return head, body


def test_what_is_handed_on(gateway: Gateway, api: Api) -> None:
    with raw(gateway) as client:
        own = ("x-other: 1", f"{HEADER}: 9.9")
        asked(client, "POST http://elsewhere/v1/batches HTTP/1.1", *own, body=b"abc")
        assert client.response() == (200, b'{"size": 3, "end": "abc"}')
        head = api.heads[-1].decode()
        assert head.startswith("POST /v1/batches HTTP/1.1\r\nhost: localhost\r\n")
        assert f"authorization: Bearer {client.key}\r\n" in head
        assert "x-request-id: req_" in head
        assert "x-other" not in head
        # The gateway says that it let the key through; a client cannot.
        assert head.count(f"{HEADER}: ") == 1
        assert f"{HEADER}: 9.9\r\n" not in head
        asked(client, "POST /openai/v1/batches HTTP/1.1", body=b"abc")
        assert client.response()[0] == 200
        assert api.heads[-1].startswith(b"POST /v1/batches ")
        # The connection goes on, and what is not relayed is not.
        asked(client, "GET /v1/files/file-1/content?large HTTP/1.1")
        head_, body = chunked(client)
        assert b"x-request-id: req_" in head_
        assert (len(body), body[-5:]) == (LARGE, b"4999\n")
        asked(client, "GET /v1/filesystem HTTP/1.1")
        assert client.response()[0] == 404
        before = len(api.heads)
        client.key = "qm-wrong"
        asked(client, "DELETE /v1/files/file-1 HTTP/1.1")
        assert client.response()[0] == 401
        assert len(api.heads) == before


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_file_passes_through_whatever_its_framing(gateway: Gateway, framing: str) -> None:
    with raw(gateway) as client:
        data = b"x" * 999_997 + b"end"
        if framing == "length":
            asked(client, "POST /v1/files HTTP/1.1", body=data)
        else:
            asked(client, "POST /v1/files HTTP/1.1", "transfer-encoding: chunked")
            for at in range(0, len(data), 70_000):
                part = data[at : at + 70_000]
                client.send(b"%x\r\n%b\r\n" % (len(part), part))
            client.send(b"0\r\n\r\n")
        assert client.response() == (200, b'{"size": 1000000, "end": "end"}')
        asked(client, "POST /v1/batches HTTP/1.1", body=b"abc")
        assert client.response()[0] == 200


def test_only_files_may_be_large(gateway: Gateway) -> None:
    for line in (
        "POST /v1/batches HTTP/1.1",
        "PUT /v1/files HTTP/1.1",
        "POST /v1/files/x HTTP/1.1",
        "POST /v1/chat/completions HTTP/1.1",
    ):
        with raw(gateway) as client:
            asked(client, line, body=b"x" * 20_001)
            assert client.response()[0] == 413, line
    with raw(gateway) as client:
        asked(client, "POST /v1/files HTTP/1.1", "content-length: 50000001")
        assert client.response()[0] == 413


def test_an_answer_that_breaks_off_is_seen_to(gateway: Gateway) -> None:
    with raw(gateway) as client:
        asked(client, "GET /v1/files/file-1/content?half HTTP/1.1")
        data = b""
        with suppress(ConnectionResetError):
            data = client.closed()
        assert b"\r\n0\r\n" not in data
    with raw(gateway) as client:
        asked(client, "GET /v1/files?none HTTP/1.1")
        status, body = client.response()
        assert (status, json.loads(body)["error"]["code"]) == (503, "not_ready")


def test_an_old_client_gets_the_body_until_the_end(gateway: Gateway) -> None:
    with raw(gateway) as client:
        asked(client, "GET /v1/files/file-1/content?large HTTP/1.0")
        head, _, body = client.closed().partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert b"transfer-encoding" not in head
        assert len(body) == LARGE


def test_an_answer_before_the_file_has_arrived(gateway: Gateway) -> None:
    with raw(gateway) as client:
        asked(client, "POST /v1/files?hasty HTTP/1.1", "content-length: 40000000", body=b"x" * 9)
        head = client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in head


def test_nobody_sends_faster_than_the_file_is_taken(gateway: Gateway, api: Api) -> None:
    with raw(gateway) as client:
        size = 40_000_000
        client.send(
            (
                f"POST /v1/files?stuck HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {client.key}"
                f"\r\ncontent-length: {size}\r\n\r\n"
            ).encode()
        )
        client.socket.settimeout(0.5)
        sent = 0
        with suppress(TimeoutError):
            while sent < size:
                sent += client.socket.send(b"x" * 65_536)
        # What the sockets of both connections hold, and no file in the gateway's memory.
        assert sent < 25_000_000
        api.loop.call_soon_threadsafe(api.read_on.set)
        client.socket.settimeout(DEADLINE_S)
        client.socket.sendall(b"x" * (size - sent))
    assert api.taken > 0


def test_no_api_at_all(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with (
        ModelServer().running() as upstream,
        running_gateway(tmp_path, upstream, control_url=url, body_bytes_max=20_000) as gateway,
        raw(gateway) as client,
    ):
        asked(client, "GET /v1/batches HTTP/1.1")
        assert client.response()[0] == 503
        asked(client, "POST /v1/files HTTP/1.1", body=b"x" * 300_000)
        assert client.response()[0] == 503
        with raw(gateway) as other:
            other.send(
                other.chat({"model": "talk", "messages": [{"role": "user", "content": "x"}]})
            )
            assert other.response()[0] == 200
        until(lambda: gateway.status.failures.get("control_unreachable") == 2)


def test_a_gateway_that_was_told_of_none(tmp_path: Path) -> None:
    with (
        ModelServer().running() as upstream,
        running_gateway(tmp_path, upstream) as gateway,
        raw(gateway) as client,
    ):
        asked(client, "GET /v1/batches HTTP/1.1")
        assert client.response()[0] == 404
