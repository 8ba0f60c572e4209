"""`quartermaster risk` and `quartermaster what-if` in German: the same figures, other words."""

import re
from pathlib import Path

import pytest

from quartermaster.cli.main import run

FEW = ["--scenarios", "2000"]


@pytest.fixture
def revenue(tmp_path: Path) -> Path:
    file = tmp_path / "umsatz.csv"
    rows = [f"Small {n:02},2024-{m:02},1000.00,EUR" for n in range(40) for m in (1, 2)]
    rows += [f"Big,2024-{m:02},13000.00,EUR" for m in (1, 2)]
    file.write_text("customer,month,revenue,currency\n" + "\n".join(rows) + "\n", "utf-8")
    return file


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")


def digits(text: str) -> list[str]:
    """Every number without its separators, so that two languages can be compared."""
    return [re.sub(r"[.,]", "", found) for found in re.findall(r"-?\d[\d.,]*\d|\d", text)]


def test_risk(revenue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["risk", str(revenue), "--hazard", "top=35%", *FEW]
    german = said(capsys, *arguments, "--lang", "de")
    english = said(capsys, *arguments)
    assert "Big bringt 24,5 % des Umsatzes" in german
    assert "in den schlechtesten 5,00 % der Szenarien über 24 Monate" in german
    assert "mit 0,35 im Jahr geht und die anderen mit 0,1" in german
    assert "Angenommen, nicht geschätzt" in german
    assert "2.000 Szenarien" in german
    assert "expected shortfall" not in german
    assert digits(german) == digits(english)
    assert "* departure.ramp_months = 6.0" in german  # names of the file's fields


def test_what_if(revenue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["what-if", "leave", str(revenue), "--suspend", "--month", "3", *FEW]
    german = said(capsys, *arguments, "--lang", "de")
    english = said(capsys, *arguments)
    assert "Big wird im Monat 3 gesperrt" in german
    assert "Big is suspended in month 3" in english
    assert "Änderung: Fehlbetrag " in german
    assert digits(german) == digits(english)


def test_the_tornado(revenue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["what-if", "tornado", str(revenue), "--cost", "notice=1000", *FEW]
    german = said(capsys, *arguments, "--lang", "de")
    assert "Big sagt 24 Monate lang 50 % des Plans zu" in german
    assert "6 Monate Kündigungsfrist, nicht 0" in german
    assert "kostet 1,00 Tsd. EUR: " in german
    assert "weniger Fehlbetrag je 1" in german
    for english in ("commits", "shortfall", "notice", "customers"):
        assert english not in german.split("Angenommen")[0]


def test_every_change_has_german_words(revenue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for lever, words in (
        (["cut", "--by", "40%"], "Big nutzt ab Monat 0 40 % weniger"),
        (["price", "--change", "-12.5%"], "Der Preis für Big ändert sich ab Monat 0 um -12,5 %"),
        (["price", "--change", "5%", "--everybody"], "Alle Preise ändern sich ab Monat 0 um +5 %"),
        (["commit", "--share", "50%", "--discount", "2%"], "bei einem Nachlass von 2 %"),
        (["diversify", "--share", "10%"], "Big macht 10 % desselben Umsatzes aus"),
    ):
        arguments = ["what-if", lever[0], str(revenue), *lever[1:], *FEW, "--lang", "de"]
        assert words in said(capsys, *arguments)


def test_the_reduced_engine_says_whom_it_pools(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["what-if", "leave", str(revenue), "--engine", "reduced", *FEW]
    assert "9 small customers in closed form" in said(capsys, *arguments)
    assert "9 kleine Kunden in geschlossener Form" in said(capsys, *arguments, "--lang", "de")
