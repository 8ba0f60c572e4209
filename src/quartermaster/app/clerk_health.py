"""Whether the clerk works, and whether what it does succeeds: the console's `/readyz`.

It lies in one small file that is written over in place, because a full disk has room for that.
"""

from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from quartermaster.api.server import Guard, beside
from quartermaster.app.rooms import Rooms
from quartermaster.kernel.clock import US_PER_S, Instant

READY: Final = "/readyz"
SILENT_S: Final = 300
"""Rating a year of usage takes a clerk a minute or two, in which it says nothing."""
_OK, _UNAVAILABLE = 200, 503


class Trouble(msgspec.Struct, frozen=True):
    """A step that was refused and has not succeeded since."""

    step: str
    since: int
    reason: str


class ClerkHealth(msgspec.Struct, frozen=True):
    """What the clerk last said of itself."""

    at: int
    pid: int
    troubles: tuple[Trouble, ...] = ()


class Readiness(msgspec.Struct, frozen=True):
    """What anybody may know: which steps wait, and not why, because reasons name files."""

    status: str
    """`ready`, `waits` for what is refused, or `silent`: the clerk has stopped, or hangs."""
    waits: tuple[str, ...] = ()


def health_path(var: Path) -> Path:
    """Where the clerk says how it is."""
    return var / "clerk.json"


def read_health(var: Path) -> ClerkHealth | None:
    """The clerk's last word, or None where it has said nothing that can be read."""
    try:
        return msgspec.json.decode(health_path(var).read_bytes(), type=ClerkHealth)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # being written over, or of another version: the next look finds it


def readiness(var: Path, now: Instant) -> Readiness:
    """How the clerk is."""
    health = read_health(var)
    if health is None or now - health.at > SILENT_S * US_PER_S:
        return Readiness("silent")
    waits = tuple(trouble.step for trouble in health.troubles)
    return Readiness("waits" if waits else "ready", waits)


def with_readiness(rooms: Rooms, other: ASGIApp) -> ASGIApp:
    """Puts `/readyz` beside another application."""

    def answer(request: Request) -> Response:
        del request
        found = readiness(rooms.var, rooms.now())
        status = _OK if found.status == "ready" else _UNAVAILABLE
        return Response(msgspec.json.encode(found), status, media_type="application/json")

    guard = Middleware(Guard, hosts=rooms.settings.console.hosts)
    return beside(Starlette(routes=[Route(READY, answer)], middleware=[guard]), other, prefix=READY)
