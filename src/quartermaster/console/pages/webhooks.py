"""Webhooks: where alerts go, how they fared there, and the forms of the role admin."""

from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from quartermaster.commands import webhook as webhooks
from quartermaster.commands.webhook import AddedWebhook
from quartermaster.commands.webhook_record import Tested
from quartermaster.console import webhook_facts, webhook_view
from quartermaster.console.gate import SEE_OTHER
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit
from quartermaster.console.webhook_facts import Hook
from quartermaster.console.webhook_view import HERE, href, why
from quartermaster.kernel.errors import CallerError, UsageError

MAY_SET: Final = frozenset({"admin"})
"""What the forms are shown by; the route table and the commands decide."""


async def hooks(visit: Visit) -> Response:
    """The list, or its tables as JSON or CSV.

    Raises:
        UsageError: the format or the table is wrong.
    """
    wanted, control = form_asked(visit), visit.control
    if wanted == "html":
        return await _list(visit)
    ask = partial(webhook_facts.all_hooks, control.book.view(), control.webhooks)
    found = await visit.computed(ask)
    rows = webhook_facts.rows_of(found)
    document = partial(webhook_facts.as_json, found, visit.desk.clock())
    return download(visit, wanted, document, webhook_facts.COLUMNS, rows)


async def add(visit: Visit) -> Response:
    """Send alerts to an address, and show the secret that signs them this once."""
    form, control, words = visit.form, visit.control, catalogue("webhook", visit.words.lang)
    make = partial(
        webhooks.add,
        control.book,
        visit.actor(),
        form.get("url", "").strip(),
        control.webhooks.secrets,
        visit.desk.clock(),
        group=form.get("group", ""),
        allow_private=form.get("allow_private") == "1",
    )
    try:
        made = await run_in_threadpool(make)
    except CallerError as error:
        return await _list(visit, error=why(error, words), status=error.http_status)
    return await _page(visit, made.webhook, made=made)


async def hook(visit: Visit) -> Response:
    """One address."""
    return await _page(visit, _asked(visit))


async def change(visit: Visit) -> Response:
    """Pause it, send there again, turn its secret, try it, or send nothing there any more."""
    words, webhook = catalogue("webhook", visit.words.lang), _asked(visit)
    control, actor, now = visit.control, visit.actor(), visit.desk.clock()
    act, book, folder = visit.form.get("act", ""), control.book, control.webhooks.secrets
    made: AddedWebhook | None = None
    tested: Tested | None = None
    try:
        if act == "test":
            added = webhooks.webhook_of(book.view(), webhook).added
            tested = await run_in_threadpool(control.webhooks.test, added, now)
            return await _page(visit, webhook, tested=tested)
        if visit.form.get("confirmed") != "1":
            raise UsageError("it was not confirmed", field="confirmed")
        if act == "rotate":
            turn = partial(webhooks.rotate, book, actor, webhook, folder, now)
            made = await run_in_threadpool(turn)
            return await _page(visit, webhook, made=made, turned=True)
        if act == "remove":
            await run_in_threadpool(webhooks.remove, book, actor, webhook, folder, now)
            return RedirectResponse(HERE, SEE_OTHER)
        if act not in ("pause", "resume"):
            raise UsageError("no such act", field="confirmed")
        pause = partial(webhooks.pause, book, actor, webhook, now, paused=act == "pause")
        await run_in_threadpool(pause)
    except CallerError as error:
        return await _page(visit, webhook, error=why(error, words), status=error.http_status)
    return RedirectResponse(href(webhook), SEE_OTHER)


async def redeliver(visit: Visit) -> Response:
    """Send an alert again, or at once where it waits."""
    words, webhook = catalogue("webhook", visit.words.lang), _asked(visit)
    message = str(visit.request.path_params["message"])

    def go() -> None:
        webhooks.webhook_of(visit.control.book.view(), webhook)
        visit.control.webhooks.redeliver(webhook, message)

    try:
        await run_in_threadpool(go)
    except CallerError as error:
        return await _page(visit, webhook, error=why(error, words), status=error.http_status)
    return RedirectResponse(f"{href(webhook)}?sent=1", SEE_OTHER)


async def _list(visit: Visit, *, error: str = "", status: int = 200) -> Response:
    words, control = catalogue("webhook", visit.words.lang), visit.control

    def read() -> webhook_view.HooksView:
        view = control.book.view()
        return webhook_view.view_of(view, webhook_facts.all_hooks(view, control.webhooks), words)

    return visit.render(
        "webhooks.html",
        status=status,
        e=words,
        page=await visit.computed(read),
        message=error,
        typed=visit.form if error else {},
        may_set=_may_set(visit),
    )


async def _page(
    visit: Visit,
    webhook: str,
    *,
    made: AddedWebhook | None = None,
    turned: bool = False,
    tested: Tested | None = None,
    error: str = "",
    status: int = 200,
) -> Response:
    words, control, now = catalogue("webhook", visit.words.lang), visit.control, visit.desk.clock()

    def read() -> webhook_view.HookView:
        view = control.book.view()
        found = webhooks.webhook_of(view, webhook)
        return webhook_view.hook_view(
            view, Hook(found, control.webhooks.record(webhook)), now, words
        )

    page = await visit.found(read)
    said, kind = webhook_view.tested_words(tested, words) if tested else ("", "")
    if visit.request.query_params.get("sent") == "1":
        said, kind = words("alert.sent_again"), "fine"
    return visit.render(
        "webhook.html",
        status=status,
        e=words,
        page=page,
        made=webhook_view.made_secret(made, words, turned=turned) if made else None,
        said=said,
        said_kind=kind,
        message=error,
        typed=visit.form if error else {},
        may_set=_may_set(visit),
    )


def _asked(visit: Visit) -> str:
    return str(visit.request.path_params["webhook"])


def _may_set(visit: Visit) -> bool:
    return not MAY_SET.isdisjoint(visit.actor().roles)
