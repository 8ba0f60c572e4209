"""`quartermaster capacity FLEET`: what was built, who keeps it busy, what is stranded."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from quartermaster.capacity import document
from quartermaster.capacity.answer import (
    File,
    Given,
    departed,
    fleet_of,
    read,
    span_of,
    stated,
    tree,
    with_points,
)
from quartermaster.capacity.csv_lines import CSV_BYTES_MAX
from quartermaster.capacity.demand import HourTokens, from_usage
from quartermaster.capacity.fleet import FLEET_BYTES_MAX, Fleet
from quartermaster.capacity.series import stack
from quartermaster.capacity.statement import Statement
from quartermaster.console.figures import standalone
from quartermaster.console.figures_capacity import CapacityWords, capacity_stack, from_series
from quartermaster.kernel.clock import Period, month_named
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.money import round_line

Options = dict[str, str | None]

WORDS = CapacityWords(
    reserved_idle="reserved, idle",
    idle="idle, needed at the peak",
    stranded="stranded",
    provisioned="provisioned",
    axis="GPUs, mean of each step",
)


@click.command("capacity")
@click.argument("fleet", type=click.Path(path_type=Path))
@click.option("--demand", type=click.Path(path_type=Path), help="CSV of tokens by hour.")
@click.option("--live", is_flag=True, help="Demand and revenue of what was metered here.")
@click.option("--revenue", type=click.Path(path_type=Path), help="CSV: customer,revenue,currency.")
@click.option("--points", type=click.Path(path_type=Path), help="CSV of measured points.")
@click.option(
    "--without", "leavers", multiple=True, help="Who leaves; repeat it for entities of one group."
)
@click.option(
    "--backfill",
    type=click.IntRange(0, 100),
    default=0,
    help="Percent of what leavers used that others use instead.",
)
@click.option("--period", metavar="YYYY-MM", help="A whole month, UTC; else first to last hour.")
@click.option("--svg", type=click.Path(path_type=Path), help="Write the stack of hours.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(
    options: Options,
    fleet: Path,
    *,
    demand: Path | None,
    live: bool,
    revenue: Path | None,
    points: Path | None,
    leavers: tuple[str, ...],
    backfill: int,
    period: str | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    """What the capacity in FLEET cost, who kept it busy, and what nobody needed.

    FLEET is a TOML file of GPU pools. Demand is a CSV with the columns hour, customer,
    prefill_tokens, decode_tokens and, where there are any, model and requests.
    """
    if live == (demand is not None):
        raise UsageError("demand: give either --demand FILE or --live")
    if live and revenue is not None:
        raise UsageError("--live rates its own revenue", hint="leave --revenue out")
    if backfill and not leavers:
        raise UsageError("--backfill needs somebody to leave", hint="add --without CUSTOMER")
    month = None if period is None else month_named(period, "UTC")
    given = _read(fleet, demand, revenue, options, month)
    if points is not None:
        given = with_points(given, _file(points, CSV_BYTES_MAX))
    before = stated(given)
    after = departed(given, leavers, backfill) if leavers else None
    if svg is not None:
        _write(svg, standalone(figure(after or before, leavers)))
    if as_json:
        click.echo(json.dumps(tree(given, before, after, leavers, backfill), indent=2))
        return
    _show(before, after, leavers, backfill)


def figure(statement: Statement, leavers: Sequence[str] = ()) -> str:
    """The stack of a statement; with leavers, what they freed is hatched in the colour of risk."""
    finding = document.finding(statement)
    return capacity_stack(
        from_series(stack(statement), after_departure=bool(leavers)),
        WORDS,
        title=f"Capacity of {statement.fleet.name}" + _gone(leavers),
        desc=f"{finding}.",
        lang="en",
        note=finding + _gone(leavers),
    )


def _gone(leavers: Sequence[str]) -> str:
    return f", without {', '.join(leavers)}" if leavers else ""


def _read(
    fleet: Path,
    demand: Path | None,
    revenue: Path | None,
    options: Options,
    month: Period | None,
) -> Given:
    file = _file(fleet, FLEET_BYTES_MAX)
    if demand is None:
        found = fleet_of(file)
        rows, paid = _metered(options, found, month)
        return Given(found, rows, paid, span_of(rows, month), (file.stamp,))
    takings = None if revenue is None else _file(revenue, CSV_BYTES_MAX)
    return read(file, _file(demand, CSV_BYTES_MAX), takings, month)


def _metered(
    options: Options, fleet: Fleet, month: Period | None
) -> tuple[tuple[HourTokens, ...], dict[str, int]]:
    """Demand of the usage table at its current cut, and what it comes to at the agreed prices."""
    from quartermaster.app import open_rooms
    from quartermaster.billing.rate import rate
    from quartermaster.usage.cut import current_cut
    from quartermaster.usage.query import hourly

    rooms = open_rooms(options)
    usage = [
        row
        for row in hourly(rooms.usage, current_cut(rooms.usage), period=month)
        if row.model not in fleet.elsewhere
    ]
    view = rooms.book.view()
    rated = rate(
        usage,
        [version for versions in view.contracts.values() for version in versions],
        [version for versions in view.price_books.values() for version in versions],
    )
    paid: dict[str, int] = {}
    for line in rated.lines:
        if line.currency != fleet.currency:
            raise DataError(
                f"contract {line.contract} is in {line.currency}, the fleet in {fleet.currency}",
                hint="write the fleet's amounts in the currency of its revenue",
            )
        minor = round_line(line.amount, line.currency).minor
        paid[line.customer] = paid.get(line.customer, 0) + minor
    if rated.unpriced:
        click.echo(f"{len(rated.unpriced)} quantities have no price and no revenue", err=True)
    return from_usage(usage), paid


def _show(
    before: Statement, after: Statement | None, leavers: Sequence[str], backfill: int
) -> None:
    click.echo("\n".join([document.finding(before), "", *document.as_lines(before)]))
    if after is not None:
        refilled = f", {backfill}% of it backfilled" if backfill else ""
        click.echo(f"\n--- without {', '.join(leavers)}{refilled}\n")
        click.echo("\n".join([document.finding(after), "", *document.as_lines(after, pools=False)]))
    for warning in (after or before).warnings:
        click.echo(f"warning: {warning}", err=True)


def _file(path: Path, limit: int) -> File:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise DataError(f"{path.name} is larger than {limit // 1024 // 1024} MiB")
    return File(path.name, data)


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}", err=True)
