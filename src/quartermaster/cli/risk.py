"""`quartermaster risk FILE`: what revenue is at risk, on whom it hangs, under which assumptions."""

import json
from pathlib import Path
from typing import Any

import click

from quartermaster.cli.risk_input import ProgressLine, data_json, input_options, read_input
from quartermaster.console.format import LANGS


@click.command("risk")
@click.argument("file", type=click.Path(path_type=Path))
@input_options
@click.option(
    "--against",
    type=click.Choice(["path", "plan"]),
    default="path",
    help="Loss against the same scenario with nobody leaving (path), or against the plan.",
)
@click.option(
    "--engine",
    type=click.Choice(["full", "reduced"]),
    default="full",
    help="reduced: the largest customers one by one, the others in closed form.",
)
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
def command(file: Path, **options: Any) -> None:  # noqa: ANN401 - click hands over what it parsed
    """What revenue in FILE is at risk when customers leave, and on whom that hangs.

    FILE is a scenario (.toml) or a CSV, as for `exposure`. Hazards are assumptions: name yours.
    """
    given = read_input(file, options)
    from quartermaster.console.risk_text import text
    from quartermaster.exposure.risk_json import risk_json
    from quartermaster.exposure.risk_measure import measure_risk
    from quartermaster.exposure.simulate import Run

    run = Run(
        scenarios=options["scenarios"],
        seed=options["seed"],
        threads=options["threads"],
        progress=ProgressLine(2 * options["scenarios"]),
    )
    risk = measure_risk(
        given.payers,
        given.assumptions,
        run,
        engine=options["engine"],
        against=options["against"],
    )
    if options["as_json"]:
        document = {**risk_json(risk, given.currency), **data_json(given)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(text(risk, given.title, given.currency, options["lang"]))
