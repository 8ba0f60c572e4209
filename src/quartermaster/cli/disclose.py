"""`quartermaster disclose FILE`: what a disclosure rule asks, and a draft for counsel."""

import json
from pathlib import Path

import click
import msgspec

from quartermaster.cli.revenue_file import Reading, picked, read_revenue, revenue_options
from quartermaster.console.format import LANGS, Lang
from quartermaster.console.report_disclosure import disclosure_text, view_of
from quartermaster.exposure.book import book_rows, scenario_exposure
from quartermaster.exposure.csv_rows import minor_units
from quartermaster.exposure.disclosure import RULE_IDS, EntityRevenue, RuleId, disclosure_test
from quartermaster.exposure.disclosure_json import as_json
from quartermaster.exposure.report import InputFile, input_file
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.errors import UsageError

SCENARIO_SUFFIX = ".toml"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the rule is tested with."""

    rule: RuleId
    entity_revenue: str
    whole_entity: bool
    government: tuple[str, ...]
    segment: str
    as_json: bool
    lang: Lang


@click.command("disclose")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rule", type=click.Choice(RULE_IDS), required=True, help="Which rule to test.")
@click.option(
    "--entity-revenue",
    default="",
    metavar="AMOUNT",
    help="Revenue of the whole reporting entity in the same months, in the file's currency.",
)
@click.option("--whole-entity", is_flag=True, help="FILE holds all revenue of the entity.")
@click.option("--government", multiple=True, help="A customer (group) that is a government.")
@click.option("--segment", default="", help="Name of the reporting segment, for the draft.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
@revenue_options
def command(file: Path, **given: object) -> None:
    """Test the customers in FILE against a disclosure rule, and draft its words for counsel.

    The rules speak of the revenue of the whole reporting entity, so it must be given: a quarter of
    one service line is no disclosure. FILE is a scenario (.toml) or a CSV as for `exposure`.
    """
    asked, reading = picked(Asked, given), picked(Reading, given)
    if bool(asked.entity_revenue) == asked.whole_entity:
        raise UsageError(
            "a share of what? The rule asks for the revenue of the whole reporting entity",
            hint="give --entity-revenue AMOUNT, or --whole-entity when FILE holds all of it",
        )
    rows, exposure, inputs = _read(file, reading)
    test = disclosure_test(
        rows,
        exposure,
        asked.rule,
        _entity(asked, exposure),
        governments=asked.government,
        segment=asked.segment,
    )
    view = view_of(test, inputs, asked.lang)
    if asked.as_json:
        tree = as_json(test, inputs, draft=view.draft, notes=view.notes)
        click.echo(json.dumps(tree, indent=2, ensure_ascii=False))
    else:
        click.echo(disclosure_text(view, asked.lang))


def _read(
    file: Path, reading: Reading
) -> tuple[tuple[RevenueRow, ...], Exposure, tuple[InputFile, ...]]:
    if file.suffix.casefold() != SCENARIO_SUFFIX:
        found = read_revenue(file, reading)
        inputs = (found.source, *([found.control.file] if found.control else []))
        return found.rows, found.exposure, inputs
    if reading.stated:
        raise UsageError("options marked CSV do not apply to a scenario")
    scenario, data = read_scenario(file)
    return (
        tuple(book_rows(scenario)),
        scenario_exposure(scenario),
        (input_file(file.name, data),),
    )


def _entity(asked: Asked, exposure: Exposure) -> EntityRevenue:
    """The entity's revenue as the user says it; of a whole file, net of what has no share."""
    denominator = exposure.denominator
    if asked.whole_entity:
        net = denominator.minor + sum(member.minor for member in exposure.excluded)
        return EntityRevenue(net, denominator.currency, whole_file=True)
    minor = minor_units(
        asked.entity_revenue, denominator.currency, decimal_comma=False, what="--entity-revenue"
    )
    return EntityRevenue(minor, denominator.currency, whole_file=False)
