"""`quartermaster request`: where one request went, and why there."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from quartermaster.kernel.errors import NotFoundError

if TYPE_CHECKING:
    from quartermaster.app import Rooms
    from quartermaster.gateway.attempts import Trace
    from quartermaster.kernel.events import UsageEvent

Options = dict[str, str | None]


@click.group("request")
def command() -> None:
    """One request of a customer."""


@command.command("trace")
@click.argument("request_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def trace(options: Options, request_id: str, as_json: bool) -> None:
    """Show every attempt of a request: whom it was sent to, why, and what came of it.

    REQUEST_ID is what the gateway sent as x-request-id. Attempts stand in the usage table for good;
    why a deployment was chosen is known to the worker that chose, for its last requests.
    """
    from quartermaster.app import open_rooms
    from quartermaster.usage.query import usage_rows

    rooms = open_rooms(options)
    decided = _decided(rooms, request_id)
    rows = usage_rows(rooms.usage, request_id=request_id)
    if decided is None and not rows:
        raise NotFoundError(
            f"nothing is known of request {request_id!r}",
            hint="its usage is in the table some seconds after the answer, while a clerk runs",
        )
    if as_json:
        shown = {
            "request_id": request_id,
            "attempts": [_attempt(row) for row in rows],
            "decisions": decided,
        }
        click.echo(msgspec.json.encode(shown))
        return
    for row in rows:
        click.echo(_line(row))
    if decided is None:
        click.echo("no worker remembers a choice: one deployment could serve it, or it is long ago")
    else:
        _print_decisions(decided)


def _decided(rooms: "Rooms", request_id: str) -> "Trace | None":
    from quartermaster.gateway.trace_socket import ask

    for path in sorted((rooms.var / "status").glob("*.sock")):
        found = ask(path, request_id)
        if found is not None:
            return found
    return None


def _attempt(row: "UsageEvent") -> dict[str, Any]:
    opened, closed = row.opened, row.closed
    return {
        "attempt": opened.attempt,
        "deployment": opened.deployment,
        "status": row.status,
        "http_status": closed.http_status,
        "failure": closed.failure,
        "cost_only": closed.cost_only,
        "opened_at": opened.opened_at,
        "first_byte_at": closed.first_byte_at,
        "closed_at": closed.closed_at,
        "tokens": closed.counts.tokens,
        "upstream_tokens": (closed.upstream_counts or closed.counts).tokens,
    }


def _line(row: "UsageEvent") -> str:
    opened, closed = row.opened, row.closed
    said = [f"{closed.counts.tokens} tokens"]
    if closed.upstream_counts is not None:
        said.append(f"the model server counted {closed.upstream_counts.tokens}")
    if closed.cost_only:
        said.append("our cost only")
    outcome = closed.failure or str(closed.http_status)
    return f"attempt {opened.attempt}  {opened.deployment}  {outcome}  {', '.join(said)}"


def _print_decisions(decided: "Trace") -> None:
    if decided.affinity:
        click.echo(f"belongs together by {decided.affinity}")
    for one in decided.attempts:
        outcome = one.outcome or "still runs"
        took = "" if one.ended_s is None else f" after {one.ended_s - one.began_s:.3f} s"
        click.echo(f"attempt {one.number}: {one.deployment} ({one.why}): {outcome}{took}")
        for other in one.considered:
            tried = ", tried" if other.tried else ""
            click.echo(
                f"    {other.deployment}  {other.circuit.replace('_', '-')}"
                f"  priority {other.priority}  weight {other.weight}"
                f"  {other.in_flight} running{tried}"
            )
