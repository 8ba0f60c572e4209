"""The API's documents are those of the command line, and have the shape that is promised."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.api.api_world import NOW, World
from tests.unit.api.question_files import STATEMENTS, panel_csv, revenue_csv

from quartermaster.api.operation import CSV, JSON_LINES, PREFIX, TOML
from quartermaster.api.routes import OPERATIONS
from quartermaster.app import live
from quartermaster.cli.main import run

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
ROWS = {row.name: row for row in OPERATIONS}
SCENARIO = EXAMPLES / "azure-openai-2024.toml"
FAST = "scenarios=2000"
SAME: list[tuple[str, str, str, str]] = [
    # operation, query, file, command line
    ("showExposureOfFile", "", "revenue.csv", "exposure {file}"),
    ("showExposureOfFile", "", "azure-openai-2024.toml", "exposure {file}"),
    (
        "showExposureOfFile",
        "by=product&months=6&as_of=2023-10&scope=all",
        "revenue.csv",
        "exposure {file} --by product --months 6 --as-of 2023-10 --of all",
    ),
    (
        "showExposureOfFile",
        "report_at=5 %&absorbing=9000000&absorbing_name=margin",
        "revenue.csv",
        "exposure {file} --report-at '5 %' --absorbing 9000000 --absorbing-name margin",
    ),
    (
        "testDisclosureOfFile",
        "rule=asc280&whole_entity=true&lang=de",
        "revenue.csv",
        "disclose {file} --rule asc280 --whole-entity --lang de",
    ),
    (
        "testDisclosureOfFile",
        "rule=ifrs8&entity_revenue=99000000000&government=ByteDance",
        "azure-openai-2024.toml",
        "disclose {file} --rule ifrs8 --entity-revenue 99000000000 --government ByteDance",
    ),
    ("checkClaimsOfFile", "", "azure-openai-2024.toml", "claims check {file}"),
    (
        "showRiskOfFile",
        f"hazard=top=35%&{FAST}&against=plan",
        "revenue.csv",
        "risk {file} --hazard top=35% --scenarios 2000 --against plan",
    ),
    (
        "showRiskOfFile",
        f"{FAST}&engine=reduced&commitment=ByteDance=1000000:12",
        "azure-openai-2024.toml",
        "risk {file} --scenarios 2000 --engine reduced --commitment ByteDance=1000000:12",
    ),
    (
        "whatIfLeaveOfFile",
        f"{FAST}&month=3&suspend=true",
        "revenue.csv",
        "what-if leave {file} --scenarios 2000 --month 3 --suspend",
    ),
    (
        "whatIfCutOfFile",
        f"{FAST}&by=50%",
        "revenue.csv",
        "what-if cut {file} --scenarios 2000 --by 50%",
    ),
    (
        "whatIfPriceOfFile",
        f"{FAST}&change=-10%&elasticity=-1.5",
        "revenue.csv",
        "what-if price {file} --scenarios 2000 --change=-10% --elasticity=-1.5",
    ),
    (
        "whatIfCommitOfFile",
        f"{FAST}&share=50%&discount=5%",
        "revenue.csv",
        "what-if commit {file} --scenarios 2000 --share 50% --discount 5%",
    ),
    (
        "whatIfDiversifyOfFile",
        f"{FAST}&share=10%",
        "revenue.csv",
        "what-if diversify {file} --scenarios 2000 --share 10%",
    ),
    (
        "whatIfTornadoOfFile",
        f"{FAST}&cost=notice=1000",
        "revenue.csv",
        "what-if tornado {file} --scenarios 2000 --cost notice=1000",
    ),
    (
        "showForecastOfFile",
        "customer_without=Acme&months=3&top=3&commitment=Acme=150000:12",
        "revenue.csv",
        "forecast {file} --customer-without Acme --months 3 --top 3 --commitment Acme=150000:12",
    ),
    ("suggestGuidanceOfFile", "", "revenue.csv", "guidance suggest {file}"),
    ("scoreGuidance", "", "azure-guidance-2024.csv", "guidance score {file}"),
    ("showWarningsOfFile", "", "panel.csv", "warn {file}"),
    ("showBacktestOfFile", "", "panel.csv", "backtest {file}"),
    ("showDeparture", "", "bytedance-fastly-2020.toml", "departure {file}"),
    ("scoreStatements", "", "statements.jsonl", "statements {file}"),
    (
        "showPaybackOfFleet",
        "annual_revenue=1000000000&contribution=30%&share=24%",
        "fleet-sample.toml",
        "payback --fleet {file} --annual-revenue 1000000000 --contribution 30% --share 24%",
    ),
]
MEDIA = {".csv": CSV, ".toml": TOML, ".jsonl": JSON_LINES}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that is sent."""
    folder = tmp_path_factory.mktemp("files")
    for path in (*EXAMPLES.glob("*.toml"), *EXAMPLES.glob("*.csv")):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "revenue.csv").write_bytes(revenue_csv())
    (folder / "panel.csv").write_bytes(panel_csv())
    (folder / "statements.jsonl").write_bytes(STATEMENTS)
    return folder


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One world for all questions: they write nothing."""
    return World(tmp_path_factory.mktemp("world"))


def conforms(name: str, body: bytes) -> Any:
    """The answer, converted to the shape of the operation and back: nothing more, nothing less."""
    answer = ROWS[name].answer
    shaped = msgspec.json.decode(body, type=answer)
    plain = msgspec.json.decode(body)
    again = msgspec.to_builtins(shaped, builtin_types=())
    assert_within(plain, msgspec.json.decode(msgspec.json.encode(again)))
    return plain


def assert_within(found: Any, shaped: Any) -> None:
    """Every field that was answered is in the shape with the same value."""
    if isinstance(found, dict):
        for key, value in found.items():
            assert_within(value, shaped[key])
    elif isinstance(found, list):
        assert len(found) == len(shaped)
        for one, other in zip(found, shaped, strict=True):
            assert_within(one, other)
    else:
        assert found == shaped


def post(world: World, name: str, query: str, file: Path) -> bytes:
    row = ROWS[name]
    pairs = [part.split("=", 1) for part in query.split("&") if part]
    params: Sequence[tuple[str, str]] = [(key, value) for key, value in pairs]
    answer = world.client("viewer").post(
        PREFIX + row.path,
        params=[*params, ("name", file.name)],
        content=file.read_bytes(),
        headers={"content-type": MEDIA[file.suffix]},
    )
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize(("name", "query", "file", "line"), SAME)
def test_it_answers_what_the_command_line_prints(
    asked: World,
    files: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    query: str,
    file: str,
    line: str,
) -> None:
    import shlex

    path = files / file
    assert run([*shlex.split(line.format(file=path)), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert conforms(name, post(asked, name, query, path)) == printed


def test_capacity_is_asked_with_texts(
    asked: World, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet, demand = files / "fleet-sample.toml", files / "fleet-demand.csv"
    line = ["capacity", str(fleet), "--demand", str(demand), "--without", "TikTok", "--json"]
    assert run(line) == 0
    printed = json.loads(capsys.readouterr().out)
    answer = asked.client("finance").post(
        f"{PREFIX}/capacity",
        params={"without": "TikTok"},
        json={"fleet": fleet.read_text(), "demand": demand.read_text()},
    )
    found = conforms("showCapacity", answer.content)
    assert [each["sha256"] for each in found["inputs"]] == [
        each["sha256"] for each in printed["inputs"]
    ]
    assert found | {"inputs": []} == printed | {"inputs": []}


OF_SAMPLE = [
    ("showExposure", ""),
    ("testDisclosure", "&rule=asc280&whole_entity=true"),
    ("showRisk", f"&{FAST}"),
    ("whatIfLeave", f"&{FAST}"),
    ("whatIfTornado", f"&{FAST}"),
    ("showForecast", "&customer_without=ByteDance"),
    ("suggestGuidance", ""),
    # Both learn from two years of daily use for seconds.
    pytest.param("showWarnings", "", marks=pytest.mark.long),
    pytest.param("showOwnRecord", "", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("name", "query"), OF_SAMPLE)
def test_the_sample_book_can_be_asked_and_says_that_it_is_one(
    asked: World, name: str, query: str
) -> None:
    path = f"{PREFIX}{ROWS[name].path}?book=sample{query}"
    answer = asked.client("viewer").get(path)
    assert answer.status_code == 200, answer.text
    found = conforms(name, answer.content)
    if "sample" in found:
        assert found["sample"] is True


def test_claims_and_payback_need_no_book(asked: World) -> None:
    client = asked.client("viewer")
    claims = conforms("checkClaims", client.get(f"{PREFIX}/claims").content)
    assert claims["contradictions"] > 0
    query = {"annual_revenue": "1000000000", "contribution": "30%", "share": "24%"}
    found = client.get(f"{PREFIX}/payback", params=query | {"capex": "500000000"})
    assert conforms("showPayback", found.content)["stretch"] == "1.3158"


LIVE = [
    "/exposure",
    "/risk?scenarios=2000",
    "/disclosure?rule=asc280&whole_entity=true",
    "/forecast",
    "/warnings",
    "/backtest",
]


@pytest.mark.parametrize("path", LIVE)
def test_a_live_book_with_nothing_in_it_says_so(asked: World, path: str) -> None:
    answer = asked.client("viewer").get(PREFIX + path)
    assert answer.status_code == 404
    assert "sample" in answer.json()["error"]["hint"]


def test_the_live_book_is_asked_by_default(world: World, tmp_path: Path) -> None:
    months = [f"2025-{number:02d}" for number in range(1, 13)]
    revenue = [
        live.MonthRevenue(
            contract=f"{who}-1",
            customer=who,
            customer_name=who.title(),
            group=group,
            group_name=group.title(),
            month=month,
            time_zone="UTC",
            currency="USD",
            amount=msgspec.convert(str(minor / 100), type=__import__("decimal").Decimal),
            minor=minor,
            requests=5,
            tokens=7,
            unpriced=0,
        )
        for month in months
        for who, group, minor in (("tiktok", "bytedance", 2_400), ("acme", "acme", 7_600))
    ]
    live.write(
        tmp_path, live.LiveBook(cut={"gateway-0": 1}, computed_at=NOW, revenue=tuple(revenue))
    )
    client = world.client("finance")
    found = conforms("showExposure", client.get(f"{PREFIX}/exposure").content)
    assert found["sample"] is False
    assert [(group["group"], group["share"]) for group in found["groups"]] == [
        ("acme", 0.76),
        ("bytedance", 0.24),
    ]
    assert found["groups"][1]["members"][0]["customer"] == "tiktok"
    leave = client.get(f"{PREFIX}/what-if/leave?scenarios=2000&group=bytedance")
    assert "bytedance" in conforms("whatIfLeave", leave.content)["changes"][0]["words"]


BAD = [
    ("/exposure?book=other", 400, "book"),
    ("/exposure?book=sample&name=x", 400, "name"),
    ("/exposure?book=sample&months=0", 400, "months"),
    ("/exposure?book=sample&as_of=1999-01", 400, None),
    ("/exposure?book=sample&report_at=ten", 400, None),
    ("/exposure?book=sample&absorbing=5", 400, "absorbing_name"),
    ("/exposure?book=sample&by=entity&report_at=5 %25", 400, "by"),
    ("/risk?book=sample&hazard=35", 400, "hazard"),
    ("/risk?book=sample&hazard=top=nan", 400, "hazard"),
    ("/risk?book=sample&frailty=nan", 400, "frailty"),
    ("/risk?book=sample&ramp=inf", 400, "ramp"),
    ("/what-if/tornado?book=sample&horizon=120&scenarios=100000", 400, "scenarios"),
    ("/risk?book=sample&hazard=nobody=10%25", 400, "customer"),
    ("/what-if/cut?book=sample", 400, "by"),
    ("/what-if/cut?book=sample&share=50%25", 400, "share"),
    ("/what-if/leave?book=sample&group=nobody", 400, "group"),
    ("/what-if/tornado?book=sample&cost=x=1", 400, "cost"),
    ("/what-if/flee?book=sample", 404, None),
    ("/forecast?book=sample&level=nan", 400, "level"),
    ("/disclosure?book=sample", 400, None),
    ("/disclosure?book=sample&rule=asc280", 400, "entity_revenue"),
    ("/payback?annual_revenue=x&contribution=1&share=1&capex=1", 400, "annual_revenue"),
    ("/payback?annual_revenue=1&contribution=1&share=1", 400, "capex"),
]


@pytest.mark.parametrize(("path", "status", "field"), BAD)
def test_a_question_that_cannot_be_asked_is_refused(
    asked: World, path: str, status: int, field: str | None
) -> None:
    answer = asked.client("viewer").get(PREFIX + path)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), answer.text


def test_a_bad_file_is_refused_with_its_line(asked: World) -> None:
    client = asked.client("viewer")
    csv = {"content-type": CSV}
    answer = client.post(f"{PREFIX}/exposure", content=b"customer,month\n", headers=csv)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_data")
    two_days = b"tenant,date,amount\na,0001-01-01,1\na,9999-12-31,1\n"
    assert client.post(f"{PREFIX}/warnings", content=two_days, headers=csv).status_code == 400
    toml = {"content-type": TOML}
    assert client.post(f"{PREFIX}/claims", content=b"\xff=", headers=toml).status_code == 400
    assert client.post(f"{PREFIX}/exposure?scope=x", content=SCENARIO.read_bytes(),
                       headers=toml).status_code == 400  # fmt: skip
