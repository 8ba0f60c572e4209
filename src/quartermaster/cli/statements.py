"""`quartermaster statements FILE`: how good our own past probabilities were."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quartermaster.exposure.departure_statements import Record

_BAR_CHARS = 40


@click.command("statements")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
def command(file: Path, *, as_json_: bool) -> None:
    """Score the statements in FILE: Brier, log score and the reliability diagram.

    FILE holds JSON lines as `quartermaster departure --record` writes them, with outcome true or
    false and resolved_on once the event came or its horizon has passed.
    """
    import msgspec

    from quartermaster.exposure.departure_statements import read_statements, record

    found = record(read_statements(file))
    if as_json_:
        document = {"schema": "quartermaster.statements/1", **msgspec.to_builtins(found)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(record_text(found)))


def record_text(found: "Record") -> Iterator[str]:
    """The record in lines: what the scores say, then the diagram."""
    if found.scores is None:
        yield f"{_count(found.statements, 'statement')}, none resolved: nothing to score yet"
        return
    score = found.scores
    yield (
        f"{_count(score.statements, 'resolved statement')} about"
        f" {_count(found.subjects, 'customer')} ({found.open} open):"
        f" Brier {score.brier:.4f}, log score {score.log_score:.4f}"
    )
    spread = f"{score.brier_if_calibrated:.4f}, give or take {score.brier_if_calibrated_sd:.4f}"
    yield f"  a calibrated forecaster with these probabilities would score {spread}"
    yield f"  stating the observed rate every time, known only now, {score.brier_base_rate:.4f}"
    if not score.enough:
        yield "  too few statements to say anything about calibration"
    yield "  stated   came (90 % interval)      statements"
    for group in score.bins:
        came = group.came
        yield (
            f"  {group.stated:6.1%}   {came.share:6.1%} ({came.low:5.1%} to {came.high:6.1%})"
            f"  {group.statements:6d}  {_bar(group.stated, came.low, came.share, came.high)}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _bar(stated: float, low: float, share: float, high: float) -> str:
    """From 0 to 1: the interval as dashes, what came as `o`, what was stated as `|`."""
    cells = [" "] * (_BAR_CHARS + 1)
    for at in range(round(low * _BAR_CHARS), round(high * _BAR_CHARS) + 1):
        cells[at] = "-"
    cells[round(share * _BAR_CHARS)] = "o"
    cells[round(stated * _BAR_CHARS)] = "|"
    return f"[{''.join(cells)}]"
