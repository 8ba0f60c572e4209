"""`quartermaster warn FILE`: who is leaving, from a usage panel."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quartermaster.console.format import LANGS, Lang
from quartermaster.kernel.errors import UnavailableError

if TYPE_CHECKING:
    from quartermaster.exposure.panel import Panel

TOP = 10
"""As many tenants as somebody can look into; `--top` shows more."""


def open_panel(path: Path, *, decimal_comma: bool = False) -> "Panel":
    """The panel in a file.

    Raises:
        UnavailableError: numpy is not installed.
        DataError: see `exposure.panel_file.read_panel`.
    """
    try:
        from quartermaster.exposure.panel_file import read_panel
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"early warning needs {error.name}, which is not installed",
            hint="pip install 'quartermaster-ai[risk]'",
        ) from error
    return read_panel(path, decimal_comma=decimal_comma)


@click.command("warn")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--decimal-comma", is_flag=True, help="CSV: amounts are written 1234,56.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, all tenants.")
@click.option("--top", type=click.IntRange(1), default=TOP, help="Tenants shown.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
def command(file: Path, *, decimal_comma: bool, as_json: bool, top: int, lang: Lang) -> None:
    """Who is leaving, by what the usage in FILE says.

    FILE is a CSV with the columns tenant, date (YYYY-MM-DD) and amount, in any unit, or a Standard
    Workload Format log (.swf, .swf.gz).
    """
    panel = open_panel(file, decimal_comma=decimal_comma)

    from quartermaster.exposure.warning import warn, warnings_json

    found = warn(panel)
    if as_json:
        click.echo(json.dumps(warnings_json(found), indent=2, ensure_ascii=False))
        return
    from quartermaster.console.warning_terminal import warnings_text

    click.echo(warnings_text(found, top, lang))
