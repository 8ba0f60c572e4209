"""The console as an ASGI application, and its server process."""

import logging

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from quartermaster.console import assets
from quartermaster.console.gate import problem, route
from quartermaster.console.guard import Guard, dress
from quartermaster.console.ports import Identity, Live, Overview
from quartermaster.console.routes import PAGES
from quartermaster.console.settings import ConsoleSettings
from quartermaster.console.throttle import Throttle
from quartermaster.console.visit import Desk, Visit, environment
from quartermaster.kernel.clock import Clock, system_clock
from quartermaster.kernel.errors import NotFoundError, OurError

GRACEFUL_STOP_S = 5
"""No page takes longer; a browser that hangs must not hold up a restart."""


def build(
    settings: ConsoleSettings,
    identity: Identity,
    overview: Overview,
    live: Live,
    clock: Clock = system_clock,
) -> Starlette:
    """The application over its ports."""
    desk = Desk(
        settings=settings,
        identity=identity,
        overview=overview,
        live=live,
        clock=clock,
        assets=assets.packaged(),
        templates=environment(),
        throttle=Throttle(),
    )

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

    return Starlette(
        routes=[route(page, desk) for page in PAGES],
        middleware=[Middleware(Guard, hosts=settings.hosts)],
        exception_handlers={HTTPException: refused, Exception: broken},
    )


def run(
    settings: ConsoleSettings,
    identity: Identity,
    overview: Overview,
    live: Live,
    clock: Clock = system_clock,
) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = uvicorn.Server(config(build(settings, identity, overview, live, clock), settings))
    server.run()
    return 0 if server.started else 1


def config(app: Starlette, settings: ConsoleSettings) -> uvicorn.Config:
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
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
        lifespan="off",
        ws="none",
    )
