"""`quartermaster guidance`: score what was promised, and suggest what to promise."""

import json
from pathlib import Path

import click

from quartermaster.app.forecast_book import book_of
from quartermaster.cli.forecast import read_rows
from quartermaster.console.format import LANGS, Lang
from quartermaster.console.guidance_text import score_text, suggestion_text
from quartermaster.exposure.csv_rows import read_bytes
from quartermaster.revenue.book import suggestion_document
from quartermaster.revenue.forecast import STEPS_MAX, TOP
from quartermaster.revenue.guidance_rows import read_guidance
from quartermaster.revenue.scorecard import document, scorecard
from quartermaster.revenue.suggest import suggest

GUIDANCE_BYTES_MAX = 8 * 1024 * 1024
"""Ten thousand promises of 800 bytes; a person states and checks each of them."""
QUARTER_MONTHS = 3
MISS = 0.2
"""One miss in five: what the range of a seller that guides honestly and tightly comes to."""
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_LANG = click.option("--lang", type=click.Choice(LANGS), default="en", help="Of the words.")


@click.group("guidance")
def command() -> None:
    """Score what was promised, and suggest what to promise."""


@command.command("score")
@click.argument("file", type=click.Path(path_type=Path))
@_JSON
@_LANG
def score_command(file: Path, *, as_json: bool, lang: Lang) -> None:
    """Verdicts on the guidance in FILE: beat, upper half, lower half, miss, or why nobody can tell.

    FILE is a CSV with the columns metric, unit, period, basis, metric_version, low, high, source,
    issued_on and, once it came in, actual and actual_basis; or one quarter a line with growth on
    both bases beside its guidance.
    """
    card = scorecard(read_guidance(read_bytes(file, GUIDANCE_BYTES_MAX), file.name))
    if as_json:
        click.echo(json.dumps(document(card, file.name), indent=2, ensure_ascii=False))
    else:
        click.echo(score_text(card, lang))


@command.command("suggest")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--months", type=click.IntRange(1, STEPS_MAX), default=QUARTER_MONTHS, help="Guided; 3."
)
@click.option("--miss", type=float, default=MISS, help="Chance to end below the range; 0.2.")
@click.option("--beat", type=float, help="Chance to end above it; as --miss by default.")
@click.option("--as-of", metavar="YYYY-MM", help="Last month known; the file's last by default.")
@click.option("--decimal-comma", is_flag=True, help="CSV: amounts are written 1234,56.")
@click.option("--ignore-column", multiple=True, help="CSV: leave a column out; may be repeated.")
@_JSON
@_LANG
def suggest_command(
    file: Path,
    *,
    months: int,
    miss: float,
    beat: float | None,
    as_of: str | None,
    decimal_comma: bool,
    ignore_column: tuple[str, ...],
    as_json: bool,
    lang: Lang,
) -> None:
    """A range for the revenue of the next months in FILE, with a stated chance of a miss.

    FILE is a CSV of revenue by customer and month, as for `quartermaster forecast`.
    """
    rows = read_rows(file, decimal_comma=decimal_comma, ignore_columns=ignore_column)
    book = book_of(rows, name=file.name, steps=months, as_of=as_of)
    found = suggest(
        book.series,
        steps=months,
        miss=miss,
        beat=miss if beat is None else beat,
        top=TOP,
        floors=book.floors,
    )
    if as_json:
        click.echo(json.dumps(suggestion_document(book, found), indent=2, ensure_ascii=False))
    else:
        click.echo(suggestion_text(book, found, lang))
