"""The board report of the reference scenario, byte for byte, German and English.

After an intended change, write the files again with
`QUARTERMASTER_GOLDEN=write pytest tests/golden/test_board_golden.py` and read the difference.
"""

import os
from pathlib import Path

import pytest

from quartermaster.cli.main import run
from quartermaster.console.format import LANGS

HERE = Path(__file__).parent
REFERENCE = str(HERE.parents[1] / "examples/azure-openai-2024.toml")


@pytest.mark.parametrize("lang", LANGS)
def test_board_report(lang: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html = tmp_path / "board.html"
    arguments = ["report", REFERENCE, "--lang", lang, "--html", str(html)]
    assert run([*arguments, "--made-on", "2024-08-01"]) == 0
    for name, content in (
        (f"board_scenario.{lang}.txt", capsys.readouterr().out),
        (f"board_scenario.{lang}.html", html.read_text("utf-8")),
    ):
        golden = HERE / name
        if os.environ.get("QUARTERMASTER_GOLDEN") == "write":
            golden.write_text(content, "utf-8")
        assert content == golden.read_text("utf-8"), f"{name} changed"
