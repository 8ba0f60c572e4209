"""Who is leaving? All customers by what is at stake, and one of them with every step and signal."""

from functools import partial

from starlette.responses import Response

from quartermaster.console import warning_customer, warning_tables, warning_view
from quartermaster.console.language import Words
from quartermaster.console.pages.downloads import download
from quartermaster.console.pages.exposure import LOADING_S
from quartermaster.console.ports_warning import AtStake, WarningFacts
from quartermaster.console.report_words import catalogue
from quartermaster.console.tables import Rows
from quartermaster.console.visit import Visit
from quartermaster.console.warning_tables import COLUMNS, CUSTOMER_TABLES
from quartermaster.kernel.errors import NotFoundError, UsageError

SUFFIXES = ("json", "csv")
CUSTOMER_CHARS_MAX = 200
"""The longest id of a group is shorter; a longer one is not shown back."""


async def warning(visit: Visit) -> Response:
    """The page of all customers, or its table as JSON or CSV.

    Raises:
        UsageError: a field of the address or the format is wrong.
    """
    wanted = wanted_form(visit)
    facts = await _facts(visit, wait=wanted != "html")
    if wanted != "html":
        rows = {"customers": warning_tables.customer_rows(facts)}
        more = warning_tables.about(facts)
        return given(visit, wanted, warning_tables.SCHEMA, rows, "warning", more)
    words = catalogue("warning", visit.words.lang)
    look = facts.look
    page = None
    if look is not None and facts.customers:
        page = warning_view.view_of(facts, look, words, visit.words)
    return loading(
        visit.render("warning.html", e=words, page=page, missing=facts.missing or "not_yet"),
        facts.missing,
    )


async def customer(visit: Visit) -> Response:
    """One customer's page, or its tables as JSON or CSV.

    Raises:
        NotFoundError: nobody of that name in the look.
        UsageError: a field of the address, the format or the table is wrong.
    """
    asked = str(visit.request.path_params["customer"])
    words = catalogue("warning", visit.words.lang)
    wanted = wanted_form(visit)
    facts = await _facts(visit, wait=True)
    found = _found(facts, asked)
    name, point, suffix = asked.rpartition(".")
    if found is None and point and suffix in SUFFIXES:
        # An id may hold points: only what is nobody's id is read as the form that is wanted.
        found, wanted = _found(facts, name), suffix
    if found is None or facts.look is None:
        raise _unknown(asked, words)
    if wanted != "html":
        rows = warning_tables.one_customer(found, facts.look, sample=facts.sample)
        more = warning_tables.about(facts) | {"customer": found.look.customer}
        stem = f"warning-{facts.customers.index(found) + 1}"
        return given(visit, wanted, warning_tables.CUSTOMER_SCHEMA, rows, stem, more)
    page = warning_customer.view_of(found, facts, facts.look, words, visit.words)
    return visit.render(
        "warning_customer.html",
        e=words,
        page=page,
        href=warning_view.address_of(page.customer),
        tables=CUSTOMER_TABLES,
    )


def wanted_form(visit: Visit) -> str:
    """`html`, `json` or `csv`, by the address.

    Raises:
        UsageError: another format, or a field that these pages do not have.
    """
    query = visit.request.query_params
    for field in query:
        if field not in {"format", "table", "lang"}:
            words = catalogue("exposure", visit.words.lang)
            raise UsageError(
                words("refusal.unknown", field=field[:CUSTOMER_CHARS_MAX]),
                hint=words("refusal.unknown_hint", fields="format, lang, table"),
                field=field,
            )
    path = visit.request.url.path
    by_path = next(
        (form for form in SUFFIXES if path in (f"/warning.{form}", f"/reliability.{form}")), "html"
    )
    wanted = query.get("format", by_path)
    if wanted not in {"html", *SUFFIXES}:
        raise visit.unknown("format", wanted, "html", "json", "csv")
    return wanted


def given(
    visit: Visit,
    wanted: str,
    schema: str,
    tables: dict[str, Rows],
    stem: str,
    more: dict[str, object],
) -> Response:
    """Tables as JSON, or one of them as CSV.

    Raises:
        UsageError: there is no such table.
    """
    document = partial(warning_tables.as_json, schema, tables, visit.desk.clock(), **more)
    columns = {table: COLUMNS[table] for table in tables}
    name = stem if len(tables) == 1 else f"{stem}-{{table}}"
    return download(visit, wanted, document, columns, tables, name=name)


def loading(page: Response, missing: str | None) -> Response:
    """The page, asking again by itself while what it shows is being worked out."""
    if missing == "loading":
        page.headers["refresh"] = str(LOADING_S)
    return page


async def _facts(visit: Visit, *, wait: bool) -> WarningFacts:
    ask = partial(visit.desk.warning.warning, visit.desk.clock(), wait=wait)
    return await visit.computed(ask)


def _found(facts: WarningFacts, name: str) -> AtStake | None:
    return next((one for one in facts.customers if one.look.customer == name), None)


def _unknown(customer: str, words: Words) -> NotFoundError:
    shown = customer[:CUSTOMER_CHARS_MAX]
    return NotFoundError(words("page.unknown", customer=shown), hint=words("page.unknown_hint"))
