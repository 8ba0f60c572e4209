"""What was built, who keeps it busy, what a departure would leave: its state is its address."""

from functools import partial

from starlette.responses import Response

from quartermaster.console import capacity_tables, capacity_view
from quartermaster.console.capacity_state import question_of, refused
from quartermaster.console.capacity_tables import COLUMNS, TABLES
from quartermaster.console.ports_capacity import CapacityFacts, CapacityMissing
from quartermaster.console.report_words import catalogue
from quartermaster.console.tables import as_csv
from quartermaster.console.visit import Visit
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UsageError


async def capacity(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: a field of the address, the format or the table is wrong.
        DataError: the fleet document cannot be used.
    """
    desk, now, query = visit.desk, visit.desk.clock(), visit.request.query_params
    words = catalogue("capacity", visit.words.lang)
    question = question_of(query, words)
    wanted = query.get("format", "html")
    if wanted not in {"html", "json", "csv"}:
        raise visit.unknown("format", wanted, "html", "json", "csv")
    try:
        found = await visit.computed(partial(desk.capacity.capacity, question, now))
    except UsageError as error:
        asked = {
            "customer": ("customer", question.customer),
            "month": ("month", question.month),
            "period": ("month", question.month),  # a year that no clock has
        }
        if error.field not in asked:
            raise
        raise refused(*asked[error.field], words) from error
    facts = found if isinstance(found, CapacityFacts) else None
    if wanted != "html":
        return _table(visit, facts, wanted, query.get("table", TABLES[0]), now)
    return visit.render(
        "capacity.html",
        e=words,
        page=capacity_view.view_of(facts, words, visit.words) if facts else None,
        missing=found.reason if isinstance(found, CapacityMissing) else "",
    )


def _table(
    visit: Visit, facts: CapacityFacts | None, wanted: str, name: str, now: Instant
) -> Response:
    tables = capacity_tables.rows_of(facts)
    if wanted == "json":
        body = capacity_tables.as_json(facts, tables, now)
        return Response(body, media_type="application/json")
    table = next((known for known in TABLES if known == name), None)
    if table is None:
        raise visit.unknown("table", name, *TABLES)
    saved = {"content-disposition": f'attachment; filename="capacity-{table}.csv"'}
    text = as_csv(COLUMNS[table], tables[table])
    return Response(text, media_type="text/csv", headers=saved)
