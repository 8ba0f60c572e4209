"""`quartermaster capacity FLEET`: what was built, who keeps it busy, what is stranded."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

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
from quartermaster.capacity.fleet import FLEET_BYTES_MAX, Fleet
from quartermaster.cli.written import write_file
from quartermaster.console.capacity_text import figure, text
from quartermaster.console.capacity_words import remark_words
from quartermaster.console.figures import standalone
from quartermaster.console.format import LANGS, Lang, money, number
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.clock import Period, month_named
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.money import Money

if TYPE_CHECKING:
    from quartermaster.app.capacity_metered import Metered

Options = dict[str, str | None]


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
@click.option("--lang", type=click.Choice(LANGS), default="en", help="Language of the words.")
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
    lang: Lang,
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
    words = catalogue("capacity", lang)
    given = _read(fleet, demand, revenue, options, month, words)
    if points is not None:
        given = with_points(given, _file(points, CSV_BYTES_MAX))
    before = stated(given)
    after = departed(given, leavers, backfill) if leavers else None
    if svg is not None:
        write_file(svg, standalone(figure(after or before, leavers, lang)))
    if as_json:
        click.echo(json.dumps(tree(given, before, after, leavers, backfill), indent=2))
        return
    click.echo(text(before, after, leavers, backfill, lang))
    for remark in (after or before).remarks:
        click.echo(words("cli.warning", words=remark_words(remark, {}, words)), err=True)


def _read(
    fleet: Path,
    demand: Path | None,
    revenue: Path | None,
    options: Options,
    month: Period | None,
    words: Words,
) -> Given:
    file = _file(fleet, FLEET_BYTES_MAX)
    if demand is None:
        found = fleet_of(file)
        used = _metered(options, found, month, words)
        span = span_of(used.rows, month)
        return Given(found, used.rows, used.paid, span, (file.stamp,), used.elsewhere, used.rates)
    takings = None if revenue is None else _file(revenue, CSV_BYTES_MAX)
    return read(file, _file(demand, CSV_BYTES_MAX), takings, month)


def _metered(options: Options, fleet: Fleet, month: Period | None, words: Words) -> "Metered":
    """Demand of the usage table at its current cut, and what it comes to at the agreed prices."""
    from quartermaster.app import open_rooms
    from quartermaster.app.capacity_metered import metered

    found = metered(open_rooms(options), fleet, month)
    if found.unpriced:
        click.echo(words("cli.unpriced", count=number(found.unpriced, words.lang)), err=True)
    for rate in found.rates:
        click.echo(f"1 {rate.base} = {rate.rate} {rate.quote}, {rate.source}, {rate.on}", err=True)
    for one in found.elsewhere:
        amount = money(Money(one.minor, one.currency), words.lang)
        click.echo(words("cli.elsewhere", customer=one.customer, amount=amount), err=True)
    return found


def _file(path: Path, limit: int) -> File:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise DataError(f"{path.name} is larger than {limit // 1024 // 1024} MiB")
    return File(path.name, data)
