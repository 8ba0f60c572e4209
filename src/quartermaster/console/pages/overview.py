"""How are we doing, and on whom does it hang? The first screen, and its live panel."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quartermaster.console import live_view, overview_view, tables
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.tables import COLUMNS
from quartermaster.console.visit import Visit


async def overview(visit: Visit) -> Response:
    """The overview as a page, or its tables as JSON or CSV."""
    desk, now = visit.desk, visit.desk.clock()
    facts = await run_in_threadpool(desk.overview.overview, now)
    live = await run_in_threadpool(desk.live.live, now)
    wanted = form_asked(visit)
    if wanted != "html":
        rows = tables.rows_of(facts, live)
        return download(visit, wanted, partial(tables.as_json, rows, now), COLUMNS, rows)
    return visit.render(
        "overview.html",
        book=overview_view.view_of(facts, visit.words) if facts else None,
        live=live_view.view_of(live, visit.words, now),
        poll_s=live_view.LIVE_POLL_S,
    )


async def live_panel(visit: Visit) -> Response:
    """The live panel alone, asked for every two seconds by the open page."""
    now = visit.desk.clock()
    facts = await run_in_threadpool(visit.desk.live.live, now)
    return visit.render("_live.html", live=live_view.view_of(facts, visit.words, now))
