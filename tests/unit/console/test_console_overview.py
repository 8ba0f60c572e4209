"""The overview as a reader gets it: words, labels, languages, themes, tables, the live panel."""

import csv
import io
import json
from decimal import Decimal

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient
from tests.unit.console.console_fakes import (
    NOW,
    TOTAL_MINOR,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    live_facts,
    overview_facts,
    revenue,
)

from quartermaster.console.language import words_of
from quartermaster.console.live_view import view_of
from quartermaster.console.overview_view import NAMED_ROWS_MAX
from quartermaster.console.ports import LiveFacts, MeteredTotal, RunRate
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.money import Money

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}{0}"


def page(client: TestClient, path: str = "/", **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    return answer.text


def section(html: str, heading: str) -> str:
    """The part of the page under the heading with this id."""
    return html.split(f'aria-labelledby="{heading}"')[1].split("</section>")[0]


def test_question_finding_picture_table_definition_in_this_order(viewer: TestClient) -> None:
    html = page(viewer)
    marks = [
        "How are we doing, and on whom does it hang?",
        "ByteDance brings 24.0% of the revenue of Azure OpenAI in March 2024.",
        "the guidance is $0.98–1.05B from April 2024",
        'role="img"',
        "<table>",
        "One customer&#39;s revenue divided by the total",
    ]
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "12.4" in html
    assert "customers in the book: 40" in html


def test_german(viewer: TestClient) -> None:
    html = page(viewer, **{"accept-language": "fr;q=0.9, de-AT;q=0.8, en;q=0.1"})
    assert '<html lang="de"' in html
    assert "An ByteDance hängen 24,0\N{NO-BREAK SPACE}% (Nenner: Umsatz von Azure OpenAI" in html
    assert "0,98–1,05\N{NO-BREAK SPACE}Mrd." in html


def test_the_language_of_the_address_is_kept(viewer: TestClient) -> None:
    assert '<html lang="en"' in page(viewer)
    assert '<html lang="de"' in page(viewer, "/?lang=de")
    assert '<html lang="de"' in page(viewer, "/help")
    assert '<html lang="de"' in page(viewer, "/help?lang=xx")
    assert '<html lang="en"' in page(viewer, "/help?lang=en")


def test_the_theme_is_rendered_by_the_server(viewer: TestClient) -> None:
    assert 'data-theme="system"' in page(viewer)
    form = {"theme": "dark", "csrf": "csrf-token-of-viewer", "next": "/help"}
    assert viewer.post("/preferences", data=form).headers["location"] == "/help"
    assert 'data-theme="dark"' in page(viewer)
    viewer.post("/preferences", data=form | {"theme": '"><script>'})
    assert 'data-theme="dark"' in page(viewer)


def test_single_keys_can_be_turned_off(viewer: TestClient) -> None:
    assert "<body data-keys>" in page(viewer)
    viewer.post("/preferences", data={"keys": "off", "csrf": "csrf-token-of-viewer"})
    assert "<body>" in page(viewer)


def test_sample_data_is_labelled_wherever_it_shows(viewer: TestClient) -> None:
    html = page(viewer)
    badge = '<span class="badge sample">Sample</span>'
    head = html.split('<dl class="tiles">')[0]
    assert badge in head
    for heading in ("rate-title", "shares-title"):
        panel = section(html, heading)
        assert badge in panel
        assert panel.count('-desc">Sample data. ') == 2
        assert "<figcaption>Sample data. " in panel
    live = section(html, "live-title")
    assert "Sample" not in live
    assert "Real usage" in live


def test_real_data_carries_no_sample_label(viewer: TestClient, overview: FakeOverview) -> None:
    overview.facts = overview_facts(sample=False)
    assert "Sample" not in page(viewer)
    assert "sample" not in page(viewer).replace("sample book", "")


def test_an_empty_book_says_what_to_do(viewer: TestClient, overview: FakeOverview) -> None:
    overview.facts = None
    html = page(viewer)
    assert "No revenue yet" in html
    assert "quartermaster key issue" in html
    assert "ByteDance" not in html
    assert "Requests a second" in html


def test_hostile_names_stay_words(
    viewer: TestClient, overview: FakeOverview, live: FakeLive
) -> None:
    overview.facts = overview_facts(HOSTILE)
    live.facts = live_facts(HOSTILE, HOSTILE)
    for html in (page(viewer), page(viewer, "/live"), page(viewer, "/?lang=de")):
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html
        assert "49" not in html.split("{{ 7*7 }}")[0][-10:]


def test_the_query_string_stays_words(viewer: TestClient) -> None:
    assert "<script>alert" not in page(viewer, "/help?x=<script>alert(1)</script>")


def test_no_page_holds_script_style_or_handlers_of_its_own(viewer: TestClient) -> None:
    for path in ("/", "/help", "/live"):
        html = page(viewer, path)
        assert " style=" not in html
        assert "<style" not in html
        assert " on" not in {part[:3] for part in html.split("<") if " onclick" in part}
        assert html.count("<script") == html.count('<script src="/static/')
        assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in html


def test_rows_add_up_to_the_total() -> None:
    groups = revenue()
    assert sum(group.minor for group in groups) == TOTAL_MINOR
    assert sum((group.share for group in groups), Decimal(0)) == pytest.approx(
        Decimal(1), abs=Decimal("0.0001")
    )


def test_the_others_are_added_up(viewer: TestClient) -> None:
    panel = section(page(viewer), "shares-title")
    others = sum(group.minor for group in revenue()[NAMED_ROWS_MAX:])
    assert f"{40 - NAMED_ROWS_MAX} others" in panel
    assert f"${Money(others, 'USD').decimal:,}" in panel
    assert "$83,333,333.00" in panel


@pytest.mark.parametrize(
    ("count", "rows_shown", "others"),
    [(1, 1, False), (7, 7, False), (9, 9, False), (10, 9, True)],
)
def test_a_single_other_is_named(
    viewer: TestClient, overview: FakeOverview, count: int, rows_shown: int, others: bool
) -> None:
    groups = revenue()[:count]
    total = sum(group.minor for group in groups)
    groups = tuple(replace(g, share=Decimal(g.minor) / total) for g in groups)
    overview.facts = replace(overview_facts(), revenue=groups, total_minor=total)
    body = section(page(viewer), "shares-title").split("<tbody>")[1].split("</tbody>")[0]
    assert body.count("<tr") == rows_shown
    assert ("2 others" in body) == others


@pytest.mark.parametrize(
    ("annual_minor", "period", "says"),
    [
        (97_000_000_000, "2024-05", "below the guidance of $0.98–1.05B"),
        (99_000_000_000, "2024-05", "within the guidance of $0.98–1.05B"),
        (98_000_000_000, "2024-05", "within the guidance"),
        (110_000_000_000, "2024-05", "above the guidance"),
        (110_000_000_000, "2024-03", "the guidance is $0.98–1.05B from April 2024"),
    ],
)
def test_the_run_rate_is_held_against_the_guidance_of_its_month(
    viewer: TestClient, overview: FakeOverview, annual_minor: int, period: str, says: str
) -> None:
    facts = overview_facts()
    rates = (*facts.run_rate[:-1], RunRate(period, annual_minor))
    overview.facts = replace(facts, run_rate=rates, period=period)
    assert says in page(viewer)


def test_without_guidance_there_is_none(viewer: TestClient, overview: FakeOverview) -> None:
    facts = overview_facts()
    overview.facts = replace(facts, guidance=None)
    html = page(viewer)
    assert "The run-rate is $1B a year." in html
    assert "none entered" in html


def test_the_live_panel_shows_real_requests(viewer: TestClient) -> None:
    html = page(viewer, "/live")
    assert "<html" not in html
    assert "3.2" in html
    assert "invalid_api_key" in html
    assert "delivery unconfirmed" in html
    assert "req_01JDABCDEFGHJKMNPQRSTVWXYZ" in html
    assert "by the price book $0.0000031" in html
    assert "Worker gw-1 has been silent for 60 s" in html
    assert "gateway workers reporting: 1" in html
    assert "1,300" in html


def test_a_silent_worker_is_not_counted(viewer: TestClient, live: FakeLive) -> None:
    assert 'data-sentence="3.2 requests a second, 2 in flight, 4 refused."' in page(viewer, "/live")
    live.facts = LiveFacts(workers=live.facts.workers[1:])
    assert 'data-sentence="0.0 requests a second, 0 in flight' in page(viewer, "/live")


def test_a_worker_out_of_contact_is_shown(viewer: TestClient, live: FakeLive) -> None:
    assert "published of late" not in page(viewer, "/live")
    cut_off = replace(live.facts.workers[0], out_of_contact=True)
    live.facts = LiveFacts(workers=(cut_off,))
    assert f"Worker {cut_off.app_id} cannot read what was published" in page(viewer, "/live")


def test_a_request_of_another_day_shows_its_day(viewer: TestClient, live: FakeLive) -> None:
    html = page(viewer)
    assert '<td class="time">14:05:09</td>' in html
    assert "Time (UTC)" in html
    old = replace(live.facts.last[0], at=Instant(NOW - 86_400 * US_PER_S))
    live.facts = replace(live.facts, last=(old,))
    assert '<td class="time">30 Mar 2024, 14:05:09</td>' in page(viewer)
    assert '<td class="time">30.03.2024, 14:05:09</td>' in page(viewer, "/?lang=de")


def test_usage_without_a_price_is_named_beside_the_amount() -> None:
    total = MeteredTotal("2024-03", 3, 60, Decimal("0.5"), "USD", unpriced=12)
    facts = LiveFacts(total=total)
    assert view_of(facts, words_of("en"), NOW).total == (
        "Metered in March 2024: requests 3, tokens 60, by the price book $0.50. "
        "Without a price, and in no amount: tokens 12."
    )
    without = replace(facts, total=replace(total, unpriced=0))
    assert "Without" not in view_of(without, words_of("en"), NOW).total


def test_an_open_month_says_that_it_is_open(viewer: TestClient, overview: FakeOverview) -> None:
    assert "still open" not in page(viewer)
    overview.facts = replace(overview_facts(sample=False), still_open=True)
    assert "March 2024 is still open: every amount is what was metered up to" in page(viewer)
    assert "Der März 2024 läuft noch:" in page(viewer, "/?lang=de")


def test_json_has_every_table_with_full_precision(viewer: TestClient) -> None:
    answer = viewer.get("/?format=json")
    assert answer.headers["content-type"] == "application/json"
    tables = json.loads(answer.text)
    assert tables["schema"] == "overview/1"
    assert tables["at"] == "2024-03-31T14:05:09Z"
    first = tables["customers"][0]
    assert first["name"] == "ByteDance"
    assert Decimal(first["amount"]) == Decimal("19999999.92")
    assert first["denominator"] == "revenue of Azure OpenAI"
    assert first["sample"] is True
    assert len(tables["customers"]) == 40
    assert tables["run_rate"][-1]["run_rate_a_year"] == "999999996.00"
    assert {row["sample"] for row in tables["requests"]} == {False}


def rows(client: TestClient, table: str) -> list[list[str]]:
    answer = client.get(f"/?format=csv&table={table}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{table}.csv"'
    return list(csv.reader(io.StringIO(answer.text, newline="")))


def test_csv_of_each_table(viewer: TestClient, overview: FakeOverview) -> None:
    customers = rows(viewer, "customers")
    assert customers[0][:4] == ["rank", "group", "name", "amount"]
    assert customers[1][:4] == ["1", "grp_0", "ByteDance", "19999999.92"]
    assert customers[1][-1] == "true"
    assert len(rows(viewer, "run_rate")) == 22
    assert rows(viewer, "requests")[1][1] == "2024-03-31T14:05:09Z"
    overview.facts = None
    assert len(rows(viewer, "customers")) == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_runs_no_customer_name(
    viewer: TestClient, overview: FakeOverview, start: str
) -> None:
    overview.facts = overview_facts(f'{start}HYPERLINK("x"),\n"')
    assert rows(viewer, "customers")[1][2] == f'\'{start}HYPERLINK("x"),\n"'


def test_an_unknown_format_or_table_is_refused(viewer: TestClient) -> None:
    assert viewer.get("/?format=xml").status_code == 400
    answer = viewer.get("/?format=csv&table=secrets")
    assert answer.status_code == 400
    assert "customers, run_rate, guidance, requests" in answer.text


def test_help_defines_what_the_tiles_link_to(viewer: TestClient) -> None:
    overview, help_page = page(viewer), page(viewer, "/help")
    anchors = {part.split('"')[0] for part in overview.split('href="/help#')[1:]}
    assert len(anchors) == 4
    for anchor in anchors:
        assert f'id="{anchor}"' in help_page


def test_ids_on_a_page_are_unique(viewer: TestClient) -> None:
    html = page(viewer)
    ids = [part.split('"')[0] for part in html.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_only_what_the_reader_asks_keeps_the_session_alive(
    viewer: TestClient, identity: FakeIdentity
) -> None:
    page(viewer, "/")
    page(viewer, "/live")
    assert identity.looks == [True, False]
