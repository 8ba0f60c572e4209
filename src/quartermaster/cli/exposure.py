"""`quartermaster exposure FILE`: how much hangs on one customer."""

import json
from pathlib import Path
from typing import Literal

import click
import msgspec

from quartermaster.app.revenue_report import revenue_report
from quartermaster.cli.pdf import write_pdf
from quartermaster.cli.revenue_file import Reading, picked, read_revenue, revenue_options
from quartermaster.cli.written import write_file
from quartermaster.console.claim_words import sentence, verdict_word
from quartermaster.console.figures import standalone
from quartermaster.console.format import LANGS, Lang
from quartermaster.console.report import page, share_figure
from quartermaster.console.report_text import text
from quartermaster.console.report_view import ROWS_MAX
from quartermaster.exposure.bands import BandRules, Bands
from quartermaster.exposure.bands_asked import BandsAsked, banded
from quartermaster.exposure.bands_file import BANDS_BYTES_MAX, read_bands
from quartermaster.exposure.book import scenario_exposure
from quartermaster.exposure.check import check
from quartermaster.exposure.csv_rows import read_bytes
from quartermaster.exposure.report import InputFile, Report, input_file, scenario_report
from quartermaster.exposure.report_json import as_json
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.rows_by import DIMENSIONS, Dimension
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.errors import FindingError, UsageError

SCENARIO_SUFFIX = ".toml"
FailOn = Literal["report", "breach", "unplanned"]
FAIL_ON: tuple[FailOn, ...] = ("report", "breach", "unplanned")


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What to write, and how."""

    as_json: bool
    svg: Path | None
    html: Path | None
    pdf: Path | None
    lang: Lang
    top: int
    fail_on: FailOn | None


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


def bands_of(
    exposure: Exposure, file: Path | None, asked: BandsAsked
) -> tuple[Bands, InputFile | None]:
    """The bands that groups reach, by a file, by flags over it, or by the defaults.

    Raises:
        DataError: the file cannot be read, or does not fit the revenue.
        UsageError: a flag is not what it should be.
    """
    rules, source = BandRules(), None
    if file is not None:
        data = read_bytes(file, BANDS_BYTES_MAX)
        rules, source = read_bands(data, file.name), input_file(file.name, data)
    return banded(exposure, asked, rules), source


@click.command("exposure")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--svg", type=click.Path(path_type=Path), help="Write the bar of revenue.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the report as one page.")
@click.option("--pdf", type=click.Path(path_type=Path), help="Write the report; needs Chromium.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
@click.option("--top", type=click.IntRange(1), default=ROWS_MAX, help="Customers listed by name.")
@click.option("--by", type=click.Choice(DIMENSIONS), default="group", help="CSV: what is ranked.")
@revenue_options
@click.option(
    "--bands", type=click.Path(path_type=Path), help="TOML: edges, what absorbs a loss, plans."
)
@click.option("--report-at", default="", help='Edge of the report band; "10 %" by default.')
@click.option("--breach-at", default="", help='Edge of the breach band; "25 %" by default.')
@click.option("--absorbing", default="", help="What a loss is borne by, in the file's currency.")
@click.option("--absorbing-name", default="", help="Its name, such as contribution margin 2024.")
@click.option(
    "--fail-on", type=click.Choice(FAIL_ON), help="Exit 3 when a customer is in that band."
)
def command(file: Path, *, by: Dimension, **given: object) -> None:
    """How much of the revenue in FILE hangs on one customer.

    FILE is a scenario (.toml) or a CSV with the columns customer, month, revenue, currency and,
    where there are any, group, product, region and contract_end.
    """
    output, asked = picked(Output, given), picked(BandsAsked, given)
    bands_file = given["bands"]
    assert bands_file is None or isinstance(bands_file, Path), "click made it one"
    reading = msgspec.structs.replace(picked(Reading, given), by=by)
    findings: tuple[tuple[str, str], ...] = ()
    if file.suffix.casefold() == SCENARIO_SUFFIX:
        if reading.stated:
            raise UsageError("options marked CSV do not apply to a scenario")
        report, findings = read_scenario_report(file, output.lang)
    else:
        found = read_revenue(file, reading)
        report = revenue_report(
            found.rows,
            found.exposure,
            title=found.source.name,
            source=found.source,
            control=found.control,
        )
    if by == "group":
        bands, source = bands_of(report.exposure, bands_file, asked)
        report = msgspec.structs.replace(report, bands=bands, bands_file=source)
    elif output.fail_on or bands_file is not None or asked != BandsAsked():
        raise UsageError("bands are about customers, not about each " + by.replace("_", " "))
    _show(report, findings, output)


def _show(report: Report, findings: tuple[tuple[str, str], ...], output: Output) -> None:
    """Write and print what was asked for.

    Raises:
        FindingError: a customer is in the band of `--fail-on`.
    """
    if output.svg is not None:
        write_file(output.svg, standalone(share_figure(report, output.lang)))
    if output.html is not None:
        write_file(output.html, page(report, output.lang, findings))
    if output.pdf is not None:
        write_pdf(page(report, output.lang, findings), output.pdf)
    if output.as_json:
        click.echo(json.dumps(as_json(report), indent=2, ensure_ascii=False))
    else:
        click.echo(text(report, output.lang, rows_max=output.top))
    if output.fail_on is not None and report.bands is not None:
        lines = {
            "report": report.bands.lines,
            "breach": report.bands.breaches,
            "unplanned": report.bands.unplanned,
        }[output.fail_on]
        if lines:
            names = ", ".join(line.group for line in lines)
            raise FindingError(f"{output.fail_on}: {names}")
