"""`quartermaster batch`: how far customers' batches are; what they ask is not shown."""

from datetime import datetime
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.table import Table

from quartermaster.kernel.clock import Instant, as_datetime

if TYPE_CHECKING:
    from quartermaster.book.batch_states import Batch

Options = dict[str, str | None]

SHOWN_MAX = 1_000
"""A terminal is no place for more."""
TERMINAL_COLUMNS_MIN = 160
"""Ids are never broken over lines: they are there to be copied."""


class Wrong(msgspec.Struct, frozen=True):
    """What is wrong with the input, and at which of its lines."""

    code: str
    message: str
    line: int | None


class BatchLine(msgspec.Struct, frozen=True):
    """One batch as an operator sees it."""

    id: str
    customer: str
    project: str
    key: str
    endpoint: str
    model: str
    status: str
    created_at: datetime
    expires_at: datetime
    total: int
    completed: int
    failed: int
    input_file: str
    output_file: str
    error_file: str
    errors: tuple[Wrong, ...]


@click.group("batch")
def command() -> None:
    """Customers' batches."""


@command.command("list")
@click.option("--customer", help="Only this customer's.")
@click.option(
    "--last",
    type=click.IntRange(1, SHOWN_MAX),
    default=20,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def list_(options: Options, customer: str | None, last: int, as_json: bool) -> None:
    """The newest batches, and how far they are."""
    from quartermaster.app import open_rooms

    with open_rooms(options).book.reading() as unit:
        found = unit.batches.page(None, after="", limit=last, customer=customer)[:last]
    rows = [_line(batch) for batch in found]
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    if not rows:
        click.echo("no batch yet", err=True)
        return
    table = Table("created (UTC)", "batch", "customer", "project", "model", "status")
    for name in ("requests", "answered", "failed"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row.created_at:%Y-%m-%d %H:%M}",
            row.id,
            row.customer,
            row.project,
            row.model,
            row.status,
            *(f"{number:,}" for number in (row.total, row.completed, row.failed)),
        )
    for column in table.columns:
        column.no_wrap = True
        column.overflow = "ignore"
    Console(width=max(Console().width, TERMINAL_COLUMNS_MIN)).print(table, crop=False)


@command.command("show")
@click.argument("batch_id", metavar="BATCH")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show(options: Options, batch_id: str, as_json: bool) -> None:
    """One batch, and what is wrong with its input."""
    from quartermaster.app import open_rooms
    from quartermaster.commands.batch import find_any

    row = _line(find_any(open_rooms(options).book, batch_id))
    if as_json:
        click.echo(msgspec.json.encode(row))
        return
    for name, value in msgspec.structs.asdict(row).items():
        if name != "errors" and value != "":
            click.echo(f"{name}: {value}")
    for error in row.errors:
        where = "input" if error.line is None else f"line {error.line}"
        click.echo(f"{where}: {error.code}: {error.message}")


def _line(batch: "Batch") -> BatchLine:
    return BatchLine(
        id=batch.id,
        customer=batch.tenant.customer,
        project=batch.tenant.project,
        key=batch.key_id,
        endpoint=batch.endpoint,
        model=batch.model,
        status=batch.status,
        created_at=as_datetime(Instant(batch.created_at)),
        expires_at=as_datetime(Instant(batch.expires_at)),
        total=batch.total,
        completed=batch.completed,
        failed=batch.failed,
        input_file=batch.input_file,
        output_file=batch.output_file,
        error_file=batch.error_file,
        errors=tuple(Wrong(one.code, one.message, one.line) for one in batch.errors),
    )
