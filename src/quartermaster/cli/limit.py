"""`quartermaster limit`: how much a key or a customer group may ask for at once."""

from typing import TYPE_CHECKING

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.limit import Limits, LimitScope

if TYPE_CHECKING:
    from quartermaster.commands.limit import Limited

Options = dict[str, str | None]

_KEY = click.option("--key", "key_id", help="Id of one key.")
_GROUP = click.option("--group", help="Id of a customer group; all its keys share the limits.")
_REASON = click.option("--reason", default="", help="Kept in the journal.")


@click.group("limit")
def command() -> None:
    """Requests and tokens a minute, and requests at once."""


@command.command("set")
@_KEY
@_GROUP
@click.option("--requests-per-minute", type=int, help="Requests that may arrive.")
@click.option("--tokens-per-minute", type=int, help="Input and output, estimated at arrival.")
@click.option("--concurrent", type=int, help="Requests that may be open, streams included.")
@_REASON
@click.pass_obj
def set_(
    options: Options,
    key_id: str | None,
    group: str | None,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    concurrent: int | None,
    reason: str,
) -> None:
    """Set all limits of a key or a group; what is not given is not limited."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import limit

    limits = Limits(
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        concurrent=concurrent,
    )
    limited = limit.Limited(*_who(key_id, group), limits)
    rooms = open_rooms(options)
    workers = rooms.settings.gateway.workers
    limit.set_limits(rooms.book, rooms.actor, limited, rooms.now(), workers=workers, reason=reason)
    click.echo(_line(limited))
    hand_over(rooms)


@command.command("show")
@_KEY
@_GROUP
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def show(options: Options, key_id: str | None, group: str | None, as_json: bool) -> None:
    """The limits of a key or a group, or of all that have any."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import limit

    view = open_rooms(options).book.view()
    if key_id is None and group is None:
        found = limit.all_limits(view)
    else:
        found = [limit.limits_of(view, *_who(key_id, group))]
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for limited in found:
        click.echo(_line(limited))


@command.command("remove")
@_KEY
@_GROUP
@_REASON
@click.pass_obj
def remove(options: Options, key_id: str | None, group: str | None, reason: str) -> None:
    """Lift all limits of a key or a group."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import limit

    rooms = open_rooms(options)
    limit.remove_limits(rooms.book, rooms.actor, *_who(key_id, group), rooms.now(), reason=reason)
    hand_over(rooms)


def _who(key_id: str | None, group: str | None) -> tuple[LimitScope, str]:
    if (key_id is None) == (group is None):
        raise UsageError("whose limits?", field="key", hint="give either --key or --group")
    return ("key", key_id) if key_id is not None else ("group", str(group))


def _line(limited: "Limited") -> str:
    named = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in limited.limits.named())
    return f"{limited.scope} {limited.name}: {named or 'no limits'}"
