"""`quartermaster exposure FILE`: how much hangs on one customer."""

import json
from pathlib import Path

import click

from quartermaster.exposure.book import scenario_exposure
from quartermaster.exposure.csv_rows import CSV_BYTES_MAX, read_bytes, read_csv
from quartermaster.exposure.report import (
    InputFile,
    Peak,
    Report,
    RunRateLine,
    as_json,
    input_file,
    scenario_report,
)
from quartermaster.exposure.rollup import WINDOW_MONTHS, measure, monthly_totals
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import read_scenario
from quartermaster.revenue.run_rate import PEAK_RATIO_MAX, run_rates


def rows_report(
    rows: tuple[RevenueRow, ...],
    *,
    title: str,
    scope: str,
    months: int = WINDOW_MONTHS,
    as_of: str | None = None,
    source: InputFile | None = None,
    seed: int | None = None,
    note: str = "",
) -> Report:
    """The report of monthly rows: exposure of the window, run-rates of the months up to it.

    Raises:
        DataError: see `rollup.measure`.
    """
    exposure = measure(rows, scope=scope, months=months, as_of=as_of)
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
        note=note,
    )


def read_report(
    path: Path,
    *,
    scope: str,
    months: int,
    as_of: str | None,
    decimal_comma: bool,
    ignore_columns: tuple[str, ...],
) -> Report:
    """The report of a scenario (`.toml`) or of a CSV (anything else).

    Raises:
        DataError: the file cannot be read as a whole.
    """
    if path.suffix.casefold() == ".toml":
        scenario, data = read_scenario(path)
        return scenario_report(scenario, scenario_exposure(scenario), input_file(path.name, data))
    data = read_bytes(path, CSV_BYTES_MAX)
    rows = read_csv(data, path.name, decimal_comma=decimal_comma, ignore_columns=ignore_columns)
    return rows_report(
        rows,
        title=path.name,
        scope=scope or f"all customers in {path.name}",
        months=months,
        as_of=as_of,
        source=input_file(path.name, data),
    )


@click.command("exposure")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
def command(file: Path, *, as_json_: bool) -> None:
    """How much of the revenue in FILE hangs on one customer."""
    report = read_report(
        file, scope="", months=WINDOW_MONTHS, as_of=None, decimal_comma=False, ignore_columns=()
    )
    if as_json_:
        click.echo(json.dumps(as_json(report), indent=2, ensure_ascii=False))
