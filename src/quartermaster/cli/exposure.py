"""`quartermaster exposure FILE`: how much hangs on one customer."""

import json
from pathlib import Path

import click

from quartermaster.console.claim_words import sentence, verdict_word
from quartermaster.console.figures import standalone
from quartermaster.console.format import LANGS, Lang
from quartermaster.console.report import page, share_figure
from quartermaster.console.report_text import text
from quartermaster.console.report_view import ROWS_MAX
from quartermaster.exposure.book import scenario_exposure
from quartermaster.exposure.check import check
from quartermaster.exposure.csv_rows import CSV_BYTES_MAX, read_bytes, read_csv
from quartermaster.exposure.report import (
    InputFile,
    Peak,
    Report,
    RunRateLine,
    Said,
    as_json,
    input_file,
    scenario_report,
)
from quartermaster.exposure.rollup import WINDOW_MONTHS, WINDOW_MONTHS_MAX, measure, monthly_totals
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.errors import UsageError
from quartermaster.revenue.run_rate import PEAK_RATIO_MAX, run_rates

SCENARIO_SUFFIX = ".toml"


def rows_report(
    rows: tuple[RevenueRow, ...],
    *,
    title: str,
    scope: str,
    scope_de: str = "",
    months: int = WINDOW_MONTHS,
    as_of: str | None = None,
    source: InputFile | None = None,
    seed: int | None = None,
    note: Said | None = None,
) -> Report:
    """The report of monthly rows: exposure of the window, run-rates of the months up to it.

    Raises:
        DataError: see `rollup.measure`.
    """
    exposure = measure(rows, scope=scope, scope_de=scope_de, months=months, as_of=as_of)
    totals = monthly_totals(row for row in rows if row.month <= exposure.denominator.last)
    rates = run_rates(totals, exposure.denominator.currency)
    lines = [] if rates is None else [rates.last_month, rates.trailing]
    return Report(
        title=title,
        exposure=exposure,
        run_rates=tuple(
            RunRateLine(
                method=line.method, minor=line.minor, currency=line.currency, months=line.months
            )
            for line in lines
            if line is not None
        ),
        peak=None
        if rates is None
        else Peak(rates.peak_ratio, float(PEAK_RATIO_MAX), rates.is_peak),
        input=source,
        seed=seed,
        note=note or Said(),
    )


def read_scenario_report(path: Path, lang: Lang) -> tuple[Report, tuple[tuple[str, str], ...]]:
    """The report of a scenario, and what its claims say of each other in words.

    Raises:
        DataError: the file cannot be read as a whole.
    """
    scenario, data = read_scenario(path)
    report = scenario_report(scenario, scenario_exposure(scenario), input_file(path.name, data))
    findings = tuple(
        (verdict_word(finding, lang), sentence(finding, scenario, lang))
        for finding in check(scenario)
    )
    return report, findings


def read_csv_report(
    path: Path,
    *,
    scope: str,
    months: int,
    as_of: str | None,
    decimal_comma: bool,
    ignore_columns: tuple[str, ...],
) -> Report:
    """The report of a CSV of revenue by customer and month.

    Raises:
        DataError: the file cannot be read as a whole.
    """
    data = read_bytes(path, CSV_BYTES_MAX)
    rows = read_csv(data, path.name, decimal_comma=decimal_comma, ignore_columns=ignore_columns)
    return rows_report(
        rows,
        title=path.name,
        scope=scope or f"all customers in {path.name}",
        scope_de=scope or f"allen Kunden in {path.name}",
        months=months,
        as_of=as_of,
        source=input_file(path.name, data),
    )


@click.command("exposure")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
@click.option(
    "--svg", type=click.Path(path_type=Path), help="Write the bar of revenue by customer."
)
@click.option("--html", type=click.Path(path_type=Path), help="Write the report as one page.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
@click.option("--top", type=click.IntRange(1), default=ROWS_MAX, help="Customers listed by name.")
@click.option(
    "--of", "scope", default="", help="CSV: whose revenue this is; names the denominator."
)
@click.option(
    "--months",
    type=click.IntRange(1, WINDOW_MONTHS_MAX),
    help=f"CSV: months that shares are of; {WINDOW_MONTHS} by default.",
)
@click.option("--as-of", metavar="YYYY-MM", help="CSV: last month; the file's last by default.")
@click.option("--decimal-comma", is_flag=True, help="CSV: amounts are written 1234,56.")
@click.option("--ignore-column", multiple=True, help="CSV: leave a column out; may be repeated.")
def command(
    file: Path,
    *,
    as_json_: bool,
    svg: Path | None,
    html: Path | None,
    lang: Lang,
    top: int,
    scope: str,
    months: int | None,
    as_of: str | None,
    decimal_comma: bool,
    ignore_column: tuple[str, ...],
) -> None:
    """How much of the revenue in FILE hangs on one customer.

    FILE is a scenario (.toml) or a CSV with the columns customer, month, revenue, currency and,
    where there are any, group and product.
    """
    if file.suffix.casefold() == SCENARIO_SUFFIX:
        if scope or months or as_of or decimal_comma or ignore_column:
            raise UsageError("options marked CSV do not apply to a scenario")
        report, findings = read_scenario_report(file, lang)
    else:
        report, findings = (
            read_csv_report(
                file,
                scope=scope,
                months=months or WINDOW_MONTHS,
                as_of=as_of,
                decimal_comma=decimal_comma,
                ignore_columns=ignore_column,
            ),
            (),
        )
    if svg is not None:
        _write(svg, standalone(share_figure(report, lang)))
    if html is not None:
        _write(html, page(report, lang, findings))
    if as_json_:
        click.echo(json.dumps(as_json(report), indent=2, ensure_ascii=False))
    else:
        click.echo(text(report, lang, rows_max=top))


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}", err=True)
