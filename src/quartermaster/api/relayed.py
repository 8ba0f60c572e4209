"""What gateways relay: customers' files, batches and usage, under `/v1`, in OpenAI's shapes.

A customer sends its own key, to the gateway as to here; nothing else says who it is, so whoever
reaches this address directly gains nothing; a key that is held to networks counts only with a
gateway's proof that it came from one of them. Errors have the shape that OpenAI's SDK knows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quartermaster.api.server import Guard
from quartermaster.api.settings import ApiSettings
from quartermaster.book.sealed_files import Vault
from quartermaster.commands.key_holder import KeyHolder, KeyRing
from quartermaster.commands.ports import Book
from quartermaster.gateway.refusals import INVALID, REFUSALS, SERVER, ErrorBody, ErrorDetail
from quartermaster.kernel.clock import Clock
from quartermaster.kernel.errors import (
    DataError,
    NotFoundError,
    OurError,
    QuartermasterError,
    RefusedError,
    UsageError,
)
from quartermaster.kernel.relayed_key import HEADER, RELAYED_SCOPES
from quartermaster.usage.bucket_rows import BucketRow, BucketsAsked, DayCost

PREFIX: Final = "/v1"
JSON: Final = "application/json"
UNAUTHORISED, METHOD_NOT_ALLOWED, SERVER_STATUS = 401, 405, 500
JSON_BYTES_MAX: Final = 64 * 1_024
"""A batch with all its metadata takes ten kilobytes."""
# Filters name keys, projects and models: a longer query is a list that belongs into a program.
QUERY_VALUES_MAX: Final = 200
QUESTIONS_AT_ONCE: Final = 2
"""Each reads the usage table on every core; what waits longer than the gateway does is given up."""
BRACKETS: Final = "[]"
"""What OpenAI's SDK writes behind the names of lists."""


class CustomerUsage(Protocol):
    """The usage table, asked for one customer."""

    def buckets(self, customer: str, asked: BucketsAsked) -> Sequence[BucketRow]:
        """What was used, by bucket and group."""

    def costs(self, customer: str, asked: BucketsAsked) -> Sequence[DayCost]:
        """What it comes to, by UTC day and group."""


class RelayedPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What this face asks of the rest of the product."""

    book: Book
    vault: Callable[[], Vault]
    """Made by the first question: what it needs may not be installed."""
    ring: KeyRing
    usage: CustomerUsage
    settings: ApiSettings
    clock: Clock
    hosts: frozenset[str]
    queued: Callable[[], None]
    """Tells the runner that there is something to do."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """One request of one customer."""

    holder: KeyHolder
    now: int
    ports: RelayedPorts
    path: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    turn: asyncio.Semaphore
    """Held while the usage table is read."""

    def one(self, name: str, default: str = "") -> str:
        """A parameter that stands once.

        Raises:
            UsageError: it stands twice.
        """
        values = self.query.get(name, ())
        if len(values) > 1:
            raise UsageError(f"'{name}' is given twice.", field=name)
        return values[0] if values else default

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A parameter that is a whole number within bounds.

        Raises:
            UsageError: it is not.
        """
        text = self.one(name)
        if not text:
            return default
        # 18 digits hold every instant and size, and no conversion takes long.
        if not (text.isascii() and text.isdecimal() and len(text) <= len("999999999999999999")):
            raise UsageError(f"'{name}' is not a whole number.", field=name)
        value = int(text)
        if not low <= value <= high:
            raise UsageError(f"'{name}' must be from {low} to {high}.", field=name)
        return value

    def choice(self, name: str, default: str, known: Sequence[str]) -> str:
        """A parameter that is one of a few words.

        Raises:
            UsageError: it is another.
        """
        value = self.one(name, default)
        if value not in known:
            raise UsageError(
                f"Invalid value for '{name}': '{value}'.",
                hint=f"Use {' or '.join(known)}.",
                field=name,
            )
        return value

    def only(self, *known: str) -> None:
        """Refuse parameters that would be silently ignored.

        Raises:
            UsageError: names the one that is unknown.
        """
        for name in self.query:
            if name not in known:
                raise UsageError(f"Unknown parameter: '{name}'.", field=name)


Answering = Callable[[Asking, Request], Awaitable[Response]]


class Row(msgspec.Struct, frozen=True):
    """One method of one path."""

    method: str
    path: str
    answer: Answering


def build(ports: RelayedPorts, rows: Sequence[Row]) -> Starlette:
    """The application over its ports."""
    turn = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "registered for HTTPException only"
        if error.status_code == METHOD_NOT_ALLOWED:
            what = f"{request.method} is not allowed here."
            return shown(
                RefusedError(what, code="method_not_allowed", http_status=METHOD_NOT_ALLOWED)
            )
        return shown(NotFoundError(f"Unknown request URL: {request.url.path}."))

    async def broken(request: Request, error: Exception) -> Response:
        del request, error  # logged by the server with its traceback; the caller gets words
        return shown(OurError("The request failed."))

    return Starlette(
        routes=[_route(row, ports, turn) for row in rows],
        middleware=[Middleware(Guard, hosts=ports.hosts)],
        exception_handlers={HTTPException: refused, Exception: broken},
    )


def shown(error: QuartermasterError) -> Response:
    """The error in OpenAI's shape."""
    message = f"{error.message} {error.hint}".rstrip() if error.hint else error.message
    message = message[:1].upper() + message[1:]
    status = error.http_status
    known = REFUSALS.get(error.code)
    kind = known[1] if known else (SERVER if status >= SERVER_STATUS else INVALID)
    code = None if error.code == NotFoundError.code else error.code
    body = msgspec.json.encode(ErrorBody(ErrorDetail(message, kind, error.field, code)))
    headers = {"www-authenticate": "Bearer"} if status == UNAUTHORISED else None
    return Response(body, status_code=status, media_type=JSON, headers=headers)


def answered(body: object) -> Response:
    """A success."""
    return Response(ENCODER.encode(body), media_type=JSON)


ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
"""Amounts are decimals: as JSON numbers they keep every digit."""


async def json_body(request: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """The body, of a few kilobytes, as a struct.

    Raises:
        RefusedError: too large.
        DataError: not JSON.
        UsageError: JSON of another shape; names the field.
    """
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > JSON_BYTES_MAX:
            raise RefusedError(
                f"The request body is larger than {JSON_BYTES_MAX} bytes.",
                code="request_too_large",
                http_status=REFUSALS["request_too_large"][0],
            )
    try:
        return msgspec.convert(msgspec.json.decode(bytes(taken)), kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.removesuffix("`").lstrip(".") or None
        if field is None and "missing required field" in message:
            field = message.rpartition("`")[0].rpartition("`")[2]
            message = f"Missing required parameter: '{field}'."
        raise UsageError(message, field=field) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"The request body is not valid JSON: {error}.") from error


def _route(row: Row, ports: RelayedPorts, turn: asyncio.Semaphore) -> Route:
    first = row.path.split("/")[1]
    scope = "usage" if first == "organization" else first
    assert scope in RELAYED_SCOPES, "what keys can be held to"

    async def handle(request: Request) -> Response:
        try:
            now = ports.clock()
            secret, proof = _key(request), request.headers.get(HEADER, "")
            recognise = partial(ports.ring.recognise, scope=scope, proof=proof)
            holder = await run_in_threadpool(recognise, secret, now)
            path = {name: str(value) for name, value in request.path_params.items()}
            asking = Asking(
                holder=holder, now=now, ports=ports, path=path, query=_query(request), turn=turn
            )
            return await row.answer(asking, request)
        except QuartermasterError as error:
            return shown(error)

    return Route(PREFIX + row.path, handle, methods=[row.method])


def _key(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    given = request.headers.get("api-key", "")
    if not given:
        raise RefusedError(
            "You did not provide an API key.", code="invalid_api_key", http_status=UNAUTHORISED
        )
    return given


def _query(request: Request) -> dict[str, tuple[str, ...]]:
    """Parameters by name; lists are written with and without brackets.

    Raises:
        UsageError: far too many.
    """
    found: dict[str, tuple[str, ...]] = {}
    items = request.query_params.multi_items()
    if len(items) > QUERY_VALUES_MAX:
        raise UsageError(f"The query has more than {QUERY_VALUES_MAX} values.")
    for name, value in items:
        name = name.removesuffix(BRACKETS)
        found[name] = (*found.get(name, ()), value)
    return found
