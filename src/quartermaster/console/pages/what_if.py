"""What would one change do? The page's state is its address."""

from functools import partial

from starlette.responses import Response

from quartermaster.console import what_if_tables, what_if_view
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.pages.exposure import LOADING_S
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit
from quartermaster.console.what_if_state import question_of, refused_by_book
from quartermaster.console.what_if_tables import COLUMNS
from quartermaster.kernel.errors import UsageError


async def what_if(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: a field of the address, the format or the table is wrong.
    """
    try:
        return await _answered(visit)
    except UsageError:
        if not visit.wants_fragment:
            raise
        # A part of a page has no room for a refusal: the browser opens the address and reads it.
        return Response(headers={"HX-Redirect": visit.here})


async def _answered(visit: Visit) -> Response:
    desk, now, query = visit.desk, visit.desk.clock(), visit.request.query_params
    words = catalogue("what_if", visit.words.lang)
    question = question_of(query, words)
    wanted = form_asked(visit)
    try:
        facts = await visit.computed(
            partial(desk.what_if.what_if, question, now, wait=wanted != "html")
        )
    except UsageError as error:
        raise refused_by_book(error, question, words) from error
    if wanted != "html":
        rows = what_if_tables.rows_of(facts)
        document = partial(what_if_tables.as_json, facts, rows, now)
        return download(visit, wanted, document, COLUMNS, rows, name="what-if-{table}")
    page = visit.render(
        "what_if.html",
        e=words,
        page=what_if_view.view_of(facts, words, visit.words) if facts else None,
        loading_s=LOADING_S,
    )
    if facts is not None and facts.missing == "loading" and not visit.wants_fragment:
        page.headers["refresh"] = str(LOADING_S)
    return page
