"""A case file is made of a journal whose chain holds, or not at all."""

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from quartermaster.cli.main import cli, run


def quartermaster(var: Path, *words: str) -> str:
    found = CliRunner().invoke(cli, ["--var", str(var), *words])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_no_case_file_is_made_of_a_journal_that_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quartermaster(tmp_path, "customer", "add", "acme", "--name", "ACME")
    opened = quartermaster(
        tmp_path, "case", "open", "acme", "--reason", "a partner wrote", "--reported", "Partner Ltd"
    )
    case = opened.split()[0]
    shown = quartermaster(tmp_path, "case", "file", case)
    assert "Others reported something of ACME; nothing of it was measured here." in shown
    database = sqlite3.connect(tmp_path / "book.sqlite")
    for (name,) in database.execute("select name from sqlite_master where type = 'trigger'"):
        database.execute(f'drop trigger "{name}"')
    other = "replace(cast(fact as text), 'a partner', 'our boss')"
    database.execute(f"update journal set fact = cast({other} as blob)")
    database.commit()
    database.close()
    html = tmp_path / "case.html"
    assert run(["--var", str(tmp_path), "case", "file", case, "--html", str(html)]) == 5
    assert "was changed" in capsys.readouterr().err
    assert not html.exists()
