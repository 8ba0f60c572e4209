"""How are we doing, and on whom does it hang? The first screen, and its live panel."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quartermaster.console import live_view, overview_view, tables
from quartermaster.console.tables import COLUMNS, TABLES
from quartermaster.console.visit import Visit


async def overview(visit: Visit) -> Response:
    """The overview as a page, or its tables as JSON or CSV."""
    desk, now = visit.desk, visit.desk.clock()
    facts = await run_in_threadpool(desk.overview.overview, now)
    live = await run_in_threadpool(desk.live.live, now)
    wanted = visit.request.query_params.get("format", "html")
    if wanted == "json":
        body = tables.as_json(tables.rows_of(facts, live), now)
        return Response(body, media_type="application/json")
    if wanted == "csv":
        name = visit.request.query_params.get("table", "customers")
        table = next((known for known in TABLES if known == name), None)
        if table is None:
            raise visit.unknown("table", name, *TABLES)
        text = tables.as_csv(COLUMNS[table], tables.rows_of(facts, live)[table])
        saved = {"content-disposition": f'attachment; filename="{table}.csv"'}
        return Response(text, media_type="text/csv", headers=saved)
    if wanted != "html":
        raise visit.unknown("format", wanted, "html", "json", "csv")
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
