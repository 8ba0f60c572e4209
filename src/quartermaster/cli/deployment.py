"""`quartermaster deployment`: where models are served, who takes which part, and who rests."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.kernel.clock import US_PER_S, month_named
from quartermaster.kernel.errors import FindingError
from quartermaster.kernel.events import DeploymentApi, DeploymentSet
from quartermaster.kernel.money import Money
from quartermaster.kernel.price import TEXT_AXES
from quartermaster.kernel.routing import PATIENCE_S_MAX, PRIORITY_MAX, WEIGHT_MAX, Routing
from quartermaster.kernel.snapshot import OUT_OF_CONTACT_S
from quartermaster.kernel.units import AXES

if TYPE_CHECKING:
    from quartermaster.app import Rooms
    from quartermaster.billing.cost import Costs
    from quartermaster.book.views import Deployed
    from quartermaster.gateway.status import WorkerStatus
    from quartermaster.usage.cost import HourlyCost

Options = dict[str, str | None]

# Workers write their status each second; looking more often shows nothing new.
LOOK_EVERY_S = 0.5


@click.group("deployment")
def command() -> None:
    """Where models are served."""


_SECONDS = click.IntRange(1, PATIENCE_S_MAX)
_REASON = click.option("--reason", required=True, help="Kept in the journal.")


@command.command("set")
@click.argument("name")
@click.option("--model", required=True, help="The name that customers ask for.")
@click.option("--url", required=True, help="The server's base, such as http://host:8000/v1.")
@click.option("--upstream-model", default="", help="The server's own name for it; default --model.")
@click.option("--secret-file", default="", help="File with the server's API key, under --var.")
@click.option(
    "--axis",
    "axes",
    multiple=True,
    default=TEXT_AXES,
    show_default=True,
    type=click.Choice(AXES),
    help="Repeatable: everything the meter may count for it; each needs a price.",
)
@click.option(
    "--api",
    default="openai",
    show_default=True,
    type=click.Choice(get_args(DeploymentApi)),
    help="What the server speaks.",
)
@click.option(
    "--weight",
    default=1,
    show_default=True,
    type=click.IntRange(1, WEIGHT_MAX),
    help="Its share among the deployments of the model with the same priority.",
)
@click.option(
    "--priority",
    default=0,
    show_default=True,
    type=click.IntRange(0, PRIORITY_MAX),
    help="A higher number is asked only where nothing lower can be.",
)
@click.option("--zone", "zones", multiple=True, help="Repeatable: where data stays, such as EU.")
@click.option("--connect-timeout", "connect_s", type=_SECONDS, help="Seconds.")
@click.option("--first-byte-timeout", "first_byte_s", type=_SECONDS, help="Seconds.")
@click.option("--idle-timeout", "idle_s", type=_SECONDS, help="Seconds between two chunks.")
@click.option("--total-timeout", "total_s", type=_SECONDS, help="Seconds; default no limit.")
@click.option("--cost-book", default="", help="Price book of what its owner charges us.")
@click.pass_obj
def set_(
    options: Options,
    name: str,
    model: str,
    url: str,
    upstream_model: str,
    secret_file: str,
    axes: tuple[str, ...],
    api: DeploymentApi,
    weight: int,
    priority: int,
    zones: tuple[str, ...],
    connect_s: int | None,
    first_byte_s: int | None,
    idle_s: int | None,
    total_s: int | None,
    cost_book: str,
) -> None:
    """Add a deployment, or change where it is and what it takes; all of it is set anew."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.deployment import set_deployment

    routing = Routing(
        weight=weight,
        priority=priority,
        zones=zones,
        connect_s=connect_s,
        first_byte_s=first_byte_s,
        idle_s=idle_s,
        total_s=total_s,
    )
    rooms = open_rooms(options)
    deployment = DeploymentSet(
        name=name,
        model=model,
        url=url,
        upstream_model=upstream_model or model,
        secret_file=secret_file,
        axes=axes,
        api=api,
        routing=routing,
        cost_book=cost_book,
    )
    set_deployment(rooms.book, rooms.actor, deployment, rooms.now())
    hand_over(rooms)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_deployments(options: Options, as_json: bool) -> None:
    """Every deployment; secrets are named by file, never shown."""
    from quartermaster.app import open_rooms

    found = list(open_rooms(options).book.view().deployments.values())
    if as_json:
        click.echo(
            msgspec.json.encode([msgspec.to_builtins(one.fact) | _drained(one) for one in found])
        )
        return
    for one in found:
        click.echo(_line(one))


def _drained(one: "Deployed") -> dict[str, bool]:
    return {"drained": one.drained}


def _line(one: "Deployed") -> str:
    fact, routing = one.fact, one.fact.routing
    said = [f"weight {routing.weight}", f"priority {routing.priority}"]
    if routing.zones:
        said.append(f"zones {' '.join(routing.zones)}")
    if one.drained:
        said.append("drained")
    where = f"{fact.name}  {fact.model}  {fact.url}  as {fact.upstream_model}  ({fact.api})"
    return f"{where}  {', '.join(said)}"


@command.command("drain")
@click.argument("name")
@_REASON
@click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(0, PATIENCE_S_MAX),
    default=0,
    show_default=True,
    help="Seconds to wait for its running requests; exit code 3 where some still run then.",
)
@click.pass_obj
def drain(options: Options, name: str, reason: str, wait_s: int) -> None:
    """Send a deployment no new requests; running ones end in peace."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.deployment import set_drained

    rooms = open_rooms(options)
    done = set_drained(rooms.book, rooms.actor, name, rooms.now(), drained=True, reason=reason)
    version = hand_over(rooms)
    if not done.others:
        click.echo(f"warning: nothing else serves {done.model}, which is refused now", err=True)
    if wait_s:
        _wait_until_idle(rooms, name, version, wait_s)


@command.command("undrain")
@click.argument("name")
@_REASON
@click.pass_obj
def undrain(options: Options, name: str, reason: str) -> None:
    """Send a deployment requests again."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.deployment import set_drained

    rooms = open_rooms(options)
    set_drained(rooms.book, rooms.actor, name, rooms.now(), drained=False, reason=reason)
    hand_over(rooms)


def _wait_until_idle(rooms: "Rooms", name: str, version: int, wait_s: int) -> None:
    """Look at the workers' status until nothing runs at the deployment.

    Raises:
        FindingError: requests still run when the time is over.
    """
    end = time.monotonic() + wait_s
    while True:
        live = _live(rooms)
        # A worker that does not know of the drain yet may still send requests there.
        told = all((one.snapshot_version or 0) >= version for one in live)
        running = sum(one.running.get(name, 0) for one in live)
        if told and not running:
            click.echo(f"{name}: nothing runs there any more", err=True)
            return
        if time.monotonic() >= end:
            what = f"{running} requests still run" if told else "a worker does not know of it"
            raise FindingError(f"{name}: {what} after {wait_s} s")
        time.sleep(LOOK_EVERY_S)


@command.command("health")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a worker.")
@click.pass_obj
def health(options: Options, as_json: bool) -> None:
    """Which deployments rest, worker by worker: after failures, or because they were busy."""
    from quartermaster.app import open_rooms

    rooms = open_rooms(options)
    for status in _live(rooms):
        if as_json:
            shown = {"app_id": status.app_id, "circuits": status.circuits}
            click.echo(msgspec.json.encode({**shown, "opened": status.circuits_opened}))
            continue
        resting = [
            f"{name} {one.circuit.replace('_', '-')} for {one.rests_s:.1f} s"
            for name, one in status.circuits.items()
        ]
        click.echo(f"{status.app_id}: {', '.join(resting) or 'nothing rests'}")


def _live(rooms: "Rooms") -> list["WorkerStatus"]:
    """Workers that run: what the others said last is about a moment that has passed."""
    from quartermaster.gateway.status import read_status

    now = rooms.now()
    every = [read_status(path) for path in sorted((rooms.var / "status").glob("*.json"))]
    return [
        one
        for one in every
        if one.state != "stopped" and now - one.at <= OUT_OF_CONTACT_S * US_PER_S
    ]


@command.command("cost")
@click.option("--period", required=True, help="A UTC month, such as 2026-11.")
@click.option("--record", "recorded", is_flag=True, help="Record it and book it in the ledger.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def cost(options: Options, period: str, recorded: bool, as_json: bool) -> None:
    """What the owners of model servers charge for a month: every attempt, served or not.

    Also what a server made after its customer had hung up. Rated by each deployment's cost book.
    """
    from quartermaster.app import open_rooms
    from quartermaster.billing.cost import Attempts
    from quartermaster.commands.cost import rated, record
    from quartermaster.usage.cost import hourly_cost
    from quartermaster.usage.cut import current_cut

    rooms = open_rooms(options)
    month, cut = month_named(period, "UTC"), current_cut(rooms.usage)
    hours = hourly_cost(rooms.usage, cut, period=month)
    asked = [
        Attempts(one.deployment, one.service_class, one.hour, one.attempts, one.counts)
        for one in hours
    ]
    costs = rated(rooms.book.view(), asked)
    if recorded:
        now = rooms.now()
        news = record(rooms.book, rooms.actor, period=period, cut=cut, asked=asked, now=now)
        booked = ", ".join(one.deployment for one in news) or "nothing new"
        click.echo(f"recorded: {booked}", err=True)
    if as_json:
        shown = {"attempts": hours, "lines": costs.rated.lines, "unpriced": costs.rated.unpriced}
        click.echo(msgspec.json.encode({**shown, "uncosted": costs.uncosted}))
    else:
        _print_costs(hours, costs)


def _print_costs(hours: "Sequence[HourlyCost]", costs: "Costs") -> None:
    from quartermaster.billing.cost import total_minor

    for name in sorted({one.deployment for one in hours}):
        of_it = [one for one in hours if one.deployment == name]
        attempts = sum(one.attempts for one in of_it)
        alone = sum(one.cost_only for one in of_it)
        tokens = sum(one.counts.tokens for one in of_it)
        minor, currency = total_minor(costs.rated, name)
        money = str(Money(minor, currency)) if currency else "no cost"
        click.echo(f"{name}  {attempts} attempts, {alone} in vain  {tokens} tokens  {money}")
    for name in costs.uncosted:
        click.echo(f"warning: {name} has no cost book", err=True)
    for queued in costs.rated.unpriced:
        text = f"{queued.contract}: {queued.quantity} {queued.axis}: {queued.reason}"
        click.echo(f"warning: {text}", err=True)
