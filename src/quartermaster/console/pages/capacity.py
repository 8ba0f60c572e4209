"""What was built, who keeps it busy, what a departure would leave: its state is its address."""

from functools import partial

from starlette.responses import Response

from quartermaster.console import capacity_tables, capacity_view
from quartermaster.console.capacity_state import question_of, refused
from quartermaster.console.capacity_tables import COLUMNS
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.ports_capacity import CapacityFacts, CapacityMissing
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit
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
    wanted = form_asked(visit)
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
        rows = capacity_tables.rows_of(facts)
        document = partial(capacity_tables.as_json, facts, rows, now)
        return download(visit, wanted, document, COLUMNS, rows, name="capacity-{table}")
    return visit.render(
        "capacity.html",
        e=words,
        page=capacity_view.view_of(facts, words, visit.words) if facts else None,
        missing=found.reason if isinstance(found, CapacityMissing) else "",
    )
