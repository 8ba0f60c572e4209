"""What did months come to? Billed and accrued apart, in one currency at recorded rates."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quartermaster.console import revenue_tables, revenue_view
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit


async def revenue(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: the currency, the format or the table is not known.
    """
    wanted = form_asked(visit)
    currency = visit.request.query_params.get("currency", "")
    facts = await run_in_threadpool(visit.desk.revenue.revenue, currency)
    if wanted != "html":
        rows = revenue_tables.rows_of(facts)
        document = partial(revenue_tables.as_json, facts, rows)
        columns = revenue_tables.COLUMNS
        return download(visit, wanted, document, columns, rows, name="revenue-{table}")
    words = catalogue("revenue", visit.words.lang)
    page = revenue_view.view_of(facts, words)
    here = f"/revenue?currency={currency}" if currency in page.currencies else "/revenue"
    return visit.render("revenue.html", e=words, page=page, here=here)
