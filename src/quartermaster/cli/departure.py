"""`quartermaster departure CASE...`: how likely a customer leaves, and each step to that figure."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quartermaster.cli.statements import record_text
from quartermaster.kernel.errors import UsageError

if TYPE_CHECKING:
    from quartermaster.exposure.departure import Opinion

_RULE_OFF = "had every piece counted in full"


@click.command("departure")
@click.argument("cases", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
@click.option("--as-of", metavar="DAY", help="State on this day; by default on the last known one.")
@click.option(
    "--record",
    "record_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add the statements to this file of JSON lines, to be scored later.",
)
@click.option("--kinds", is_flag=True, help="List the kinds of evidence and their ratios.")
def command(
    cases: tuple[Path, ...],
    *,
    as_json_: bool,
    as_of: str | None,
    record_file: Path | None,
    kinds: bool,
) -> None:
    """How likely the customer of each CASE leaves within its horizon, with the evidence ledger.

    A CASE is a TOML file of dated, sourced facts. Where its outcome is known, the statement is
    scored.
    """
    if kinds:
        _show_kinds(as_json_=as_json_)
        return
    if not cases:
        raise UsageError("no case", hint="name at least one file, or list --kinds")
    # scipy comes with these, and only from here on.
    from quartermaster.exposure.departure import read_opinion
    from quartermaster.exposure.departure_statements import append_statements
    from quartermaster.exposure.replay import as_json, replay

    found = replay([read_opinion(path, as_of) for path in cases])
    if record_file is not None:
        added = append_statements(record_file, found.statements)
        click.echo(f"recorded {added} of {len(found.statements)} in {record_file}", err=True)
    if as_json_:
        click.echo(json.dumps(as_json(found), indent=2, ensure_ascii=False))
        return
    for one in found.opinions:
        click.echo("\n".join(_opinion_lines(one)) + "\n")
    if found.record.scores is not None and len(found.opinions) > 1:
        click.echo("\n".join(record_text(found.record)))


def _opinion_lines(found: "Opinion") -> Iterator[str]:
    from quartermaster.exposure.replay import finding

    case, steps = found.case, found.ledger
    after = steps.posterior
    yield (
        f"{case.title or case.id}: {_pct(after.probability)} ({_pct(after.low)} to"
        f" {_pct(after.high)}) within {case.horizon_months} months of {found.on}: {finding(found)}."
    )
    yield f"  event: {case.event}"
    prior = steps.prior
    yield (
        f"  prior {_pct(prior.probability)} ({_pct(prior.low)} to {_pct(prior.high)}):"
        f" {found.prior_words}"
    )
    for line in steps.lines:
        ratio = line.ratio
        counted = (
            "" if abs(line.counted / ratio.central - 1) < 1e-6 else f", counts {line.counted:.2g}"
        )
        yield (
            f"  {line.evidence.on:10} {line.evidence.kind} x{ratio.central:.2g}"
            f" ({ratio.low:.2g} to {ratio.high:.2g}, {line.origin}{counted})"
            f" -> {_pct(line.after)}"
        )
        yield f"             {line.evidence.fact}"
    for piece in steps.stale:
        yield f"  {piece.on:10} {piece.kind}: too long ago to count"
    joint = steps.joint
    yield f"  together x{joint.central:.2g} ({joint.low:.2g} to {joint.high:.2g})"
    priors = ", ".join(
        f"{_pct(one.prior)} ({one.prior_at}) -> {_pct(one.posterior)}" for one in found.sensitivity
    )
    yield f"  by prior: {priors}; even chance at {_pct(found.tipping_prior)}"
    if abs(steps.if_independent - after.probability) > 5e-4:
        yield f"  {_pct(steps.if_independent)} {_RULE_OFF}"
    yield from _outcome_lines(found)


def _outcome_lines(found: "Opinion") -> Iterator[str]:
    from quartermaster.exposure.replay import warned_days

    outcome, days = found.case.outcome, warned_days(found)
    if found.alarm_on:
        yield f"  50 % or more since {found.alarm_on}" + (
            f", {days} days before the outcome" if days is not None else ""
        )
    if outcome is not None:
        said = "it came" if outcome.happened else "it did not come"
        yield f"  outcome, {outcome.on}: {said}. {outcome.fact}"


def _show_kinds(*, as_json_: bool) -> None:
    import msgspec

    from quartermaster.exposure.evidence_kinds import KINDS

    if as_json_:
        click.echo(json.dumps(msgspec.to_builtins(KINDS), indent=2, ensure_ascii=False))
        return
    for kind in KINDS:
        click.echo(
            f"{kind.id} x{kind.low:g} to x{kind.high:g}, {kind.origin}, {kind.block},"
            f" {kind.lasts_months} months: {kind.words} ({kind.why})"
        )


def _pct(share: float) -> str:
    return f"{share * 100:.1f} %"
