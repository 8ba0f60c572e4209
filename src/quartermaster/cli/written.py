"""Files that a command writes: in words when it cannot, and never over what it read."""

from collections.abc import Iterator
from pathlib import Path

import click

from quartermaster.kernel.errors import UsageError


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file of the command that runs, and say so.

    Raises:
        UsageError: it cannot be written, or the command line names it for something else too.
    """
    given = tuple(click.get_current_context().params.values())
    same = sum(_same(one, path) for one in _paths(given))
    # A device takes everything; a file that was just read, or written, would be lost.
    if same > 1 and (path.is_file() or not path.exists()):
        raise UsageError(f"{path} is named twice", hint="write each output to a file of its own")
    data = content.encode() if isinstance(content, str) else content
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}",
            hint="name a file in a folder that is there and that you may write in",
        ) from error
    click.echo(f"wrote {path}", err=True)


def _same(one: Path, other: Path) -> bool:
    """Whether both are one file, by whatever name: a link is another name of it."""
    if one.resolve() == other.resolve():
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False  # one of them is not there, so writing cannot lose it


def _paths(values: object) -> Iterator[Path]:
    if isinstance(values, Path):
        yield values
    elif isinstance(values, tuple):
        for value in values:
            yield from _paths(value)
