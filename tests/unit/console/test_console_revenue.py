"""The revenue page as a reader gets it, and as CSV and JSON."""

import csv
import io
import json
from decimal import Decimal

import pytest
from starlette.testclient import TestClient
from tests.unit.console.conftest import browser
from tests.unit.console.console_fakes import NOW, FakeIdentity, FakeLive, FakeOverview, FakeSignedIn
from tests.unit.console.exposure_fakes import FakeExposure

from quartermaster.app.live import Accrued, Charged, LiveBook, MonthRevenue
from quartermaster.app.revenue_months import revenue_months
from quartermaster.console.ports_revenue import RevenueFacts
from quartermaster.console.revenue_tables import COLUMNS
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.clock import month_named
from quartermaster.kernel.exchange import ExchangeRate

RATE = ExchangeRate(base="EUR", quote="USD", rate="1.250", on="2026-01-01", source="bank <b>")
HOSTILE = "<script>&"


def row(contract: str, month: str, minor: int, currency: str, *charged: Charged) -> MonthRevenue:
    return MonthRevenue(
        contract=contract,
        customer=contract,
        customer_name=HOSTILE,
        group=contract,
        group_name=HOSTILE,
        month=month,
        time_zone="UTC",
        currency=currency,
        amount=Decimal(minor).scaleb(-2),
        minor=minor,
        requests=1 if currency == "USD" else 0,
        tokens=1,
        unpriced=0,
        charged=charged,
    )


def live_book(*rates: ExchangeRate) -> LiveBook:
    return LiveBook(
        {"g": 1},
        month_named("2026-03", "UTC").start + 1,
        (
            row("a", "2026-01", 10_00, "USD"),
            row("a", "2026-02", 40_00, "USD", Charged("2025-03", "2026-02", 30_00)),
            row("a", "2026-03", 1_00, "USD"),
            row("b", "2026-02", 8_00, "EUR"),
        ),
        accrued=(Accrued("a", "a", "a", "USD", "2026-03", "2027-02", 7_00),),
        rates=rates,
    )


class FakeRevenue:
    def __init__(self, book: LiveBook | None, *rates: ExchangeRate) -> None:
        self.book, self.rates = book, rates

    def revenue(self, currency: str) -> RevenueFacts:
        if self.book is None:
            return RevenueFacts(None, self.rates)
        return RevenueFacts(revenue_months(self.book, currency=currency), self.rates)


@pytest.fixture
def revenue() -> FakeRevenue:
    return FakeRevenue(live_book(RATE), RATE)


@pytest.fixture
def reader(
    identity: FakeIdentity,
    overview: FakeOverview,
    live: FakeLive,
    exposure: FakeExposure,
    revenue: FakeRevenue,
) -> TestClient:
    console = build(
        ConsoleSettings(), identity, overview, live, exposure, lambda: NOW, revenue=revenue
    )
    identity.sessions["s"] = FakeSignedIn("usr_ada", "ada", ("viewer",), "csrf")
    client = browser(console)
    client.cookies.set("quartermaster_session", "s")
    return client


def test_the_page_says_what_was_billed_and_apart_from_it_what_has_accrued(
    reader: TestClient,
) -> None:
    html = reader.get("/revenue?lang=en").text
    assert "February 2026 was billed at $50.00; of that, commitments lacked $30.00." in html
    assert "have accrued $7.00, which is on no invoice and in no revenue" in html
    assert "March 2026, until now" in html
    assert "1 EUR = 1.250 USD" in html
    assert "&lt;script&gt;&amp;" in html
    assert "<script>&" not in html
    euros = reader.get("/revenue?currency=EUR").text
    assert "February 2026 was billed at €40.00" in euros
    german = reader.get("/revenue?lang=de").text
    assert "Aufgelaufen, nicht abgerechnet" in german
    assert "Februar 2026 wurde mit 50,00" in german


def test_without_a_rate_a_currency_is_left_out_and_said(
    reader: TestClient, revenue: FakeRevenue
) -> None:
    revenue.book, revenue.rates = live_book(), ()
    html = reader.get("/revenue?lang=en").text
    assert "February 2026 was billed at $40.00" in html
    assert "EUR is in no total: there is no exchange rate of EUR and USD" in html
    assert "No exchange rate is recorded" in html
    assert "no rate" in html


def test_before_anything_was_rated_the_page_says_so(
    reader: TestClient, revenue: FakeRevenue
) -> None:
    revenue.book = None
    assert "Nothing was rated yet" in reader.get("/revenue?lang=en").text
    told = json.loads(reader.get("/revenue?format=json").text)
    assert [one["rate"] for one in told["recorded_rates"]] == ["1.250"]
    assert reader.get("/revenue?currency=EUR").status_code == 200


def test_every_table_is_there_as_csv_and_all_of_it_as_json(reader: TestClient) -> None:
    for table, columns in COLUMNS.items():
        answer = reader.get(f"/revenue?format=csv&table={table}")
        lines = list(csv.DictReader(io.StringIO(answer.text)))
        assert lines
        assert tuple(lines[0]) == columns
    totals = list(csv.DictReader(io.StringIO(reader.get("/revenue?format=csv&table=totals").text)))
    assert [(one["month"], one["billed"], one["currency"]) for one in totals] == [
        ("2026-01", "10.00", "USD"),
        ("2026-02", "50.00", "USD"),
        ("2026-03", "1.00", "USD"),
    ]
    told = json.loads(reader.get("/revenue?format=json").text)
    assert (told["schema"], told["accrued_total"]) == ("quartermaster.revenue/1", "7.00")
    for wrong in ("format=xml", "format=csv&table=none", "currency=dollars"):
        assert reader.get(f"/revenue?{wrong}").status_code == 400
