"""Standing: which customer groups are served, since when, why, and the forms that change it."""

from functools import partial
from typing import Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from quartermaster.commands import standing as standings
from quartermaster.console import standing_facts, standing_view
from quartermaster.console.control_view import why
from quartermaster.console.gate import SEE_OTHER
from quartermaster.console.number_field import whole_of
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.pages.handed_over import handed_over
from quartermaster.console.report_words import catalogue
from quartermaster.console.standing_view import href
from quartermaster.console.visit import Visit
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import CallerError, UsageError
from quartermaster.kernel.limit import AT_ONCE, Limits, Throttle

MAY_DECIDE: Final = frozenset({"admin", "trust"})
MAY_SIGN: Final = frozenset({"admin", "trust", "finance"})
"""What the forms are shown by; the commands decide."""
NAMES_CHARS_MAX: Final = 2_000
"""Thirty keys, or a hundred models, as one field of a form holds them."""


async def standing(visit: Visit) -> Response:
    """The list, or its tables as JSON or CSV; the id of a group leads to its page.

    Raises:
        UsageError: the format or the table is wrong.
    """
    query, wanted = visit.request.query_params, form_asked(visit)
    if query.get("group", "").strip():
        return RedirectResponse(href(query["group"].strip()), SEE_OTHER)
    control, now = visit.control, visit.desk.clock()
    facts = await visit.computed(lambda: standing_facts.all_standings(control.book.view(), now))
    if wanted != "html":
        rows, document = standing_facts.rows_of(facts), partial(standing_facts.as_json, facts)
        return download(visit, wanted, document, standing_facts.COLUMNS, rows)
    words = catalogue("control", visit.words.lang)
    page = standing_view.view_of(facts, words)
    return visit.render("standing.html", e=words, page=page)


async def group(visit: Visit) -> Response:
    """One group."""
    return await _page(visit)


async def change(visit: Visit) -> Response:
    """Change its standing, sign or decline what was proposed, or say that it is investigated."""
    actor, name, form = visit.actor(), str(visit.request.path_params["group"]), visit.form
    control, now = visit.control, visit.desk.clock()

    def go() -> int | None:
        if form.get("confirmed") != "1":
            raise UsageError("it was not confirmed", field="confirmed")
        book, reason, act = control.book, form.get("reason", ""), form.get("act", "")
        if act == "change":
            changed = _change(visit, name, now)
        elif act == "sign":
            changed = standings.sign_off(book, actor, form.get("proposal", ""), now)
        elif act == "decline":
            standings.decline(book, actor, form.get("proposal", ""), reason, now)
            return None
        elif act in ("investigate", "settle"):
            under, case = act == "investigate", form.get("case", "").strip()
            standings.investigate(book, actor, name, reason, now, under=under, case=case)
            return control.gateways.publish(now).snapshot_version
        else:
            raise UsageError("no such act", field="confirmed")
        return control.gateways.publish(now).snapshot_version if changed.done else None

    try:
        version = await run_in_threadpool(go)
    except CallerError as error:
        words = catalogue("control", visit.words.lang)
        return await _page(visit, error=why(error, words), status=error.http_status)
    query = "" if version is None else f"?{urlencode({'published': version})}"
    return RedirectResponse(href(name) + query, SEE_OTHER)


def _change(visit: Visit, name: str, now: Instant) -> standings.Changed:
    form, control = visit.form, visit.control
    wanted = next((one for one in standings.STANDINGS if one == form.get("standing")), None)
    if wanted is None:
        raise UsageError("no such standing", field="standing")
    return standings.change(
        control.book,
        visit.actor(),
        name,
        wanted,
        form.get("reason", ""),
        now,
        weight=control.weights.share(name),
        sign_off_share=control.weights.sign_off_share,
        throttle=_throttle(visit) if wanted == "throttled" else None,
        case=form.get("case", "").strip(),
    )


def _throttle(visit: Visit) -> Throttle:
    form = visit.form
    limits = Limits(**{field: whole_of(form.get(field, ""), field) for field in AT_ONCE})
    return Throttle(
        limits=limits,
        keys=_names(form.get("keys", "")),
        models=_names(form.get("models", "")),
        endpoints=_names(form.get("endpoints", "")),
    )


async def _page(visit: Visit, *, error: str = "", status: int = 200) -> Response:
    words, control = catalogue("control", visit.words.lang), visit.control
    name, actor = str(visit.request.path_params["group"]), visit.actor()

    def read() -> standing_view.GroupView:
        view = control.book.view()
        stand = standing_facts.stand_of(view, name)
        weight, share = control.weights.share(name), control.weights.sign_off_share
        return standing_view.group_view(view, stand, weight, share, actor.id, words)

    page = await visit.found(read)
    seen = await handed_over(visit, words)
    return visit.render(
        "standing_group.html",
        status=status,
        e=words,
        page=page,
        seen=seen,
        message=error,
        typed=visit.form if error else {},
        limits=AT_ONCE,
        may_decide=not MAY_DECIDE.isdisjoint(actor.roles),
        may_sign=not MAY_SIGN.isdisjoint(actor.roles),
    )


def _names(text: str) -> tuple[str, ...]:
    """What stands between commas, spaces and line ends."""
    return tuple(text[:NAMES_CHARS_MAX].replace(",", " ").split())
