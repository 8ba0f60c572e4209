"""`quartermaster bill`: draft invoices and price books."""

from pathlib import Path

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.kernel.clock import Instant, as_datetime, month_of
from quartermaster.kernel.errors import NotFoundError

Options = dict[str, str | None]


@click.group("bill")
def command() -> None:
    """Rate a cut and draft an invoice."""


@command.command("draft")
@click.option("--contract", required=True, help="Id of the contract.")
@click.option("--period", help="Month such as 2026-11; default: the current one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def draft(options: Options, contract: str, period: str | None, as_json: bool) -> None:
    """Rate everything metered so far and show the month's draft invoice."""
    from quartermaster.app import open_rooms
    from quartermaster.app.usage_at_cut import reader
    from quartermaster.billing.document import as_json as document_json
    from quartermaster.billing.document import as_text
    from quartermaster.commands import invoice as invoices

    rooms = open_rooms(options)
    view = rooms.book.view()
    if contract not in view.contracts:
        raise NotFoundError(
            f"there is no contract {contract!r}",
            hint="quartermaster customer list, then quartermaster customer show ID",
        )
    label = period or month_of(rooms.now(), view.contracts[contract][0].time_zone).label
    invoice = invoices.draft(
        rooms.book,
        rooms.actor,
        contract=contract,
        period=label,
        read=reader(rooms),
        now=rooms.now(),
    )
    if as_json:
        click.echo(document_json(invoice))
        return
    name = rooms.book.view().customers[invoice.customer].name
    click.echo(as_text(invoice, customer_name=name), nl=False)


@command.group("prices")
def prices() -> None:
    """Price books."""


@prices.command("publish")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def publish(options: Options, file: Path) -> None:
    """Publish the price book in a TOML file as its next version."""
    from quartermaster.app import open_rooms
    from quartermaster.billing.pricebook import load
    from quartermaster.commands.price_book import publish as publish_prices

    price_book = load(file.read_bytes(), file.name)
    rooms = open_rooms(options)
    publish_prices(rooms.book, rooms.actor, price_book, rooms.now())
    begins = as_datetime(Instant(price_book.valid_from)).isoformat()
    number = len(price_book.prices)
    click.echo(f"{price_book.id} version {price_book.version} from {begins}: {number} prices")
    hand_over(rooms)


@prices.command("show")
@click.argument("price_book_id", metavar="ID", default="starter")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of all versions.")
@click.pass_obj
def show(options: Options, price_book_id: str, as_json: bool) -> None:
    """Every version of a price book."""
    from quartermaster.app import open_rooms

    versions = open_rooms(options).book.view().price_books.get(price_book_id)
    if versions is None:
        raise NotFoundError(
            f"there is no price book {price_book_id!r}",
            hint="quartermaster bill prices publish FILE",
        )
    if as_json:
        click.echo(msgspec.json.encode(versions))
        return
    for book in versions:
        begins = as_datetime(Instant(book.valid_from)).isoformat()
        sample = "  SAMPLE" if book.sample else ""
        click.echo(f"{book.id} version {book.version} from {begins}, {book.currency}{sample}")
        for price in book.prices:
            what = f"{price.model}  {price.service_class}  {price.axis}"
            click.echo(f"  {what}  {price.amount} per {price.unit}")
