"""A defect of ours reaches a user in words; its traceback goes to a file that the words name."""

import re
from pathlib import Path

import pytest

from quartermaster.cli.main import run


def test_a_damaged_usage_table_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "usage" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("not JSON")
    code = run(["--var", str(tmp_path), "usage", "check"])
    told = capsys.readouterr()
    assert code != 0
    assert told.out == ""
    assert "Traceback" not in told.err
    assert told.err.startswith("error: ")
    named = re.search(r"report it with (\S+)", told.err)
    assert named is not None
    details = Path(named.group(1))
    assert "Traceback" in details.read_text()
    assert details.stat().st_mode & 0o077 == 0
    details.unlink()
