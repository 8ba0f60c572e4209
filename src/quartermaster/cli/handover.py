"""After a change that gateways must know: publish a snapshot and say who serves it."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quartermaster.app import Rooms


def hand_over(rooms: "Rooms") -> int:
    """Publish, wait for the live gateway workers, and report on stderr.

    Returns:
        The version that was published.
    """
    from quartermaster.app.handing import Gateways

    version, seen = Gateways(rooms).hand_over(rooms.now())
    served = ", ".join(seen.acknowledged) or "no running gateway"
    click.echo(f"snapshot {version}: served by {served}", err=True)
    for app_id in seen.partly:
        click.echo(
            f"{app_id} obeys what takes service away, and serves the rest once its clerk has"
            " published",
            err=True,
        )
    for app_id in seen.late:
        click.echo(f"warning: {app_id} does not serve it yet", err=True)
    for app_id in seen.silent:
        click.echo(f"warning: {app_id} has lost contact", err=True)
    if seen.unreached:
        click.echo(
            f"warning: other machines serve it once their clerks publish: {seen.unreached}",
            err=True,
        )
    return version
