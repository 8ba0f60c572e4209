"""How good were our own probabilities? Every past statement scored, or why there is none yet."""

from functools import partial

from starlette.responses import Response

from quartermaster.console import reliability_view, warning_tables
from quartermaster.console.pages.warning import given, loading, wanted_form
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit


async def reliability(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: a field of the address, the format or the table is wrong.
    """
    wanted = wanted_form(visit)
    ask = partial(visit.desk.warning.reliability, visit.desk.clock(), wait=wanted != "html")
    facts = await visit.computed(ask)
    if wanted != "html":
        rows = warning_tables.reliability_rows(facts)
        more: dict[str, object] = {"sample": facts.sample, "origin": facts.origin.en}
        return given(visit, wanted, warning_tables.RELIABILITY_SCHEMA, rows, "reliability", more)
    words = catalogue("warning", visit.words.lang)
    page = None
    if any(record.stated for record in facts.records):
        page = reliability_view.view_of(facts, words, visit.words)
    shown = visit.render("reliability.html", e=words, page=page, missing=facts.missing)
    return loading(shown, facts.missing)
