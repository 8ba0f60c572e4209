"""Ask a model server what the gateway will ask it: does it answer, and does it count?

Address, key and dialect are the gateway's own, so that what fails here would fail there. The
request goes past the gateway: nobody is billed for its few tokens, and no limit counts it.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any, Final, Literal, cast

import msgspec
from msgspec.structs import replace

from quartermaster.gateway.dialects import usage
from quartermaster.gateway.route import Origin, Target, target
from quartermaster.kernel.snapshot import Deployment

Endpoint = Literal["chat.completions", "embeddings"]

ANSWER_BYTES_MAX: Final = 1 << 20
"""Sixteen tokens take a few kilobytes; a server that sends more is not what it was taken for."""
OUTPUT_TOKENS: Final = 16
"""Enough for a word after a little reasoning, and cheap at any price."""
SAID_MAX: Final = 200
"""Of an error: its first sentence, and not the page behind it."""
QUESTION: Final = "Answer with the one word: ready"
_TOO_MUCH: Final = f"the answer is larger than {ANSWER_BYTES_MAX} bytes"


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What a model server made of one request."""

    deployment: str
    model: str
    url: str
    api: str
    stream: bool
    status: int = 0
    """Of HTTP; 0 where there was no answer."""
    first_byte_ms: int = 0
    """From the start of the connection until the first byte of the body."""
    total_ms: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    answered: bool = False
    """Customers would have got an answer."""
    problem: str = ""
    """What is wrong with it; empty where nothing is."""


class _Heard(msgspec.Struct):
    status: int
    first_byte_s: float
    body: bytes


def probe(
    deployment: Deployment, secret: str, *, stream: bool, endpoint: Endpoint, timeout_s: float
) -> Probed:
    """Send one request of a few tokens.

    Args:
        deployment: where the model is served.
        secret: the server's key, or empty.
        stream: ask for a stream.
        endpoint: what the model is for; an Anthropic server is asked for messages instead.
        timeout_s: how long to wait for the connection, and for all of the answer.

    Raises:
        ConfigError: URL or secret cannot be sent.
    """
    to = target(deployment, secret)
    asked = Probed(
        deployment=deployment.name,
        model=deployment.model,
        url=deployment.url,
        api=deployment.api,
        stream=stream,
    )
    tokens = "max_tokens"
    began = time.monotonic()
    try:
        heard = _ask(to, _body(to, endpoint, tokens, stream=stream), endpoint, timeout_s)
        if heard.status == HTTPStatus.BAD_REQUEST and b"max_completion_tokens" in heard.body:
            # OpenAI's reasoning models refuse the older name.
            tokens, began = "max_completion_tokens", time.monotonic()
            heard = _ask(to, _body(to, endpoint, tokens, stream=stream), endpoint, timeout_s)
    except TimeoutError:
        return replace(asked, problem=f"no answer within {timeout_s:g} s")
    except (OSError, HTTPException) as error:
        return replace(asked, problem=f"no answer: {error or type(error).__name__}")
    asked = replace(
        asked,
        status=heard.status,
        first_byte_ms=round(1_000 * heard.first_byte_s),
        total_ms=round(1_000 * (time.monotonic() - began)),
    )
    if heard.status != HTTPStatus.OK:
        return replace(asked, problem=f"refused: {_said(heard.body)}")
    return _counted(asked, heard.body, endpoint)


def _body(to: Target, endpoint: Endpoint, tokens: str, *, stream: bool) -> bytes:
    body: dict[str, object] = {"model": to.deployment.upstream_model}
    if endpoint == "embeddings":
        return msgspec.json.encode({**body, "input": QUESTION})
    body |= {"messages": [{"role": "user", "content": QUESTION}], tokens: OUTPUT_TOKENS}
    if stream:
        body["stream"] = True
        if to.deployment.api != "anthropic":
            body["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(body)


def _ask(to: Target, question: bytes, endpoint: Endpoint, timeout_s: float) -> _Heard:
    """Send it and hear all of the answer."""
    head = to.heads["messages" if to.deployment.api == "anthropic" else endpoint]
    lines = f"application/json\r\ncontent-length: {len(question)}\r\nconnection: close\r\n\r\n"
    began = time.monotonic()
    with _connected(to.origin, timeout_s) as connection:
        connection.sendall(head + lines.encode() + question)
        with HTTPResponse(connection, method="POST") as response:
            response.begin()
            body, first_byte_s = b"", 0.0
            while piece := response.read1(ANSWER_BYTES_MAX):
                first_byte_s = first_byte_s or time.monotonic() - began
                body += piece
                left_s = began + timeout_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                if len(body) > ANSWER_BYTES_MAX:
                    raise HTTPException(_TOO_MUCH)
                connection.settimeout(left_s)
            return _Heard(response.status, first_byte_s, body)


@contextmanager
def _connected(origin: Origin, timeout_s: float) -> Iterator[socket.socket]:
    with socket.create_connection((origin.host, origin.port), timeout_s) as plain:
        if not origin.tls:
            yield plain
            return
        context = ssl.create_default_context()
        with context.wrap_socket(plain, server_hostname=origin.host) as secure:
            yield secure


def _counted(asked: Probed, body: bytes, endpoint: Endpoint) -> Probed:
    """With the tokens that the server counted, or the problem with them."""
    said: dict[str, object] = {}
    for one in _objects(body, stream=asked.stream):
        if "error" in one:
            return replace(asked, problem=f"refused: {_said(msgspec.json.encode(one))}")
        # Anthropic's streams begin with a message that holds a part of it.
        for holder in (one.get("message"), one):
            if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
                said |= holder["usage"]
    raw = msgspec.json.encode(said)
    if asked.api == "anthropic":
        reading = usage.messages(raw)
    else:
        reading = usage.embeddings(raw) if endpoint == "embeddings" else usage.chat(raw)
    counts = reading.counts
    if counts is None:
        words = "no usage" if reading.problem == "usage_absent" else reading.problem
        return replace(asked, answered=True, problem=f"{words}: its rows will say estimated")
    made = counts.output + counts.reasoning + counts.audio_output
    return replace(asked, answered=True, input_tokens=counts.tokens - made, output_tokens=made)


def _objects(body: bytes, *, stream: bool) -> Iterator[dict[str, Any]]:
    """The JSON objects of an answer, or of the events of a stream; others are left out."""
    pieces = [body]
    if stream:
        pieces = [line[5:] for line in body.splitlines() if line.startswith(b"data:")]
    for piece in pieces:
        try:
            found = msgspec.json.decode(piece)
        except msgspec.DecodeError:
            continue  # `[DONE]`, or a page that is no answer: it counts nothing, which is said
        if isinstance(found, dict):
            yield cast("dict[str, Any]", found)


def _said(body: bytes) -> str:
    """The message of an error in any dialect, else how its text begins."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        found = None
    error = found.get("error", found) if isinstance(found, dict) else found
    message = error.get("message") if isinstance(error, dict) else error
    text = message if isinstance(message, str) else body.decode(errors="replace")
    printable = "".join(sign if sign.isprintable() else " " for sign in text[: 2 * SAID_MAX])
    return " ".join(printable.split())[:SAID_MAX] or "no reason given"
