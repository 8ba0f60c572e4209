"""Billed and accrued apart, and several currencies in one: the same to the cent on every face."""

import json
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from tests.unit.app.test_contract_months import BERLIN, LATER, _berlin, _OnTheDay, _recompute
from tests.unit.app.test_contract_months import _sign as sign
from tests.unit.app.test_contract_months import _used as used
from tests.unit.app.test_contract_months import rooms as rooms  # a fixture

from quartermaster.app import clerk_agreed, live
from quartermaster.app.board import shown_revenue
from quartermaster.app.console import LiveOverview
from quartermaster.app.console_book import live_shown
from quartermaster.app.forecast_book import book_of
from quartermaster.app.revenue_months import revenue_months
from quartermaster.app.revenue_report import revenue_report
from quartermaster.app.rooms import Rooms
from quartermaster.app.usage_at_cut import reader
from quartermaster.cli.main import run
from quartermaster.commands import invoice as invoices
from quartermaster.commands import rate as rates
from quartermaster.commands.actor import Actor
from quartermaster.exposure.rollup import measure
from quartermaster.kernel.clock import as_instant
from quartermaster.kernel.contract import Commitment, PtuLine
from quartermaster.kernel.errors import ConflictError, NotAllowedError, NotFoundError, UsageError
from quartermaster.kernel.exchange import ExchangeRate
from quartermaster.kernel.units import Counts


@pytest.fixture
def september(rooms: Rooms) -> Rooms:
    return _OnTheDay(rooms.settings)


def bound(rooms: Rooms, floor: Commitment, contract: str = "bound") -> None:
    terms = {"time_zone": "Europe/Berlin", "valid_from": floor.start, "commitments": (floor,)}
    sign(rooms, contract, "fabrikam", **terms)


def rated(rooms: Rooms, base: str, quote: str, value: str, on: str) -> None:
    said = ExchangeRate(base=base, quote=quote, rate=value, on=on, source="central bank")
    rates.record(rooms.book, rooms.actor, said, rooms.now())


def test_a_true_up_is_in_the_month_that_bills_it_and_even_in_a_run_rate(september: Rooms) -> None:
    """It was spread over months that were closed: no month was what its invoice said."""
    begin = as_instant(datetime(2025, 9, 1, tzinfo=BERLIN))
    floor = Commitment(1_200_000, begin, _berlin(9), "year")
    bound(september, floor)
    book = _recompute(
        september,
        used(1, "bound", "fabrikam", Counts(output=1_000), at=_berlin(7, 2)),
        used(2, "bound", "fabrikam", Counts(output=1_500), at=_berlin(8, 2)),
    )
    billed = {row.month: row.minor for row in book.revenue if row.minor}
    assert billed == {"2026-07": 200, "2026-08": 300 + 1_200_000 - 500}
    shown = live_shown(september.var)
    assert shown is not None
    assert {row.month: row.minor for row in shown.rows if row.minor} == billed
    assert sum(row.evened for row in shown.rows) == 0
    assert [row.steady for row in shown.rows][-3:] == [99_958, 99_958 + 200, 99_958 + 300]
    for month, minor in billed.items():
        drafted = invoices.draft(
            september.book,
            september.actor,
            contract="bound",
            period=month,
            read=reader(september),
            now=september.now(),
        )
        assert drafted.earned_minor == minor
    report = revenue_report(shown.rows, measure(shown.rows, scope="all"), title="", source=None)
    assert report.exposure.denominator.minor == 1_200_000
    assert [line.minor for line in report.run_rates] == [12 * 100_258, 4 * (3 * 99_958 + 500)]
    forecast = book_of(shown.rows, name="live", steps=1)
    assert list(forecast.series["fabrikam"]) == [row.steady for row in shown.rows]
    assert shown.origin.en.endswith(
        "in it €11,995.00 that years or terms lacked of commitments: billed with their last month, "
        "spread over all of them in run-rates and forecasts"
    )


def test_what_runs_is_accrued_apart_and_only_for_hours_that_have_passed(september: Rooms) -> None:
    floor = Commitment(50_000, _berlin(8), _berlin(11))
    year = Commitment(
        365_00, _berlin(8), as_instant(datetime(2027, 8, 1, tzinfo=BERLIN)), "year", ("batch",)
    )
    line = PtuLine("toy", "eu", 1, _berlin(9), _berlin(10), "1.00", input_tokens_per_minute=1)
    terms = {"time_zone": "Europe/Berlin", "valid_from": _berlin(8), "ptu_lines": (line,)}
    floor = msgspec.structs.replace(floor, service_classes=("standard",))
    sign(september, "bound", "fabrikam", commitments=(floor, year), **terms)
    book = _recompute(september, used(1, "bound", "fabrikam", Counts(output=1_000), at=LATER))
    hours = (_berlin(9, 25) - _berlin(9)) // 3_600_000_000
    assert {row.month: row.minor for row in book.revenue} == {
        "2026-08": 50_000,
        "2026-09": 200 + 100 * hours,
    }
    of_month = 50_000 * hours // 720 - 200
    of_year = 365_00 * (31 + 24) // 365
    assert [(one.first, one.last, one.minor) for one in book.accrued] == [
        ("2026-09", "2026-09", of_month),
        ("2026-08", "2027-07", of_year),
    ]
    found = revenue_months(book)
    assert found.accrued_total == f"{(of_month + of_year) / 100:.2f}"
    assert [(one.month, one.used, one.shortfall, one.running) for one in found.months] == [
        ("2026-08", "0.00", "500.00", False),
        ("2026-09", f"{2 + hours:.2f}", "0.00", True),
    ]


def test_several_currencies_are_added_at_recorded_rates_and_only_then(september: Rooms) -> None:
    sign(september, "euro", "fabrikam")
    sign(september, "dollar", "litware", price_book="starter", currency="USD")
    july = int(_berlin(7, 15))
    requests = [
        used(1, "euro", "fabrikam", Counts(input=1_000), at=LATER),
        used(2, "euro", "fabrikam", Counts(input=1_000), at=LATER),
        used(3, "dollar", "litware", Counts(input=100_000_000), at=july),
    ]
    # From August on is not from July on: a currency is converted whole, or not at all.
    rated(september, "EUR", "USD", "1.25", "2026-08-01")
    partly = revenue_months(_recompute(september, *requests))
    assert (partly.currency, [one.month for one in partly.totals]) == ("EUR", ["2026-09"])
    assert partly.left_out == {"USD": "no exchange rate of USD and EUR is in force on 2026-07-01"}
    assert [one.converted for one in partly.months] == [None, "4.00"]
    rated(september, "EUR", "USD", "1.00", "2026-07-01")
    rated(september, "EUR", "USD", "1.25", "2026-07-01")
    book = _recompute(september)
    found = revenue_months(book)
    assert [(one.month, one.billed) for one in found.totals] == [
        ("2026-07", "0.80"),
        ("2026-09", "4.00"),
    ]
    assert [(one.rate, one.on, one.source) for one in found.rates] == [
        ("1.25", "2026-07-01", "central bank")
    ]
    assert [one.billed for one in revenue_months(book, currency="USD").totals] == ["1.00", "5.00"]
    with pytest.raises(UsageError, match="ISO 4217"):
        revenue_months(book, currency="dollars")
    shown = live_shown(september.var)
    assert shown is not None
    exposure = measure(shown.rows, scope="all")
    assert [(one.group, one.minor) for one in exposure.groups] == [
        ("fabrikam", 400),
        ("litware", 80),
    ]
    assert "1 EUR = 1.25 USD (central bank, 2026-07-01)" in shown.origin.en
    assert "umgerechnet zum Mittel der Kurse des Monats" in shown.origin.de


def test_rates_are_recorded_once_corrected_and_by_those_who_may(rooms: Rooms) -> None:
    written = len(rooms.book.facts())
    rated(rooms, "EUR", "USD", "1.08", "2026-01-01")
    rated(rooms, "EUR", "USD", "1.08", "2026-01-01")
    assert len(rooms.book.facts()) == written + 1
    rated(rooms, "EUR", "USD", "1.09", "2026-01-01")
    assert [one.rate for one in rates.recorded(rooms.book.view())] == ["1.09"]
    assert len(rooms.book.facts()) == written + 2
    with pytest.raises(ConflictError, match="rates of EUR in USD"):
        rated(rooms, "USD", "EUR", "0.92", "2026-02-01")
    with pytest.raises(UsageError, match="yet to come"):
        rated(rooms, "EUR", "USD", "1.10", "9998-01-01")
    said = ExchangeRate(base="EUR", quote="CHF", rate="1", on="2026-01-01", source="me")
    with pytest.raises(NotAllowedError):
        rates.record(rooms.book, Actor("u", ("viewer", "trust")), said, rooms.now())
    rooms.book.verify()


def test_the_command_line_tells_the_same(
    tmp_path: Path, rooms: Rooms, capsys: pytest.CaptureFixture[str]
) -> None:
    def line(text: str) -> tuple[int, str, str]:
        code = run(["--var", str(tmp_path), *text.split()])
        said = capsys.readouterr()
        return code, said.out, said.err

    assert "nothing was rated yet" in line("revenue")[2]
    assert line("rate list")[2] == "no exchange rate is recorded: quartermaster rate add\n"
    added = line("rate add EUR USD 1.25 --on 2026-01-01 --source bank")
    assert added[:2] == (0, "1 EUR = 1.25 USD from 2026-01-01, bank\n")
    assert line("rate list")[1] == "2026-01-01  1 EUR = 1.25 USD  bank\n"
    (one,) = json.loads(line("rate list --json")[1])
    assert one == {
        "base": "EUR",
        "quote": "USD",
        "rate": "1.25",
        "on": "2026-01-01",
        "source": "bank",
    }
    sign(rooms, "euro", "fabrikam")
    sign(rooms, "dollar", "litware", price_book="starter", currency="USD")
    book = _recompute(
        rooms,
        used(1, "euro", "fabrikam", Counts(input=1_000), at=LATER),
        used(2, "dollar", "litware", Counts(input=500_000_000), at=LATER),
    )
    told = json.loads(line("revenue --json --currency EUR")[1])
    assert told == json.loads(msgspec.json.encode(revenue_months(book, currency="EUR")))
    said = line("revenue --currency EUR")[1]
    assert "2026-09  dollar  5.00 USD = 4.00 EUR\n" in said
    assert "2026-09  billed in all: 6.00 EUR\n" in said
    assert "rate: 1 EUR = 1.25 USD, bank, 2026-01-01\n" in said


def test_nothing_rated_is_said() -> None:
    with pytest.raises(NotFoundError, match="nothing was rated"):
        revenue_months(None)
    with pytest.raises(NotFoundError):
        revenue_months(live.LiveBook({}, 0))


def test_the_clerk_sees_what_changes_the_same_usage(rooms: Rooms) -> None:
    """A rate, a price or a contract showed on no page before somebody used something."""

    def news(agreed: clerk_agreed.Agreed) -> bool:
        agreed.look()
        return agreed.news

    still = _OnTheDay(rooms.settings)
    agreed = clerk_agreed.Agreed(still)
    assert not news(agreed)
    assert not news(agreed)
    later = clerk_agreed.Agreed(still)
    assert not news(later)
    rated(rooms, "EUR", "USD", "1.25", "2026-01-01")
    assert news(agreed)
    assert news(later)
    later = clerk_agreed.Agreed(still)
    assert not news(later)
    sign(rooms, "euro", "fabrikam")
    assert news(later)


def test_a_month_that_runs_is_in_no_run_rate_of_any_page(september: Rooms) -> None:
    """The overview multiplied its days by twelve, the report the month before it."""
    sign(september, "euro", "fabrikam", valid_from=_berlin(7, 3))
    _recompute(
        september,
        used(1, "euro", "fabrikam", Counts(input=5_000), at=_berlin(8, 2)),
        used(2, "euro", "fabrikam", Counts(input=500), at=_berlin(9, 2)),
    )
    facts = LiveOverview(september.var, september.book).overview(september.now())
    assert facts is not None
    assert (facts.period, facts.total_minor, facts.still_open) == ("2026-09", 100, True)
    assert [(one.period, one.annual_minor) for one in facts.run_rate] == [("2026-08", 12_000)]
    shown = live_shown(september.var)
    assert shown is not None
    (line,) = shown_revenue(shown).report.run_rates
    assert line.minor == 12_000
