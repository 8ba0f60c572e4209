"""`quartermaster deployment`: where models are served, and what their servers speak."""

from typing import get_args

import click
import msgspec

from quartermaster.cli.handover import hand_over
from quartermaster.kernel.events import DeploymentApi, DeploymentSet
from quartermaster.kernel.price import TEXT_AXES
from quartermaster.kernel.units import AXES

Options = dict[str, str | None]


@click.group("deployment")
def command() -> None:
    """Where models are served."""


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
) -> None:
    """Add a deployment, or change where it is."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.deployment import set_deployment

    rooms = open_rooms(options)
    deployment = DeploymentSet(
        name=name,
        model=model,
        url=url,
        upstream_model=upstream_model or model,
        secret_file=secret_file,
        axes=axes,
        api=api,
    )
    set_deployment(rooms.book, rooms.actor, deployment, rooms.now())
    hand_over(rooms)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_deployments(options: Options, as_json: bool) -> None:
    """Every deployment; secrets are named by file, never shown."""
    from quartermaster.app import open_rooms

    facts = [deployed.fact for deployed in open_rooms(options).book.view().deployments.values()]
    if as_json:
        click.echo(msgspec.json.encode(facts))
        return
    for fact in facts:
        click.echo(f"{fact.name}  {fact.model}  {fact.url}  as {fact.upstream_model}  ({fact.api})")
