"""`quartermaster limit`: how much a key, a project or a customer group may ask for at once."""

from typing import TYPE_CHECKING

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.cli.scope import is_asked, who, whose
from quartermaster.kernel.limit import Limits

if TYPE_CHECKING:
    from quartermaster.commands.limit import Limited

Options = dict[str, str | None]

_REASON = click.option("--reason", default="", help="Kept in the journal.")


@click.group("limit")
def command() -> None:
    """Requests and tokens a minute, requests at once, and how large one may be."""


@command.command("set")
@whose
@click.option("--requests-per-minute", type=int, help="Requests that may arrive.")
@click.option("--tokens-per-minute", type=int, help="Input and output, estimated at arrival.")
@click.option("--concurrent", type=int, help="Requests that may be open, streams included.")
@click.option("--output-tokens", type=int, help="The most that one answer may have.")
@click.option("--body-bytes", type=int, help="The largest body of one request.")
@click.option("--stream-seconds", type=int, help="How long one answer may take, streamed or not.")
@_REASON
@click.pass_obj
def set_(
    options: Options,
    /,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    concurrent: int | None,
    output_tokens: int | None,
    body_bytes: int | None,
    stream_seconds: int | None,
    reason: str,
    **given: str | None,
) -> None:
    """Set all limits of a key, a project or a group; what is not given is not limited."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import limit

    limits = Limits(
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        concurrent=concurrent,
        output_tokens=output_tokens,
        body_bytes=body_bytes,
        stream_seconds=stream_seconds,
    )
    limited = limit.Limited(*who(given, "limits"), limits)
    rooms = open_rooms(options)
    workers = rooms.settings.gateway.workers
    limit.set_limits(rooms.book, rooms.actor, limited, rooms.now(), workers=workers, reason=reason)
    click.echo(_line(limited))
    hand_over(rooms)


@command.command("show")
@whose
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def show(options: Options, /, as_json: bool, **given: str | None) -> None:
    """The limits of a key, a project or a group, or of all that have any."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import limit

    view = open_rooms(options).book.view()
    if is_asked(given):
        found = [limit.limits_of(view, *who(given, "limits"))]
    else:
        found = limit.all_limits(view)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    if not found:
        click.echo("nobody has a limit yet", err=True)
    for limited in found:
        click.echo(_line(limited))


@command.command("remove")
@whose
@_REASON
@click.pass_obj
def remove(options: Options, /, reason: str, **given: str | None) -> None:
    """Lift all limits of a key, a project or a group."""
    from quartermaster.app import open_rooms
    from quartermaster.commands import limit

    rooms = open_rooms(options)
    limit.remove_limits(rooms.book, rooms.actor, *who(given, "limits"), rooms.now(), reason=reason)
    hand_over(rooms)


def _line(limited: "Limited") -> str:
    named = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in limited.limits.named())
    return f"{limited.scope} {limited.name}: {named or 'no limits'}"
