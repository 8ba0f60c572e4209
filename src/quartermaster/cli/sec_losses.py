"""`quartermaster sec-losses FOLDER`: how often filers lose a customer of 10 % or more."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quartermaster.exposure.sec_losses import Losses, Rate


@click.command("sec-losses")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
def command(folder: Path, *, as_json_: bool) -> None:
    """Count how often customers of 10 % or more are lost, in the SEC's files in FOLDER.

    FOLDER holds unpacked "Financial Statement Data Sets" or "Financial Statement and Notes" data
    of sec.gov, in itself or in one folder for each archive. The result is a base rate for the
    prior of `quartermaster departure`.
    """
    import msgspec

    from quartermaster.exposure.sec_facts import read_sec
    from quartermaster.exposure.sec_losses import SCHEMA, losses

    found = losses(read_sec(folder))
    if as_json_:
        document = {"schema": SCHEMA, **msgspec.to_builtins(found)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(found)))


def _lines(found: "Losses") -> Iterator[str]:
    yield (
        f"{found.customers} customer-years of 10 % or more at {found.filers} filers"
        f" ({found.filings} annual filings in {found.sets} sets; {found.anonymous} anonymous)"
    )
    if found.at_least is None or found.at_most is None:
        yield "none can be followed into the next year: add the next year's files"
    else:
        yield f"  gone or below half a year later, at least: {_rate(found.at_least)}"
        yield f"  gone or below half a year later, at most:  {_rate(found.at_most)}"
    yield "  fates: " + ", ".join(f"{name} {count}" for name, count in found.fates.items())
    yield f"  not followed, because the filer has no next year here: {found.not_followed}"
    for one in found.years:
        yield f"  {one.year}: {one.at_least} to {one.at_most} of {one.customer_years}"
    for reason, count in found.left_out.items():
        yield f"  left out, {reason}: {count}"


def _rate(rate: "Rate") -> str:
    share = rate.share
    return (
        f"{share.share:.1%} ({share.low:.1%} to {share.high:.1%}), {rate.losses} of"
        f" {rate.customer_years}; most prudent bound at 95 %: {rate.upper_bound:.1%}"
    )
