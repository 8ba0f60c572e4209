"""`quartermaster capacity` and `quartermaster payback` as a user meets them."""

import json
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.usage.sealed_logs import new_table, requests, ship, write_segment

from quartermaster.cli.main import run

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
STARTER = EXAMPLES.parent / "src/quartermaster/billing/data/starter.toml"
FLEET = str(EXAMPLES / "fleet-sample.toml")
DEMAND = str(EXAMPLES / "fleet-demand.csv")
SPENT = ["--capex", "500000000", "--annual-revenue", "1000000000", "--contribution", "30%"]


def tree_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    tree: dict[str, Any] = json.loads(capsys.readouterr().out)
    return tree


def adds_up(tree: dict[str, Any]) -> bool:
    return sum(map(Decimal, tree["cost_by_use"].values())) == Decimal(tree["cost"])


def test_the_sample_fleet_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    tree = tree_of(["capacity", FLEET, "--demand", DEMAND, "--without", "TikTok"], capsys)
    assert tree["schema"] == "quartermaster.capacity/1"
    assert [len(each["sha256"]) for each in tree["inputs"]] == [64, 64]
    assert tree["window"]["hours"] == 24
    assert tree["gpu_hours"] == "15360.000"
    assert adds_up(tree)
    assert adds_up(tree["without"])
    assert sum(Decimal(c["cost"]) for c in tree["customers"]) == Decimal(
        tree["cost_by_use"]["customers"]
    )
    assert tree["customers"][0]["customer"] == "TikTok"
    assert tree["customers"][0]["margin"] is None
    assert tree["without"]["left"] == ["TikTok"]
    change = tree["without"]["change"]
    assert Decimal(change["stranded"]) > 0
    parts = ("customers", "reserved_idle", "idle", "stranded")
    assert sum(Decimal(change[part]) for part in parts) == 0


def test_the_same_files_give_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for _ in range(2):
        assert run(["capacity", FLEET, "--demand", DEMAND, "--json"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_text_says_the_finding_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["capacity", FLEET, "--demand", DEMAND, "--without", "TikTok"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "% of the GPU-hours were busy" in lines[0]
    place = lines.index("--- without TikTok")
    assert "stranded: " in lines[place + 2]


def test_a_month_is_accounted_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["capacity", FLEET, "--demand", DEMAND, "--period"]
    march, april = (tree_of([*arguments, month], capsys) for month in ("2024-03", "2024-04"))
    assert march["window"] == {
        "first_hour": "2024-03-01T00:00:00+00:00",
        "end": "2024-04-01T00:00:00+00:00",
        "hours": 744,
    }
    assert march["gpu_hours_by_use"]["busy"] == "10298.992"
    assert adds_up(march)
    assert april["gpu_hours_by_use"]["reserved_idle"] == str(Decimal("128.000") * 720)
    assert april["customers"][0]["customer"] == "TikTok"
    assert run([*arguments, "March"]) == 2
    assert "'March' is not a month" in capsys.readouterr().err


def test_backfill_keeps_some_of_it_from_being_stranded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["capacity", FLEET, "--demand", DEMAND, "--without", "TikTok"]
    none = tree_of(arguments, capsys)["without"]
    half = tree_of([*arguments, "--backfill", "50"], capsys)["without"]
    stranded = [Decimal(tree["cost_by_use"]["stranded"]) for tree in (none, half)]
    assert stranded[0] > stranded[1] > 0
    assert "(backfill)" in [line["customer"] for line in half["customers"]]


def test_margin_with_revenue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    takings = tmp_path / "revenue.csv"
    takings.write_text("customer,revenue,currency\nTikTok,9000.00,USD\n", "utf-8")
    tree = tree_of(
        ["capacity", FLEET, "--demand", DEMAND, "--revenue", str(takings), "--without", "TikTok"],
        capsys,
    )
    first = tree["customers"][0]
    spent = Decimal(first["cost"]) + Decimal(first["reserved_idle_cost"])
    assert Decimal(first["margin"]) == Decimal("9000.00") - spent
    assert any("Fabrikam: demand, but no revenue" in line for line in tree["warnings"])
    assert "TikTok" not in [line["customer"] for line in tree["without"]["customers"]]


def test_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "capacity.svg"
    arguments = ["capacity", FLEET, "--demand", DEMAND, "--svg", str(file)]
    assert run([*arguments, "--without", "TikTok"]) == 0
    assert f"wrote {file}" in capsys.readouterr().err
    words = "".join(ET.fromstring(file.read_text("utf-8")).itertext())
    assert "stranded" in words
    assert "without TikTok" in words


def test_a_cold_start_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demand = tmp_path / "demand.csv"
    head = "hour,customer,model,prefill_tokens,decode_tokens\n"
    demand.write_text(
        head + "2024-03-04T00:00Z,a,sample-70b,90000000,9000000\n"
        "2024-03-04T00:00Z,a,toy,90000000,9000000\n",
        "utf-8",
    )
    fleet = str(EXAMPLES / "fleet-cold-start.toml")
    assert run(["capacity", fleet, "--demand", str(demand)]) == 0
    shown = capsys.readouterr()
    assert "cold start: prefill +-48%, decode +-37%" in shown.err
    points = tmp_path / "points.csv"
    points.write_text(
        "model,gpu,tensor_parallel,prompt_tokens,batch,prefill_ms,decode_ms\n"
        "sample-70b,h100-80gb,8,1150,16,100,30\n",
        "utf-8",
    )
    tree = tree_of(["capacity", fleet, "--demand", str(demand), "--points", str(points)], capsys)
    assert tree["pools"][0]["throughput"]["basis"] == "measured"
    assert [each["name"] for each in tree["inputs"]][-1] == "points.csv"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["capacity", FLEET], 2, "either --demand FILE or --live"),
        (["capacity", FLEET, "--live", "--demand", DEMAND], 2, "either --demand FILE or --live"),
        (["capacity", FLEET, "--live", "--revenue", DEMAND], 2, "--live rates its own revenue"),
        (["capacity", FLEET, "--demand", DEMAND, "--backfill", "5"], 2, "somebody to leave"),
        (["capacity", FLEET, "--demand", DEMAND, "--without", "Nobody"], 1, "'Nobody' is neither"),
        (["capacity", "no.toml", "--demand", DEMAND], 1, "no.toml cannot be read"),
        (["capacity", DEMAND, "--demand", DEMAND], 1, "not TOML"),
        (["capacity", FLEET, "--demand", FLEET], 1, "fleet-sample.toml, line 1: missing"),
        (["capacity", FLEET, "--demand", DEMAND, "--revenue", DEMAND], 1, "missing: 'revenue'"),
        (["payback", *SPENT, "--share", "24"], 2, "share is not between 0 and 1"),
        (["payback", *SPENT, "--share", "a quarter"], 2, "'a quarter' is not a decimal number"),
        (["payback", *SPENT, "--share", "1e-9"], 2, "decimals"),
        (["payback", *SPENT[2:], "--share", "24%"], 2, "either --capex or --fleet"),
        (["payback", *SPENT, "--share", "24%", "--currency", "usd"], 2, "'usd' is not an ISO"),
    ],
)
def test_mistakes_are_said_in_words(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_nothing_metered_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--var", str(tmp_path / "var"), "capacity", FLEET, "--live"]) == 1
    assert "there is no demand" in capsys.readouterr().err


def test_payback_golden(capsys: pytest.CaptureFixture[str]) -> None:
    """24 % lost without backfill stretches payback 1.316 times."""
    tree = tree_of(["payback", *SPENT, "--share", "24%", "--within", "24"], capsys)
    assert tree == {
        "schema": "quartermaster.payback/1",
        "currency": "USD",
        "capex": "500000000.00",
        "annual_revenue": "1000000000.00",
        "contribution": "0.3000",
        "share": "0.2400",
        "backfill": "0.0000",
        "leaves_after_months": "0.0000",
        "months_with": "20.0000",
        "months_without": "26.3158",
        "stretch": "1.3158",
        "by_backfill": [
            {"backfill": "0.0000", "months_without": "26.3158"},
            {"backfill": "0.2500", "months_without": "24.3902"},
            {"backfill": "0.5000", "months_without": "22.7273"},
            {"backfill": "0.7500", "months_without": "21.2766"},
            {"backfill": "1.0000", "months_without": "20.0000"},
        ],
        "within_months": "24.0000",
        "break_even_backfill": "0.3056",
        "still_owed": None,
    }
    assert run(["payback", *SPENT, "--share", "0.24", "--within", "24"]) == 0
    shown = capsys.readouterr().out
    assert "payback 20.0 months with the customer, 26.3 months without" in shown
    assert "stretched 1.316x" in shown
    assert "30.6% of it backfilled" in shown


def test_payback_is_shown_without_what_is_still_owed_and_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    owed = ["--still-owed", "120000000", "--owed-months", "12", "--notice-months", "1"]
    asked = ["payback", *SPENT, "--share", "24%", "--within", "24", *owed]
    tree = tree_of(asked, capsys)
    bare = tree_of(asked[:-6], capsys)
    # 475 left after the notice, at 19 and 3 a month for a year: 211 are left, at 19 a month.
    assert tree.pop("still_owed") == {
        "amount": "120000000.00",
        "months": "12.0000",
        "notice_months": "1.0000",
        "months_without": "24.1053",
        "by_backfill": [
            {"backfill": "0.0000", "months_without": "24.1053"},
            {"backfill": "0.2500", "months_without": "22.4146"},
            {"backfill": "0.5000", "months_without": "20.9545"},
            {"backfill": "0.7500", "months_without": "19.6809"},
            {"backfill": "1.0000", "months_without": "18.5600"},
        ],
        "break_even_backfill": "0.0145",
    }
    assert {**bare, "still_owed": None} == {**tree, "still_owed": None}
    assert run(asked) == 0
    shown = capsys.readouterr().out
    assert "payback 20.0 months with the customer, 26.3 months without" in shown
    assert "(notice of 1.0 months, then $120,000,000.00 over 12.0 months): 24.1 months" in shown
    assert run([*asked, "--lang", "de"]) == 0
    assert "Monate ohne, Geschuldetes gezählt" in capsys.readouterr().out
    assert run([*asked[:-6], "--still-owed", "1"]) == 2
    assert "comes in over some months" in capsys.readouterr().err


def test_payback_of_a_fleet_within_its_depreciation(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["payback", "--fleet", FLEET, "--annual-revenue", "12000000"]
    tree = tree_of([*arguments, "--contribution", "0.4", "--share", "24%"], capsys)
    assert tree["capex"] == "16384000.00"
    assert tree["within_months"] == "48.0000"
    assert tree["break_even_backfill"] == "0.3889"


def test_payback_that_never_comes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["payback", *SPENT, "--share", "100%", "--within", "12"]) == 0
    shown = capsys.readouterr().out
    assert "never without its 100% of revenue" in shown
    assert "no backfill pays back within 12.0 months" in shown


def test_live_demand_and_revenue_of_what_was_metered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "var"
    write_segment(folder / "wal" / "gateway-0", requests(1, 10_000_000))
    ship(folder / "wal", new_table(folder / "usage"))
    var = ["--var", str(folder)]
    for line in (
        f"bill prices publish {STARTER}",
        "customer add cus_tiktok --name TikTok --country SG",
        "customer sign cus_tiktok --contract ctr_1 --price-book starter --time-zone UTC",
    ):
        assert run([*var, *line.split()]) == 0
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        Path(FLEET).read_text("utf-8").replace('model = "sample-70b"', 'model = "toy"'), "utf-8"
    )
    capsys.readouterr()
    tree = tree_of([*var, "capacity", str(fleet), "--live"], capsys)
    line = next(line for line in tree["customers"] if line["customer"] == "cus_tiktok")
    assert line["decode_tokens"] == 100_000_010
    assert tree["window"]["hours"] == 1
    # $0.02 a million for output, and some input.
    assert Decimal(line["revenue"]) >= 2
    assert Decimal(line["margin"]) == Decimal(line["revenue"]) - Decimal(line["cost"])
    assert adds_up(tree)
