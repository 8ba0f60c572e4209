"""`quartermaster risk` and `quartermaster what-if` as a user meets them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quartermaster.cli.main import run

REFERENCE = str(Path(__file__).resolve().parents[3] / "examples/azure-openai-2024.toml")
FEW = ["--scenarios", "2000"]
CONDITIONS = {"equal_hazard_per_year", "horizon_months", "quantile"}


@pytest.fixture
def revenue(tmp_path: Path) -> Path:
    file = tmp_path / "revenue.csv"
    rows = [f"Small {n:02},,2024-{m:02},10.00,EUR" for n in range(8) for m in (1, 2)]
    rows += [f"Big {n},Big,2024-{m:02},15.00,EUR" for n in (1, 2) for m in (1, 2)]
    file.write_text("customer,group,month,revenue,currency\n" + "\n".join(rows) + "\n", "utf-8")
    return file


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def share_holders(value: Any) -> list[dict[str, Any]]:
    """Every object that shows a share of the loss."""
    found = []
    if isinstance(value, dict):
        if any("shortfall_share" in name or "loss_share" in name for name in value):
            found.append(value)
        for inner in value.values():
            found += share_holders(inner)
    elif isinstance(value, list):
        for inner in value:
            found += share_holders(inner)
    return found


def test_the_reference_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    hazards = ["--hazard", "top=35%", "--hazard", "rest=0.10"]
    found = document(capsys, "risk", REFERENCE, *hazards, *FEW)
    assert found["schema"] == "quartermaster.risk/1"
    top = found["customers"][0]
    assert (top["group"], top["hazard_per_year"]) == ("ByteDance", 0.35)
    assert top["revenue_share"] == pytest.approx(0.24, abs=0.005)
    assert 0.60 < top["expected_shortfall_share"] < 0.80
    assert 0.45 < top["expected_loss_share"] < 0.53
    assert sum(one["expected_shortfall_share"] for one in found["customers"]) == pytest.approx(1)
    assert found["conditions"] == {
        "hazard_per_year_top": 0.35,
        "hazard_per_year_rest": 0.10,
        "equal_hazard_per_year": pytest.approx(0.16),
        "horizon_months": 24,
        "quantile": 0.95,
    }
    assert "hazard_per_year.top" not in found["assumptions_left_at_default"]
    assert "departure.ramp_months" in found["assumptions_left_at_default"]
    planned = [one["planned"] for one in found["months"]]
    assert len(planned) == 24
    assert sum(planned) == pytest.approx(found["plan_over_horizon"])
    last = found["months"][-1]["quantiles"]
    assert last["0.05"] < last["0.5"] < last["0.95"]
    assert last["0.5"] < planned[-1]
    assert (found["filled"], len(found["data_sha256"]), found["seed"]) == (True, 64, 20240801)


def test_no_share_without_its_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "risk", REFERENCE, *FEW)
    holders = [one for one in share_holders(found) if "customers" not in one]
    assert len(holders) == len(found["customers"])
    for one in holders:
        assert set(one) >= CONDITIONS | {
            "hazard_per_year",
            "expected_shortfall_share_at_equal_hazard",
            "expected_loss_share_at_equal_hazard",
        }
    changes = document(capsys, "what-if", "leave", REFERENCE, *FEW)
    for one in share_holders(changes):
        assert set(one) >= CONDITIONS | {
            "hazard_per_year_top",
            "hazard_per_year_rest",
            "largest_customer_shortfall_share_at_equal_hazard",
        }


def test_the_sentence_for_people_names_them_too(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["risk", str(revenue), "--hazard", "top=35%", *FEW]) == 0
    text = capsys.readouterr().out
    finding = text.split("\n\n")[1]
    for word in ("Big", "27.3%", "24 months", "0.35 a year", "0.1;", "for everybody", "5.00%"):
        assert word in finding
    assert "* departure.ramp_months = 6.0" in text
    assert "  hazard_per_year.top = 0.35" in text


def test_the_same_command_gives_the_same_bytes(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for threads in ("1", "2", "4"):
        assert run(["risk", str(revenue), *FEW, "--threads", threads, "--json"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] == outputs[2]


def test_assumptions_come_from_a_file_and_flags_go_before_it(
    revenue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "assumptions.toml"
    file.write_text(
        "horizon_months = 12\nquantile = 0.9\n[hazard_per_year]\ntop = 0.5\n"
        '[[customer]]\ngroup = "Small 01"\nhazard_per_year = 0.4\n',
        "utf-8",
    )
    found = document(
        capsys, "risk", str(revenue), *FEW, "--assumptions", str(file), "--hazard", "top=20%",
        "--commitment", "Big=10:6",
    )  # fmt: skip
    assert found["conditions"]["horizon_months"] == 12
    assert found["conditions"]["quantile"] == 0.9
    rates = {one["group"]: one["hazard_per_year"] for one in found["customers"]}
    assert (rates["Big"], rates["Small 01"], rates["Small 02"]) == (0.2, 0.4, 0.1)
    terms = {one["group"]: one for one in found["assumptions"]["customer"]}
    assert terms["Big"]["commitment_per_month"] == "10"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--hazard", "top=35"], "hazard_per_year.top 35"),
        (["--hazard", "35%"], "names nobody"),
        (["--hazard", "Nobody=1%"], "no customer 'Nobody'"),
        (["--hazard", "top=much"], "'much' is not a number"),
        (["--quantile", "1.5"], "quantile 1.5"),
        (["--quantile", "99.9%"], "beyond the quantile"),
        (["--horizon", "0"], "horizon_months 0"),
        (["--commitment", "Big=10"], "cannot be read"),
        (["--commitment", "Big=ten:6"], "commitment 'Big=ten:6' cannot be read"),
        (["--commitment", "Big=1e400:6"], "commitment 'Big=1e400:6' cannot be read"),
        (["--commitment", f"Big=10:{'9' * 5_000}"], "an amount a month for 24 months"),
        (["--hazard", "Nobody=1%"], "its customers are Big, "),
        (["--horizon", "0"], "count in months: two years are 24"),
        (["--quantile", "1.5"], "write 0.95 or 95%"),
        (["--frailty", "1e-300"], "departure.frailty_variance 1e-300 is too small"),
        (["--frailty", "0.00009"], "give 0, or at least 0.0001"),
        (["--as-of", "2024-13"], "as-of '2024-13' is not a month"),
        (["--as-of", "0001-01"], "as-of '0001-01' is outside 1970 to 2199"),
        (["--ramp", "nan"], "departure.ramp_months"),
        (["--hazard", "top=0", "--hazard", "rest=0"], "nothing is lost"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    revenue: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["risk", str(revenue), *FEW, *arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("horizon = 3\n", "horizon"),
        ("horizon_months = 'x'\n", "horizon_months"),
        ("[hazard_per_year]\ntop = 35\n", "hazard_per_year.top 35"),
        ("= 3\n", "assumptions.toml"),
        ('[[customer]]\ngroup = "Big"\ncurrency = "USD"\n', "no volatility"),
        ('[[customer]]\ngroup = "Big"\n[[customer]]\ngroup = "Big"\n', "two entries"),
        ('schema = "quartermaster.fleet/1"\n', "assumptions hold horizon_months, quantile, "),
        (f"horizon_months = {'9' * 5_000}\n", "a number of too many digits"),
        (f"a = {'[' * 5_000}\n", "nested too deep"),
        (
            '[[customer]]\ngroup = "Big"\ncommitment_per_month = "much"\n',
            "commitment_per_month of 'Big': 'much' is not a decimal number",
        ),
    ],
)
def test_a_bad_file_of_assumptions_is_named(
    revenue: Path, tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "assumptions.toml"
    file.write_text(text, "utf-8")
    assert run(["risk", str(revenue), *FEW, "--assumptions", str(file)]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("folder", None, "folder cannot be read: Is a directory"),
        ("folder.toml", None, "folder.toml cannot be read: Is a directory"),
        ("empty.csv", b"", "empty.csv is empty"),
        ("open.csv", b'customer,month,revenue,currency\n"A,2024-01,1,EUR\n', "a quotation mark"),
        ("header.csv", b"customer,month,revenue,currency\n", "a header and no rows"),
        (
            "none.csv",
            b"customer,month,revenue,currency\nA,2024-01,0,EUR\n",
            "months that have some",
        ),
        ("empty.toml", b"", "a scenario says schema"),
        ("picture.csv", b"\x89PNG\r\n", "picture.csv, line 1: not UTF-8 text"),
        ("picture.toml", b"\x89PNG\r\n", "picture.toml, line 1: not UTF-8 text"),
        ("fleet.toml", b'schema = "quartermaster.fleet/1"', "a scenario says schema"),
        ("deep.toml", b"a = " + b"[" * 5_000, "is it the right file?"),
    ],
)
@pytest.mark.parametrize("noun", ["risk", "report"])
def test_a_file_of_another_kind_is_refused_with_what_to_do(
    noun: str,
    name: str,
    data: bytes | None,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / name
    file.mkdir() if data is None else file.write_bytes(data)
    assert run([noun, str(file)]) == 1
    captured = capsys.readouterr()
    assert says in captured.err
    assert "\nhint: " in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("option", "data", "says"),
    [
        ("--control", b"[" * 9_000, "the columns are " + "[" * 200 + "\nhint: they must be entity"),
        ("--control", b"customer,month\n", "the columns are customer, month\nhint: "),
        ("--statements", b"customer,month\n", "line 1: JSON is malformed"),
        ("--bands", b'schema = "quartermaster.fleet/1"', "hint: it holds one table, [bands]: "),
        ("--assumptions", b"\0\0", "not TOML"),
        ("--guidance", b"", "no column 'metric'\nhint: "),
        ("--usage", b"", "the column 'tenant' is missing\nhint: "),
        ("--capacity", b'schema = "quartermaster.scenario/1"', "schema: invalid enum value"),
        ("--capacity", b"{}", "not TOML: "),
        ("--capacity", b"\xff", "line 1: not UTF-8 text\nhint: save the file as UTF-8"),
    ],
)
def test_a_part_of_the_report_of_another_kind_is_refused_with_what_to_do(
    option: str,
    data: bytes,
    says: str,
    revenue: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "part"
    file.write_bytes(data)
    assert run(["report", str(revenue), option, str(file)]) == 1
    captured = capsys.readouterr()
    assert says in captured.err
    assert "\nhint: " in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("noun", ["risk", "report"])
def test_options_of_a_csv_are_refused_for_a_scenario(
    noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([noun, REFERENCE, "--months", "3"]) == 2
    assert "hint: leave them out" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "no_folder/report.html"])
def test_a_report_that_cannot_be_written_says_where_it_can(
    name: str, revenue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", str(revenue), "--html", str(tmp_path / name)]) == 2
    captured = capsys.readouterr()
    assert f"{tmp_path / name} cannot be written: " in captured.err
    assert "hint: name a file in a folder that is there" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("linked", ["symlink", "hard link"])
def test_a_report_is_never_written_over_what_it_read(
    linked: str, revenue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, other = revenue.read_bytes(), tmp_path / "other.html"
    if linked == "symlink":
        other.symlink_to(revenue)
    else:
        other.hardlink_to(revenue)
    assert run(["report", str(revenue), "--html", str(other)]) == 2
    captured = capsys.readouterr()
    assert "other.html is named twice" in captured.err
    assert captured.out == ""
    assert revenue.read_bytes() == before


def test_what_if_a_customer_leaves_or_is_suspended(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A suspension is a departure at once, after which no commitment is owed."""
    terms = ["--commitment", "Big=20:24", *FEW]
    leaves = document(capsys, "what-if", "leave", str(revenue), *terms)
    ended = document(capsys, "what-if", "leave", str(revenue), "--suspend", *terms)
    gone, suspended = leaves["changes"][0], ended["changes"][0]
    assert gone["expected_loss_difference"]["amount"] > 0
    more = suspended["expected_loss"]["amount"] - gone["expected_loss"]["amount"]
    assert more > 20 * 23
    assert suspended["expected_loss"]["amount"] > 30 * 23


def test_a_given_departure_from_a_book_that_nobody_leaves(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = ["--hazard", "top=0", "--hazard", "rest=0", "--ramp", "0", *FEW]
    found = document(capsys, "what-if", "leave", str(revenue), "--month", "12", *nobody)
    assert found["base"]["expected_shortfall"]["amount"] == 0
    assert found["base"]["largest_customer_shortfall_share"] == 0
    gone = found["changes"][0]
    error = gone["expected_loss"]["standard_error"]
    assert gone["expected_loss"]["amount"] == pytest.approx(30 * 12, abs=4 * error)
    assert gone["largest_customer_shortfall_share"] == pytest.approx(1)


def test_what_if_levers_move_the_right_way(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(*arguments: str) -> dict[str, Any]:
        found = document(capsys, "what-if", arguments[0], str(revenue), *arguments[1:], *FEW)
        one: dict[str, Any] = found["changes"][0]
        return one

    assert change("cut", "--by", "50%")["expected_loss_difference"]["amount"] > 200
    cheaper = change("price", "--change", "-10%")
    elastic = change("price", "--change", "-10%", "--elasticity", "-1")
    assert cheaper["expected_loss_difference"]["amount"] > 30
    assert elastic["expected_loss_difference"]["amount"] == pytest.approx(0, abs=1)
    committed = change("commit", "--share", "50%", "--until", "24", "--discount", "2%")
    assert committed["expected_shortfall_difference"]["amount"] < 0
    assert committed["cost"] == pytest.approx(0.02 * 30 * 24)
    assert committed["expected_shortfall_cut_per_cost"] > 0
    spread = change("diversify", "--share", "12%")
    assert spread["expected_shortfall_difference"]["amount"] < 0


def test_differences_are_surer_than_the_figures(
    revenue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Common random numbers: the error of a difference is that of the difference."""
    found = document(capsys, "what-if", "tornado", str(revenue), *FEW, "--cost", "notice=100")
    names = [one["name"] for one in found["changes"]]
    assert set(names) == {
        "commit-50%-24", "commit-80%-12", "ramp", "notice", "hazard", "backfill", "diversify",
    }  # fmt: skip
    moved = [one["expected_shortfall_difference"]["amount"] for one in found["changes"]]
    assert moved == sorted(moved)
    assert max(moved) < 0
    slower = next(one for one in found["changes"] if one["name"] == "ramp")
    assert (
        slower["expected_shortfall_difference"]["standard_error"]
        < slower["expected_shortfall"]["standard_error"] / 2
    )
    notice = next(one for one in found["changes"] if one["name"] == "notice")
    assert notice["expected_shortfall_cut_per_cost"] == pytest.approx(
        -notice["expected_shortfall_difference"]["amount"] / 100
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["leave", "--group", "Nobody"],
        ["cut", "--by", "150%"],
        ["price", "--change", "-100%"],
        ["diversify", "--share", "90%"],
        ["diversify", "--share", "10%", "--group", "Small 01"],
        ["tornado", "--cost", "magic=1"],
    ],
)
def test_levers_that_cannot_be_are_refused(
    revenue: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["what-if", arguments[0], str(revenue), *arguments[1:], *FEW]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_help_loads_no_numpy() -> None:
    check = "import sys; from quartermaster.cli.main import run; run(['{}', '--help']); "
    for noun in ("risk", "what-if"):
        done = subprocess.run(
            [sys.executable, "-c", check.format(noun) + "sys.exit('numpy' in sys.modules)"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "FILE" in done.stdout or "tornado" in done.stdout


def test_without_the_extra_it_says_what_to_install(
    revenue: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "quartermaster.exposure.risk_asked.ENGINE_PACKAGES", ("numpy", "not_a_package_at_all")
    )
    assert run(["risk", str(revenue)]) == 1
    assert "quartermaster-ai[risk]" in capsys.readouterr().err


def extreme(tmp_path: Path, *rows: tuple[str, str]) -> str:
    """Two years of the same month, as a file."""
    months = [f"{2023 + at // 12}-{at % 12 + 1:02}" for at in range(24)]
    lines = [f"{name},{month},{amount},USD" for name, amount in rows for month in months]
    file = tmp_path / "extreme.csv"
    file.write_text("customer,month,revenue,currency\n" + "\n".join(lines) + "\n", "utf-8")
    return str(file)


def strict(text: str) -> Any:
    """JSON as others read it: without NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_nearly_everything_from_one_customer_has_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = extreme(tmp_path, ("big", "999999999999.99"), ("small", "0.01"))
    assert run(["what-if", "tornado", file, *FEW, "--json"]) == 0
    names = [one["name"] for one in strict(capsys.readouterr().out)["changes"]]
    assert "hazard" in names
    assert "diversify" not in names
    assert run(["what-if", "diversify", file, *FEW, "--share", "1%"]) == 2
    assert "nobody else" in capsys.readouterr().err
    assert run(["risk", file, *FEW, "--hazard", "top=0", "--json"]) == 0
    top = strict(capsys.readouterr().out)["customers"][0]
    assert top["expected_shortfall_share_at_equal_hazard"] == 0


def test_the_only_customer_may_stop_using_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = extreme(tmp_path, ("only", "1000.00"))
    assert run(["what-if", "cut", file, *FEW, "--by", "100%", "--json"]) == 0
    (change,) = strict(capsys.readouterr().out)["changes"]
    assert change["expected_loss"]["amount"] == pytest.approx(24_000, rel=0.02)


def test_levers_stop_where_periods_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = extreme(tmp_path, ("a", "1000.00"), ("b", "900.00"))
    assert (
        run(["what-if", "tornado", file, *FEW, "--ramp", "120", "--notice", "118", "--json"]) == 0
    )
    changes = {one["name"]: one["words"] for one in strict(capsys.readouterr().out)["changes"]}
    assert changes["notice"] == "a: 120 months' notice"
    assert "ramp" not in changes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["what-if", "tornado", "--cost", "notice=nan"], "notice=100000"),
        (["what-if", "tornado", "--cost", "notice=-1"], "notice=100000"),
        (["risk", "--threads", "257"], "leave it out"),
        (["risk", "--commitment", "a=-5:12"], "the least"),
        (["what-if", "price", "--change", "-100%"], "-10%"),
    ],
)
def test_a_refusal_says_what_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    file = extreme(tmp_path, ("a", "1000.00"), ("b", "900.00"))
    assert run([*arguments, file, *FEW]) == 2
    hint = capsys.readouterr().err.splitlines()[-1]
    assert hint.startswith("hint: ")
    assert says in hint


def test_the_equal_hazard_that_is_stated_is_that_of_every_world(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Leaving more rarely changes nothing in a world where all leave at the stated rate."""
    file = extreme(tmp_path, ("a", "1000.00"), ("b", "900.00"), ("c", "300.00"))
    found = document(capsys, "what-if", "tornado", file, *FEW, "--hazard", "top=35%")
    field = "largest_customer_shortfall_share_at_equal_hazard"
    worlds = {one["name"]: one[field] for one in found["changes"]}
    assert worlds["hazard"] == found["base"][field]
    assert worlds["notice"] != found["base"][field]
    stated = {one["name"]: one["hazard_per_year_top"] for one in found["changes"]}
    assert (stated["hazard"], stated["notice"]) == (0.175, 0.35)
