"""`quartermaster forecast FILE`: revenue ahead, with and without one customer."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from quartermaster.app.forecast_book import book_of, committed, group_of
from quartermaster.cli.written import write_file
from quartermaster.console.figures import standalone
from quartermaster.console.forecast_text import figure, text
from quartermaster.console.format import LANGS, Lang
from quartermaster.exposure.csv_rows import CSV_BYTES_MAX, read_bytes, read_csv
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.errors import DataError
from quartermaster.revenue.book import forecast_document
from quartermaster.revenue.forecast import LEVEL, STEPS_MAX, TOP, TOP_MAX, forecast
from quartermaster.sim.book import reference_scenario, sample_book

SCENARIO_SUFFIX = ".toml"
MONTHS = 12


def read_rows(
    path: Path, *, decimal_comma: bool = False, ignore_columns: Sequence[str] = ()
) -> tuple[RevenueRow, ...]:
    """Monthly rows of a CSV, or of the sample book for the reference scenario.

    Raises:
        DataError: the file cannot be read as a whole, or is a scenario without a history.
    """
    if path.suffix.casefold() != SCENARIO_SUFFIX:
        data = read_bytes(path, CSV_BYTES_MAX)
        return read_csv(data, path.name, decimal_comma=decimal_comma, ignore_columns=ignore_columns)
    scenario, _ = read_scenario(path)
    if scenario.book != reference_scenario().book or scenario.claims != reference_scenario().claims:
        raise DataError(
            f"{path.name} states one month, and a forecast needs many",
            hint="pass a CSV of revenue by customer and month",
        )
    return sample_book(scenario.seed)


@click.command("forecast")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--customer-without", default="", help="Show the forecast without this one, too.")
@click.option(
    "--months", type=click.IntRange(1, STEPS_MAX), default=MONTHS, help="Months ahead; 12."
)
@click.option(
    "--top", type=click.IntRange(1, TOP_MAX), default=TOP, help="Customers forecast alone; 10."
)
@click.option(
    "--level",
    type=click.FloatRange(0.5, 0.95),
    default=LEVEL,
    help="Of the intervals; 0.8 is missed once in five times.",
)
@click.option(
    "--commitment",
    multiple=True,
    metavar="GROUP=AMOUNT:MONTHS",
    help="Owed at least a month, for so many months; may be repeated.",
)
@click.option("--as-of", metavar="YYYY-MM", help="Last month known; the file's last by default.")
@click.option("--decimal-comma", is_flag=True, help="CSV: amounts are written 1234,56.")
@click.option("--ignore-column", multiple=True, help="CSV: leave a column out; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--svg", type=click.Path(path_type=Path), help="Write the fan chart.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
def command(
    file: Path,
    *,
    customer_without: str,
    months: int,
    top: int,
    level: float,
    commitment: tuple[str, ...],
    as_of: str | None,
    decimal_comma: bool,
    ignore_column: tuple[str, ...],
    as_json: bool,
    svg: Path | None,
    lang: Lang,
) -> None:
    """Forecast the revenue in FILE by customer and in all, with intervals that were checked.

    FILE is a CSV with the columns customer, month, revenue, currency and, where there are any,
    group, product, contract_end and minimum_per_month; or the reference scenario, whose sample
    book is forecast.
    """
    rows = read_rows(file, decimal_comma=decimal_comma, ignore_columns=ignore_column)
    book = committed(book_of(rows, name=file.name, steps=months, as_of=as_of), commitment)
    without = group_of(rows, customer_without)
    found = forecast(
        book.series, steps=months, without=without, top=top, level=level, floors=book.floors
    )
    if svg is not None:
        write_file(svg, standalone(figure(book, found, lang)))
    if as_json:
        click.echo(json.dumps(forecast_document(book, found), indent=2, ensure_ascii=False))
    else:
        click.echo(text(book, found, lang))
