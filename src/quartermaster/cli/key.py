"""`quartermaster key`: issue, rotate and revoke customer keys."""

import re
from datetime import UTC, datetime

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.kernel.clock import US_PER_S, Instant, as_datetime, as_instant
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.relayed_key import SCOPES

Options = dict[str, str | None]

_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}


@click.group("key")
def command() -> None:
    """Issue, rotate and revoke customer keys."""


@command.command("issue")
@click.option("--contract", required=True, help="Whose customer may use it.")
@click.option("--project", default="default", show_default=True, help="One of the customer's.")
@click.option("--model", "models", multiple=True, default=("*",), help="Repeatable; default all.")
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="UTC date or time from which it does not work.",
)
@click.option("--data-zone", default="", help="Only deployments in this zone, such as EU.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    type=click.Choice(SCOPES),
    help="Repeatable: what it may be used for; default everything.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="Repeatable: from where, such as 203.0.113.0/24 or 2001:db8::/32.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def issue(
    options: Options,
    contract: str,
    project: str,
    models: tuple[str, ...],
    expires: datetime | None,
    data_zone: str,
    endpoints: tuple[str, ...],
    networks: tuple[str, ...],
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
        data_zone=data_zone,
        endpoints=endpoints,
        networks=networks,
    )
    click.echo(msgspec.json.encode(issued) if as_json else issued.secret)
    click.echo(f"key {issued.key_id}: keep the secret, it is not shown again", err=True)
    hand_over(rooms)


@command.command("rotate")
@click.argument("key_id")
@click.option(
    "--overlap",
    default="24h",
    show_default=True,
    help="How long the old key goes on: 0, or a number with m, h or d.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def rotate(options: Options, key_id: str, overlap: str, as_json: bool) -> None:
    """Print a new key that takes KEY_ID's place, with its scope, expiry and limits."""
    from quartermaster.app import open_rooms
    from quartermaster.book.pepper import load_pepper
    from quartermaster.commands import key as keys

    overlap_us = _span_us(overlap)
    rooms = open_rooms(options)
    made = keys.rotate(
        rooms.book,
        rooms.actor,
        key_id,
        overlap_us=overlap_us,
        pepper=load_pepper(rooms.var / "secrets" / "key_pepper"),
        now=rooms.now(),
    )
    click.echo(msgspec.json.encode(made) if as_json else made.secret)
    assert made.ends_at is not None, "a rotated key ends"
    ends = as_datetime(Instant(made.ends_at)).isoformat(timespec="seconds")
    click.echo(f"key {made.key_id} takes its place; {key_id} works until {ends}", err=True)
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
            "endpoints": key.issued.endpoints,
            "networks": key.issued.networks,
            "expires_at": None
            if key.expires_at is None
            else as_datetime(Instant(key.expires_at)).isoformat(),
            "successor": None if key.rotated is None else key.rotated.successor,
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


def _span_us(text: str) -> int:
    """`24h`, `7d`, `30m` or `0` in microseconds."""
    found = re.fullmatch(r"([0-9]{1,9})([mhd])|0", text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is no span of time", field="overlap", hint="such as 0, 30m, 24h or 7d"
        )
    return int(found[1]) * _SECONDS[found[2]] * US_PER_S if found[1] else 0
