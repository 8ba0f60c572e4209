"""`quartermaster user`: who may sign in to the console."""

import click
import msgspec

from quartermaster.commands.actor import ROLES

Options = dict[str, str | None]

# A customer's user sees one account, and nothing ties a user to an account yet.
INVITED = tuple(role for role in ROLES if role != "customer")


@click.group("user")
def command() -> None:
    """Who may sign in to the console."""


@command.command("invite")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(INVITED),
    help="Repeatable: what the new user may do.",
)
@click.pass_obj
def invite(options: Options, roles: tuple[str, ...]) -> None:
    """Print a link that makes one user, once, within a day."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.identity import Identity

    rooms = open_rooms(options)
    token = Identity(rooms.book).issue_link(roles, rooms.now(), actor=rooms.actor)
    click.echo(f"{rooms.settings.console.url}/join/{token}")
    click.echo("whoever opens the link first becomes the user; it works once", err=True)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_users(options: Options, as_json: bool) -> None:
    """Every user with their roles."""
    from quartermaster.app import open_rooms

    users = list(open_rooms(options).book.view().users.values())
    if as_json:
        click.echo(msgspec.json.encode(users))
        return
    for user in users:
        click.echo(f"{user.id}  {user.name}  {', '.join(user.roles)}")
