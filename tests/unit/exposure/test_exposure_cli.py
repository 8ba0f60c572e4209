"""`quartermaster exposure` and `quartermaster claims` as a user meets them."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from quartermaster.cli.main import run

REFERENCE = str(Path(__file__).resolve().parents[3] / "examples/azure-openai-2024.toml")
HEADER = "customer,group,month,revenue,currency\n"


@pytest.fixture
def revenue(tmp_path: Path) -> Path:
    file = tmp_path / "revenue.csv"
    rows = [f"Small {n:02},,2024-{m:02},10.00,EUR" for n in range(8) for m in (1, 2, 3, 4)]
    rows += [f"Big {n},Big,2024-{m:02},{30 * m},EUR" for n in (1, 2) for m in (1, 2, 3, 4)]
    file.write_text(HEADER + "\n".join(rows) + "\n", "utf-8")
    return file


def test_what_was_read_is_never_written_over(
    revenue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = revenue.read_bytes()
    link = tmp_path / "link.csv"
    link.symlink_to(revenue)
    page = tmp_path / "page"
    for given in (["--svg", str(link)], ["--html", str(page), "--svg", str(page)]):
        assert run(["exposure", str(revenue), *given]) == 2
        assert "is named twice" in capsys.readouterr().err
    assert revenue.read_bytes() == before
    assert run(["exposure", str(revenue), "--html", str(page)]) == 0
    assert run(["exposure", str(revenue), "--html", str(page)]) == 0, (
        "its own output may be renewed"
    )
    assert run(["exposure", str(revenue), "--html", "/dev/null", "--svg", "/dev/null"]) == 0
    assert run(["exposure", str(revenue), "--html", str(tmp_path)]) == 2
    assert "cannot be written: Is a directory" in capsys.readouterr().err


def test_the_reference_scenario_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exposure", REFERENCE, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "quartermaster.exposure/1"
    group = document["groups"][0]
    assert group["group"] == "ByteDance"
    assert group["share"] == pytest.approx(0.24, abs=0.005)
    assert all("Azure OpenAI" in entry["share_of"] for entry in document["groups"])
    assert {source["publisher"] for source in document["sources"]} >= {"The Information"}
    assert all(source["date"] for source in document["sources"])
    assert document["ten_percent_customers"]["name"].startswith(">= 10 % of annual run-rate")
    assert document["ten_percent_customers"]["groups"] == ["ByteDance"]
    assert (document["seed"], len(document["data_sha256"])) == (20240801, 64)
    assert document["filled"]
    assert "made up" in document["fill"]


def test_the_same_file_gives_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for _ in range(2):
        assert run(["exposure", REFERENCE, "--json"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_a_csv_with_its_peak_and_its_window(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["exposure", str(revenue), "--json", "--of", "our API", "--months", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["denominator"]["words"] == (
        "revenue of our API, 2 months from 2024-03 to 2024-04"
    )
    assert document["denominator"]["amount"] == "580.00"
    assert document["groups"][0]["amount"] == "420.00"
    assert [line["method"] for line in document["run_rates"]] == [
        "last_month_x12",
        "trailing_3_months_x4",
    ]
    assert document["run_rates"][0]["amount"] == "3840.00"
    assert document["peak"]["is_peak"]
    assert not document["sample"]


def test_text_says_the_finding_first_and_flags_the_peak(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["exposure", str(revenue), "--lang", "de", "--top", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[2].startswith("Big: 65,2")
    assert "Spitzenmonat" in shown
    assert "Big (Big 1, Big 2)" in shown
    assert "7 andere" in shown


def test_svg_and_html_stand_alone(
    revenue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    svg, html = tmp_path / "bar.svg", tmp_path / "report.html"
    assert run(["exposure", str(revenue), "--svg", str(svg), "--html", str(html), "--json"]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert "wrote" in err
    ET.fromstring(svg.read_text("utf-8"))
    page = html.read_text("utf-8")
    assert "<script" not in page
    assert "src=" not in page
    assert "url(" not in page
    assert 'lang="en"' in page


def test_names_in_the_report_are_text_not_markup(tmp_path: Path) -> None:
    file, html = tmp_path / "r.csv", tmp_path / "r.html"
    file.write_text(HEADER + "<script>alert(1)</script>,,2024-01,1,USD\n", "utf-8")
    assert run(["exposure", str(file), "--html", str(html)]) == 0
    page = html.read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_bad_rows_exit_1_and_nothing_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r.csv"
    file.write_text(HEADER + "a,,2024-01,x,USD\nb,,2024-1,1,USD\nc,,2024-01,1,USD\n", "utf-8")
    assert run(["exposure", str(file), "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "line 2:" in err
    assert "line 3:" in err
    assert "hint:" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["exposure", REFERENCE, "--months", "3"],
        ["exposure", REFERENCE, "--months", "0"],
        ["exposure", REFERENCE, "--html", "/nonexistent/x.html"],
        ["exposure"],
        ["claims", "check"],
    ],
)
def test_wrong_command_lines_exit_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_month_that_is_none_is_refused(revenue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exposure", str(revenue), "--as-of", "spring"]) == 2
    assert "'spring' is not a month" in capsys.readouterr().err


def test_claims_check_exits_0_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "check", REFERENCE]) == 0
    shown = capsys.readouterr().out
    assert "payment, share and run_rate agree" in shown
    assert "24.0%" in shown
    assert run(["claims", "check", REFERENCE, "--fail-on", "contradiction"]) == 3
    assert "contradictions" in capsys.readouterr().err


def test_claims_check_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "check", REFERENCE, "--json", "--lang", "de"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "quartermaster.claims/1"
    assert document["contradictions"] > 0
    assert document["findings"][0]["sentence"].startswith("payment, share und run_rate passen")


def test_exposure_loads_no_array_library() -> None:
    code = (
        "import sys; from quartermaster.cli.main import run; "
        f"run(['exposure', {REFERENCE!r}, '--json']); "
        "heavy = {'numpy', 'pandas', 'pyarrow', 'duckdb', 'sqlalchemy'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
