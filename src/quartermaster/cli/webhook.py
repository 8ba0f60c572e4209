"""`quartermaster webhook`: where alerts go."""

import click
import msgspec

from quartermaster.kernel.errors import UpstreamError
from quartermaster.kernel.ids import new_id

Options = dict[str, str | None]

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.group("webhook")
def command() -> None:
    """Signed alerts to an address of yours, as Standard Webhooks."""


@command.command("add")
@click.argument("url")
@click.option("--group", default="", help="Only alerts of this customer group.")
@click.option("--allow-private", is_flag=True, help="It may lie in a private network.")
@_JSON
@click.pass_obj
def add(options: Options, url: str, group: str, allow_private: bool, as_json: bool) -> None:
    """Send alerts to URL; prints the secret that signs them, once."""
    from quartermaster.app import open_rooms
    from quartermaster.app.webhooks import secrets_folder
    from quartermaster.commands import webhook

    rooms = open_rooms(options)
    added = webhook.add(
        rooms.book,
        rooms.actor,
        url,
        secrets_folder(rooms.var),
        rooms.now(),
        group=group,
        allow_private=allow_private,
    )
    if as_json:
        click.echo(msgspec.json.encode(added))
        return
    click.echo(added.secret)
    click.echo(f"{added.webhook}: the secret is shown only now", err=True)


@command.command("list")
@_JSON
@click.pass_obj
def list_(options: Options, as_json: bool) -> None:
    """Where alerts go, and how that went."""
    from quartermaster.app import open_rooms
    from quartermaster.app.webhooks import read_delivered

    rooms = open_rooms(options)
    found = [
        {**msgspec.to_builtins(one), **msgspec.to_builtins(read_delivered(rooms.var, one.webhook))}
        for one in rooms.book.view().webhooks.values()
    ]
    if as_json:
        for one in found:
            one.pop("fact")
        click.echo(msgspec.json.encode(found))
        return
    for one in found:
        how = one["error"] or "fine"
        click.echo(
            f"{one['webhook']} {one['url']} {one['group'] or 'all groups'}: "
            f"{one['delivered']} delivered, {one['given_up']} given up, last: {how}"
        )


@command.command("test")
@click.argument("webhook_id")
@click.pass_obj
def test(options: Options, webhook_id: str) -> None:
    """Send one alert that says nothing, now."""
    from quartermaster.app import open_rooms
    from quartermaster.app.webhooks import NotTakenError, deliver, greeting, read_secret
    from quartermaster.commands import webhook

    rooms = open_rooms(options)
    found = webhook.webhook_of(rooms.book.view(), webhook_id)
    now = rooms.now()
    try:
        deliver(found, read_secret(rooms.var, webhook_id), new_id("msg"), greeting(now), now)
    except NotTakenError as error:
        raise UpstreamError(f"{found.url}: {error.message}", hint=error.hint) from error
    click.echo(f"{found.url} took it")


@command.command("remove")
@click.argument("webhook_id")
@click.pass_obj
def remove(options: Options, webhook_id: str) -> None:
    """Send nothing there any more."""
    from quartermaster.app import open_rooms
    from quartermaster.app.webhooks import secrets_folder
    from quartermaster.commands import webhook

    rooms = open_rooms(options)
    webhook.remove(rooms.book, rooms.actor, webhook_id, secrets_folder(rooms.var), rooms.now())
