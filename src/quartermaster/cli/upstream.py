"""`quartermaster upstream`: the model servers, and whether they answer and count."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from quartermaster.kernel.errors import FindingError, NotFoundError, UpstreamError
from quartermaster.kernel.snapshot import Deployment

if TYPE_CHECKING:
    from quartermaster.app import Rooms
    from quartermaster.app.upstream_probe import Endpoint, Probed
    from quartermaster.book.views import Deployed

Options = dict[str, str | None]

TIMEOUT_S_MAX = 600
"""A large model that is just being loaded answers within minutes, or not at all."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One model server, by its base URL."""

    url: str
    apis: tuple[str, ...]
    deployments: tuple[str, ...]
    models: tuple[str, ...]
    drained: tuple[str, ...]
    """Of its deployments."""
    secret_files: tuple[str, ...]
    secrets_missing: tuple[str, ...]
    """Files of those that cannot be read here."""


@click.group("upstream")
def command() -> None:
    """The model servers behind the gateway."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_servers(options: Options, as_json: bool) -> None:
    """Every model server with what is asked of it; keys are named by file, never shown."""
    from quartermaster.app import open_rooms

    rooms = open_rooms(options)
    by_url: dict[str, list[Deployed]] = {}
    for one in rooms.book.view().deployments.values():
        by_url.setdefault(one.fact.url, []).append(one)
    servers = [_server(rooms, url, found) for url, found in sorted(by_url.items())]
    if as_json:
        click.echo(msgspec.json.encode(servers))
        return
    for server in servers:
        click.echo(f"{server.url}  ({', '.join(server.apis)})  {', '.join(server.models)}")
        drained = f"; drained: {', '.join(server.drained)}" if server.drained else ""
        click.echo(f"  deployments: {', '.join(server.deployments)}{drained}")
        for name in server.secrets_missing:
            click.echo(f"  warning: its key cannot be read from {name}", err=True)


def _server(rooms: "Rooms", url: str, found: list["Deployed"]) -> Server:
    facts = [one.fact for one in found]
    secrets = {fact.secret_file for fact in facts} - {""}
    return Server(
        url=url,
        apis=tuple(sorted({fact.api for fact in facts})),
        deployments=tuple(sorted(fact.name for fact in facts)),
        models=tuple(sorted({fact.model for fact in facts})),
        drained=tuple(sorted(one.fact.name for one in found if one.drained)),
        secret_files=tuple(sorted(secrets)),
        secrets_missing=tuple(sorted(one for one in secrets if not _secret(rooms.var, one))),
    )


def _secret(var: Path, name: str) -> str:
    """The key in a file, or nothing where it cannot be read."""
    try:
        return (var / name).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


@command.command("probe")
@click.argument("names", metavar="[DEPLOYMENT]...", nargs=-1)
@click.option(
    "--endpoint",
    type=click.Choice(["chat.completions", "embeddings"]),
    default="chat.completions",
    show_default=True,
    help="What the model is for.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(1, TIMEOUT_S_MAX),
    default=30,
    show_default=True,
    help="Seconds a request.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a request.")
@click.pass_obj
def probe(
    options: Options, names: tuple[str, ...], endpoint: "Endpoint", timeout_s: int, as_json: bool
) -> None:
    """Ask model servers as the gateway would, plain and as a stream; all of them by default.

    It costs a few tokens each, which nobody is billed for. Exit code 6 where one does not answer,
    3 where one answers and does not count.
    """
    from quartermaster.app import open_rooms
    from quartermaster.app.upstream_probe import probe as ask

    rooms = open_rooms(options)
    known = rooms.book.view().deployments
    for name in names:
        if name not in known:
            raise NotFoundError(
                f"there is no deployment {name!r}",
                hint="quartermaster deployment list shows them",
                field="deployment",
            )
    found: list[Probed] = []
    for name in names or known:
        fact = known[name].fact
        deployment = Deployment(name, fact.model, fact.url, fact.upstream_model, api=fact.api)
        secret = _secret(rooms.var, fact.secret_file) if fact.secret_file else ""
        for stream in (False, True) if endpoint == "chat.completions" else (False,):
            one = ask(deployment, secret, stream=stream, endpoint=endpoint, timeout_s=timeout_s)
            found.append(one)
            click.echo(msgspec.json.encode(one) if as_json else _line(one))
    _judge(found)


def _line(one: "Probed") -> str:
    head = f"{one.deployment}  {'stream' if one.stream else 'plain '}"
    if not one.answered:
        return f"{head}  {one.status or 'down'}  {one.problem}"
    times = f"{one.status}  first byte {one.first_byte_ms} ms, all {one.total_ms} ms"
    counted = one.problem or f"{one.input_tokens} input, {one.output_tokens} output tokens"
    return f"{head}  {times}  {counted}"


def _judge(found: list["Probed"]) -> None:
    """Exit by the worst of them.

    Raises:
        UpstreamError: one does not answer.
        FindingError: one answers and does not count.
    """
    silent = sorted({one.deployment for one in found if not one.answered})
    if silent:
        raise UpstreamError(
            f"no answer for customers from {', '.join(silent)}",
            hint="check --url, --api, --upstream-model and --secret-file of the deployment",
        )
    uncounted = sorted({one.deployment for one in found if one.problem})
    if uncounted:
        raise FindingError(f"no count that can be billed from {', '.join(uncounted)}")
