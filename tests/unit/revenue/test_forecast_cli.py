"""`quartermaster forecast` and `quartermaster guidance` as a user meets them."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path

import pytest

from quartermaster.cli.main import run
from quartermaster.console.format import LANGS
from quartermaster.console.language import Words
from quartermaster.console.report_words import Catalogue, catalogue

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = str(ROOT / "examples/azure-openai-2024.toml")
PROMISES = str(ROOT / "examples/azure-guidance-2024.csv")
HEADER = "customer,group,month,revenue,currency\n"


@pytest.fixture
def revenue(tmp_path: Path) -> Path:
    file = tmp_path / "revenue.csv"
    months = [f"{2022 + at // 12}-{at % 12 + 1:02d}" for at in range(26)]
    rows = [f"Small {n},,{m},{100 + n + at % 3}.00,EUR" for n in range(6) for at, m in
            enumerate(months)]  # fmt: skip
    rows += [f"Big {n},Big,{m},{300 + 10 * at}.50,EUR" for n in (1, 2) for at, m in
             enumerate(months)]  # fmt: skip
    file.write_text(HEADER + "\n".join(rows) + "\n", "utf-8")
    return file


def test_the_forecast_of_a_csv_as_json(revenue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["forecast", str(revenue), "--customer-without", "Big", "--months", "4"]
    assert run([*arguments, "--top", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["currency"], found["last"]) == (
        "quartermaster.forecast/1",
        "EUR",
        "2024-02",
    )
    assert found["all"]["months"][0]["month"] == "2024-03"
    customers = {row["customer"]: row for row in found["customers"]}
    assert list(customers) == ["Big", "Small 5", "all others"]
    for at, row in enumerate(found["all"]["months"]):
        parts = [Decimal(one["months"][at]["amount"]) for one in customers.values()]
        assert sum(parts) == Decimal(row["amount"])
        left = Decimal(found["without"]["months"][at]["amount"])
        assert left == Decimal(row["amount"]) - Decimal(customers["Big"]["months"][at]["amount"])
        assert Decimal(row["low"]) <= Decimal(row["amount"]) <= Decimal(row["high"])
    assert found["without"]["customer"] == "Big"
    assert found["all"]["coverage"]["windows"] > 0
    assert len(found["history"]) == 26


def test_the_same_file_gives_the_same_bytes(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for _ in range(2):
        assert run(["forecast", str(revenue), "--json"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("lang", LANGS)
def test_the_sample_book_in_words_and_as_a_picture(
    lang: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    svg = tmp_path / "fan.svg"
    arguments = ["forecast", REFERENCE, "--customer-without", "ByteDance", "--lang", lang]
    assert run([*arguments, "--svg", str(svg)]) == 0
    out, err = capsys.readouterr()
    assert {"en": "Sample data", "de": "Beispieldaten"}[lang] in out
    assert "ByteDance" in out
    assert str(svg) in err
    picture = ET.fromstring(svg.read_text("utf-8"))
    words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert any("ByteDance" in (word or "") for word in words)


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (["--customer-without", "Big 1"], "under the control of 'Big'", 1),
        (["--customer-without", "Nobody"], "there is no customer 'Nobody'", 1),
        (["--as-of", "2021-12"], "no month up to 2021-12", 2),
        (["--as-of", "2022-03"], "needs 6 periods, there are 3", 2),
        (["--months", "0"], "0 is not in the range", 2),
        (["--svg", "/nowhere/fan.svg"], "cannot be written", 2),
    ],
)
def test_what_cannot_be_done_is_said(
    revenue: Path, arguments: list[str], says: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["forecast", str(revenue), *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err


def test_months_without_a_row_are_said(revenue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = revenue.read_text("utf-8").splitlines(keepends=True)
    revenue.write_text("".join(line for line in text if ",2023-05," not in line), "utf-8")
    for command, lang, says in (
        (["forecast"], "en", "No row at all, counted as zero: May 2023"),
        (["guidance", "suggest"], "de", "Keine einzige Zeile, als null gezählt: Mai 2023"),
    ):
        assert run([*command, str(revenue), "--lang", lang]) == 0
        assert says in capsys.readouterr().out
        assert run([*command, str(revenue), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["missing_months"] == ["2023-05"]


def test_a_scenario_without_a_history_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.toml"
    text = Path(REFERENCE).read_text("utf-8")
    other.write_text(text.replace("customers = 76", "customers = 75"), "utf-8")
    assert run(["forecast", str(other)]) == 1
    assert "states one month" in capsys.readouterr().err


def test_guidance_is_scored(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["guidance", "score", PROMISES, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"beat": 2, "lower_half": 1, "not_comparable": 2}
    assert [entry["reasons"] for entry in found["guidance"][3:]] == [["basis"], ["metric_version"]]
    assert found["guidance"][1]["inferred"]
    assert found["track_record"][0]["scored"] == 3


@pytest.mark.parametrize("lang", LANGS)
def test_guidance_is_scored_in_words(lang: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["guidance", "score", PROMISES, "--lang", lang]) == 0
    out = capsys.readouterr().out
    assert {"en": "not comparable: another basis", "de": "nicht vergleichbar: andere Basis"}[
        lang
    ] in out
    assert {"en": "nobody said these bounds", "de": "so hat es niemand gesagt"}[lang] in out


def test_guidance_is_suggested(revenue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["guidance", "suggest", str(revenue), "--months", "1", "--miss", "0.1"]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["period"], found["basis"]) == ("2024-03/2024-03", "reported")
    assert (found["chance_of_miss"], found["chance_of_beat"]) == (0.1, 0.1)
    assert Decimal(found["low"]) <= Decimal(found["high"])
    assert found["track_record"]["miss_rate"]["windows"] == found["track_record"]["suggestions"]


@pytest.mark.parametrize("lang", LANGS)
def test_a_suggestion_in_words(
    lang: str, revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["guidance", "suggest", str(revenue), "--lang", lang]) == 0
    out = capsys.readouterr().out
    assert {"en": "Chance of a miss 20%", "de": "Wahrscheinlichkeit der Verfehlung 20\xa0%"}[
        lang
    ] in out


def test_a_chance_without_windows_is_refused(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["guidance", "suggest", str(revenue), "--miss", "0.01"]) == 2
    assert "needs 99 past windows" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["forecast", "guidance"])
def test_catalogues_have_the_same_keys_and_places(name: Catalogue) -> None:
    place = re.compile(r"\{(\w+)\}")

    def places(words: Words) -> dict[str, set[str]]:
        return {key: set(place.findall(text)) for key, text in words._messages.items()}

    assert places(catalogue(name, "de")) == places(catalogue(name, "en"))


def test_the_commands_load_no_numpy() -> None:
    code = (
        "import sys, quartermaster.cli.forecast, quartermaster.cli.guidance;"
        "print([name for name in ('numpy', 'scipy', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
