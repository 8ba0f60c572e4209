"""After a change that gateways must know: publish a snapshot and say who serves it."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quartermaster.app import Rooms

# Workers look five times a second; two seconds is ten looks.
ACKNOWLEDGE_TIMEOUT_S = 2.0


def hand_over(rooms: "Rooms") -> int:
    """Publish, wait for the live gateway workers, and report on stderr.

    Returns:
        The version that was published.
    """
    from quartermaster.commands.publish import acknowledged, publish

    snapshot = publish(rooms.book, rooms.var / "snapshot.json", rooms.now())
    seen = acknowledged(rooms.var / "status", snapshot.version, ACKNOWLEDGE_TIMEOUT_S)
    served = ", ".join(seen.acknowledged) or "no running gateway"
    click.echo(f"snapshot {snapshot.version}: served by {served}", err=True)
    for app_id in seen.late:
        click.echo(f"warning: {app_id} does not serve it yet", err=True)
    for app_id in seen.silent:
        click.echo(f"warning: {app_id} has lost contact", err=True)
    return snapshot.version
