"""The API as an ASGI application: who asks, may they, what exactly, and the answer or a problem."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quartermaster.api import body as bodies
from quartermaster.api.line import Line
from quartermaster.api.once import HEADER, checked, once
from quartermaster.api.openapi import ID_PATTERN
from quartermaster.api.operation import PREFIX, Call, Operation
from quartermaster.api.ports import Ports
from quartermaster.api.problem import METHOD_NOT_ALLOWED, problem, unauthenticated
from quartermaster.api.query import parse
from quartermaster.commands.api_token import Bearer, recognise
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import (
    NotAllowedError,
    NotFoundError,
    OurError,
    QuartermasterError,
    RefusedError,
)

MISDIRECTED = 421
_ID = re.compile(ID_PATTERN)
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


def build(ports: Ports, operations: Sequence[Operation]) -> Starlette:
    """The application over its ports."""
    line = Line()

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "registered for HTTPException only"
        if error.status_code == METHOD_NOT_ALLOWED:
            return problem(
                RefusedError(
                    f"{request.url.path} has no {request.method}",
                    code="method_not_allowed",
                    http_status=METHOD_NOT_ALLOWED,
                )
            )
        return problem(_nothing_here(request))

    async def broken(request: Request, error: Exception) -> Response:
        del request, error  # logged by the server with its traceback; the caller gets words
        return problem(OurError("the request failed", hint="this is a defect of ours; report it"))

    return Starlette(
        routes=[_route(row, ports, line) for row in operations],
        middleware=[Middleware(Guard, hosts=ports.hosts)],
        exception_handlers={HTTPException: refused, Exception: broken},
    )


def beside(api: ASGIApp, other: ASGIApp, *, prefix: str = PREFIX) -> ASGIApp:
    """Requests below the prefix go to the API, everything else to the other application."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        ours = path == prefix or path.startswith(f"{prefix}/")
        await (api if ours else other)(scope, receive, send)

    return choose


class Guard:
    """Refuses foreign host names, so that no page elsewhere can point its own name at us."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if scope["type"] == "http" and _host(Headers(scope=scope)) not in self.hosts:
            error = RefusedError(
                "this host name is not ours",
                code="unknown_host",
                http_status=MISDIRECTED,
                hint="add it to console.allowed_hosts",
            )
            await problem(error)(scope, receive, send_dressed)
            return
        await self.app(scope, receive, send_dressed)


def _host(headers: Headers) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _route(row: Operation, ports: Ports, line: Line) -> Route:
    async def handle(request: Request) -> Response:
        try:
            return await _answer(request, row, ports, line)
        except QuartermasterError as error:
            return problem(error)

    return Route(PREFIX + row.path, handle, methods=[row.method], name=row.name)


async def _answer(request: Request, row: Operation, ports: Ports, line: Line) -> Response:
    now = ports.clock()
    secret = _token(request)
    bearer = await run_in_threadpool(_known, ports, secret, now)
    if row.roles.isdisjoint(bearer.roles):
        raise NotAllowedError(
            f"this needs the role {' or '.join(sorted(row.roles))}",
            hint=f"this token has {', '.join(bearer.roles)}",
        )
    if not all(_ID.fullmatch(str(value)) for value in request.path_params.values()):
        raise _nothing_here(request)
    query = parse(request.query_params, row.query, row.without)
    data = await bodies.read(request, row.body)
    call = Call(
        bearer=bearer,
        now=now,
        ports=ports,
        path={name: str(value) for name, value in request.path_params.items()},
        query=query,
        body=bodies.decode(request, row.body, data),
    )

    def act() -> tuple[int, bytes]:
        return row.status, msgspec.json.encode(row.handler(call))

    key = request.headers.get(HEADER)
    asked = f"{row.method} {request.url.path}?{request.url.query}\n".encode() + data
    async with line.turn(row, bearer.token_id):
        if row.writes and key is not None:
            status, body = await run_in_threadpool(
                lambda: once(
                    ports.book,
                    token=bearer.token_id,
                    secret=secret,
                    key=checked(key),
                    request=asked,
                    now=now,
                    act=act,
                )
            )
        else:
            status, body = await run_in_threadpool(act)
    return Response(body, status_code=status, media_type="application/json")


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthenticated()
    return token.strip()


def _known(ports: Ports, secret: str, now: Instant) -> Bearer:
    bearer = recognise(ports.book.view(), secret, ports.pepper, now)
    if bearer is None:
        raise unauthenticated()
    return bearer


def _nothing_here(request: Request) -> NotFoundError:
    return NotFoundError(
        f"there is nothing at {request.url.path}", hint=f"{PREFIX}/openapi.json lists everything"
    )
