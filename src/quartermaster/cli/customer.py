"""`quartermaster customer`: groups, customers and their contracts."""

from typing import BinaryIO, get_args

import click
import msgspec

from quartermaster.cli import standing
from quartermaster.cli.handover import hand_over
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime
from quartermaster.kernel.contract import (
    CancelledStream,
    Commitment,
    Contract,
    Customer,
    Group,
    PermittedUse,
    PtuLine,
)
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.money import Money

Options = dict[str, str | None]


@click.group("customer")
def command() -> None:
    """Groups, customers and their contracts."""


for _command in standing.COMMANDS:
    command.add_command(_command)


@command.command("add")
@click.argument("customer_id", metavar="ID")
@click.option("--name", required=True, help="Legal name.")
@click.option("--group", help="Id of who controls it; default: nobody else.")
@click.option("--group-name", help="Name of the group, where it is new.")
@click.option("--country", default="", help="Two letters, such as DE.")
@click.pass_obj
def add(
    options: Options,
    customer_id: str,
    name: str,
    group: str | None,
    group_name: str | None,
    country: str,
) -> None:
    """Record a customer."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.customer import add_customer, add_group

    rooms = open_rooms(options)
    if group is not None and group_name is not None:
        add_group(rooms.book, rooms.actor, Group(group, group_name), rooms.now())
    customer = Customer(customer_id, name, group or customer_id, country)
    add_customer(rooms.book, rooms.actor, customer, rooms.now())
    click.echo(customer.id)


@command.command("sign")
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--contract", "contract_id", required=True, help="Id of the contract.")
@click.option("--price-book", required=True, help="Id of a published price book.")
@click.option("--time-zone", default="UTC", show_default=True, help="Whose months are billed.")
@click.option(
    "--rounding",
    type=click.Choice(["half_up", "half_even", "down"]),
    default="half_up",
    show_default=True,
    help="Of each invoice line.",
)
@click.option(
    "--serve-unpriced",
    type=click.Choice(["refuse", "queue"]),
    default="refuse",
    show_default=True,
    help="What happens to a model without a price.",
)
@click.option(
    "--cancelled-stream",
    type=click.Choice(get_args(CancelledStream)),
    default="bill_delivered",
    show_default=True,
    help="What is owed for a stream that the customer leaves.",
)
@click.option("--data-zone", default="", help="Only deployments in this zone, such as EU.")
@click.option(
    "--provisioned",
    type=click.File("rb"),
    help="TOML file of provisioned units: [[provisioned]] tables.",
)
@click.option(
    "--commitments",
    type=click.File("rb"),
    help="TOML file of floors, used or not: [[commitment]] tables.",
)
@click.option(
    "--permit",
    "permitted_uses",
    multiple=True,
    type=click.Choice(get_args(PermittedUse)),
    help="What the answers may be used for; application and evaluation where none is named.",
)
@click.option(
    "--distillation-model", "distillation_models", multiple=True, help="May be distilled, by name."
)
@click.option(
    "--watch-content",
    is_flag=True,
    help="The customer consents that sampled requests are read in memory, and forgotten.",
)
@click.pass_obj
def sign(
    options: Options,
    customer_id: str,
    contract_id: str,
    price_book: str,
    time_zone: str,
    rounding: str,
    serve_unpriced: str,
    cancelled_stream: str,
    data_zone: str,
    provisioned: BinaryIO | None,
    commitments: BinaryIO | None,
    permitted_uses: tuple[str, ...],
    distillation_models: tuple[str, ...],
    *,
    watch_content: bool,
) -> None:
    """Record a contract, or its next version; it begins with the current hour."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import contract as contracts

    rooms = open_rooms(options)
    now, view = rooms.now(), rooms.book.view()
    published = view.price_books.get(price_book)
    if published is None:
        raise NotFoundError(
            f"there is no price book {price_book!r}", hint="quartermaster bill prices publish FILE"
        )
    signed, currency = view.contracts.get(contract_id, ()), published[-1].currency
    contract = msgspec.convert(
        {
            "id": contract_id,
            "version": len(signed) + 1,
            "customer": customer_id,
            "price_book": price_book,
            "currency": currency,
            "time_zone": time_zone,
            "valid_from": now - now % US_PER_HOUR,
            "ptu_lines": _units(provisioned),
            "commitments": _floors(commitments, currency, time_zone),
            "rounding": rounding,
            "serve_unpriced": serve_unpriced,
            "cancelled_stream": cancelled_stream,
            "data_zone": data_zone,
            "distillation_models": distillation_models,
            "watch_content": watch_content,
        }
        | ({"permitted_uses": permitted_uses} if permitted_uses else {}),
        Contract,
    )
    contracts.sign(rooms.book, rooms.actor, contract, now)
    click.echo(f"{contract.id} version {contract.version}")
    for one in signed[-1].commitments if signed else ():
        if one not in contract.commitments and one.end > contract.valid_from:
            floor = Money(one.floor_minor, currency)
            click.echo(f"ends with this version: at least {floor} a {one.per}", err=True)
    hand_over(rooms)


def _units(file: BinaryIO | None) -> tuple[PtuLine, ...]:
    from quartermaster.billing.contract_file import provisioned

    return () if file is None else provisioned(file.read(), file.name)


def _floors(file: BinaryIO | None, currency: str, time_zone: str) -> tuple[Commitment, ...]:
    from quartermaster.billing.contract_file import commitments

    if file is None:
        return ()
    return commitments(file.read(), file.name, currency=currency, time_zone=time_zone)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_customers(options: Options, as_json: bool) -> None:
    """Every customer with its group."""
    from quartermaster.app import open_rooms

    customers = list(open_rooms(options).book.view().customers.values())
    if as_json:
        click.echo(msgspec.json.encode(customers))
        return
    for customer in customers:
        sample = "  SAMPLE" if customer.sample else ""
        click.echo(f"{customer.id}  {customer.name}  group {customer.group}{sample}")


@command.command("show")
@click.argument("customer_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show(options: Options, customer_id: str, as_json: bool) -> None:
    """One customer: group, standing, contracts and keys."""
    from quartermaster.app import open_rooms

    view = open_rooms(options).book.view()
    customer = view.customers.get(customer_id)
    if customer is None:
        raise NotFoundError(
            f"there is no customer {customer_id!r}", hint="quartermaster customer list"
        )
    standing = view.standing.get(customer.group, "active")
    signed = [c for versions in view.contracts.values() for c in versions]
    contracts = [contract for contract in signed if contract.customer == customer_id]
    keys = [key for key in view.keys.values() if key.issued.customer == customer_id]
    if as_json:
        shown = {
            "customer": customer,
            "standing": standing,
            "contracts": contracts,
            # The hash is of no use to a reader.
            "keys": [
                {"id": key.issued.key_id, "issued_at": key.issued_at, "revoked_at": key.revoked_at}
                for key in keys
            ],
        }
        click.echo(msgspec.json.encode(shown))
        return
    click.echo(f"{customer.name} ({customer.id}), group {customer.group}: {standing}")
    for contract in contracts:
        begins = as_datetime(Instant(contract.valid_from)).isoformat()
        terms = f"{contract.price_book}, {contract.currency}, {contract.time_zone}"
        click.echo(f"contract {contract.id} version {contract.version} from {begins}: {terms}")
        for one in contract.commitments:
            floor = Money(one.floor_minor, contract.currency)
            span = (as_datetime(Instant(at)).isoformat() for at in (one.start, one.end))
            click.echo(f"  at least {floor} a {one.per} from {' to '.join(span)}")
    for key in keys:
        state = "live" if key.revoked_at is None else "revoked"
        click.echo(f"key {key.issued.key_id} for {key.issued.contract}: {state}")
