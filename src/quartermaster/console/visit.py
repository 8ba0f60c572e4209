"""One request of one reader: who they are, their language and theme, and how pages are rendered."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar, get_args
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from quartermaster.commands.actor import Actor
from quartermaster.console import language
from quartermaster.console.assets import Assets
from quartermaster.console.board_facts import BoardBook
from quartermaster.console.language import Words
from quartermaster.console.ports import Identity, Live, Overview, SignedIn
from quartermaster.console.ports_account import AccountBook
from quartermaster.console.ports_capacity import CapacityBook
from quartermaster.console.ports_cases import CaseBook
from quartermaster.console.ports_control import Control
from quartermaster.console.ports_exposure import ExposureBook
from quartermaster.console.ports_revenue import RevenueBook
from quartermaster.console.ports_traffic import TrafficBook
from quartermaster.console.ports_warning import WarningBook
from quartermaster.console.ports_what_if import WhatIfBook
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.clock import Clock
from quartermaster.kernel.errors import (
    NotAllowedError,
    NotFoundError,
    UnavailableError,
    UsageError,
)

_Found = TypeVar("_Found")

Theme = Literal["system", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)

PREFERENCE_COOKIE_S = 365 * 86_400
"""Language and theme are kept for a year; they identify nobody."""
REFUSED_CHARS_MAX = 100
"""Of what an address held and a refusal shows again."""
DOOR_SECRET_BYTES = 32
"""256 bits, as for sessions: proves that a form sent before sign-in came from our own page."""


@dataclass(frozen=True)
class Desk:
    """What every page may use."""

    settings: ConsoleSettings
    identity: Identity
    overview: Overview
    live: Live
    exposure: ExposureBook
    what_if: WhatIfBook
    capacity: CapacityBook
    warning: WarningBook
    board: BoardBook
    traffic: TrafficBook
    revenue: RevenueBook
    clock: Clock
    assets: Assets
    templates: Environment
    sign_ins: asyncio.Semaphore
    """Bounds password hashes at a time; slowing down a guesser is the identity's task."""
    computing: asyncio.Semaphore
    """Bounds the threads that wait for figures, so that the door and the live panel have theirs."""
    accounts: AccountBook | None = None
    """Where customers see their own account; None where there is no real book."""
    cases: CaseBook | None = None
    """Conduct cases; None where there is no real book."""
    control: Control | None = None
    """Budgets, limits and standing; None where there is no real book."""

    @property
    def door_cookie(self) -> str:
        """Name of the cookie that carries the CSRF secret before a session exists."""
        return f"{self.settings.session_cookie}_door"


@dataclass
class Visit:
    """A request with its reader. `cookies` collects what the response will set."""

    request: Request
    desk: Desk
    signed_in: SignedIn | None
    words: Words
    theme: Theme
    keys_on: bool
    csrf: str
    form: Mapping[str, str] = field(default_factory=dict)
    cookies: dict[str, tuple[str, int | None]] = field(default_factory=dict)

    @classmethod
    async def begin(cls, request: Request, desk: Desk, *, active: bool = True) -> "Visit":
        """Look up the session and the reader's preferences; `active` as in `Identity.session`."""
        token = request.cookies.get(desk.settings.session_cookie, "")
        signed_in = None
        if token:
            signed_in = await run_in_threadpool(
                partial(desk.identity.session, token, desk.clock(), active=active)
            )
        return cls.of(request, desk, signed_in)

    @classmethod
    def of(cls, request: Request, desk: Desk, signed_in: SignedIn | None) -> "Visit":
        """The visit of a known reader, or of nobody where the ports cannot be asked."""
        asked = language.chosen(request.query_params.get("lang"))
        lang = (
            asked
            or language.chosen(request.cookies.get("lang"))
            or language.negotiated(request.headers.get("accept-language", ""))
        )
        theme = request.cookies.get("theme", "")
        visit = cls(
            request=request,
            desk=desk,
            signed_in=signed_in,
            words=language.words_of(lang),
            theme=next((known for known in THEMES if known == theme), "system"),
            keys_on=request.cookies.get("keys") != "off",
            csrf=signed_in.csrf if signed_in else request.cookies.get(desk.door_cookie, ""),
        )
        if asked:
            visit.remember("lang", asked)
        return visit

    @property
    def at_staff_pages(self) -> bool:
        """Whether the reader belongs to the seller, and not to one of its customers."""
        return self.signed_in is not None and set(self.signed_in.roles) != {"customer"}

    @property
    def control(self) -> Control:
        """Book and gateways, for pages that change what is agreed.

        Raises:
            UnavailableError: this console shows no real book.
        """
        if self.desk.control is None:
            raise UnavailableError("this console changes nothing")
        return self.desk.control

    def actor(self) -> Actor:
        """Whoever is signed in; never something that a form said.

        Raises:
            NotAllowedError: nobody is.
        """
        signed_in = self.signed_in
        if signed_in is None:
            raise NotAllowedError(self.words("error.role"), hint=self.words("error.role_hint"))
        return Actor(signed_in.user, signed_in.roles)

    @property
    def wants_fragment(self) -> bool:
        """Whether htmx asks for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def here(self) -> str:
        """The path of this page with its query but without the language switch."""
        rest = [(k, v) for k, v in self.request.query_params.multi_items() if k != "lang"]
        # A path of two slashes would be another host's address in a link.
        path = local_path(self.request.url.path)
        return f"{path}?{urlencode(rest)}" if rest else path

    def in_language(self, lang: str) -> str:
        """This page in another language."""
        return f"{self.here}{'&' if '?' in self.here else '?'}lang={lang}"

    def remember(self, cookie: str, value: str) -> None:
        """Keep a preference in the reader's browser."""
        self.cookies[cookie] = (value, PREFERENCE_COOKIE_S)

    def open_session(self, token: str) -> None:
        """Hand the session to the browser, for as long as it is open."""
        self.cookies[self.desk.settings.session_cookie] = (token, None)

    def close_session(self) -> None:
        """Take the session away from the browser."""
        self.cookies[self.desk.settings.session_cookie] = ("", 0)

    def render(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A page or a part of one."""
        if not self.csrf:
            self.csrf = secrets.token_urlsafe(DOOR_SECRET_BYTES)
            self.cookies[self.desk.door_cookie] = (self.csrf, None)
        html = self.desk.templates.get_template(template).render(
            visit=self, t=self.words, asset=self.desk.assets.url, themes=THEMES, **values
        )
        return HTMLResponse(html, status)

    async def computed(self, call: Callable[[], _Found]) -> _Found:
        """What may take seconds, on a thread, when one is free for it."""
        async with self.desk.computing:
            return await run_in_threadpool(call)

    async def found(self, call: Callable[[], _Found]) -> _Found:
        """What is `computed`, where there is such a thing.

        Raises:
            NotFoundError: there is none; in the reader's words.
        """
        try:
            return await self.computed(call)
        except NotFoundError as error:
            raise self.nowhere() from error

    def nowhere(self) -> NotFoundError:
        """There is no page of what the address names."""
        return NotFoundError(self.words("error.not_found"), hint=self.words("error.not_found_hint"))

    def unknown(self, field: Literal["format", "table"], value: str, *known: str) -> UsageError:
        """What an address asks for and a page does not have, in the reader's words."""
        return UsageError(
            self.words(f"error.{field}", value=value[:REFUSED_CHARS_MAX]),
            hint=self.words("error.known", known=", ".join(known)),
            field=field,
        )

    def leave(self, response: Response) -> Response:
        """Set what was collected: cookies that scripts cannot read and other sites cannot send."""
        secure = self.desk.settings.behind_tls or self.request.url.scheme == "https"
        for name, (value, seconds) in self.cookies.items():
            response.set_cookie(
                name,
                value,
                max_age=seconds,
                path="/",
                secure=secure,
                httponly=True,
                samesite="lax",
            )
        return response


def local_path(target: str) -> str:
    """The target when it is a path of this console, otherwise the overview.

    A sign-in page must not send a reader on to another site, however the link was made.
    """
    parts = urlsplit(target)
    plain = target.startswith("/") and not target.startswith(("//", "/\\"))
    printable = target.isprintable() and "\\" not in target
    return target if plain and printable and not parts.netloc and not parts.scheme else "/"


def environment() -> Environment:
    """Templates from the package: escaped by default, and an unknown name is an error."""
    return Environment(
        loader=PackageLoader("quartermaster.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
