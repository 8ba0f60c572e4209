"""Conduct cases: the queue, a case with its steps, its file; and a customer's own cases."""

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from quartermaster.commands.actor import Actor
from quartermaster.conduct.case_file import CaseFile, encoded
from quartermaster.console import board_page, case_refusals, case_view
from quartermaster.console.case_report import view_of
from quartermaster.console.gate import SEE_OTHER
from quartermaster.console.number_field import TEXT_CHARS_MAX, whole_of
from quartermaster.console.ports_cases import CaseBook
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit
from quartermaster.kernel.case import Move, MoveAsked
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import (
    CallerError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
    UsageError,
)
from quartermaster.kernel.limit import Limits, Throttle

HERE, OWN = "/cases", "/account/cases"
DECISIONS = ("grant", "refuse")
FORMATS = ("html", "pdf", "json")
MAY_STEP = frozenset({"trust", "admin"})
NAMES_CHARS_MAX = 2_000
"""Thirty keys, or a hundred models, as one field of a form holds them."""


async def queue(visit: Visit) -> Response:
    """Every case in a line."""
    found = await run_in_threadpool(_book(visit).queue, visit.desk.clock())
    words = catalogue("case", visit.words.lang)
    return visit.render("cases.html", e=words, page=case_view.queue_view(found, visit.words.lang))


async def case(visit: Visit) -> Response:
    """One case: what may follow, and everything that it stands on."""
    return await _page(visit, _case_id(visit))


async def step(visit: Visit) -> Response:
    """Make a move, or propose it."""
    book, actor = _book(visit), visit.actor()

    def go(now: Instant) -> None:
        book.move(actor, _case_id(visit), _asked(visit), now=now)

    return await _done(visit, go)


async def sign(visit: Visit) -> Response:
    """Sign the proposed move, as the second person."""
    number = visit.form.get("proposal", "")
    signed = int(number) if number.isdecimal() and number.isascii() and len(number) < 9 else 0
    return await _done(visit, partial(_book(visit).sign, visit.actor(), _case_id(visit), signed))


async def withdraw(visit: Visit) -> Response:
    """Take the proposed move back."""
    reason = visit.form.get("reason", "")
    ask = partial(_book(visit).withdraw, visit.actor(), _case_id(visit), reason)
    return await _done(visit, ask)


async def decide(visit: Visit) -> Response:
    """Decide the appeal, once it is said how and confirmed."""
    book, actor, form = _book(visit), visit.actor(), visit.form

    def go(now: Instant) -> None:
        if form.get("decision", "") not in DECISIONS:
            raise _asked_for(visit, "decision")
        if form.get("confirmed") != "1":
            raise _asked_for(visit, "confirm")
        granted = form["decision"] == "grant"
        book.decide(actor, _case_id(visit), form.get("reason", ""), now=now, granted=granted)

    return await _done(visit, go)


async def note(visit: Visit) -> Response:
    """Write something down."""
    text = visit.form.get("text", "")
    return await _done(visit, partial(_book(visit).note, visit.actor(), _case_id(visit), text))


async def case_file(visit: Visit) -> Response:
    """The case file, remembered by the journal, as a page, as PDF or as JSON.

    Raises:
        UsageError: another format.
        UnavailableError: nothing on this machine prints a PDF.
    """
    wanted, lang = visit.form.get("format", "html"), visit.words.lang
    if wanted not in FORMATS:
        raise visit.unknown("format", wanted, *FORMATS)
    desk = visit.desk
    make = partial(_book(visit).made, visit.actor(), _case_id(visit), desk.clock(), lang)
    file: CaseFile = await visit.found(make)
    name = f"case-{file.case.summary.id}-{lang}.{wanted}"
    saved = {"content-disposition": f'attachment; filename="{name}"'}
    if wanted == "json":
        return Response(encoded(file), media_type="application/json", headers=saved)
    page = await visit.computed(lambda: board_page.page_of(view_of(file, lang)))
    if wanted == "html":
        return Response(page, media_type="text/html", headers=saved)
    data = await visit.computed(partial(_book(visit).printed, page))
    return Response(data, media_type="application/pdf", headers=saved)


async def own_cases(visit: Visit) -> Response:
    """A customer's own cases: notices, deadlines, answers and appeals."""
    return await _own_page(visit)


async def answer(visit: Visit) -> Response:
    """The customer's answer."""
    book, own, text = _book(visit), _own(visit), visit.form.get("text", "")

    def go(now: Instant) -> None:
        share = _share(visit, visit.form.get("share", ""))
        book.answer(own, _case_id(visit), text, share, now=now)

    return await _own_done(visit, go, "answer")


async def appeal(visit: Visit) -> Response:
    """The customer's appeal."""
    text = visit.form.get("text", "")
    ask = partial(_book(visit).appeal, _own(visit), _case_id(visit), text)
    return await _own_done(visit, ask, "appeal")


async def _page(visit: Visit, case_id: str, error: CallerError | None = None) -> Response:
    lang, now = visit.words.lang, visit.desk.clock()
    file = await visit.found(partial(_book(visit).file, case_id, now, lang))
    signed_in = visit.signed_in
    steps = signed_in is not None and not MAY_STEP.isdisjoint(signed_in.roles)
    me = "" if signed_in is None else signed_in.user
    view = partial(case_view.case_view, file, lang, may_step=steps, me=me)
    shown = await visit.computed(view)
    return visit.render(
        "case.html",
        status=200 if error is None else error.http_status,
        e=catalogue("case", lang),
        b=catalogue("board", lang),
        page=shown,
        message="" if error is None else case_refusals.why(error, lang),
        field="" if error is None else error.field,
        # What was typed stays, so that nobody writes it twice.
        typed=visit.form if error is not None else {},
    )


async def _done(visit: Visit, do: Callable[..., None]) -> Response:
    case_id = _case_id(visit)
    try:
        await run_in_threadpool(do, now=visit.desk.clock())
    except CallerError as error:
        if _no_case(error):
            raise visit.nowhere() from error
        return await _page(visit, case_id, error)
    return RedirectResponse(f"{HERE}/{quote(case_id, safe='')}", SEE_OTHER)


async def _own_page(visit: Visit, error: CallerError | None = None, form: str = "") -> Response:
    """A customer's cases; `form` is the one that was not taken, with what was typed into it."""
    lang = visit.words.lang
    own = partial(_book(visit).own, _own(visit).customer, visit.desk.clock())
    found = await run_in_threadpool(own)
    return visit.render(
        "own_cases.html",
        status=200 if error is None else error.http_status,
        e=catalogue("case", lang),
        page=case_view.own_view(found, lang),
        message="" if error is None else case_refusals.why(error, lang),
        case_of_form="" if error is None else _case_id(visit),
        form=form,
        field="" if error is None else error.field,
        typed=visit.form if error is not None else {},
    )


async def _own_done(visit: Visit, do: Callable[..., None], form: str) -> Response:
    try:
        await run_in_threadpool(do, now=visit.desk.clock())
    except CallerError as error:
        if _no_case(error):
            raise visit.nowhere() from error
        return await _own_page(visit, error, form)
    return RedirectResponse(OWN, SEE_OTHER)


def _no_case(error: CallerError) -> bool:
    """Whether there is no page of the case to say it on."""
    return isinstance(error, NotFoundError) and error.field != "keys"


def _asked_for(visit: Visit, code: str) -> UsageError:
    """Something of the form is missing, in the reader's words."""
    words = catalogue("case", visit.words.lang)
    return UsageError(case_refusals.sentence(words(f"refused.{code}"))[:-1], field=code)


def _no_rate(visit: Visit, text: str) -> UsageError:
    """What should be a rate is none; the field is named as the form names it."""
    words = catalogue("case", visit.words.lang)
    said = words("refused.whole", field=words("act.rpm"), value=text.strip()[:TEXT_CHARS_MAX])
    return UsageError(case_refusals.sentence(said)[:-1], field="requests_per_minute")


def _asked(visit: Visit) -> MoveAsked:
    form = visit.form
    name: Move | None = next((one for one in case_view.MOVES if one == form.get("move")), None)
    if name is None:
        raise UsageError("no such move", field="move")
    throttle = None
    if name == "throttle":
        text = form.get("requests_per_minute", "")
        try:
            rate = whole_of(text, "requests_per_minute")
        except UsageError as error:
            raise _no_rate(visit, text) from error
        limits = Limits(requests_per_minute=rate)
        throttle = Throttle(
            limits=limits, keys=_names(form.get("keys", "")), models=_names(form.get("models", ""))
        )
    return MoveAsked(
        move=name,
        reason=form.get("reason", ""),
        throttle=throttle,
        urgent=form.get("urgent") == "1",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text[:NAMES_CHARS_MAX].replace(",", " ").split())


def _share(visit: Visit, text: str) -> float | None:
    """A share in per cent as people write it; None where nothing is said."""
    written = text.strip().removesuffix("%").strip().replace(",", ".")
    if not written:
        return None
    try:
        percent = float(written)
    except ValueError as error:
        raise _asked_for(visit, "share") from error
    if not 0 <= percent <= 100:
        raise _asked_for(visit, "share")
    return percent / 100


def _book(visit: Visit) -> CaseBook:
    if visit.desk.cases is None:
        raise UnavailableError("this console has no cases")
    return visit.desk.cases


def _case_id(visit: Visit) -> str:
    return str(visit.request.path_params["case"])


def _own(visit: Visit) -> Actor:
    """The customer's user; whose account it sees follows from the session alone.

    Raises:
        NotAllowedError: the user belongs to no customer.
    """
    signed_in = visit.signed_in
    if signed_in is None or not signed_in.customer:
        raise NotAllowedError(visit.words("error.role"), hint=visit.words("error.role_hint"))
    return Actor(signed_in.user, signed_in.roles, signed_in.customer)
