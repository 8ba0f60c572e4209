"""`quartermaster rate`: exchange rates, by which amounts of several currencies are added up."""

from datetime import UTC, datetime

import click
import msgspec

from quartermaster.kernel.clock import as_datetime

Options = dict[str, str | None]


@click.group("rate")
def command() -> None:
    """Exchange rates, by which amounts of several currencies are added up."""


@command.command("add")
@click.argument("base")
@click.argument("quote")
@click.argument("rate")
@click.option(
    "--on",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The first day on which it holds; today unless told.",
)
@click.option("--source", required=True, help="Whose rate it is, such as a central bank.")
@click.pass_obj
def add(
    options: Options, base: str, quote: str, rate: str, on: datetime | None, source: str
) -> None:
    """Record that one BASE is worth RATE of QUOTE from a day on, until the next one recorded.

    The same pair and day again corrects it.
    """
    from quartermaster.app import open_rooms
    from quartermaster.commands.rate import record
    from quartermaster.kernel.exchange import ExchangeRate

    rooms = open_rooms(options)
    now = rooms.now()
    day = (as_datetime(now) if on is None else on.replace(tzinfo=UTC)).date().isoformat()
    said = ExchangeRate(base=base, quote=quote, rate=rate, on=day, source=source)
    new = record(rooms.book, rooms.actor, said, now)
    known = "" if new else ", as recorded before"
    click.echo(f"1 {said.base} = {said.rate} {said.quote} from {said.on}, {said.source}{known}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def show(options: Options, *, as_json: bool) -> None:
    """Every recorded rate, by pair, the newest day first."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.rate import recorded

    found = recorded(open_rooms(options).book.view())
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for one in found:
        click.echo(f"{one.on}  1 {one.base} = {one.rate} {one.quote}  {one.source}")
    if not found:
        click.echo("no exchange rate is recorded: quartermaster rate add", err=True)
