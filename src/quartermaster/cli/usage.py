"""`quartermaster usage`: metered requests, the hourly rollup, and whether all of it is there."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.kernel.events import Cut, HourlyUsage, UsageEvent

Options = dict[str, str | None]

SEGMENT_DIGITS_MAX = 18
"""Segment numbers are 64-bit; a million segments a second would not reach 18 digits in a life."""

SHOWN_MAX = 1_000
"""A terminal is no place for more; the table in `var/usage` is open to every Parquet reader."""


@click.group("usage")
def command() -> None:
    """Metered usage: facts, cuts and the hourly rollup."""


@command.command("show")
@click.argument("request_id", required=False)
@click.option(
    "--last",
    type=click.IntRange(1, SHOWN_MAX),
    default=10,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def show(options: Options, request_id: str | None, last: int, as_json: bool) -> None:
    """Show the last usage facts, or every attempt of one request.

    REQUEST_ID is what the gateway sent as x-request-id.
    """
    from quartermaster.app import open_rooms
    from quartermaster.usage.cut import current_cut
    from quartermaster.usage.query import recent_events, usage_rows

    table = open_rooms(options).usage
    if request_id is None:
        events = recent_events(table, current_cut(table), limit=last)
    else:
        events = usage_rows(table, request_id=request_id)
        if not events:
            raise NotFoundError(
                f"there is no usage of request {request_id!r}",
                hint="usage is in the table some seconds after the answer, while a clerk runs",
            )
    if as_json:
        _json_lines(events)
    else:
        _print_events(events)


@command.command("review")
@click.option(
    "--last",
    type=click.IntRange(1, SHOWN_MAX),
    default=100,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def review(options: Options, last: int, as_json: bool) -> None:
    """Show requests whose model server's counts were not believed, and what it said.

    They are billed by an estimate, or by what a budget had set aside. Which deployment does so,
    and why, is for a person to find out.
    """
    from quartermaster.app import open_rooms
    from quartermaster.usage.cut import current_cut
    from quartermaster.usage.policy import FOR_REVIEW
    from quartermaster.usage.query import recent_events

    table = open_rooms(options).usage
    events = recent_events(table, current_cut(table), limit=last, failures=FOR_REVIEW)
    if as_json:
        _json_lines(events)
    elif events:
        _print_review(events)
    else:
        click.echo("nothing to review", err=True)


@command.command("hourly")
@click.option("--customer", help="Only this customer's.")
@click.option("--at", "at_cut", metavar="CUT", help="Such as gateway-0=12,gateway-1=9.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def hourly(options: Options, customer: str | None, at_cut: str | None, as_json: bool) -> None:
    """Show the hourly rollup that rating reads, at a cut; default: everything shipped so far."""
    from quartermaster.app import open_rooms
    from quartermaster.usage import query
    from quartermaster.usage.cut import current_cut

    table = open_rooms(options).usage
    cut = parse_cut(at_cut) if at_cut is not None else current_cut(table)
    rows = query.hourly(table, cut, customer=customer)
    if as_json:
        _json_lines(rows)
        return
    _print_hours(rows)
    click.echo(f"cut: {cut_text(cut) or 'nothing shipped yet'}", err=True)


@command.command("check")
@click.option("--at", "at_cut", metavar="CUT", help="Such as gateway-0=12,gateway-1=9.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def check(options: Options, at_cut: str | None, as_json: bool) -> None:
    """Prove that every sealed row is there exactly once; exit code 5 where it is not."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.invoice import require_shipped
    from quartermaster.usage.cut import certify, current_cut

    rooms = open_rooms(options)
    table = rooms.usage
    if at_cut is not None:
        cut = parse_cut(at_cut)
    else:
        cut = current_cut(table)
        require_shipped(rooms.book.view(), cut)
    certificate = certify(table, cut)
    if as_json:
        click.echo(msgspec.json.encode(certificate))
        return
    click.echo(f"complete: {certificate.rows} rows in {certificate.segments} segments")
    click.echo(f"quarantined: {certificate.quarantined} rows")
    click.echo(f"cut: {cut_text(certificate.cut)}")
    for app_id, sha256 in certificate.heads.items():
        click.echo(f"chain of {app_id}: {sha256}")


def parse_cut(text: str) -> Cut:
    """A cut as it is written on a command line.

    Raises:
        UsageError: a part is not `NAME=NUMBER`.
    """
    cut: Cut = {}
    for part in text.split(","):
        app_id, _, number = part.strip().partition("=")
        written = number.isdecimal() and len(number) <= SEGMENT_DIGITS_MAX
        if not app_id or not written or app_id in cut:
            raise UsageError(
                f"{part.strip()!r} is no part of a cut",
                hint="write each gateway worker once, such as gateway-0=12,gateway-1=9",
            )
        cut[app_id] = int(number)
    return cut


def cut_text(cut: Cut) -> str:
    """A cut as `parse_cut` reads it."""
    return ",".join(f"{app_id}={last}" for app_id, last in sorted(cut.items()))


def _json_lines(rows: Sequence[UsageEvent] | Sequence[HourlyUsage]) -> None:
    for row in rows:
        click.echo(msgspec.json.encode(named(row)))


def named(record: msgspec.Struct) -> dict[str, Any]:
    """The record with every field by its name, also where it is stored as an array."""
    fields = msgspec.structs.asdict(record)
    return {
        name: named(value) if isinstance(value, msgspec.Struct) else value
        for name, value in fields.items()
    }


def _print_events(events: Sequence[UsageEvent]) -> None:
    table = Table("opened (UTC)", "request", "customer", "model", "status")
    for name in ("input", "cached", "output", "reasoning"):
        table.add_column(name, justify="right")
    table.add_column("counted by")
    for event in events:
        opened, counts = event.opened, event.closed.counts
        table.add_row(
            f"{as_datetime(Instant(opened.opened_at)):%Y-%m-%d %H:%M:%S}",
            opened.request_id,
            opened.customer,
            opened.model,
            event.closed.failure or event.status,
            *(str(n) for n in (counts.input, counts.cached_read, counts.output, counts.reasoning)),
            event.closed.count_source,
        )
    _print(table)


def _print_review(events: Sequence[UsageEvent]) -> None:
    table = Table("opened (UTC)", "request", "deployment", "why")
    for name in ("billed in", "billed out"):
        table.add_column(name, justify="right")
    table.add_column("the model server said")
    for event in events:
        opened, closed = event.opened, event.closed
        counts = closed.counts
        table.add_row(
            f"{as_datetime(Instant(opened.opened_at)):%Y-%m-%d %H:%M:%S}",
            opened.request_id,
            opened.deployment,
            closed.failure,
            str(counts.input + counts.cached_read + counts.cache_write + counts.audio_input),
            str(counts.output + counts.reasoning + counts.audio_output),
            closed.upstream_usage.decode("utf-8", "replace"),
        )
    _print(table)


def _print_hours(rows: Sequence[HourlyUsage]) -> None:
    table = Table("hour (UTC)", "customer", "contract", "project", "key", "model", "class")
    for name in ("requests", "tokens"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{as_datetime(Instant(row.hour)):%Y-%m-%d %H:%M}",
            row.customer,
            f"{row.contract} v{row.contract_version}",
            row.project,
            row.key_id,
            row.model,
            row.service_class,
            f"{row.requests:,}",
            f"{row.counts.tokens:,}",
        )
    _print(table)


def _print(table: Table) -> None:
    """Ids are never broken over lines: they are there to be copied."""
    for column in table.columns:
        column.no_wrap = True
        column.overflow = "ignore"
    console = Console()
    width = console.width if console.is_terminal else 10_000
    Console(width=max(width, 160)).print(table, crop=False)
