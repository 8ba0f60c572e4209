"""`quartermaster webhook`: where alerts go."""

from typing import TYPE_CHECKING

import click
import msgspec

from quartermaster.kernel.errors import UpstreamError

if TYPE_CHECKING:
    from quartermaster.book.views import Webhook
    from quartermaster.commands.webhook import AddedWebhook
    from quartermaster.commands.webhook_record import Record

Options = dict[str, str | None]

_WEBHOOK = click.argument("webhook_id")
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
    _show(added, as_json)


def _show(added: "AddedWebhook", as_json: bool) -> None:
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
    from quartermaster.commands.webhook_record import read_record

    rooms = open_rooms(options)
    found = [
        (one, read_record(rooms.var, one.added.webhook))
        for one in rooms.book.view().webhooks.values()
    ]
    if as_json:
        click.echo(msgspec.json.encode([_plain(*one) for one in found]))
        return
    if not found:
        click.echo("no webhook yet", err=True)
    for one, record in found:
        how, added = record.delivered, one.added
        paused = "paused; " if one.paused else ""
        click.echo(
            f"{added.webhook} {added.url} {added.group or 'all groups'}: {paused}"
            f"{how.delivered} delivered, {len(record.waiting)} waiting, {how.given_up} given up, "
            f"last: {how.error or ('fine' if how.delivered else 'none yet')}"
        )


def _plain(one: "Webhook", record: "Record") -> dict[str, object]:
    shown = msgspec.to_builtins(record.delivered) | {"waiting": len(record.waiting)}
    return {**msgspec.structs.asdict(one.added), "paused": one.paused, **shown}


@command.command("test")
@_WEBHOOK
@click.pass_obj
def test(options: Options, webhook_id: str) -> None:
    """Send one alert that says nothing, now."""
    from quartermaster.app import open_rooms
    from quartermaster.app.webhooks import OwnWebhooks
    from quartermaster.commands import webhook

    rooms = open_rooms(options)
    found = webhook.webhook_of(rooms.book.view(), webhook_id).added
    tested = OwnWebhooks(rooms.var).test(found, rooms.now())
    if tested.error:
        raise UpstreamError(f"{found.url}: {tested.error}", hint=tested.hint)
    click.echo(f"{found.url} took it")


@command.command("redeliver")
@_WEBHOOK
@click.argument("message")
@click.pass_obj
def redeliver(options: Options, webhook_id: str, message: str) -> None:
    """Send the alert MESSAGE (its `webhook-id`) again, or at once where it waits."""
    from quartermaster.app import open_rooms
    from quartermaster.app.webhooks import OwnWebhooks
    from quartermaster.commands import webhook

    rooms = open_rooms(options)
    found = webhook.webhook_of(rooms.book.view(), webhook_id).added
    again = OwnWebhooks(rooms.var).redeliver(found.webhook, message)
    click.echo(f"{again.message} is sent again by the clerk")


@command.command("rotate")
@_WEBHOOK
@_JSON
@click.pass_obj
def rotate(options: Options, webhook_id: str, as_json: bool) -> None:
    """Sign with another secret, which is shown once; the one before signs beside it for a day."""
    from quartermaster.app import open_rooms
    from quartermaster.app.webhooks import secrets_folder
    from quartermaster.commands import webhook

    rooms = open_rooms(options)
    folder = secrets_folder(rooms.var)
    _show(webhook.rotate(rooms.book, rooms.actor, webhook_id, folder, rooms.now()), as_json)


@command.command("pause")
@_WEBHOOK
@click.pass_obj
def pause(options: Options, webhook_id: str) -> None:
    """Send nothing there for now; alerts that come up meanwhile are not for it."""
    _pause(options, webhook_id, paused=True)


@command.command("resume")
@_WEBHOOK
@click.pass_obj
def resume(options: Options, webhook_id: str) -> None:
    """Send there again, also what waited."""
    _pause(options, webhook_id, paused=False)


def _pause(options: Options, webhook_id: str, *, paused: bool) -> None:
    from quartermaster.app import open_rooms
    from quartermaster.commands import webhook

    rooms = open_rooms(options)
    webhook.pause(rooms.book, rooms.actor, webhook_id, rooms.now(), paused=paused)


@command.command("remove")
@_WEBHOOK
@click.pass_obj
def remove(options: Options, webhook_id: str) -> None:
    """Send nothing there any more."""
    from quartermaster.app import open_rooms
    from quartermaster.app.webhooks import secrets_folder
    from quartermaster.commands import webhook

    rooms = open_rooms(options)
    webhook.remove(rooms.book, rooms.actor, webhook_id, secrets_folder(rooms.var), rooms.now())
