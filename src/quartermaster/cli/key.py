"""`quartermaster key`: issue and revoke customer keys."""

from datetime import UTC, datetime

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.kernel.clock import Instant, as_datetime, as_instant

Options = dict[str, str | None]


@click.group("key")
def command() -> None:
    """Issue and revoke customer keys."""


@command.command("issue")
@click.option("--contract", required=True, help="Whose customer may use it.")
@click.option("--project", default="default", show_default=True, help="The customer's own label.")
@click.option("--model", "models", multiple=True, default=("*",), help="Repeatable; default all.")
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="UTC date or time from which it does not work.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def issue(
    options: Options,
    contract: str,
    project: str,
    models: tuple[str, ...],
    expires: datetime | None,
    as_json: bool,
) -> None:
    """Print a new key. It is shown once and stored nowhere."""
    from quartermaster.app import open_rooms
    from quartermaster.book.pepper import load_pepper
    from quartermaster.commands import key as keys

    rooms = open_rooms(options)
    issued = keys.issue(
        rooms.book,
        rooms.actor,
        contract=contract,
        pepper=load_pepper(rooms.var / "secrets" / "key_pepper"),
        now=rooms.now(),
        project=project,
        models=models,
        expires_at=None if expires is None else as_instant(expires.replace(tzinfo=UTC)),
    )
    click.echo(msgspec.json.encode(issued) if as_json else issued.secret)
    click.echo(f"key {issued.key_id}: keep the secret, it is not shown again", err=True)
    hand_over(rooms)


@command.command("revoke")
@click.argument("key_id")
@click.option("--reason", required=True, help="Kept in the journal.")
@click.pass_obj
def revoke(options: Options, key_id: str, reason: str) -> None:
    """Stop a key for good."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import key as keys

    rooms = open_rooms(options)
    keys.revoke(rooms.book, rooms.actor, key_id, reason, rooms.now())
    hand_over(rooms)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_keys(options: Options, as_json: bool) -> None:
    """Every key, live or not, without its secret."""
    from quartermaster.app import open_rooms

    rooms = open_rooms(options)
    now = rooms.now()
    rows = [
        {
            "id": key.issued.key_id,
            "customer": key.issued.customer,
            "contract": key.issued.contract,
            "project": key.issued.project,
            "models": key.issued.models,
            "issued_at": as_datetime(Instant(key.issued_at)).isoformat(),
            "live": key.live(now),
        }
        for key in rooms.book.view().keys.values()
    ]
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for row in rows:
        state = "live" if row["live"] else "stopped"
        click.echo(f"{row['id']}  {row['contract']}  {row['project']}  {state}")
