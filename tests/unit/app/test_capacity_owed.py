"""Capacity and what is owed without a request: floors and units; and currencies side by side."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.usage import sealed_logs, usage_facts

from quartermaster.app import clerk
from quartermaster.app.board import shown_revenue
from quartermaster.app.board_capacity import shown_capacity
from quartermaster.app.capacity_metered import metered
from quartermaster.app.console_book import live_shown
from quartermaster.app.console_capacity import ShownCapacity, metered_window, read_fleet
from quartermaster.app.owed import units_ahead
from quartermaster.app.rooms import Rooms
from quartermaster.billing.pricebook import load
from quartermaster.capacity.answer import OtherCurrency
from quartermaster.capacity.payback import Owing, months_without
from quartermaster.capacity.settings import CapacitySettings
from quartermaster.cli.main import run
from quartermaster.commands import contract as contracts
from quartermaster.commands import price_book as price_books
from quartermaster.commands import rate as rates
from quartermaster.commands.customer import add_customer
from quartermaster.config import Settings
from quartermaster.console.capacity_tables import as_json, rows_of
from quartermaster.console.capacity_view import view_of
from quartermaster.console.ports_capacity import CapacityFacts, CapacityQuestion
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month_named
from quartermaster.kernel.contract import Commitment, Contract, Customer, PtuLine
from quartermaster.kernel.events import Closed, Opened
from quartermaster.kernel.exchange import ExchangeRate
from quartermaster.kernel.money import Money
from quartermaster.kernel.units import Counts

ROOT = Path(__file__).resolve().parents[3]
AUGUST, SEPTEMBER = (month_named(label, "UTC") for label in ("2026-08", "2026-09"))
NOVEMBER = month_named("2026-11", "UTC")
PRICES = """
[price_book]
id = "{id}"
version = 1
currency = "{currency}"
valid_from = 2024-01-01T00:00:00Z
[[price]]
model = "toy"
input = "2000"
output = "2000"
"""


class InOctober(Rooms):
    """As if it were the 10th of October 2026."""

    def now(self) -> Instant:
        """Fixed."""
        return Instant(SEPTEMBER.end + 10 * 24 * US_PER_HOUR)


def request(number: int, customer: str, tokens: int) -> tuple[Opened, Closed]:
    opened = usage_facts.opened(number, customer=customer, model="toy")
    closed = usage_facts.closed(number)
    return (
        msgspec.structs.replace(opened, contract=f"c-{customer}"),
        msgspec.structs.replace(closed, counts=Counts(output=tokens)),
    )


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    """One customer in dollars with a floor and units, and one that pays euros."""
    folder = tmp_path_factory.mktemp("owed")
    text = (ROOT / "examples/fleet-sample.toml").read_text("utf-8").replace("sample-70b", "toy")
    (folder / "fleet.toml").write_text(text, "utf-8")
    settings = CapacitySettings(file=str(folder / "fleet.toml"))
    rooms = InOctober(Settings(var=str(folder / "var"), capacity=settings))
    floor = Commitment(100_000, AUGUST.start, NOVEMBER.start, service_classes=("standard",))
    year = Commitment(
        36_500, AUGUST.start, AUGUST.start + 365 * 24 * US_PER_HOUR, "term", ("batch",)
    )
    line = PtuLine("toy", "", 1, SEPTEMBER.start, SEPTEMBER.end, "0.50", input_tokens_per_minute=1)
    for who, currency in (("acme", "USD"), ("fabrikam", "EUR")):
        book = load(PRICES.format(id=currency.lower(), currency=currency).encode(), "prices.toml")
        price_books.publish(rooms.book, rooms.actor, book, rooms.now())
        add_customer(rooms.book, rooms.actor, Customer(who, who.title(), who), rooms.now())
        agreed = Contract(
            f"c-{who}", 1, who, book.id, currency, "UTC", AUGUST.start,
            commitments=(floor, year) if who == "acme" else (),
            ptu_lines=(line,) if who == "acme" else (),
        )  # fmt: skip
        contracts.sign(rooms.book, rooms.actor, agreed, rooms.now())
    used = [request(1, "acme", 100_000), request(2, "fabrikam", 50_000)]
    sealed_logs.write_segment(rooms.var / "wal" / "gateway-0", used)
    clerk.ship(rooms)
    clerk.recompute(rooms)
    return rooms


def facts(
    rooms: Rooms, customer: str = "acme", contribution: Decimal | None = None
) -> CapacityFacts:
    shown = ShownCapacity(metered_window(rooms, rooms.settings.capacity.file))
    question = CapacityQuestion(customer=customer, contribution=contribution)
    found = shown.capacity(question, rooms.now())
    assert isinstance(found, CapacityFacts)
    return found


def test_a_month_counts_units_and_what_usage_lacked_of_a_floor(rooms: Rooms) -> None:
    fleet, _ = read_fleet(rooms.settings.capacity.file)
    found = metered(rooms, fleet, SEPTEMBER)
    # 200.00 used, 800.00 lacked of the month's floor, 720 unit hours at 0.50. The term still runs.
    assert found.paid == {"acme": 100_000 + 36_000}
    assert found.elsewhere == (OtherCurrency("fabrikam", "EUR", 10_000),)


def test_half_a_month_counts_half_of_what_it_lacked(rooms: Rooms) -> None:
    fleet, _ = read_fleet(rooms.settings.capacity.file)
    half = msgspec.structs.replace(SEPTEMBER, start=SEPTEMBER.start + 15 * 24 * US_PER_HOUR)
    assert metered(rooms, fleet, half).paid == {"acme": 20_000 + 40_000 + 18_000}


def test_a_running_month_counts_units_in_the_hours_of_its_window_alone(rooms: Rooms) -> None:
    """A whole month of revenue beside the cost of some of its days would be no margin."""
    shown = ShownCapacity(metered_window(rooms, rooms.settings.capacity.file))
    running = Instant(SEPTEMBER.end - US_PER_HOUR)
    found = shown.capacity(CapacityQuestion(customer="acme", month="2026-09"), running)
    assert isinstance(found, CapacityFacts)
    assert not found.whole_month
    hours = found.before.hours
    assert hours < SEPTEMBER.hours
    lacked = 80_000 * hours // SEPTEMBER.hours
    assert found.revenue_minor == 20_000 + 50 * hours + lacked


def test_a_contract_in_another_currency_is_stated_beside_and_in_no_margin(rooms: Rooms) -> None:
    found = facts(rooms)
    assert found.elsewhere == (("fabrikam", Money(10_000, "EUR")),)
    lines = {one.customer: one.revenue_minor for one in found.before.customers}
    # The reservation is of somebody who used nothing.
    assert lines == {"acme": 136_000, "fabrikam": None, "TikTok": 0}
    assert [one for one in found.before.remarks if one.key == "no_revenue"] == []
    assert found.revenue_minor == 136_000
    view = view_of(found, catalogue("capacity", "en"), catalogue("capacity", "en"))
    assert any("€100.00 of Fabrikam" in note for note in view.notes)


def test_the_page_says_what_who_leaves_still_owes(rooms: Rooms) -> None:
    # October of the monthly floor, and the ten of twelve months of the term that are left.
    found = facts(rooms)
    assert found.owed is not None
    assert found.owed.amount.minor == 100_000 + 36_500
    assert facts(rooms, "fabrikam").owed is None


def test_payback_is_shown_without_what_is_still_owed_and_with_it(rooms: Rooms) -> None:
    found = facts(rooms, contribution=Decimal("0.3"))
    assert found.payback is not None
    assert found.owed is not None
    plan, loss, owing = found.payback.plan, found.payback.loss, found.payback.owing
    # Thirty days of notice draw down a part of the ten months that it is bound for.
    notice = Fraction(30 * 24 * 12, 8_766)
    assert (owing.notice_months, owing.months) == (notice, found.owed.months - notice)
    assert owing.minor == int(136_500 * owing.months / found.owed.months)
    without, counted = (months_without(plan, loss, one) for one in (Owing(), owing))
    view = view_of(found, catalogue("capacity", "en"), catalogue("capacity", "en"))
    assert view.payback is not None
    shown = ["never" if one is None else f"{float(one):,.1f}" for one in (without, counted)]
    assert list(view.payback.rows[0][2:]) == shown
    assert "1.0 months of notice in which it goes on as before, then $1.23K" in view.payback.owed
    body = json.loads(as_json(found, rows_of(found), rooms.now()))["payback"]
    assert body["notice_months"] == "0.9856"
    assert body["months_without"] != body["months_without_owed_counted"] or without is None


def test_units_that_stand_ready_are_owed_until_they_end(rooms: Rooms) -> None:
    """Unless a commitment counts them, which then holds them."""
    august = Instant(AUGUST.end)
    (units,) = units_ahead(rooms.book.view(), august)
    assert (units.first, units.last, units.minor) == ("2026-09", "2026-09", 720 * 50)
    half = Instant(SEPTEMBER.start + 360 * US_PER_HOUR + 1)
    assert [one.minor for one in units_ahead(rooms.book.view(), half)] == [360 * 50]
    assert units_ahead(rooms.book.view(), rooms.now()) == ()
    view = rooms.book.view()
    (agreed,) = view.contracts["c-acme"]
    floor = msgspec.structs.replace(agreed.commitments[0], service_classes=("provisioned",))
    counted = msgspec.structs.replace(agreed, commitments=(floor,))
    held = msgspec.structs.replace(view, contracts=view.contracts | {"c-acme": (counted,)})
    assert units_ahead(held, august) == ()


def test_the_board_report_says_what_its_revenue_and_payback_leave_out(rooms: Rooms) -> None:
    """As the page does; what somebody else owes is no note on the largest customer."""
    shown = live_shown(rooms.var)
    assert shown is not None
    # Both have one request: the book that is shown is the one in euros.
    euros = shown_revenue(shown).report.exposure
    revenue = replace(euros, denominator=replace(euros.denominator, currency="USD"))
    page = ShownCapacity(metered_window(rooms, rooms.settings.capacity.file))
    notes = {}
    for who in ("acme", "nobody"):
        found = shown_capacity(page, who, revenue, rooms.now())
        assert found is not None
        notes[who] = found.elsewhere, found.owed
    elsewhere = (("fabrikam", Money(10_000, "EUR")),)
    assert notes == {"acme": (elsewhere, facts(rooms).owed), "nobody": (elsewhere, None)}


def test_the_command_and_the_api_name_the_other_currency(
    rooms: Rooms, capsys: pytest.CaptureFixture[str]
) -> None:
    file = rooms.settings.capacity.file
    words = f"capacity {file} --live --period 2026-09 --json".split()
    assert run(["--var", str(rooms.var), *words]) == 0
    said = capsys.readouterr()
    stated = [{"customer": "fabrikam", "revenue": "100.00", "currency": "EUR"}]
    assert json.loads(said.out)["other_currencies"] == stated
    assert "fabrikam" in said.err


def test_units_that_are_agreed_on_later_are_on_the_page_at_once(rooms: Rooms) -> None:
    """Nothing was metered in between: an answer that is kept hangs on more than the cut."""
    shown = ShownCapacity(metered_window(rooms, rooms.settings.capacity.file))
    before = shown.capacity(CapacityQuestion(), rooms.now())
    line = PtuLine(
        "toy", "", 1, SEPTEMBER.start, SEPTEMBER.end, "0.5009", input_tokens_per_minute=1
    )
    agreed = Contract(  # 360.648, which this contract rounds down
        "c-more", 1, "acme", "usd", "USD", "UTC", AUGUST.start, ptu_lines=(line,), rounding="down"
    )  # fmt: skip
    contracts.sign(rooms.book, rooms.actor, agreed, rooms.now())
    after = shown.capacity(CapacityQuestion(), rooms.now())
    assert isinstance(before, CapacityFacts)
    assert isinstance(after, CapacityFacts)
    assert after.revenue_minor - before.revenue_minor == 36_064


def test_with_a_rate_every_customer_has_a_margin_and_the_rate_is_named(
    rooms: Rooms, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal is lifted by a rate of all of the month, and by nothing less."""
    fleet, _ = read_fleet(rooms.settings.capacity.file)
    bare = metered(rooms, fleet, SEPTEMBER)
    for on in ("2026-09-02", "2026-09-01"):
        said = ExchangeRate(base="EUR", quote="USD", rate="1.10", on=on, source="bank")
        rates.record(rooms.book, rooms.actor, said, rooms.now())
        found = metered(rooms, fleet, SEPTEMBER)
        if on == "2026-09-02":
            assert (found.paid, found.elsewhere) == (bare.paid, bare.elsewhere)
    assert found.elsewhere == ()
    assert found.paid == bare.paid | {"fabrikam": 11_000}
    page = facts(rooms)
    assert page.elsewhere == ()
    assert {one.customer: one.revenue_minor for one in page.before.customers}["fabrikam"] == 11_000
    assert "1 EUR = 1.10 USD (bank, 2026-09-02)" in page.origin.en
    words = f"capacity {rooms.settings.capacity.file} --live --period 2026-09 --json".split()
    assert run(["--var", str(rooms.var), *words]) == 0
    told = capsys.readouterr()
    assert "other_currencies" not in json.loads(told.out)
    assert json.loads(told.out)["rates"][0]["rate"] == "1.10"
    assert "1 EUR = 1.10 USD, bank, 2026-09-02" in told.err
