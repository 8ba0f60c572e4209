"""`quartermaster guidance`: record and score what was promised, and suggest what to promise."""

import json
from pathlib import Path

import click

from quartermaster.app.forecast_book import book_of
from quartermaster.cli.forecast import read_rows
from quartermaster.console.format import LANGS, Lang
from quartermaster.console.guidance_text import score_text, suggestion_text
from quartermaster.exposure.csv_rows import read_bytes
from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.revenue.book import suggestion_document
from quartermaster.revenue.forecast import STEPS_MAX, TOP
from quartermaster.revenue.guidance_rows import Promise, read_guidance
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
    """Record and score what was promised, and suggest what to promise."""


@command.command("record")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def record_command(options: dict[str, str | None], file: Path) -> None:
    """Keep the guidance in FILE, and what came, in the book: the console's report shows it.

    FILE is a CSV as for `score`. What came may be recorded later; a promise is not rewritten.
    """
    from quartermaster.app import open_rooms
    from quartermaster.commands.guidance import record

    promises = read_guidance(read_bytes(file, GUIDANCE_BYTES_MAX), file.name)
    rooms = open_rooms(options)
    written = record(rooms.book, rooms.actor, promises, rooms.now())
    click.echo(f"{written} of {len(promises)} promises recorded")


@command.command("score")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--book", "of_book", is_flag=True, help="What is recorded here, in place of a FILE.")
@_JSON
@_LANG
@click.pass_obj
def score_command(
    options: dict[str, str | None],
    file: Path | None,
    *,
    of_book: bool,
    as_json: bool,
    lang: Lang,
) -> None:
    """Verdicts on the guidance in FILE: beat, upper half, lower half, miss, or why nobody can tell.

    FILE is a CSV with the columns metric, unit, period, basis, metric_version, low, high, source,
    issued_on and, once it came in, actual and actual_basis; or one quarter a line with growth on
    both bases beside its guidance.
    """
    if of_book == (file is not None):
        raise UsageError("give either FILE or --book", field="file")
    if file is None:
        promises, name = _recorded(options), "book"
    else:
        promises = read_guidance(read_bytes(file, GUIDANCE_BYTES_MAX), file.name)
        name = file.name
    card = scorecard(promises)
    if as_json:
        click.echo(json.dumps(document(card, name), indent=2, ensure_ascii=False))
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


def _recorded(options: dict[str, str | None]) -> tuple[Promise, ...]:
    from quartermaster.app import open_rooms
    from quartermaster.commands.guidance import recorded

    found = recorded(open_rooms(options).book.view())
    if not found:
        raise NotFoundError(
            "no guidance is recorded here", hint="quartermaster guidance record FILE"
        )
    return found
