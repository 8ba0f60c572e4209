"""Who may see what: a page is denied until its row in the route table allows it.

A row names the roles that may come in, or `PUBLIC`. Every request that could change something must
carry the CSRF secret of its session (form field or header) and come from our own origin.
"""

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode, urlsplit

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from quartermaster.console.guard import host_name
from quartermaster.console.ports import Role
from quartermaster.console.visit import Desk, Visit
from quartermaster.kernel.errors import NotAllowedError, QuartermasterError

Endpoint = Callable[[Visit], Awaitable[Response]]

PUBLIC: frozenset[Role] | None = None
"""No session needed: the door itself, its files, and the health check."""
STAFF: frozenset[Role] = frozenset({"viewer", "finance", "trust", "admin"})
"""Everybody of the seller; customers see their own pages only."""
CUSTOMER: frozenset[Role] = frozenset({"customer"})
SIGNED_IN: frozenset[Role] = STAFF | CUSTOMER

FORM_FIELDS_MAX = 20
"""The largest form, a throttle of one slice, has twelve fields."""
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"

UNAUTHORISED, FORBIDDEN, SEE_OTHER = 401, 403, 303


class Page(msgspec.Struct, frozen=True):
    """One row of the route table."""

    path: str
    endpoint: Endpoint
    roles: frozenset[Role] | None
    methods: tuple[str, ...] = ("GET",)
    by_itself: bool = False
    """Asked by an open page without its reader; it does not keep the session alive."""


def route(page: Page, desk: Desk) -> Route:
    """The row as a Starlette route behind the gate."""

    async def handle(request: Request) -> Response:
        visit = await Visit.begin(request, desk, active=not page.by_itself)
        try:
            refusal = denied(visit, page)
            if refusal is None:
                await _read_form(visit)
                refusal = await page.endpoint(visit)
        except QuartermasterError as error:
            refusal = problem(visit, error)
        return visit.leave(refusal)

    name = page.endpoint.__name__
    return Route(page.path, handle, methods=list(page.methods), name=name)


def denied(visit: Visit, page: Page) -> Response | None:
    """The refusal for a reader whom the row does not let in, or None."""
    if page.roles is None:
        return None
    if visit.signed_in is None:
        return _to_the_door(visit)
    if page.roles.isdisjoint(visit.signed_in.roles):
        raise NotAllowedError(visit.words("error.role"), hint=visit.words("error.role_hint"))
    return None


def problem(visit: Visit, error: QuartermasterError) -> Response:
    """An error as a page: what happened and what to do, never a traceback."""
    return visit.render("problem.html", status=error.http_status, error=error)


def _to_the_door(visit: Visit) -> Response:
    # Only what can be asked for again by a link is worth going back to.
    back = visit.here if visit.request.method in {"GET", "HEAD"} else "/"
    query = urlencode({"next": back}) if back != "/" else ""
    door = f"/sign-in?{query}" if query else "/sign-in"
    if visit.wants_fragment:
        # htmx follows this header; a redirect would put the sign-in form inside the page.
        return Response(status_code=UNAUTHORISED, headers={"HX-Redirect": "/sign-in"})
    if visit.request.query_params.get("format") in {"json", "csv"}:
        return Response("sign in first\n", UNAUTHORISED, media_type="text/plain")
    return RedirectResponse(door, SEE_OTHER)


async def _read_form(visit: Visit) -> None:
    """Parse a POST and check that our own page sent it.

    Raises:
        NotAllowedError: another origin, or the secret is missing or wrong.
    """
    request = visit.request
    if request.method in {"GET", "HEAD"}:
        return
    async with request.form(max_files=0, max_fields=FORM_FIELDS_MAX) as form:
        visit.form = {k: v for k, v in form.items() if not isinstance(v, UploadFile)}
    offered = request.headers.get(CSRF_HEADER) or visit.form.get(CSRF_FIELD, "")
    genuine = bool(visit.csrf) and secrets.compare_digest(offered.encode(), visit.csrf.encode())
    if not genuine or _foreign(request):
        raise NotAllowedError(visit.words("error.forged"), hint=visit.words("error.forged_hint"))


def _foreign(request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    # Scheme and port are not compared: behind a TLS proxy they differ from what we see here.
    return urlsplit(origin).hostname != host_name(request.headers.get("host", ""))
