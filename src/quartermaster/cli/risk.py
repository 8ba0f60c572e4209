"""`quartermaster risk FILE`: what revenue is at risk, on whom it hangs, under which assumptions."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from quartermaster.cli.risk_input import (
    Input,
    ProgressLine,
    data_json,
    input_options,
    read_input,
    short,
)
from quartermaster.exposure.risk_assumptions import Assumptions

if TYPE_CHECKING:
    from quartermaster.exposure.risk_measure import Part, Risk

PARTS_SHOWN = 10
"""Rows of the table for people; the JSON has all."""


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
def command(file: Path, **options: Any) -> None:  # noqa: ANN401 - click hands over what it parsed
    """What revenue in FILE is at risk when customers leave, and on whom that hangs.

    FILE is a scenario (.toml) or a CSV, as for `exposure`. Hazards are assumptions: name yours.
    """
    given = read_input(file, options)
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
        click.echo("\n".join(risk_lines(risk, given)))


def risk_lines(risk: "Risk", given: Input) -> list[str]:
    """The finding, the tail, who makes it up, and everything it hangs on."""
    lines = [given.title, "", *_finding(risk), "", *_tail_lines(risk, given.currency), ""]
    lines.append(
        "  revenue  of shortfall  at equal hazards  of expected loss  hazard/year  customer"
    )
    lines += [_part_line(part) for part in risk.parts[:PARTS_SHOWN]]
    if risk.pooled:
        lines.append(f"  {risk.pooled} others in closed form: {risk.pooled_share:.1%} of shortfall")
    return [*lines, "", *assumed_lines(risk.assumptions), "", *_check_lines(risk, given.currency)]


def _finding(risk: "Risk") -> list[str]:
    top, months = risk.top, risk.assumptions.horizon_months
    others = risk.assumptions.hazard_per_year.rest
    equal = top.shortfall_share_at_equal_hazard
    worst = f"the worst {1 - risk.tail.quantile:.2%} of scenarios over {months} months"
    return [
        f"{top.name} is {top.revenue_share:.1%} of revenue,",
        f"and {top.shortfall_share:.0%} of the loss in {worst},",
        f"if it leaves at {top.hazard_per_year:.3g} a year and the others at {others:.3g};",
        f"at {risk.equal_hazard_per_year:.3g} for everybody, {equal:.0%}.",
    ]


def _tail_lines(risk: "Risk", currency: str) -> list[str]:
    from quartermaster.exposure.risk_json import AGAINST_WORDS

    def amount(value: float) -> str:
        return short(value * risk.scale, currency)

    tail, equal = risk.tail, risk.equal_tail
    expected, shortfall = tail.expected, tail.expected_shortfall
    rows = (
        ("expected loss", expected.value, expected.standard_error, equal.expected.value),
        ("value at risk", tail.value_at_risk, None, equal.value_at_risk),
        (
            "expected shortfall",
            shortfall.value,
            shortfall.standard_error,
            equal.expected_shortfall.value,
        ),
    )
    lines = [
        f"Loss against {AGAINST_WORDS[risk.against]};",
        f"plan {short(risk.plan, currency)}; quantile {tail.quantile:g}.",
        f"  {'':18}  {'':>18}  {'standard error':>16}  {'at equal hazards':>18}",
    ]
    for name, value, error, beside in rows:
        spread = "" if error is None else amount(error)
        lines.append(f"  {name:18}  {amount(value):>18}  {spread:>16}  {amount(beside):>18}")
    return lines


def assumed_lines(assumptions: Assumptions) -> list[str]:
    """Every assumption, those that nobody chose marked as defaults."""
    from quartermaster.exposure.risk_json import left_at_default

    kept = set(left_at_default(assumptions))
    lines = ["Assumed, not estimated (* as the product ships it):"]
    for name, value in _flat(msgspec.to_builtins(assumptions), ""):
        mark = "*" if name in kept else " "
        lines.append(f"  {mark} {name} = {value}")
    return lines


def _flat(value: dict[str, Any], before: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, field in value.items():
        if isinstance(field, dict) and field:
            found += _flat(field, f"{before}{name}.")
        elif isinstance(field, list | tuple):
            found += [(f"{before}{name}", json.dumps(one, ensure_ascii=False)) for one in field]
        elif field != {}:
            found.append((f"{before}{name}", str(field)))
    return found


def _check_lines(risk: "Risk", currency: str) -> list[str]:
    shortfall = short(risk.checks.expected_shortfall * risk.scale, currency)
    expected = short(risk.checks.expected_loss * risk.scale, currency)
    return [
        f"Closed form of a simpler world (CreditRisk+): expected loss {expected},",
        f"expected shortfall {shortfall}.",
        f"{risk.engine} engine, {risk.tail.scenarios} scenarios, seed {risk.seed}.",
    ]


def _part_line(part: "Part") -> str:
    return (
        f"  {part.revenue_share:7.1%}  {part.shortfall_share:12.1%}"
        f"  {part.shortfall_share_at_equal_hazard:16.1%}  {part.expected_loss_share:16.1%}"
        f"  {part.hazard_per_year:11.3g}  {part.name}"
    )
