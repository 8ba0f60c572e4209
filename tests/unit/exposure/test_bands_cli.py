"""Bands, control, dimensions, disclosure and the PDF as a user meets them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from quartermaster.app import pdf
from quartermaster.cli.main import run
from quartermaster.console.format import LANGS

REFERENCE = str(Path(__file__).resolve().parents[3] / "examples/azure-openai-2024.toml")
CONTROL = (
    "entity,group,from,to\nTikTok,ByteDance,,\nCapCut,CapCut,,2024-03\nCapCut,ByteDance,2024-04,\n"
)
PLAN = '\n[[bands.plan]]\ngroup = "ByteDance"\nowner = "CFO"\ndue = 2025-01-01\nplan = "commit"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = ["customer,month,revenue,currency,product,region,contract_end"]
    for at in range(18):
        month = f"{2023 + (at + 6) // 12}-{(at + 6) % 12 + 1:02}"
        lines += [
            f"TikTok,{month},24.00,USD,chat,eu,2025-06-30",
            f"CapCut,{month},2.00,USD,chat,eu,2025-06-30",
            *(f"Small {n},{month},7.40,USD,embed,us,2024-12-31" for n in range(10)),
        ]
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "control.csv").write_text(CONTROL, "utf-8")
    (tmp_path / "bands.toml").write_text('[bands]\nbreach_at = "20 %"\n', "utf-8")
    return tmp_path


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_control_and_bands_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, control = str(folder / "r.csv"), str(folder / "control.csv")
    found = as_json(capsys, "exposure", file, "--control", control)
    first = found["groups"][0]
    assert (first["group"], first["minor"]) == ("ByteDance", 12 * 2400 + 9 * 200)
    assert found["control"]["changed_group_in_the_window"][0]["entity"] == "CapCut"
    last = as_json(capsys, "exposure", file, "--control", control, "--roll-up", "last")
    assert last["groups"][0]["minor"] == 12 * 2600
    assert found["bands"]["groups"][0]["ratios"]["revenue"]["band"] == "breach"
    assert found["bands"]["against"]["revenue"]["of"].startswith("revenue of all customers")
    assert "theil" in found["concentration"]
    assert found["concentration"]["largest_n_shares"]["1"] == found["groups"][0]["share"]
    assert len(found["top_share_over_time"]["windows"]) == 7


@pytest.mark.parametrize(
    ("arguments", "plan", "code"),
    [
        (["--fail-on", "breach"], "", 3),
        (["--fail-on", "breach"], PLAN, 3),
        (["--fail-on", "unplanned"], "", 3),
        (["--fail-on", "unplanned"], PLAN, 0),
        (["--fail-on", "breach", "--breach-at", "90 %"], "", 0),
        (["--fail-on", "report", "--report-at", "26.1%", "--breach-at", "90%"], "", 0),
        ([], "", 0),
    ],
)
def test_exit_3_when_asked(
    folder: Path, arguments: list[str], plan: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    bands = folder / "bands.toml"
    bands.write_text(bands.read_text("utf-8").replace("20 %", "26 %") + plan, "utf-8")
    files = [str(folder / "r.csv"), "--control", str(folder / "control.csv")]
    more = ["--roll-up", "last", "--bands", str(bands), *arguments]
    assert run(["exposure", *files, *more]) == code
    assert ("breach: ByteDance" in capsys.readouterr().err) is (code == 3 and "breach" in arguments)


def test_what_bears_the_loss_by_flag(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(folder / "r.csv")
    flags = ["--absorbing", "400.00", "--absorbing-name", "margin of 2024"]
    found = as_json(capsys, "exposure", file, *flags)
    ratio = found["bands"]["groups"][0]["ratios"]["absorbing"]
    assert ratio["ratio"] == pytest.approx(12 * 24 / 400)
    assert ratio["ratio_of"] == "a year of revenue over margin of 2024"
    assert run(["exposure", file, *flags, "--lang", "de"]) == 0
    assert "72,0\N{NO-BREAK SPACE}% im Verhältnis zu margin of 2024" in capsys.readouterr().out


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("by", ["entity", "product", "region", "contract_end"])
def test_by_another_dimension(
    folder: Path, by: str, lang: str, capsys: pytest.CaptureFixture[str]
) -> None:
    html = folder / "r.html"
    arguments = ["exposure", str(folder / "r.csv"), "--by", by, "--lang", lang]
    assert run([*arguments, "--html", str(html)]) == 0
    shown = capsys.readouterr().out
    assert {"entity": "TikTok", "product": "embed", "region": "us", "contract_end": "2024-12"}[
        by
    ] in shown.splitlines()[2]
    assert "ASC 280" not in shown
    assert 'id="lorenz-title"' not in html.read_text("utf-8")


def test_a_band_is_about_customers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(folder / "r.csv")
    products = as_json(capsys, "exposure", file, "--by", "product")
    assert (products["bands"], products["ten_percent_customers"]) == (None, None)
    assert run(["exposure", file, "--by", "product", "--fail-on", "breach"]) == 2
    assert run(["exposure", file, "--absorbing", "1"]) == 2
    assert run(["exposure", file, "--report-at", "0.1"]) == 2
    assert run(["exposure", REFERENCE, "--control", "x.csv"]) == 2
    assert "is not a percentage" in capsys.readouterr().err


@pytest.mark.parametrize("lang", LANGS)
def test_the_page_draws_the_share_over_time(folder: Path, lang: str) -> None:
    html = folder / "r.html"
    assert run(["exposure", str(folder / "r.csv"), "--html", str(html), "--lang", lang]) == 0
    page = html.read_text("utf-8")
    assert page.count('id="share-over-time-title"') == 1
    assert page.count('id="share-over-time-phone-title"') == 1


def test_disclosure_asks_for_the_whole_entity(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(folder / "r.csv")
    assert run(["disclose", file, "--rule", "asc280"]) == 2
    assert "share of what?" in capsys.readouterr().err
    assert (
        run(["disclose", file, "--rule", "asc280", "--whole-entity", "--entity-revenue", "1"]) == 2
    )
    found = as_json(capsys, "disclose", file, "--rule", "ifrs8", "--whole-entity")
    assert found["must_disclose"] is True
    rows = found["customers"][0]["rows"]
    assert sum(row["minor"] for row in rows) == found["customers"][0]["minor"]
    assert rows[0]["line"] == 2 + 6 * 12
    assert len(found["data_sha256"]) == 64
    assert found["draft"]["status"].startswith("draft for counsel")


def test_a_quarter_of_the_service_line_is_not_disclosable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    microsoft = ["--entity-revenue", "245122000000"]
    found = as_json(capsys, "disclose", REFERENCE, "--rule", "asc280", *microsoft)
    assert found["must_disclose"] is False
    assert found["customers"][0]["share_of_file_revenue"] == pytest.approx(0.24, abs=0.005)
    assert found["customers"][0]["share_of_entity_revenue"] == pytest.approx(0.001, abs=1e-4)
    assert [note["id"] for note in found["notes"]][-2:] == ["not_a_period", "sample"]
    assert run(["disclose", REFERENCE, "--rule", "ifrs8", *microsoft, "--lang", "de"]) == 0
    assert "Nichts anzugeben" in capsys.readouterr().out


def test_no_browser_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pdf, "BROWSERS", ("no-such-browser",))
    assert run(["exposure", REFERENCE, "--pdf", str(folder / "r.pdf")]) == 1
    assert "printed by Chromium" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("source", ["r.csv", REFERENCE])
def test_the_report_prints_on_two_to_four_pages(folder: Path, source: str, lang: str) -> None:
    if not any(shutil.which(name) for name in pdf.BROWSERS):
        pytest.skip("Chromium is not installed")
    printed = folder / "r.pdf"
    assert run(["exposure", str(folder / source), "--pdf", str(printed), "--lang", lang]) == 0
    data = printed.read_bytes()
    assert data.startswith(b"%PDF-")
    assert 2 <= data.count(b"/Type /Page\n") <= 4


def test_many_in_a_band_are_counted_not_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"C{n:02},2024-01,{n + 1}.00,USD" for n in range(20)]
    file = folder / "many.csv"
    file.write_text("customer,month,revenue,currency\n" + "\n".join(lines) + "\n", "utf-8")
    flags = ["--absorbing", "1.00", "--absorbing-name", "cash", "--html", str(folder / "r.html")]
    assert run(["exposure", str(file), *flags]) == 0
    shown = capsys.readouterr().out
    assert "In a band besides these: 8." in shown
    assert "and 15 more" in shown
    assert "In a band besides these: 8." in (folder / "r.html").read_text("utf-8")
