"""`quartermaster project`: how a customer tells its own uses apart."""

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.kernel.clock import Instant, as_datetime

Options = dict[str, str | None]

_PROJECT = click.argument("project")
_CUSTOMER = click.argument("customer")


@click.group("project")
def command() -> None:
    """Projects of customers; keys belong to one, and usage names it."""


@command.command("add")
@_CUSTOMER
@_PROJECT
@click.option("--name", default="", help="For people; default: the id.")
@click.pass_obj
def add(options: Options, customer: str, project: str, name: str) -> None:
    """Add PROJECT to CUSTOMER."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import project as projects

    rooms = open_rooms(options)
    added = projects.add(
        rooms.book,
        rooms.actor,
        customer=customer,
        project=project,
        name=name or project,
        now=rooms.now(),
    )
    click.echo(added.project)


@command.command("archive")
@_CUSTOMER
@_PROJECT
@click.option("--reason", required=True, help="Kept in the journal.")
@click.pass_obj
def archive(options: Options, customer: str, project: str, reason: str) -> None:
    """End PROJECT of CUSTOMER: its keys stop for good, its usage stays."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import project as projects

    rooms = open_rooms(options)
    projects.archive(
        rooms.book, rooms.actor, customer=customer, project=project, reason=reason, now=rooms.now()
    )
    hand_over(rooms)


@command.command("list")
@click.option("--customer", default="", help="Only of this customer.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_projects(options: Options, customer: str, as_json: bool) -> None:
    """Projects with how many live keys each has."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import project as projects

    rooms = open_rooms(options)
    now, view = rooms.now(), rooms.book.view()
    rows = [
        {
            "customer": one.added.customer,
            "project": one.added.project,
            "name": one.added.name,
            "added_at": as_datetime(Instant(one.added_at)).isoformat(),
            "archived_at": None
            if one.archived_at is None
            else as_datetime(Instant(one.archived_at)).isoformat(),
            "live_keys": projects.live_keys(view, one.added.customer, one.added.project, now),
        }
        for one in projects.all_of(view, customer)
    ]
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for row in rows:
        state = f"{row['live_keys']} live keys" if row["archived_at"] is None else "archived"
        click.echo(f"{row['customer']}  {row['project']}  {row['name']}  {state}")
