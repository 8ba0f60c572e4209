"""Recorded guidance on the overview: the band, the verdicts, and what does not compare."""

import csv
import xml.etree.ElementTree as ET
from decimal import Decimal

import msgspec
import pytest
from starlette.testclient import TestClient
from tests.unit.console.console_fakes import (
    NOW,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    FakeSignedIn,
    live_facts,
    overview_facts,
)
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts

from quartermaster.app.console_guidance import band_of
from quartermaster.console.figures import GuidanceBand, RatePoint, run_rate_line
from quartermaster.console.language import words_of
from quartermaster.console.overview_view import OverviewView, view_of
from quartermaster.console.ports import OverviewFacts
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.console.svg import SMALL_PX, text_width
from quartermaster.revenue.guidance_rows import read_guidance
from quartermaster.revenue.scorecard import Scorecard, scorecard

SVG = "{http://www.w3.org/2000/svg}"
HEAD = (
    "metric,unit,period,basis,metric_version,low,high,source,issued_on,inferred,"
    "actual,actual_basis,actual_metric_version\n"
)
GROWTH = """\
growth,%,FY24Q2,constant_currency,v1,26,27,call of Q1,2023-10-24,no,28,constant_currency,v1
growth,%,FY24Q3,constant_currency,v1,28,28,call of Q2,2024-01-30,yes,29,reported,v1
growth,%,FY24Q4,constant_currency,v1,30.5,31,call of Q3,2024-04-25,no,,,
"""
RATE = "run_rate_last_month_x12,USD,{period},{basis},1,{low},{high},the board,2024-02-01,no,,,\n"


def card_of(rows: str) -> Scorecard:
    return scorecard(read_guidance((HEAD + rows).encode(), "guidance.csv"))


def rate(period: str = "2024-03", basis: str = "reported", low: str = "900000000") -> str:
    return RATE.format(period=period, basis=basis, low=low, high="1050000000")


def facts_with(rows: str, *, still_open: bool = False) -> OverviewFacts:
    card, facts = card_of(rows), overview_facts()
    return msgspec.structs.replace(
        facts, sample=False, guidance=band_of(card, facts.currency), promises=card,
        still_open=still_open,
    )  # fmt: skip


def shown(rows: str, lang: str = "en", *, still_open: bool = False) -> OverviewView:
    found = facts_with(rows, still_open=still_open)
    return view_of(found, words_of("de" if lang == "de" else "en"))


def test_every_promise_stands_with_verdict_and_source() -> None:
    found = shown(GROWTH).promises
    assert found is not None
    assert [(row.period, row.guided, row.came, row.verdict) for row in found.rows] == [
        ("FY24Q4", "30.5–31%", "—", "pending"),
        ("FY24Q3", "28% *", "29% (reported)", "not comparable: another basis"),
        ("FY24Q2", "26–27%", "28%", "beat"),
    ]
    assert (found.rows[0].source, found.rows[0].basis) == (
        "call of Q3, 25 Apr 2024",
        "constant currency",
    )
    assert (found.counts, found.inferred) == ("1 scored, 1 not comparable, 1 pending.", True)
    german = shown(GROWTH, "de").promises
    assert german is not None
    assert german.rows[0].guided == "30,5–31\N{NO-BREAK SPACE}%"
    assert german.rows[1].verdict == "nicht vergleichbar: andere Basis"


def test_without_a_band_the_tile_says_what_was_promised_last() -> None:
    (tile,) = [one for one in shown(GROWTH).tiles if one.definition == "guidance"]
    assert (tile.value, tile.note) == ("30.5–31%", "growth v1, FY24Q4: pending")


@pytest.mark.parametrize(
    ("rows", "still_open", "says"),
    [
        (rate(), False, "lies within the guidance of $0.9–1.05B"),
        (rate(low="1040000000"), False, "is below the guidance of $1.04–1.05B"),
        (rate(), True, "the guidance is $0.9–1.05B from March 2024"),
        (rate("2024-06"), False, "the guidance is $0.9–1.05B from June 2024"),
        (rate("2024-01"), False, "$0.9–1.05B was guided for January 2024"),
        (rate(basis="constant_currency"), False, "does not compare"),
        (rate(basis="unknown"), False, "(basis unknown)"),
        (rate().replace(",1,900", ",2,900"), False, "(metric redefined)"),
    ],
)
def test_a_promised_run_rate_is_the_band_and_compares_only_with_its_like(
    rows: str, still_open: bool, says: str
) -> None:
    found = shown(GROWTH + rows, still_open=still_open)
    assert says in found.findings[1]
    assert "the board, 1 Feb 2024" in found.rate.caption
    assert "$0.9–1.05B" in found.rate.wide or "$1.04–1.05B" in found.rate.wide


@pytest.mark.parametrize("rows", [rate("FY24Q4"), rate().replace("USD", "EUR"), GROWTH])
def test_what_is_no_run_rate_of_a_month_is_no_band(rows: str) -> None:
    assert band_of(card_of(rows), "USD") is None


def test_the_newest_promise_is_drawn() -> None:
    older = rate(low="100000000").replace("2024-02-01", "2023-02-01")
    band = band_of(card_of(older + rate()), "USD")
    assert band is not None
    assert (band.low_minor, band.high_minor) == (90_000_000_000, 105_000_000_000)


def test_the_page_and_its_files_have_it() -> None:
    identity = FakeIdentity()
    identity.sessions["t"] = FakeSignedIn("usr_1", "reader", ("viewer",), "csrf")
    app = build(
        ConsoleSettings(), identity, FakeOverview(facts_with(GROWTH + rate())),
        FakeLive(live_facts()), FakeExposure(exposure_facts()), lambda: NOW,
    )  # fmt: skip
    browser = TestClient(app, "http://localhost:8470")
    browser.cookies.set("quartermaster_session", "t")
    page = browser.get("/").text
    assert "Guidance and what came" in page
    assert "Run-rate: the month times twelve" in page
    rows = list(csv.DictReader(browser.get("/?format=csv&table=guidance").text.splitlines()))
    assert [row["verdict"] for row in rows] == ["beat", "not_comparable", "pending", "pending"]
    document = browser.get("/?format=json").json()
    assert document["guidance"][1]["reasons"] == "basis"
    assert Decimal(document["guidance"][3]["low"]) == 900_000_000


@pytest.mark.parametrize("width", [336, 1040])
def test_the_name_of_a_promised_month_stays_inside_the_figure(width: int) -> None:
    points = [RatePoint(month, 100_000_000) for month in ("2024-01", "2024-02", "2024-03")]
    band = GuidanceBand("2024-04", "2024-04", 90_000_000, 110_000_000, "Guidance")
    drawn = run_rate_line(
        points, guidance=band, title="t", desc="d", lang="en", currency="USD", width=width
    )
    (label,) = [one for one in ET.fromstring(drawn).iter(f"{SVG}text") if one.text == "Apr"]
    assert float(label.get("x", "0")) + text_width("Apr", SMALL_PX) / 2 <= width + 0.1
