"""The console as an ASGI application, and its server process."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from quartermaster.console import assets
from quartermaster.console.board_facts import BoardBook, NoBoard
from quartermaster.console.gate import problem, route
from quartermaster.console.guard import Guard, dress
from quartermaster.console.ports import Identity, Live, Overview
from quartermaster.console.ports_account import AccountBook
from quartermaster.console.ports_capacity import CapacityBook, NoCapacity
from quartermaster.console.ports_cases import CaseBook
from quartermaster.console.ports_control import Control
from quartermaster.console.ports_exposure import ExposureBook
from quartermaster.console.ports_revenue import NoRevenue, RevenueBook
from quartermaster.console.ports_traffic import NoTraffic, TrafficBook
from quartermaster.console.ports_warning import NoWarning, WarningBook
from quartermaster.console.ports_what_if import NoWhatIf, WhatIfBook
from quartermaster.console.routes import PAGES
from quartermaster.console.settings import ConsoleSettings
from quartermaster.console.visit import Desk, Visit, environment
from quartermaster.kernel.clock import Clock, system_clock
from quartermaster.kernel.errors import NotFoundError, OurError, UnavailableError

NO_WHAT_IF, NO_CAPACITY, NO_WARNING = NoWhatIf(), NoCapacity(), NoWarning()
NO_BOARD = NoBoard()
NO_TRAFFIC = NoTraffic()
NO_REVENUE = NoRevenue()
GRACEFUL_STOP_S = 5
"""No page takes longer; a browser that hangs must not hold up a restart."""
CONNECTIONS_MAX = 1_000
"""Some hundred open pages; the next is told to come back (503) instead of filling the memory."""
SIGN_INS_AT_ONCE_MAX = 2
"""A password hash takes tens of MB and tenths of a second by design; a flood waits in line."""
COMPUTED_AT_ONCE_MAX = 8
"""Of the 40 threads that everything shares: questions about one book wait for each other, some
seconds each, and readers of other pages must not wait with them."""


def build(
    settings: ConsoleSettings,
    identity: Identity,
    overview: Overview,
    live: Live,
    exposure: ExposureBook,
    clock: Clock = system_clock,
    *,
    what_if: WhatIfBook = NO_WHAT_IF,
    capacity: CapacityBook = NO_CAPACITY,
    warning: WarningBook = NO_WARNING,
    board: BoardBook = NO_BOARD,
    traffic: TrafficBook = NO_TRAFFIC,
    revenue: RevenueBook = NO_REVENUE,
    accounts: AccountBook | None = None,
    cases: CaseBook | None = None,
    control: Control | None = None,
) -> Starlette:
    """The application over its ports."""
    desk = Desk(
        settings=settings,
        identity=identity,
        overview=overview,
        live=live,
        exposure=exposure,
        what_if=what_if,
        capacity=capacity,
        warning=warning,
        board=board,
        traffic=traffic,
        revenue=revenue,
        clock=clock,
        assets=assets.packaged(),
        templates=environment(),
        sign_ins=asyncio.Semaphore(SIGN_INS_AT_ONCE_MAX),
        computing=asyncio.Semaphore(COMPUTED_AT_ONCE_MAX),
        accounts=accounts,
        cases=cases,
        control=control,
    )
    return Starlette(
        routes=[route(page, desk) for page in PAGES],
        middleware=[Middleware(Guard, hosts=settings.hosts)],
        exception_handlers=_handlers(desk),
    )


def _handlers(desk: Desk) -> dict[type[Exception], Callable[..., Awaitable[Response]]]:
    """What a reader sees of errors that no page has caught."""

    async def refused(request: Request, error: Exception) -> Response:
        visit = await Visit.begin(request, desk)
        assert isinstance(error, HTTPException), "registered for HTTPException only"
        known = "not_found" if error.status_code == NotFoundError.http_status else "refused"
        shown = NotFoundError(
            visit.words(f"error.{known}"), hint=visit.words(f"error.{known}_hint")
        )
        response = problem(visit, shown)
        response.status_code = error.status_code
        return visit.leave(response)

    async def broken(request: Request, error: Exception) -> Response:
        del error  # logged by the server with its traceback; the reader gets words
        visit = Visit.of(request, desk, None)
        shown = OurError(visit.words("error.ours"), hint=visit.words("error.ours_hint"))
        response = problem(visit, shown)
        dress(MutableHeaders(raw=response.raw_headers))
        return response

    return {HTTPException: refused, Exception: broken}


def run(
    settings: ConsoleSettings,
    identity: Identity,
    overview: Overview,
    live: Live,
    exposure: ExposureBook,
    clock: Clock = system_clock,
    *,
    what_if: WhatIfBook = NO_WHAT_IF,
    capacity: CapacityBook = NO_CAPACITY,
    warning: WarningBook = NO_WARNING,
    board: BoardBook = NO_BOARD,
    traffic: TrafficBook = NO_TRAFFIC,
    revenue: RevenueBook = NO_REVENUE,
    accounts: AccountBook | None = None,
    cases: CaseBook | None = None,
    control: Control | None = None,
    around: Callable[[ASGIApp], ASGIApp] = lambda pages: pages,
) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    `around` may put another application beside the pages, such as the JSON API.

    Raises:
        UnavailableError: the address cannot be listened on.
    """
    listening = _listen(settings)
    for stop in (signal.SIGTERM, signal.SIGINT):
        # The server raises the signal again when it has stopped; that must not end us twice.
        signal.signal(stop, lambda *_: None)
    pages = build(
        settings,
        identity,
        overview,
        live,
        exposure,
        clock,
        what_if=what_if,
        capacity=capacity,
        warning=warning,
        board=board,
        traffic=traffic,
        revenue=revenue,
        accounts=accounts,
        cases=cases,
        control=control,
    )
    server = uvicorn.Server(config(around(pages), settings))
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _listen(settings: ConsoleSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise UnavailableError(
            f"the console cannot listen on {where}: {error.strerror}",
            hint="stop what uses the port, or set console.port",
        ) from error


def config(app: ASGIApp, settings: ConsoleSettings) -> uvicorn.Config:
    """How the server runs: it names itself nowhere, logs no reader, trusts no forwarded address."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        forwarded_allow_ips=[],
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
        lifespan="off",
        ws="none",
    )
