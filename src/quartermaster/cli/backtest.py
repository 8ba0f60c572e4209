"""`quartermaster backtest FILE`: how good the departure probabilities would have been."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quartermaster.cli.warn import open_panel
from quartermaster.console.format import LANGS, Lang

if TYPE_CHECKING:
    from quartermaster.exposure.backtest import Backtest


@click.command("backtest")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--decimal-comma", is_flag=True, help="CSV: amounts are written 1234,56.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
def command(file: Path, *, decimal_comma: bool, as_json: bool, lang: Lang) -> None:
    """How good the probabilities of `warn` would have been on FILE, beside simple baselines.

    FILE is a usage panel as for `warn`. Every four weeks the model learns from what was over by
    then and states the probability that the next 13 weeks hold less than half of the last 13.
    """
    panel = open_panel(file, decimal_comma=decimal_comma)

    from quartermaster.exposure.backtest import backtest, backtest_json

    result = backtest(panel)
    if as_json:
        click.echo(json.dumps(backtest_json(result), indent=2, ensure_ascii=False))
        return
    for line in table(result, lang):
        click.echo(line)


def table(result: "Backtest", lang: Lang = "en") -> list[str]:
    """The result as lines of a terminal."""
    from quartermaster.console.warning_terminal import backtest_lines

    return backtest_lines(result, lang)
