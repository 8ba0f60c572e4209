"""A client of a real gateway that says exactly the bytes it is told to."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.contract.gateway_process import DEADLINE_S, Gateway

TALK: dict[str, Any] = {"model": "talk", "messages": [{"role": "user", "content": "Hello"}]}


class Raw:
    """A client without manners."""

    def __init__(self, gateway: Gateway) -> None:
        self.key = gateway.key
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), DEADLINE_S)
        self.rest = b""

    def chat(self, body: dict[str, Any], *headers: str, version: str = "1.1") -> bytes:
        """The bytes of a chat completion request."""
        content = json.dumps(body).encode()
        lines = [f"POST /v1/chat/completions HTTP/{version}", "host: g"]
        lines += [f"authorization: Bearer {self.key}", *headers]
        return "\r\n".join([*lines, f"content-length: {len(content)}\r\n\r\n"]).encode() + content

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with the mark."""
        while mark not in self.rest:
            data = self.socket.recv(65536)
            assert data, f"closed before {mark!r}: {self.rest!r}"
            self.rest += data
        before, _, self.rest = self.rest.partition(mark)
        return before + mark

    def response(self) -> tuple[int, bytes]:
        """Status and body of a response with a length."""
        head = self.until(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(self.rest) < length:
            self.rest += self.socket.recv(65536)
        body, self.rest = self.rest[:length], self.rest[length:]
        return int(head.split()[1]), body

    def closed(self) -> bytes:
        """What is left until the server closes."""
        data = self.rest
        while piece := self.socket.recv(65536):
            data += piece
        return data


@contextmanager
def raw(gateway: Gateway) -> Iterator[Raw]:
    """A client's connection, closed at the end of the block."""
    client = Raw(gateway)
    try:
        yield client
    finally:
        client.socket.close()


def code(body: bytes) -> str:
    """The code of an error's body."""
    found: str = json.loads(body)["error"]["code"]
    return found
