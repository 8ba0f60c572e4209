"""Budgets and limits: who has which, what is spent of them, and the forms that change them."""

from collections.abc import Callable
from functools import partial
from typing import Final, get_args
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from quartermaster.book.views import View
from quartermaster.commands import budget as budgets
from quartermaster.commands import limit as limits
from quartermaster.commands.actor import Actor
from quartermaster.commands.budget import Terms
from quartermaster.commands.budget_history import BudgetHistory, history
from quartermaster.commands.limit import Limited
from quartermaster.console import budget_history_view as history_view
from quartermaster.console import spending_facts, spending_view
from quartermaster.console.control_view import person_name, why
from quartermaster.console.gate import SEE_OTHER
from quartermaster.console.number_field import amount_of, whole_of
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.pages.handed_over import handed_over
from quartermaster.console.ports_control import Control
from quartermaster.console.report_words import catalogue
from quartermaster.console.spending_view import href
from quartermaster.console.visit import Visit
from quartermaster.kernel.budget import BudgetPeriod
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import CallerError, UnavailableError, UsageError
from quartermaster.kernel.limit import Limits, LimitScope

SCOPES: Final[tuple[LimitScope, ...]] = get_args(LimitScope)
MAY_BUDGET: Final = frozenset({"admin", "finance"})
MAY_LIMIT: Final = frozenset({"admin", "trust"})
"""What the forms are shown by; the commands decide."""

Do = Callable[[Control, Actor, LimitScope, str, Instant], None]


async def spending(visit: Visit) -> Response:
    """The list, or its tables as JSON or CSV; a scope and a name lead to the page of one.

    Raises:
        UsageError: the format or the table is wrong.
    """
    query, wanted = visit.request.query_params, form_asked(visit)
    asked = next((one for one in SCOPES if one == query.get("scope")), None)
    if asked is not None and query.get("name", "").strip():
        return RedirectResponse(href(asked, query["name"].strip()), SEE_OTHER)
    ask = partial(spending_facts.all_spending, visit.control, visit.desk.clock())
    facts = await visit.computed(ask)
    if wanted != "html":
        rows, document = spending_facts.rows_of(facts), partial(spending_facts.as_json, facts)
        return download(visit, wanted, document, spending_facts.COLUMNS, rows)
    words = catalogue("control", visit.words.lang)
    page = spending_view.view_of(facts, words)
    hooks = catalogue("webhook", visit.words.lang)
    return visit.render("budgets.html", e=words, w=hooks, page=page, scopes=SCOPES)


async def owner(visit: Visit) -> Response:
    """One key, project or group; the history of its budget also as JSON or CSV.

    Raises:
        UsageError: the format, the table or the month is wrong.
    """
    wanted = form_asked(visit)
    if wanted == "html":
        return await _page(visit)
    control, now, (scope, name) = visit.control, visit.desk.clock(), _who(visit)
    found = await visit.found(lambda: _history(visit, scope, name, control.book.view(), now))
    if found is None:
        raise visit.nowhere()
    rows, document = history_view.rows_of(found), partial(history_view.as_json, found, now)
    file = f"{{table}}-{found.month}"
    return download(visit, wanted, document, history_view.COLUMNS, rows, name=file)


async def change(visit: Visit) -> Response:
    """Change its budget or its limits, once it is confirmed."""
    actor, (scope, name) = visit.actor(), _who(visit)
    words = catalogue("control", visit.words.lang)
    control, now = visit.control, visit.desk.clock()

    def go() -> int:
        act = ACTS.get(visit.form.get("act", ""))
        if act is None or visit.form.get("confirmed") != "1":
            raise UsageError("it was not confirmed", field="confirmed")
        act(visit)(control, actor, scope, name, now)
        return control.gateways.publish(now).snapshot_version

    try:
        version = await run_in_threadpool(go)
    except CallerError as error:
        return await _page(visit, error=why(error, words), status=error.http_status)
    return RedirectResponse(f"{href(scope, name)}?{urlencode({'published': version})}", SEE_OTHER)


async def _page(visit: Visit, *, error: str = "", status: int = 200) -> Response:
    words, control, now = catalogue("control", visit.words.lang), visit.control, visit.desk.clock()
    scope, name = _who(visit)

    def read() -> tuple[spending_view.OwnerView, history_view.HistoryView | None, str]:
        view = control.book.view()
        limited = limits.limits_of(view, scope, name)
        found = spending_facts.spending_of(view, scope, name, control.budget_states(), now)
        page = spending_view.owner_view(view, limited, found, words)
        try:
            past = _history(visit, scope, name, view, now)
        except UnavailableError:
            return page, None, words("spending.missing")
        by = partial(person_name, view, words=words)
        told = None if past is None else history_view.view_of(past, page.who, by, words)
        return page, told, ""

    page, past, missing = await visit.found(read)
    seen = await handed_over(visit, words)
    roles = visit.actor().roles
    return visit.render(
        "budget.html",
        status=status,
        e=words,
        page=page,
        history=past,
        missing=missing,
        seen=seen,
        message=error,
        typed=visit.form if error else {},
        may_budget=not MAY_BUDGET.isdisjoint(roles),
        may_limit=not MAY_LIMIT.isdisjoint(roles),
    )


def _history(
    visit: Visit, scope: LimitScope, name: str, view: View, now: Instant
) -> BudgetHistory | None:
    month = visit.request.query_params.get("month", "")
    control = visit.control
    return history(view, scope, name, month, control.usage, control.budget_states(), now)


def _who(visit: Visit) -> tuple[LimitScope, str]:
    """Whose page it is.

    Raises:
        NotFoundError: there is no such kind.
    """
    params = visit.request.path_params
    scope = next((one for one in SCOPES if one == params["scope"]), None)
    if scope is None:
        raise visit.nowhere()
    return scope, str(params["name"])


# -- what a form asks for --------------------------------------------------------------------------


def _set(visit: Visit) -> Do:
    form, lang = visit.form, visit.words.lang
    kind, reason = form.get("kind", ""), form.get("reason", "")
    periods: dict[str, BudgetPeriod] = {"month": "month", "none": "none", "prepaid": "none"}
    if kind not in periods:
        raise UsageError("no such kind of budget", field="kind")
    alerts, tokens = (
        form.get("alerts", ""),
        whole_of(form.get("output_tokens", ""), "output_tokens"),
    )

    def do(control: Control, actor: Actor, scope: LimitScope, name: str, now: Instant) -> None:
        view = control.book.view()
        currency = form.get("currency", "").strip().upper()
        known = view.budgets.get((scope, name))
        if known is not None:
            currency = known.currency
        currency = currency or budgets.currency_of(view, scope, name)
        prepaid = kind == "prepaid"
        amount = 0 if prepaid else budgets.minor_of(_amount(form.get("amount", ""), lang), currency)
        terms = Terms(
            amount_minor=amount,
            currency=currency,
            time_zone="" if known is None else known.time_zone,
            period=periods[kind],
            prepaid=prepaid,
            thresholds=_percents(alerts),
            output_tokens=tokens,
        )
        budgets.set_budget(control.book, actor, scope, name, terms, now, reason=reason)

    return do


def _top_up(visit: Visit) -> Do:
    form, lang = visit.form, visit.words.lang

    def do(control: Control, actor: Actor, scope: LimitScope, name: str, now: Instant) -> None:
        has = budgets.budget_of(control.book.view(), scope, name)
        minor = budgets.minor_of(_amount(form.get("amount", ""), lang), has.budget.currency)
        payment = form.get("payment", "").strip()
        budgets.top_up(control.book, actor, scope, name, minor, now, payment=payment)

    return do


def _pause(visit: Visit) -> Do:
    reason, paused = visit.form.get("reason", ""), visit.form.get("act") == "pause"

    def do(control: Control, actor: Actor, scope: LimitScope, name: str, now: Instant) -> None:
        budgets.pause_budget(control.book, actor, scope, name, now, paused=paused, reason=reason)

    return do


def _remove(visit: Visit) -> Do:
    reason = visit.form.get("reason", "")

    def do(control: Control, actor: Actor, scope: LimitScope, name: str, now: Instant) -> None:
        budgets.remove_budget(control.book, actor, scope, name, now, reason=reason)

    return do


def _limits(visit: Visit) -> Do:
    form, reason = visit.form, visit.form.get("reason", "")
    wanted = Limits(
        **{field: whole_of(form.get(field, ""), field) for field in Limits.__struct_fields__}
    )

    def do(control: Control, actor: Actor, scope: LimitScope, name: str, now: Instant) -> None:
        if wanted.named():
            limited, workers = Limited(scope, name, wanted), control.gateways.workers()
            limits.set_limits(control.book, actor, limited, now, workers=workers, reason=reason)
        else:
            limits.remove_limits(control.book, actor, scope, name, now, reason=reason)

    return do


ACTS: Final[dict[str, Callable[[Visit], Do]]] = {
    "set": _set,
    "top_up": _top_up,
    "pause": _pause,
    "resume": _pause,
    "remove": _remove,
    "limits": _limits,
}


def _percents(text: str) -> tuple[int, ...] | None:
    found = [
        whole_of(one, "thresholds") for one in text.replace(",", " ").replace("%", " ").split()
    ]
    return tuple(one for one in found if one is not None) or None


def _amount(text: str, lang: str) -> str:
    """An amount as readers of the language write it, as plain digits."""
    found = amount_of(text, "de" if lang == "de" else "en")
    if found is None:
        raise UsageError("no amount", field="amount")
    return found
