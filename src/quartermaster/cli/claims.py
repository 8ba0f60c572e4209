"""`quartermaster claims check FILE`: which claims agree, contradict, or cannot be compared."""

import json
from pathlib import Path

import click

from quartermaster.console.claim_words import sentence, verdict_word
from quartermaster.console.format import LANGS, Lang
from quartermaster.exposure.check import as_json, check, contradictions
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.errors import FindingError


@click.group("claims")
def command() -> None:
    """Check the claims of a scenario against each other."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the sentences.")
@click.option(
    "--fail-on",
    type=click.Choice(["contradiction"]),
    help="Exit 3 when claims contradict; otherwise a check that ran exits 0.",
)
def check_command(file: Path, *, as_json_: bool, lang: Lang, fail_on: str | None) -> None:
    """Recompute every figure in FILE that can be recomputed, and refuse what cannot be compared."""
    scenario, data = read_scenario(file)
    findings = check(scenario)
    sentences = tuple(sentence(finding, scenario, lang) for finding in findings)
    if as_json_:
        document = as_json(scenario, findings, sentences, data)
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for finding, words in zip(findings, sentences, strict=True):
            click.echo(f"{verdict_word(finding, lang)}: {words}")
    found = contradictions(findings)
    if fail_on and found:
        raise FindingError(f"{len(found)} of {len(findings)} findings are contradictions")
