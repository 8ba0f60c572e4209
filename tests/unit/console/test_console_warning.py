"""The warning and reliability pages through their addresses: words, links, tables, and honesty."""

import csv
import io
import json
import re
from collections.abc import Callable
from html import unescape
from typing import get_args

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient
from tests.unit.console.warning_fakes import (
    FakeWarning,
    quiet,
    reliability_facts,
    scored,
    warning_facts,
)

from quartermaster.console.format import LANGS
from quartermaster.console.language import Words
from quartermaster.console.ports_warning import (
    NoticeState,
    NoWarning,
    ReliabilityFacts,
    UsageReason,
    WarningFacts,
    WarningMissing,
)
from quartermaster.console.report_words import catalogue
from quartermaster.console.warning_tables import COLUMNS
from quartermaster.console.warning_text import CUSHION, fact_words, feature_words
from quartermaster.exposure import warning_features
from quartermaster.exposure.evidence_kinds import BLOCKS, KINDS
from quartermaster.exposure.outlook import KNOWN_DAYS_MIN, SEGMENTS
from quartermaster.exposure.warning_words import WORDS
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import StatedEvent
from quartermaster.stats import detectors

DE, EN = {"accept-language": "de"}, {"accept-language": "en"}


def plain(html: str) -> str:
    """The page's text on one line."""
    text = unescape(re.sub(r"<[^>]+>", " ", html))
    return re.sub(r"\s+", " ", text).replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_says_who_is_leaving_and_links_to_each(viewer: TestClient) -> None:
    page = viewer.get("/warning", headers=EN)
    assert page.status_code == 200
    text = plain(page.text)
    assert "Customers with an alarm: 1. They bring 31.4% of the revenue of Azure OpenAI" in text
    assert "Most is at stake with ByteDance: 36.7% (2.0% to 70.0%)" in text
    assert "$88.1K of $240K at stake, April 2023 to March 2024." in text
    assert page.text.index('href="/warning/grp_1"') < page.text.index('href="/warning/grp_0"')
    assert "Where there is no amount, nothing was billed in USD." in text
    german = plain(viewer.get("/warning", headers=DE).text)
    assert "Kunden mit Alarm: 1. Sie bringen 31,4 % von: Umsatz von Azure OpenAI" in german


def test_a_customer_has_every_step_and_says_what_does_not_count(viewer: TestClient) -> None:
    text = plain(viewer.get("/warning/grp_1", headers=EN).text)
    assert "Fabrikam will use less than half in twelve months with a probability of 53.4%" in text
    assert "Before the evidence it was 19.2%; the evidence multiplies the odds by 4.8" in text
    assert "for the largest third by use" in text
    assert "In alarm since 27 Feb 2024: 7 days against 84, same weekday, smoothed." in text
    assert "it finds 154 of 154 fades within 35 days, at 0.5 false alarms a year" in text
    assert "75% of the last four weeks' tokens went to small-model" in text
    assert "nothing: the same thing is counted already" in text
    assert "Had everything counted in full, it would be 68.5%." in text
    assert "Too old to count: a window for giving notice is open or near." in text
    assert "from 26 Feb 2024 at 60% of the level before" in text
    assert "last week at 50% of the mean of 13 weeks: raises it" in text
    assert "used for 52 weeks or more: lowers it" in text
    assert "deal-1 near or open 60 days 2 May 2024 1 Jul 2024" in text
    assert "deal-2 no end: notice on any day" in text


def test_a_young_customer_says_what_is_missing(viewer: TestClient) -> None:
    text = plain(viewer.get("/warning/grp_2", headers=DE).text)
    assert "zu wenig Vorgeschichte" in text
    assert "Die Detektoren brauchen 350 Tage Vorgeschichte." in text
    assert "Es wird berichtet." in text
    assert "The Verge, 2023-12-15" in text
    assert "noch sind zu wenige Kundenjahre gezählt" in text
    assert "Kein Vertrag." in text
    assert "Kein Detektor gibt Alarm" not in text  # none is watching


@pytest.mark.parametrize("address", ["/warning", "/warning/grp_1", "/reliability"])
@pytest.mark.parametrize("headers", [DE, EN], ids=["de", "en"])
def test_a_sample_says_so_wherever_it_is_shown(
    viewer: TestClient, warning: FakeWarning, address: str, headers: dict[str, str]
) -> None:
    warning.record = reliability_facts(sample=True)
    html = viewer.get(address, headers=headers).text
    mark = "Sample data." if headers is EN else "Beispieldaten."
    badge = "Sample" if headers is EN else "Beispiel"
    assert html.count(f">{badge}</span>") >= html.count("<caption") + 2
    captions = re.findall(r"<figcaption>(.*?)</fig", html, re.DOTALL)
    assert all(mark in caption for caption in captions)
    assert all(mark in desc for desc in re.findall(r"<desc[^>]*>(.*?)</desc>", html, re.DOTALL))
    warning.facts, warning.record = warning_facts(sample=False), reliability_facts()
    real = viewer.get(address, headers=headers).text
    assert mark not in real
    assert f">{badge}</span>" not in real


def test_names_are_escaped_and_found_by_their_id(viewer: TestClient, warning: FakeWarning) -> None:
    warning.facts = warning_facts('<b>"Ltd" & Co</b>')
    strange = replace(quiet("a/b c.json", "Odd", 0.1), quarter=0.5)
    one = replace(warning.facts.customers[2], look=strange)
    warning.facts = replace(warning.facts, customers=(*warning.facts.customers[:2], one))
    for address in ("/warning", "/warning/grp_0"):
        html = viewer.get(address).text
        assert "<b>" not in html
        assert "&lt;b&gt;" in html
    assert 'href="/warning/a%2Fb%20c.json"' in viewer.get("/warning").text


def test_an_id_with_a_point_is_an_id_first(viewer: TestClient, warning: FakeWarning) -> None:
    odd = replace(warning.facts.customers[2], look=quiet("acme.json", "Acme", 0.1))
    warning.facts = replace(warning.facts, customers=(*warning.facts.customers[:2], odd))
    page = viewer.get("/warning/acme.json")
    assert page.headers["content-type"].startswith("text/html")
    body = viewer.get("/warning/acme.json.json")
    assert body.json()["customer"] == "acme.json"


@pytest.mark.parametrize("address", ["/warning/nobody", "/warning/nobody.json", "/warning/x.csv"])
def test_nobody_of_that_name(viewer: TestClient, address: str) -> None:
    refused = viewer.get(address, headers=EN)
    assert refused.status_code == 404
    assert "is not a customer here." in refused.text


@pytest.mark.parametrize(
    "address",
    [
        "/warning?format=xml",
        "/warning?table=loss&format=csv",
        "/warning?customer=grp_1",
        "/warning/grp_1?format=csv&table=shares",
        "/reliability?format=csv&table=shares",
    ],
)
def test_what_cannot_be_asked_is_refused(viewer: TestClient, address: str) -> None:
    assert viewer.get(address).status_code == 400


def test_the_customers_as_json_and_csv(viewer: TestClient, warning: FakeWarning) -> None:
    for address in ("/warning.json", "/warning?format=json"):
        body = viewer.get(address).json()
        assert body["schema"] == "warning/1"
        assert (body["on"], body["sample"], body["fades_found"]) == ("2024-03-31", True, "154")
        first, second, third = body["customers"]
        assert (first["customer"], first["probability"], first["revenue"]) == (
            "grp_1",
            "0.534",
            "110000.00",
        )
        assert second["expected_loss"] == "88080.00"
        assert (third["revenue"], third["evidence"]) == ("", "conduct_suspicion")
    assert warning.waited[-2:] == [True, True]
    answer = viewer.get("/warning.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="warning.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == list(COLUMNS["customers"])
    assert [row["alarm_since"] for row in rows] == ["2024-02-27", "", ""]


def test_a_customers_tables(viewer: TestClient) -> None:
    body = viewer.get("/warning/grp_1.json").json()
    assert body["schema"] == "warning-customer/1"
    kinds = [row["kind"] for row in body["ledger"]]
    assert kinds == ["prior", "usage_alarm", "cheapest_model", "stated"]
    assert [row["counted"] for row in body["ledger"][1:3]] == ["4.82", "1"]
    assert body["ledger"][0]["after"] == "0.192"
    assert len(body["days"]) == 120 * 3
    assert body["changes"][0] == {
        "customer": "grp_1",
        "on": "2024-02-26",
        "ratio": "0.6",
        "sample": True,
    }
    for table in ("ledger", "days", "changes", "alarms", "notices"):
        answer = viewer.get(f"/warning/grp_1?format=csv&table={table}")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert list(rows[0]) == list(COLUMNS[table])
        assert {row["sample"] for row in rows} == {"true"}
    assert viewer.get("/warning/grp_1.csv").text == viewer.get("/warning/grp_1?format=csv").text


def test_reliability_says_when_there_is_too_little(viewer: TestClient) -> None:
    text = plain(viewer.get("/reliability", headers=EN).text)
    assert "Statements: 90 (days: 30), since 1 Mar 2024. None has come to term" in text
    assert "the first do on 1 Mar 2025" in text
    assert "120 of 160 statements have come to term, and 11 came true." in text
    assert "too few to say anything about calibration: 20 of at least 30" in text
    assert "Brier 0.0844; whoever is calibrated scores 0.1153, give or take 0.0284" in text


def test_enough_statements_carry_no_warning(viewer: TestClient, warning: FakeWarning) -> None:
    record = warning.record.records[1]
    enough = replace(record, apart=scored(60, 5), enough=True)
    warning.record = replace(warning.record, records=(warning.record.records[0], enough))
    text = plain(viewer.get("/reliability", headers=EN).text)
    assert "too few" not in text
    # Stated were 13.3 %, 5 of 60 came: the page says that it was wrong, in words.
    said = "On average 13.3% was stated and 8.3% came (90% interval 3.1% to 12.7%)"
    assert (
        f"{said}: chance does not explain the distance. These probabilities were too high" in text
    )
    german = plain(viewer.get("/reliability", headers=DE).text)
    assert "Zufall erklärt den Abstand nicht. Diese Wahrscheinlichkeiten waren zu hoch" in german
    assert enough.apart is not None
    low = replace(enough, apart=replace(enough.apart, stated=0.02))
    warning.record = replace(warning.record, records=(low,))
    assert "were too low" in plain(viewer.get("/reliability", headers=EN).text)
    fair = replace(enough, apart=replace(enough.apart, stated=0.1, beyond_chance=False))
    warning.record = replace(warning.record, records=(fair,))
    assert "chance may explain" in plain(viewer.get("/reliability", headers=EN).text)


def test_the_record_as_tables(viewer: TestClient) -> None:
    body = viewer.get("/reliability.json").json()
    assert [(row["set"], row["statements"], row["enough"]) for row in body["scores"]] == [
        ("all", 120, False),
        ("apart", 20, False),
    ]
    assert [row["came"] for row in body["statements"]] == [True, False, ""]
    for table in ("scores", "bins", "statements"):
        answer = viewer.get(f"/reliability.csv?table={table}")
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert rows[0] == list(COLUMNS[table])


@pytest.mark.parametrize("missing", get_args(WarningMissing))
@pytest.mark.parametrize("headers", [DE, EN], ids=["de", "en"])
def test_without_a_look_the_page_says_why(
    viewer: TestClient, warning: FakeWarning, missing: WarningMissing, headers: dict[str, str]
) -> None:
    warning.facts = WarningFacts(sample=False, look=None, missing=missing)
    warning.record = ReliabilityFacts(sample=False, missing=missing)
    for address in ("/warning", "/reliability"):
        page = viewer.get(address, headers=headers)
        assert page.status_code == 200
        assert 'class="panel empty"' in page.text
        assert ("refresh" in page.headers) is (missing == "loading")
        assert ("pip install" in page.text) is (missing == "not_installed")
    assert viewer.get("/warning.json").json()["customers"] == []
    assert viewer.get("/warning/grp_1").status_code == 404


def test_a_console_without_the_port_says_not_yet() -> None:
    port = NoWarning()
    assert port.warning(Instant(0)).missing == "not_yet"
    assert port.reliability(Instant(0)).records == ()


def test_no_detector_watches_yet(viewer: TestClient, warning: FakeWarning) -> None:
    assert warning.facts.look is not None
    look = replace(warning.facts.look, false_alarms_a_year=None, days=20)
    warning.facts = replace(warning.facts, look=look, customers=warning.facts.customers[1:])
    text = plain(viewer.get("/warning", headers=EN).text)
    assert "they need 350 days of history, there are 20" in text
    look = replace(look, false_alarms_a_year=0.5)
    warning.facts = replace(warning.facts, look=look)
    text = plain(viewer.get("/warning", headers=EN).text)
    assert "No detector is in alarm." in text
    assert "That says little" not in text
    warning.facts = replace(warning.facts, look=replace(look, found=3.0))
    text = plain(viewer.get("/warning", headers=EN).text)
    assert "would find only 3 of 154 fades within 35 days" in text


def test_without_revenue_nothing_is_at_stake_in_money(
    viewer: TestClient, warning: FakeWarning
) -> None:
    bare = tuple(
        replace(
            one,
            minor=None,
            expected_minor=None,
            expected_low_minor=None,
            expected_high_minor=None,
        )
        for one in warning.facts.customers
    )
    warning.facts = replace(warning.facts, customers=bare, currency="", first="", last="")
    text = plain(viewer.get("/warning", headers=EN).text)
    assert "Likeliest to leave is Fabrikam" in text
    assert "At stake, all customers" not in text
    assert "At stake" not in plain(viewer.get("/warning/grp_1", headers=EN).text).split("Notice")[0]


def test_a_book_of_a_few_days_says_from_when_a_customer_is_shown(
    viewer: TestClient, warning: FakeWarning
) -> None:
    assert KNOWN_DAYS_MIN == 7
    look = warning.facts.look
    assert look is not None
    warning.facts = replace(warning.facts, look=replace(look, customers=()), customers=())
    text = plain(viewer.get("/warning", headers=EN).text)
    assert "From a week after its first use a customer stands here" in text
    assert viewer.get("/warning.json").json()["customers"] == []


@pytest.mark.parametrize("address", ["/warning", "/what-if", "/capacity", "/exposure", "/"])
def test_an_unknown_form_is_refused_in_the_readers_words(viewer: TestClient, address: str) -> None:
    for query, said in (
        ("format=x%3Cb%3E", "Das Format „x&lt;b&gt;“ gibt es hier nicht."),
        ("format=csv&table=nope", "Die Tabelle „nope“ gibt es hier nicht."),
    ):
        refused = viewer.get(f"{address}?{query}", headers={"accept-language": "de"})
        assert refused.status_code == 400
        assert said in refused.text
        assert "Es gibt " in refused.text


def test_every_amount_says_of_which_months_it_is(viewer: TestClient, warning: FakeWarning) -> None:
    page = viewer.get("/warning", headers=EN).text
    window = "April 2023 to March 2024"
    assert page.count(window) >= 3
    assert f"probability times revenue, {window}" in page
    assert "is still open" not in page
    warning.facts = replace(warning.facts, first="2024-03", still_open=True)
    for address in ("/warning", "/warning/grp_1"):
        text = plain(viewer.get(address, headers=EN).text)
        assert "March 2024 is still open: every amount is what came so far." in text
    assert viewer.get("/warning.json").json()["revenue_still_open"] is True


def test_a_customer_role_is_refused(signed_in: Callable[..., TestClient]) -> None:
    for address in ("/warning", "/warning/grp_1", "/reliability", "/warning.json"):
        assert signed_in("customer").get(address).status_code == 403


@pytest.mark.parametrize("lang", LANGS)
def test_every_value_that_is_shown_by_key_has_its_words(lang: str) -> None:
    words: Words = catalogue("warning", lang)
    shown = {
        *(f"detector.{name}" for name in detectors.NAMES),
        *(f"reason.{name}" for name in WORDS),
        *(f"notice.{state}" for state in get_args(NoticeState)),
        *(f"block.{block}" for block in BLOCKS),
        *(f"prior.segment_{name}" for name in (*SEGMENTS, "new")),
        *(f"origin.{name}" for name in ("counted", "default", "judgement", "case_files")),
        *(f"reliability.{event}" for event in get_args(StatedEvent)),
        *(f"page.{missing}" for missing in get_args(WarningMissing)),
    }
    assert {key for key in shown if not words.has(key)} == set()
    measured = [kind.id for kind in KINDS if kind.block != "words"]
    measured.remove("conduct_suspicion")  # comes with its own words
    measured.remove("usage_steady")  # of case files only
    assert {kind for kind in measured if not words.has(f"signal.{kind}")} == set()
    assert fact_words("builds_own", {}, words) == ""


def test_a_feature_reads_as_in_the_command_line() -> None:
    words = catalogue("warning", "en")
    assert CUSHION == warning_features.CUSHION
    for name, said in WORDS.items():
        for value in (0.25, 0.9):
            assert feature_words(UsageReason(name, value, 1.0), words) == said(value), name


def test_both_catalogues_say_the_same() -> None:
    de, en = catalogue("warning", "de"), catalogue("warning", "en")
    found = json.dumps(sorted(de._messages)), json.dumps(sorted(en._messages))
    assert found[0] == found[1]
    places = re.compile(r"\{(\w+)[^}]*\}")
    for key, message in en._messages.items():
        other = de._messages[key]
        assert set(places.findall(message)) == set(places.findall(other)), key
