"""The report of the reference scenario, byte for byte: text, SVG and page, German and English.

After an intended change, write the files again with
`QUARTERMASTER_GOLDEN=write pytest tests/golden/test_report_golden.py` and read the difference.
"""

import os
from pathlib import Path

import pytest

from quartermaster.cli.main import run
from quartermaster.console.format import LANGS

HERE = Path(__file__).parent
REFERENCE = str(HERE.parents[1] / "examples/azure-openai-2024.toml")


def same(name: str, content: str) -> None:
    golden = HERE / name
    if os.environ.get("QUARTERMASTER_GOLDEN") == "write":
        golden.write_text(content, "utf-8")
    assert content == golden.read_text("utf-8"), f"{name} changed"


@pytest.mark.parametrize("lang", LANGS)
def test_exposure_report(lang: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    svg, html = tmp_path / "bar.svg", tmp_path / "report.html"
    arguments = ["exposure", REFERENCE, "--lang", lang, "--svg", str(svg), "--html", str(html)]
    assert run(arguments) == 0
    same(f"report_exposure.{lang}.txt", capsys.readouterr().out)
    same(f"report_share_bar.{lang}.svg", svg.read_text("utf-8"))
    same(f"report_exposure.{lang}.html", html.read_text("utf-8"))


@pytest.mark.parametrize("lang", LANGS)
def test_claims_check(lang: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "check", REFERENCE, "--lang", lang]) == 0
    same(f"report_claims.{lang}.txt", capsys.readouterr().out)
