"""What if they go? How much hangs on one customer: its state is its address."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quartermaster.console import exposure_tables, exposure_view
from quartermaster.console.exposure_state import no_such_customer, question_of
from quartermaster.console.exposure_tables import COLUMNS, TABLES
from quartermaster.console.ports_exposure import ExposureFacts
from quartermaster.console.report_words import catalogue
from quartermaster.console.tables import as_csv
from quartermaster.console.visit import Visit
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UsageError

LOADING_S = 5
"""After which a page without its loss asks again: the simulation takes about that long to load."""


async def exposure(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: a field of the address, the format or the table is wrong.
    """
    desk, now, query = visit.desk, visit.desk.clock(), visit.request.query_params
    words = catalogue("exposure", visit.words.lang)
    question = question_of(query, words)
    wanted = query.get("format", "html")
    if wanted not in {"html", "json", "csv"}:
        raise UsageError(f"no format {wanted!r}", hint="one of html, json, csv", field="format")
    try:
        facts = await run_in_threadpool(
            partial(desk.exposure.exposure, question, now, wait=wanted != "html")
        )
    except UsageError as error:
        if error.field != "customer":
            raise
        raise no_such_customer(question.customer, words) from error
    if wanted != "html":
        return _table(facts, wanted, query.get("table", TABLES[0]), now)
    page = visit.render(
        "exposure.html",
        e=words,
        page=exposure_view.view_of(facts, words, visit.words) if facts else None,
    )
    if facts is not None and facts.loss_missing == "loading":
        page.headers["refresh"] = str(LOADING_S)
    return page


def _table(facts: ExposureFacts | None, wanted: str, name: str, now: Instant) -> Response:
    tables = exposure_tables.rows_of(facts)
    if wanted == "json":
        body = exposure_tables.as_json(facts, tables, now)
        return Response(body, media_type="application/json")
    table = next((known for known in TABLES if known == name), None)
    if table is None:
        raise UsageError(f"no table {name!r}", hint=f"one of {', '.join(TABLES)}", field="table")
    saved = {"content-disposition": f'attachment; filename="exposure-{table}.csv"'}
    text = as_csv(COLUMNS[table], tables[table])
    return Response(text, media_type="text/csv", headers=saved)
