"""Tables of a page as files: which form is asked for, and the answer as JSON or CSV."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from starlette.responses import Response

from quartermaster.console.tables import Rows, as_csv
from quartermaster.console.visit import Visit

T = TypeVar("T", bound=str)

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
    document: Callable[[], bytes],
    columns: Mapping[T, tuple[str, ...]],
    rows: Mapping[T, Rows],
    *,
    name: str = "{table}",
) -> Response:
    """The whole document, or the table that the address names; the first one without a name.

    Args:
        visit: of the reader.
        wanted: `json` or `csv`.
        document: makes all tables in one object.
        columns: of each table, in the order in which they are offered.
        rows: of each table.
        name: of a CSV file, with the table's in its place.

    Raises:
        UsageError: there is no such table.
    """
    if wanted == "json":
        return Response(document(), media_type="application/json")
    names = tuple(columns)
    asked = visit.request.query_params.get("table", names[0])
    table = next((one for one in names if one == asked), None)
    if table is None:
        raise visit.unknown("table", asked, *names)
    file = name.replace("{table}", table)
    saved = {"content-disposition": f'attachment; filename="{file}.csv"'}
    return Response(as_csv(columns[table], rows[table]), media_type="text/csv", headers=saved)
