"""`quartermaster capacity` and `quartermaster payback` in German."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from quartermaster.capacity.statement import Remark
from quartermaster.cli.main import run
from quartermaster.console.capacity_words import remark_words
from quartermaster.console.format import LANGS
from quartermaster.console.report_words import catalogue

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FILES = [str(EXAMPLES / "fleet-sample.toml"), "--demand", str(EXAMPLES / "fleet-demand.csv")]
SPENT = ["--capex", "500000000", "--annual-revenue", "1000000000", "--contribution", "30%"]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")


def digits(text: str) -> list[str]:
    return [re.sub(r"[.,]", "", found) for found in re.findall(r"\d[\d.,]*\d|\d", text)]


def test_capacity(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["capacity", *FILES, "--without", "TikTok", "--backfill", "50"]
    german = said(capsys, *arguments, "--lang", "de")
    english = said(capsys, *arguments)
    assert "67,1 % der GPU-Stunden waren ausgelastet, 1,2 % gestrandet" in german
    assert "--- ohne TikTok, 50 % davon ersetzt" in german
    assert "von anderen genutzt" in german
    assert "(nicht gemessen)" in german
    assert digits(german) == digits(english)
    for word in ("busy", "stranded", "customer", "peak"):
        assert word not in german


def test_remarks_are_german_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demand = tmp_path / "demand.csv"
    demand.write_text(
        "hour,customer,model,prefill_tokens,decode_tokens\n"
        "2024-03-04T00:00Z,a,sample-70b,90000000,9000000\n",
        "utf-8",
    )
    fleet = str(EXAMPLES / "fleet-cold-start.toml")
    assert run(["capacity", fleet, "--demand", str(demand), "--lang", "de"]) == 0
    shown = capsys.readouterr()
    words = shown.err.replace("\N{NO-BREAK SPACE}", " ")
    assert "Hinweis: Pool" in words
    assert "Kaltstart: Prefill +-48 %, Decode +-37 %" in words


@pytest.mark.parametrize("lang", LANGS)
def test_every_remark_has_words(lang: str) -> None:
    words = catalogue("capacity", "de" if lang == "de" else "en")
    for key, places in (
        ("no_demand", {"customer": "a"}),
        ("no_revenue", {"customer": "a"}),
        ("left_out", {"pool": "p", "tokens": "12800", "replica": "h100 x 8"}),
        ("cold_start", {"pool": "p"}),
        ("outside", {"pool": "p"}),
        ("beyond", {"pool": "p", "percent": "12.5"}),
    ):
        said_ = remark_words(Remark("", key, places), {"a": "Acme"}, words)
        assert ("Acme" if "customer" in places else "p") in said_


def test_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "capacity.svg"
    arguments = ["capacity", *FILES, "--svg", str(file), "--without", "TikTok", "--lang", "de"]
    assert run(arguments) == 0
    capsys.readouterr()
    words = "".join(ET.fromstring(file.read_text("utf-8")).itertext())
    assert "gestrandet" in words
    assert "ohne TikTok" in words
    assert "stranded" not in words


def test_payback(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["payback", *SPENT, "--share", "24%", "--within", "24"]
    german = said(capsys, *arguments, "--lang", "de")
    assert german.startswith(
        "zurückgezahlt nach 20,0 Monaten mit dem Kunden, nach 26,3 Monaten ohne seine 24 % vom"
    )
    assert "Gewinnschwelle: mit 30,6 % Ersatz in 24,0 Monaten zurückgezahlt" in german
    assert digits(german) == digits(said(capsys, *arguments))


def test_money_that_never_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["payback", *SPENT, "--share", "100%", "--within", "12"]
    german = said(capsys, *arguments, "--lang", "de")
    assert "mit dem Kunden, nie ohne seine 100 % vom Umsatz" in german
    assert "kein Ersatz zahlt es in 12,0 Monaten zurück" in german
    assert "never without its 100% of revenue" in said(capsys, *arguments)
