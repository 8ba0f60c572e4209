"""The live-traffic page as a reader gets it, and as CSV and JSON."""

import csv
import io
import json
import re
import tomllib
from importlib.resources import files

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient
from tests.unit.console.conftest import browser
from tests.unit.console.console_fakes import NOW, FakeIdentity, FakeLive, FakeOverview, FakeSignedIn
from tests.unit.console.exposure_fakes import FakeExposure
from tests.unit.console.traffic_fakes import HOSTILE, FakeTraffic, traffic_facts

from quartermaster.console.figures_traffic import Line, minutes_line
from quartermaster.console.language import flattened
from quartermaster.console.ports_traffic import TrafficFacts
from quartermaster.console.report_words import catalogue
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.console.traffic_tables import COLUMNS, TABLES
from quartermaster.console.traffic_view import view_of
from quartermaster.kernel.clock import Instant

RATES = ("requests", "first_token", "tokens")


@pytest.fixture
def traffic() -> FakeTraffic:
    return FakeTraffic(traffic_facts())


@pytest.fixture
def reader(
    identity: FakeIdentity,
    overview: FakeOverview,
    live: FakeLive,
    exposure: FakeExposure,
    traffic: FakeTraffic,
) -> TestClient:
    console = build(
        ConsoleSettings(), identity, overview, live, exposure, lambda: NOW, traffic=traffic
    )
    identity.sessions["s"] = FakeSignedIn("usr_ada", "ada", ("viewer",), "csrf")
    client = browser(console)
    client.cookies.set("quartermaster_session", "s")
    return client


def page(client: TestClient, path: str = "/traffic", **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    return answer.text


def test_the_finding_comes_first_then_figures_tables_and_what_they_mean(reader: TestClient) -> None:
    html = page(reader)
    marks = [
        "What passes the gateways now",
        "31.7 requests and 8,310 tokens a second; in flight: 97.",
        "gateway-2",
        "238\N{NO-BREAK SPACE}ms / 685\N{NO-BREAK SPACE}ms",
        "Requests that ended and that were refused",
        "rate_limit_exceeded",
        "Northwind Traders",
        "Requests one by one",
        "From the arrival of a streaming request",
    ]
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)


def test_german(reader: TestClient) -> None:
    html = page(reader, **{"accept-language": "de"})
    assert "31,7 Anfragen und 8.310 Token je Sekunde; offene Anfragen: 97." in html
    assert "14,2\N{NO-BREAK SPACE}s" in html


def test_both_catalogues_say_the_same_and_all_of_it_is_used() -> None:
    room = files("quartermaster.console")
    english, german = (
        flattened(tomllib.loads((room / f"locale/traffic.{lang}.toml").read_text("utf-8")))
        for lang in ("en", "de")
    )
    assert english.keys() == german.keys()
    sources = ("traffic_view.py", "templates/traffic.html", "templates/_traffic.html")
    text = "\n".join((room / name).read_text("utf-8") for name in sources)
    by_name = {f"figure.{n}_{part}" for n in RATES for part in ("title", "unit", "caption")}
    assert {key for key in english if f'"{key}"' not in text} == by_name
    for key, words in english.items():
        assert set(re.findall(r"{.*?}", words)) == set(re.findall(r"{.*?}", german[key])), key


def test_the_panel_is_the_page_s_middle_and_keeps_no_session_alive(
    reader: TestClient, identity: FakeIdentity, traffic: FakeTraffic
) -> None:
    whole = page(reader)
    identity.looks.clear()
    panel = page(reader, "/traffic/panel")
    assert panel.strip() in whole
    assert identity.looks == [False]
    assert traffic.looks == 2


def test_names_stay_words_and_spreadsheets_do_not_run_them(reader: TestClient) -> None:
    html = page(reader)
    assert "<b>" not in html
    assert "49" not in html.split("Busiest customers")[1].split("</section>")[0]
    rows = list(csv.DictReader(io.StringIO(page(reader, "/traffic?format=csv&table=customers"))))
    assert rows[2]["name"] == f"'{HOSTILE}"


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_a_csv_with_its_columns(reader: TestClient, table: str) -> None:
    answer = reader.get(f"/traffic?format=csv&table={table}")
    assert answer.headers["content-disposition"] == f'attachment; filename="traffic-{table}.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert tuple(rows[0]) == COLUMNS[table]  # type: ignore[index]
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}


def test_json_holds_all_tables_exactly(reader: TestClient) -> None:
    body = json.loads(page(reader, "/traffic?format=json"))
    assert (body["schema"], body["at"]) == ("traffic/1", "2024-03-31T14:05:09Z")
    assert body["now"][0]["requests_per_s"] == "31.66"
    assert len(body["points"]) == 60
    assert body["points"][20]["first_token_ms_p50"] == ""
    running = [one for one in body["requests"] if one["closed_at"] == ""]
    assert [one["status"] for one in running] == ["", "", ""]


@pytest.mark.parametrize("query", ["format=xml", "format=csv&table=keys"])
def test_what_is_not_there_is_refused_by_name(reader: TestClient, query: str) -> None:
    answer = reader.get(f"/traffic?{query}")
    assert answer.status_code == 400
    assert "xml" in answer.text or "keys" in answer.text


def test_without_gateways_it_says_how_to_start_them(
    reader: TestClient, traffic: FakeTraffic
) -> None:
    traffic.facts = TrafficFacts(workers=0)
    html = page(reader)
    assert "No gateway worker reports." in html
    assert "quartermaster up" in html
    assert "Busiest customers" not in html


def test_a_quiet_gateway_shows_zeros_and_dashes_not_numbers_from_nowhere(
    reader: TestClient, traffic: FakeTraffic
) -> None:
    traffic.facts = TrafficFacts(workers=1)
    html = page(reader)
    assert "0.0 requests and 0.0 tokens a second" in html
    assert "– / –" in html
    assert "Nothing was refused" in html
    assert "No request runs" in html


def test_a_stranger_sees_nothing(stranger: TestClient) -> None:
    for path in ("/traffic", "/traffic/panel", "/traffic?format=json"):
        answer = stranger.get(path)
        assert answer.status_code in (303, 401)
        assert "gateway" not in answer.text


def test_a_request_is_running_answered_or_failed() -> None:
    found = view_of(traffic_facts(), catalogue("traffic", "en"), NOW)
    kinds = [row.kind for row in reversed(found.rows)]
    assert [n for n, kind in enumerate(kinds) if kind == "running"] == [3, 12, 13]
    assert [n for n, kind in enumerate(kinds) if kind == "aborted"] == [7]
    assert found.rows[0].tokens == "–"
    assert found.requests is not None
    assert str(found.requests.wide).count('class="risk"') == 1


def test_a_line_has_a_gap_where_there_is_nothing_to_say() -> None:
    values = (1.0, 2.0, None, None, 3.0, None, 4.0, 5.0)
    times = [Instant(NOW + n) for n in range(len(values))]
    svg = minutes_line(
        [Line("x", values)], times, title="t", desc="d", unit="u", lang="en", width=960, name="n"
    )
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 1


def test_rates_of_one_stretch_are_no_line_yet() -> None:
    facts = traffic_facts()
    short = replace(facts, points=facts.points[:1])
    assert view_of(short, catalogue("traffic", "en"), NOW).rates == ()
