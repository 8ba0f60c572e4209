"""What passes the gateways now: rates, first tokens, refusals, customers, and single requests."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quartermaster.console import traffic_tables, traffic_view
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.report_words import catalogue
from quartermaster.console.traffic_tables import COLUMNS
from quartermaster.console.visit import Visit


async def traffic(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: the format or the table is not known.
    """
    now = visit.desk.clock()
    facts = await run_in_threadpool(visit.desk.traffic.traffic, now)
    wanted = form_asked(visit)
    if wanted != "html":
        rows = traffic_tables.rows_of(facts, now)
        document = partial(traffic_tables.as_json, rows, now)
        return download(visit, wanted, document, COLUMNS, rows, name="traffic-{table}")
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
