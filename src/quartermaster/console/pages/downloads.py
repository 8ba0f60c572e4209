"""Tables of a page as files: which form is asked for, and the answer as JSON or CSV."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from quartermaster.console.tables import Rows, as_csv
from quartermaster.console.visit import Visit

FORMS: Final = ("html", "json", "csv")


def form_asked(visit: Visit) -> str:
    """How the page is wanted.

    Raises:
        UsageError: in a form that there is not.
    """
    wanted = visit.request.query_params.get("format", FORMS[0])
    if wanted not in FORMS:
        raise visit.unknown("format", wanted, *FORMS)
    return wanted


def download(
    visit: Visit,
    wanted: str,
    document: bytes,
    columns: Mapping[str, tuple[str, ...]],
    rows: Mapping[str, Rows],
    *,
    of: str = "",
) -> Response:
    """The whole document, or the table that the address names; the first one without a name.

    Args:
        visit: of the reader.
        wanted: `json` or `csv`.
        document: all tables in one object.
        columns: of each table.
        rows: of each table.
        of: what the file's name ends with, such as a month.

    Raises:
        UsageError: there is no such table.
    """
    if wanted == "json":
        return Response(document, media_type="application/json")
    names = tuple(columns)
    table = visit.request.query_params.get("table", names[0])
    if table not in columns:
        raise visit.unknown("table", table, *names)
    file = f"{table}-{of}.csv" if of else f"{table}.csv"
    saved = {"content-disposition": f'attachment; filename="{file}"'}
    return Response(as_csv(columns[table], rows[table]), media_type="text/csv", headers=saved)
