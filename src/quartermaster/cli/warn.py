"""`quartermaster warn FILE`: who is leaving, from a usage panel."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quartermaster.kernel.errors import UnavailableError

if TYPE_CHECKING:
    from quartermaster.exposure.panel import Panel
    from quartermaster.exposure.warning import TenantWarning, Warnings

TOP = 10
"""As many tenants as somebody can look into; `--top` shows more."""


def open_panel(path: Path) -> "Panel":
    """The panel in a file.

    Raises:
        UnavailableError: numpy is not installed.
        DataError: see `exposure.panel_file.read_panel`.
    """
    try:
        from quartermaster.exposure.panel_file import read_panel
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"early warning needs {error.name}, which is not installed",
            hint="pip install 'quartermaster-ai[risk]'",
        ) from error
    return read_panel(path)


@click.command("warn")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, all tenants.")
@click.option("--top", type=click.IntRange(1), default=TOP, help="Tenants shown.")
def command(file: Path, *, as_json: bool, top: int) -> None:
    """Who is leaving, by what the usage in FILE says.

    FILE is a CSV with the columns tenant, date (YYYY-MM-DD) and amount, in any unit, or a Standard
    Workload Format log (.swf, .swf.gz).
    """
    panel = open_panel(file)

    import msgspec

    from quartermaster.exposure.warning import warn

    found = warn(panel)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for line in _summary(found, top):
        click.echo(line)


def _summary(found: "Warnings", top: int) -> list[str]:
    lines = [f"as of {found.as_of}, {len(found.tenants)} tenants with use in the last 13 weeks"]
    if found.base_rate is not None:
        lines.append(
            f"of {found.learnt_rows} past rows {found.base_rate:.0%} fell below half in 13 weeks"
        )
    if found.false_alarms_per_year is not None:
        lines.append(f"alarms were set at {found.false_alarms_per_year:.2f} a tenant-year")
    lines += found.notes
    for warning in found.tenants[:top]:
        lines += ["", *_tenant(warning)]
    return lines


def _tenant(warning: "TenantWarning") -> list[str]:
    chance = "no probability" if warning.probability is None else f"{warning.probability:.0%}"
    lines = [f"{warning.tenant}: {chance}, {warning.share:.1%} of usage"]
    lines += [
        f"  alarm {a.detector} since {a.since} ({a.score:.1f} over {a.threshold:.1f})"
        for a in warning.alarms
    ]
    if warning.change is not None:
        lines.append(
            f"  level changed in the week from {warning.change.week_from},"
            f" to {warning.change.ratio:.0%} of the one before"
        )
    lines += [f"  {reason.words}" for reason in warning.reasons]
    return [*lines, f"  {warning.note}"] if warning.note else lines
