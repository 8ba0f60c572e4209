"""`quartermaster user`: who may sign in to the console, and which programs may ask the API."""

from typing import TYPE_CHECKING

import click
import msgspec

from quartermaster.commands.actor import ROLES
from quartermaster.kernel.clock import US_PER_S, Instant, as_datetime
from quartermaster.kernel.errors import NotAllowedError, NotFoundError, UsageError

if TYPE_CHECKING:
    from quartermaster.app import Rooms
    from quartermaster.commands.actor import Actor

Options = dict[str, str | None]

# A token of a user of the seller has no customer's role; a customer's token is made for a customer.
STAFF = tuple(role for role in ROLES if role != "customer")


@click.group("user")
def command() -> None:
    """Who may sign in to the console."""


@command.command("invite")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(ROLES),
    help="Repeatable: what the new user may do.",
)
@click.option("--customer", default="", help="With the role customer: whose account it sees.")
@click.pass_obj
def invite(options: Options, roles: tuple[str, ...], customer: str) -> None:
    """Print a link that makes one user, once, within a day."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.identity import Identity

    rooms = open_rooms(options)
    identity = Identity(rooms.book)
    token = identity.issue_link(roles, rooms.now(), actor=rooms.actor, customer=customer)
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
    if not users:
        click.echo("no user yet: quartermaster user invite", err=True)
    for user in users:
        click.echo(f"{user.id}  {user.name}  {', '.join(user.roles)}")


@command.group("token")
def token() -> None:
    """Tokens for programs that ask the JSON API."""


@token.command("make")
@click.option("--name", required=True, help="What it is for; kept in the journal.")
@click.option("--user", "user_name", default="", help="Name or id of the user it acts for.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(STAFF),
    help="Repeatable, with --user: some of the user's roles.",
)
@click.option("--customer", default="", help="Instead of a user: whose account it may see.")
@click.option(
    "--sign-in",
    "signs_in",
    is_flag=True,
    help="Ask for the user's password: only such a token signs for two persons.",
)
@click.option("--days", type=click.IntRange(1), help="Until it ends; 90 by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def make_token(
    options: Options,
    name: str,
    user_name: str,
    roles: tuple[str, ...],
    customer: str,
    signs_in: bool,
    days: int | None,
    as_json: bool,
) -> None:
    """Print a new token. It is shown once and stored nowhere.

    A token that the operator of the machine makes for a user acts for that user, and is no
    signature of theirs where two persons sign.
    """
    from quartermaster.app import open_rooms
    from quartermaster.book.pepper import load_pepper
    from quartermaster.commands import api_token as tokens

    if bool(user_name) == bool(customer):
        raise UsageError("whose token? Give either --user or --customer")
    if signs_in and customer:
        raise UsageError("a customer's token has no password", hint="leave --sign-in out")
    if bool(user_name) != bool(roles):
        raise UsageError("--user and --role belong together", hint="a customer's has no other role")
    rooms = open_rooms(options)
    now, pepper = rooms.now(), load_pepper(rooms.var / "secrets" / "key_pepper")
    lifetime_days = tokens.LIFETIME_DAYS if days is None else days
    expires_at = now + lifetime_days * tokens.S_PER_DAY * US_PER_S
    if customer:
        made = tokens.make_for_customer(
            rooms.book, rooms.actor, customer=customer, name=name, expires_at=expires_at,
            pepper=pepper, now=now,
        )  # fmt: skip
    else:
        users = rooms.book.view().users.values()
        owner = next((user for user in users if user_name in (user.id, user.name)), None)
        if owner is None:
            raise NotFoundError(f"there is no user {user_name!r}", hint="quartermaster user list")
        maker = _signed_in(rooms, owner.name) if signs_in else rooms.actor
        made = tokens.make_for_user(
            rooms.book, maker, user=owner.id, name=name, roles=roles, expires_at=expires_at,
            pepper=pepper, now=now,
        )  # fmt: skip
    click.echo(msgspec.json.encode(made) if as_json else made.secret)
    ends = f"{as_datetime(Instant(made.expires_at)):%Y-%m-%d}"
    click.echo(f"token {made.token_id} until {ends}: keep the secret, it is not shown again",
               err=True)  # fmt: skip


def _signed_in(rooms: "Rooms", name: str) -> "Actor":
    """The user, who types the password at this terminal."""
    from quartermaster.commands.identity import Identity

    identity, now = Identity(rooms.book), rooms.now()
    password = click.prompt(f"password of {name}", hide_input=True, err=True)
    session = identity.sign_in(name, password, now)
    found = None if session is None else identity.session(session, now)
    if session is None or found is None:
        raise NotAllowedError("this is not the password of that user")
    identity.sign_out(session)
    return found.actor


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_tokens(options: Options, as_json: bool) -> None:
    """Every token, live or not, without its secret."""
    from quartermaster.app import open_rooms

    rooms = open_rooms(options)
    now = rooms.now()
    found = list(rooms.book.view().api_tokens.values())
    if as_json:
        rows = [
            {
                "id": one.made.token,
                "name": one.made.name,
                "user": one.made.user or None,
                "customer": one.made.customer or None,
                "roles": one.made.roles,
                "expires_at": as_datetime(Instant(one.made.expires_at)).isoformat(),
                "live": one.live(now),
            }
            for one in found
        ]
        click.echo(msgspec.json.encode(rows))
        return
    if not found:
        click.echo("no token yet", err=True)
    for one in found:
        made, state = one.made, "live" if one.live(now) else "stopped"
        whose = made.user or f"customer {made.customer}"
        click.echo(f"{made.token}  {made.name}  {whose}  {', '.join(made.roles)}  {state}")


@token.command("revoke")
@click.argument("token_id")
@click.option("--reason", required=True, help="Kept in the journal.")
@click.pass_obj
def revoke_token(options: Options, token_id: str, reason: str) -> None:
    """Stop a token at once, for good."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import api_token as tokens

    rooms = open_rooms(options)
    tokens.revoke(rooms.book, rooms.actor, token_id, reason, rooms.now())
    click.echo(f"token {token_id} is revoked", err=True)
