"""`quartermaster conduct`: who may be training a rival on the outputs, with reasons."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quartermaster.kernel.errors import DataError, UnavailableError

if TYPE_CHECKING:
    from quartermaster.conduct.score import Score, Workload

KEY_BYTES = 32
"""256 bits, as `conduct.observe` asks for."""
PUBLIC_KEY = bytes(KEY_BYTES)
"""For files scored once on this machine, where no sketch is kept: nothing to protect."""


@click.group("conduct")
def command() -> None:
    """Who may be training a rival on the outputs: evidence, never a verdict."""


@command.command("score")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--key-file", type=click.Path(path_type=Path), help="The deployment's 32-byte key.")
def score(file: Path, *, as_json: bool, key_file: Path | None) -> None:
    """Score the account-days in FILE by their requests alone, without history.

    FILE holds one JSON object a line, plain or gzipped: {"account": "...", "requests":
    [{"system": "...", "turns": ["..."]}]}. Other fields are ignored, labels included.
    """
    for found in _scores(file, read_key(key_file)):
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode(found).decode())
        else:
            click.echo("\n".join(_lines(found)))


def read_key(path: Path | None) -> bytes:
    """The key in a file, or the public one.

    Raises:
        DataError: the file does not hold 32 bytes.
    """
    if path is None:
        return PUBLIC_KEY
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise DataError(
            f"{path.name} holds {len(key)} bytes where a key has {KEY_BYTES}",
            hint=f"head -c {KEY_BYTES} /dev/urandom > {path.name}",
        )
    return key


def _scores(file: Path, key: bytes) -> "Iterator[Score]":
    try:
        from quartermaster.conduct.observe import Observer
        from quartermaster.conduct.records import read_days
        from quartermaster.conduct.score import score_days
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"conduct needs {error.name}, which is not installed",
            hint="pip install 'quartermaster-ai[risk]'",
        ) from error
    return score_days(read_days(file), Observer(key), key)


def _lines(found: "Score") -> list[str]:
    if found.score is None or found.workload is None:
        return [f"{found.account}: no requests"]
    over = "above the line" if found.over_line else "below the line"
    day = f" {found.day}" if found.day else ""
    lines = [f"{found.account}{day}: score {found.score:.2f}, {over}, {found.requests} requests"]
    return lines + _workload(found.workload)


def _workload(part: "Workload") -> list[str]:
    lines = [f"  rests on {part.requests} requests ({part.share:.0%}): {part.kind}"]
    lines += [
        f"  {finding.kind} {finding.strength:.2f}: {finding.words}" for finding in part.findings
    ]
    lines += [f"  {reason.adds:+.1f} {reason.words}" for reason in part.reasons]
    return lines
