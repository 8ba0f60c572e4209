"""`quartermaster journal`: verify and export the hash-chained journal."""

import click
import msgspec

from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.errors import UsageError

Options = dict[str, str | None]

SEQ_MAX = 2**63 - 1
"""What a database numbers its rows with; no journal comes near it."""


@click.group("journal")
def command() -> None:
    """Verify and export the hash-chained journal."""


@command.command("verify")
@click.option(
    "--expect", metavar="SEQ:SHA256", help="A head noted earlier; it must still be there."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def verify(options: Options, expect: str | None, as_json: bool) -> None:
    """Check every hash of the journal and every balance of the ledger; exit 5 if one is wrong.

    The chain alone cannot show that its newest entries were cut off: keep the printed head
    somewhere else and pass it to --expect later.
    """
    from quartermaster.app import open_rooms
    from quartermaster.book.chain import Head

    noted = None
    if expect is not None:
        seq, _, sha256 = expect.partition(":")
        if not seq.isdecimal() or len(seq) > len(str(SEQ_MAX)) or not sha256:
            raise UsageError(f"{expect!r} is not SEQ:SHA256", field="expect")
        noted = Head(int(seq), sha256)
    head = open_rooms(options).book.verify(expected=noted)
    click.echo(msgspec.json.encode(head) if as_json else f"{head.seq}:{head.sha256}")
    click.echo(f"{head.seq} entries, chain and ledger add up", err=True)


@command.command("export")
@click.option("--after", type=click.IntRange(0, SEQ_MAX), default=0, help="Only newer entries.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with hashes.")
@click.pass_obj
def export(options: Options, after: int, as_json: bool) -> None:
    """Print the journal, oldest entry first."""
    from quartermaster.app import open_rooms

    for entry in open_rooms(options).book.entries(after):
        if as_json:
            # The fact's bytes as they were hashed, so that others can check the chain.
            line = {**msgspec.structs.asdict(entry), "fact": msgspec.Raw(entry.fact)}
            click.echo(msgspec.json.encode(line))
            continue
        at = as_datetime(Instant(entry.at)).isoformat()
        click.echo(f"{entry.seq}  {at}  {entry.actor}  {entry.fact.decode()}")
