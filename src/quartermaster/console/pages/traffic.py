"""What passes the gateways now: rates, first tokens, refusals, customers, and single requests."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quartermaster.console import traffic_tables, traffic_view
from quartermaster.console.report_words import catalogue
from quartermaster.console.tables import as_csv
from quartermaster.console.traffic_tables import COLUMNS, TABLES
from quartermaster.console.visit import Visit


async def traffic(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: the format or the table is not known.
    """
    now = visit.desk.clock()
    facts = await run_in_threadpool(visit.desk.traffic.traffic, now)
    wanted = visit.request.query_params.get("format", "html")
    if wanted == "json":
        body = traffic_tables.as_json(traffic_tables.rows_of(facts, now), now)
        return Response(body, media_type="application/json")
    if wanted == "csv":
        name = visit.request.query_params.get("table", TABLES[0])
        table = next((known for known in TABLES if known == name), None)
        if table is None:
            raise visit.unknown("table", name, *TABLES)
        text = as_csv(COLUMNS[table], traffic_tables.rows_of(facts, now)[table])
        saved = {"content-disposition": f'attachment; filename="traffic-{table}.csv"'}
        return Response(text, media_type="text/csv", headers=saved)
    if wanted != "html":
        raise visit.unknown("format", wanted, "html", "json", "csv")
    words = catalogue("traffic", visit.words.lang)
    return visit.render(
        "traffic.html",
        e=words,
        page=traffic_view.view_of(facts, words, now),
        poll_s=traffic_view.TRAFFIC_POLL_S,
    )


async def panel(visit: Visit) -> Response:
    """What changes of the page, asked for every two seconds while it is open."""
    now = visit.desk.clock()
    facts = await run_in_threadpool(visit.desk.traffic.traffic, now)
    words = catalogue("traffic", visit.words.lang)
    page = traffic_view.view_of(facts, words, now)
    return visit.render("_traffic.html", e=words, page=page)
