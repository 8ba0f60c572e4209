"""`quartermaster report SOURCE`: the board report, as a page, as a PDF, as JSON."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from quartermaster.cli.payback import SHARE
from quartermaster.cli.pdf import write_pdf
from quartermaster.cli.revenue_file import Reading, picked, read_revenue, revenue_options
from quartermaster.cli.written import write_file
from quartermaster.console.format import LANGS, Lang
from quartermaster.exposure.bands import BandRules
from quartermaster.exposure.bands_file import BANDS_BYTES_MAX, read_bands
from quartermaster.exposure.csv_rows import read_bytes
from quartermaster.exposure.report import InputFile, input_file
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.clock import as_datetime, system_clock
from quartermaster.kernel.errors import UsageError

if TYPE_CHECKING:
    from quartermaster.app.board import Assumed, Revenue
    from quartermaster.console.board_facts import BoardFacts, CapacityFacts, Given

SCENARIO_SUFFIX = ".toml"
Command = Callable[..., None]


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What to write, and how."""

    as_json: bool
    html: Path | None
    pdf: Path | None
    lang: Lang


class Day(click.ParamType[date]):
    """A calendar day."""

    name = "YYYY-MM-DD"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> date:
        """Read the text; a mistake becomes a usage error that names the option."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day such as 2024-08-01", param, ctx)


def _part_options(command: Command) -> Command:
    file = click.Path(path_type=Path)
    options = (
        click.option("--bands", type=file, help="TOML: edges, what absorbs a loss, plans."),
        click.option("--guidance", type=file, help="CSV: what was promised, and what came."),
        click.option("--usage", type=file, help="CSV of daily usage: tenant, date, amount."),
        click.option("--statements", type=file, help="JSON lines: past probabilities, outcomes."),
        click.option("--capacity", type=file, help="TOML: the fleet."),
        click.option("--demand", type=file, help="CSV: the fleet's tokens by hour."),
        click.option("--contribution", type=SHARE, help="Margin on revenue, 30%; for payback."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _loss_options(command: Command) -> Command:
    options = (
        click.option("--assumptions", "assumptions_file", type=click.Path(path_type=Path),
                     help="TOML file of assumptions; flags go before it."),
        click.option("--hazard", multiple=True, metavar="WHO=RATE",
                     help="Departures a year: top=35%, rest=10%, or GROUP=20%; may be repeated."),
        click.option("--horizon", type=int, help="Months looked ahead; 24."),
        click.option("--quantile", help="Where the tail begins; 95%."),
        click.option("--ramp", type=float, help="Months in which usage falls to what is kept."),
        click.option("--notice", type=float, help="Months of notice before it begins to fall."),
        click.option("--frailty", type=float, help="Variance of the common factor of hazards."),
        click.option("--commitment", multiple=True, metavar="GROUP=AMOUNT:MONTHS",
                     help="Least owed for a month, and for how many months; may be repeated."),
        click.option("--threads", type=click.IntRange(0), default=0,
                     help="0: all. Figures do not depend on it."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command("report")
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("--live", is_flag=True, help="Of the live book, as the clerk last rated it.")
@click.option("--sample", is_flag=True, help="Of the sample book, labelled as one.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the report as one page.")
@click.option("--pdf", type=click.Path(path_type=Path), help="Write the report; needs Chromium.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
@click.option("--made-on", type=Day(), help="Date of making in the report; today.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_part_options
@_loss_options
@revenue_options
@click.pass_obj
def command(
    options: dict[str, str | None],
    /,
    source: Path | None,
    *,
    live: bool,
    sample: bool,
    made_on: date | None,
    **given: Any,  # noqa: ANN401 - click hands over what it parsed
) -> None:
    """The board report of SOURCE: finding, picture, table, definitions, sources, data hash.

    SOURCE is a CSV as for `exposure`, or a scenario (.toml). Two to four pages on A4; what is not
    given is named at the end, with the option that gives it.
    """
    if sum((source is not None, live, sample)) != 1:
        raise UsageError("report of what?", hint="give a FILE, or --live, or --sample")
    from quartermaster.app.board import facts_of

    revenue = _revenue(source, given, options, sample=sample)
    assumed, assumptions_file = _assumed(revenue, given)
    facts = facts_of(
        revenue,
        assumed,
        made_on=made_on or as_datetime(system_clock()).date(),
        given=_given(revenue, given, assumptions_file),
        threads=given["threads"],
    )
    _show(facts, picked(Output, given))


def _show(facts: "BoardFacts", output: Output) -> None:
    from quartermaster.console.board_page import page_of
    from quartermaster.console.board_text import as_json, dumped, text
    from quartermaster.console.board_view import view_of

    view = view_of(facts, output.lang)
    page = page_of(view) if output.html or output.pdf else ""
    if output.html is not None:
        write_file(output.html, page)
    if output.pdf is not None:
        write_pdf(page, output.pdf)
    if output.as_json:
        click.echo(dumped(as_json(facts)))
    else:
        click.echo(text(view))


def _revenue(
    source: Path | None, given: dict[str, Any], options: dict[str, str | None], *, sample: bool
) -> "Revenue":
    from quartermaster.app.board import file_revenue, scenario_revenue, shown_revenue

    reading = picked(Reading, given)
    rules, rules_file = _rules(given["bands"])
    if source is not None and source.suffix.casefold() != SCENARIO_SUFFIX:
        found = read_revenue(source, reading)
        return file_revenue(found, rules=rules, rules_file=rules_file)
    if reading.stated:
        raise UsageError("options marked CSV apply to a CSV only", hint="leave them out")
    if source is not None:
        scenario, data = read_scenario(source)
        read = input_file(source.name, data)
        return scenario_revenue(scenario, read, rules=rules, rules_file=rules_file)
    from quartermaster.app import clerk_warning, open_rooms
    from quartermaster.app.console_book import live_shown, sample_shown

    if sample:
        return shown_revenue(sample_shown(), rules=rules, rules_file=rules_file)
    var = open_rooms(options).var
    book = live_shown(var)
    if book is None:
        raise UsageError(
            "the live book has no revenue yet", hint="rate some usage, or try --sample"
        )
    look = clerk_warning.read(var)
    return shown_revenue(book, rules=rules, rules_file=rules_file, look=look)


def _rules(path: Path | None) -> tuple[BandRules, InputFile | None]:
    if path is None:
        return BandRules(), None
    data = read_bytes(path, BANDS_BYTES_MAX)
    return read_bands(data, path.name), input_file(path.name, data)


def _assumed(revenue: "Revenue", given: dict[str, Any]) -> "tuple[Assumed, InputFile | None]":
    """The assumptions, and the file that they came from."""
    from quartermaster.app.board import assumed_of
    from quartermaster.cli.risk_input import read_options
    from quartermaster.exposure.risk_assumptions import ASSUMPTIONS_BYTES_MAX

    exposure, path = revenue.report.exposure, given["assumptions_file"]
    found = read_options(given, [group.group for group in exposure.groups])
    chosen = path is not None or bool(given["hazard"])
    assumed = assumed_of(found, chosen=chosen, sample=exposure.sample)
    if path is None:
        return assumed, None
    return assumed, input_file(path.name, read_bytes(path, ASSUMPTIONS_BYTES_MAX))


def _given(
    revenue: "Revenue", given: dict[str, Any], assumptions_file: InputFile | None
) -> "Given":
    """The parts that come from files of their own, read and computed."""
    from quartermaster.console.board_facts import Given

    inputs: list[tuple[str, InputFile]] = []
    if assumptions_file is not None:
        inputs.append(("assumptions", assumptions_file))

    def read(key: str, option: str, limit: int) -> bytes | None:
        path: Path | None = given[option]
        if path is None:
            return None
        data = read_bytes(path, limit)
        inputs.append((key, input_file(path.name, data)))
        return data

    card = warnings = record = None
    from quartermaster.cli.guidance import GUIDANCE_BYTES_MAX

    data = read("guidance", "guidance", GUIDANCE_BYTES_MAX)
    if data is not None:
        from quartermaster.revenue.guidance_rows import read_guidance
        from quartermaster.revenue.scorecard import scorecard

        card = scorecard(read_guidance(data, given["guidance"].name))
    if given["usage"] is not None:
        from quartermaster.cli.warn import open_panel
        from quartermaster.exposure.panel_file import PANEL_BYTES_MAX
        from quartermaster.exposure.warning import warn

        warnings = warn(open_panel(given["usage"], decimal_comma=given["decimal_comma"]))
        read("warning", "usage", PANEL_BYTES_MAX)
    if given["statements"] is not None:
        from quartermaster.exposure.departure_statements import (
            STATEMENTS_BYTES_MAX,
            parse_statements,
        )
        from quartermaster.exposure.departure_statements import record as record_of

        data = read("statements", "statements", STATEMENTS_BYTES_MAX)
        assert data is not None, "the path was given"
        record = record_of(parse_statements(data, given["statements"].name))
    return Given(
        guidance=card,
        warnings=warnings,
        statements=record,
        capacity=_capacity(revenue, given),
        inputs=tuple(inputs),
    )


def _capacity(revenue: "Revenue", given: dict[str, Any]) -> "CapacityFacts | None":
    path: Path | None = given["capacity"]
    demand: Path | None = given["demand"]
    contribution: Decimal | None = given["contribution"]
    if path is None:
        if demand is not None or contribution is not None:
            raise UsageError("--demand and --contribution go with --capacity FILE")
        return None
    from quartermaster.app.board_capacity import FleetGiven, capacity_of
    from quartermaster.capacity.csv_lines import CSV_BYTES_MAX
    from quartermaster.capacity.demand import HourTokens, read_demand
    from quartermaster.capacity.fleet import FLEET_BYTES_MAX, parse_fleet, pool_models

    data = read_bytes(path, FLEET_BYTES_MAX)
    fleet, inputs = parse_fleet(data, path.name), [("fleet", input_file(path.name, data))]
    rows: tuple[HourTokens, ...] = ()
    if demand is not None:
        tokens = read_bytes(demand, CSV_BYTES_MAX)
        inputs.append(("demand", input_file(demand.name, tokens)))
        models = pool_models(fleet.pools)
        rows = read_demand(tokens, demand.name, model=models[0] if len(models) == 1 else "")
    read = FleetGiven(fleet=fleet, inputs=tuple(inputs), demand=rows, contribution=contribution)
    return capacity_of(read, revenue.report.exposure)
