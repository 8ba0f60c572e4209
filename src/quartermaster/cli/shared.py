"""`quartermaster shared`: machines that share limits and budgets."""

import click
import msgspec

from quartermaster.kernel.errors import ConfigError, NotFoundError

Options = dict[str, str | None]


@click.group("shared")
def command() -> None:
    """Machines that share limits and budgets through one store."""


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def show(options: Options, as_json: bool) -> None:
    """This machine's name, and all that share budgets with it."""
    from quartermaster.app import open_rooms
    from quartermaster.app.part_store import machine_name, open_parts

    rooms = open_rooms(options)
    gateway = rooms.settings.gateway
    if not gateway.shared_limits_url:
        raise _alone()
    own = machine_name(rooms.var)
    machines = open_parts(gateway, rooms.var).machines()
    if as_json:
        click.echo(msgspec.json.encode({"machine": own, "machines": machines}))
        return
    for name in machines:
        click.echo(f"{name}{' (this one)' if name == own else ''}")
    if own not in machines:
        click.echo(f"{own} (this one) does not share yet: its clerk has not run", err=True)


@command.command("release")
@click.argument("machine")
@click.pass_obj
def release(options: Options, machine: str) -> None:
    """Wait no longer for a MACHINE that does not come back.

    What it said that it holds stays counted. Only where the store has lost that too, budgets are
    spent again by as much as the machine had spent.
    """
    from quartermaster.app import open_rooms
    from quartermaster.app.part_store import open_parts

    rooms = open_rooms(options)
    gateway = rooms.settings.gateway
    if not gateway.shared_limits_url:
        raise _alone()
    if not open_parts(gateway, rooms.var).release(machine):
        raise NotFoundError(
            f"no machine {machine} shares budgets", hint="see `quartermaster shared show`"
        )
    click.echo(f"{machine} is not waited for any more", err=True)


def _alone() -> ConfigError:
    return ConfigError(
        "limits and budgets stay on this machine",
        hint="set gateway.shared_limits_url to share them",
        field="gateway.shared_limits_url",
    )
