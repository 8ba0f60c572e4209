"""What several tests of commands need: a key, and the command line over a new data folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from quartermaster.book.store import Book
from quartermaster.cli.main import run
from quartermaster.commands import key as keys
from quartermaster.commands.actor import OPERATOR
from quartermaster.kernel.clock import Instant

Typed = Callable[[str], tuple[int, str, str]]
"""A command line; its exit code and what it wrote to stdout and stderr."""


@pytest.fixture
def key_id(book: Book, request: pytest.FixtureRequest) -> str:
    """A key of the contract `c`, made at the module's `NOW`."""
    now: Instant = request.module.NOW
    return keys.issue(book, OPERATOR, contract="c", pepper=b"p" * 32, now=now).key_id


@pytest.fixture
def quartermaster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """The command line of a seller with one customer."""

    def call(line: str) -> tuple[int, str, str]:
        code = run(["--var", str(tmp_path / "var"), *line.split()])
        return (code, *capsys.readouterr())

    assert call("customer add acme --name ACME")[0] == 0
    return call
