"""A customer's own page: keys, projects, limits, usage and draft invoices of one account.

Whose account it is follows from the session alone; nothing in an address or a form says it.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, get_args

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from quartermaster.console import account_tables, account_view
from quartermaster.console import budget_history_view as history_view
from quartermaster.console.account_tables import COLUMNS
from quartermaster.console.gate import SEE_OTHER
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.ports_account import AccountBook, AccountFacts, MadeKey, NewKey
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit
from quartermaster.kernel.errors import CallerError, NotAllowedError, UnavailableError
from quartermaster.kernel.limit import LimitScope

HERE = "/account"
SCOPES: Final[tuple[LimitScope, ...]] = get_args(LimitScope)
OVERLAP_HOURS = (0, 1, 24, 168, 720)
"""At once, an hour, a day, a week, a month."""
OVERLAP_USUAL_HOURS = 24
NAMES_CHARS_MAX = 4_000
"""A hundred networks fit."""


async def account(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: the month, the format or the table is wrong.
    """
    wanted = form_asked(visit)
    facts = await _facts(visit)
    if wanted != "html":
        rows, now = account_tables.rows_of(facts), visit.desk.clock()
        document = partial(account_tables.as_json, facts, now)
        return download(visit, wanted, document, COLUMNS, rows, name=f"{{table}}-{facts.month}")
    return _page(visit, facts)


async def budget(visit: Visit) -> Response:
    """One of the customer's budgets and a month of it, or its tables as JSON or CSV.

    Raises:
        UsageError: the format, the table or the month is wrong.
        NotFoundError: the customer has no such budget.
    """
    wanted, params = form_asked(visit), visit.request.path_params
    scope = next((one for one in SCOPES if one == params["scope"]), None)
    if scope is None:
        raise visit.nowhere()
    accounts, customer, _ = _own(visit)
    month, now = visit.request.query_params.get("month", ""), visit.desk.clock()
    ask = partial(accounts.budget, customer, scope, str(params["name"]), month, now)
    own = await visit.found(ask)
    found = own.history
    if wanted != "html":
        rows = history_view.rows_of(found, own=True)
        document = partial(history_view.as_json, found, now, own=True)
        file, columns = f"{{table}}-{found.month}", history_view.OWN_COLUMNS
        return download(visit, wanted, document, columns, rows, name=file)
    words, control = catalogue("account", visit.words.lang), catalogue("control", visit.words.lang)
    row, spent = account_view.budget_view(own, words)
    return visit.render(
        "account_budget.html",
        a=words,
        e=control,
        row=row,
        spent=spent,
        history=history_view.view_of(found, row.who, str, control),
    )


async def make_key(visit: Visit) -> Response:
    """Make a key, and show its secret this once."""
    form = visit.form
    wanted = NewKey(
        contract=form.get("contract", ""),
        project=form.get("project", ""),
        models=_names(form.get("models", "")) or (account_view.ANY_MODEL,),
        networks=_names(form.get("networks", "")),
    )
    accounts, customer, user = _own(visit)
    return await _made(visit, partial(accounts.issue, customer, user, wanted))


async def rotate_key(visit: Visit) -> Response:
    """Give a key a successor, and show its secret this once."""
    hours = visit.form.get("hours", "")
    overlap = next((one for one in OVERLAP_HOURS if str(one) == hours), OVERLAP_USUAL_HOURS)
    accounts, customer, user = _own(visit)
    key = str(visit.request.path_params["key"])
    return await _made(visit, partial(accounts.rotate, customer, user, key, overlap))


async def revoke_key(visit: Visit) -> Response:
    """Stop a key for good."""
    accounts, customer, user = _own(visit)
    key, reason = str(visit.request.path_params["key"]), "by the customer"
    ask = partial(accounts.revoke, customer, user, key, reason, visit.desk.clock())
    return await _done(visit, ask)


async def add_project(visit: Visit) -> Response:
    """Add a project."""
    accounts, customer, user = _own(visit)
    project, name = visit.form.get("project", "").strip(), visit.form.get("name", "").strip()
    add = accounts.add_project
    ask = partial(add, customer, user, project, name or project, visit.desk.clock())
    return await _done(visit, ask)


async def _made(visit: Visit, make: Callable[..., MadeKey]) -> Response:
    try:
        made = await run_in_threadpool(make, visit.desk.clock())
    except CallerError as error:
        return _page(visit, await _facts(visit), error=error)
    return _page(visit, await _facts(visit), made=made)


async def _done(visit: Visit, do: Callable[[], None]) -> Response:
    try:
        await run_in_threadpool(do)
    except CallerError as error:
        return _page(visit, await _facts(visit), error=error)
    return RedirectResponse(HERE, SEE_OTHER)


async def _facts(visit: Visit) -> AccountFacts:
    accounts, customer, _ = _own(visit)
    month = visit.request.query_params.get("month", "")
    ask = partial(accounts.facts, customer, month, visit.desk.clock())
    return await visit.computed(ask)


def _page(
    visit: Visit,
    facts: AccountFacts,
    *,
    made: MadeKey | None = None,
    error: CallerError | None = None,
) -> Response:
    words = catalogue("account", visit.words.lang)
    return visit.render(
        "account.html",
        status=200 if error is None else error.http_status,
        e=words,
        control=catalogue("control", visit.words.lang),
        page=account_view.view_of(facts, words),
        made=None if made is None else account_view.made_view(made, words),
        message="" if error is None else account_view.why(error, words),
        # What was typed stays, so that nobody writes it twice.
        typed=visit.form if error is not None else {},
        overlaps=[(hours, words(f"overlap.{hours}")) for hours in OVERLAP_HOURS],
        usual=OVERLAP_USUAL_HOURS,
    )


def _own(visit: Visit) -> tuple[AccountBook, str, str]:
    """The accounts, and the customer and the user of the session.

    Raises:
        UnavailableError: this console has no accounts.
        NotAllowedError: the user belongs to no customer.
    """
    accounts, signed_in = visit.desk.accounts, visit.signed_in
    if accounts is None:
        raise UnavailableError("this console has no accounts of customers")
    if signed_in is None or not signed_in.customer:
        raise NotAllowedError(visit.words("error.role"), hint=visit.words("error.role_hint"))
    return accounts, signed_in.customer, signed_in.user


def _names(text: str) -> tuple[str, ...]:
    """What stands between commas, spaces and line ends."""
    return tuple(text[:NAMES_CHARS_MAX].replace(",", " ").split())
