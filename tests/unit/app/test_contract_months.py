"""What faces show of a contract's month is what its draft invoice says, whoever else there is."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from tests.unit.usage import sealed_logs, usage_facts

from quartermaster.app import clerk, live
from quartermaster.app.console import LiveOverview
from quartermaster.app.first_start import FIRST_CONTRACT, prepare
from quartermaster.app.rooms import Rooms
from quartermaster.app.usage_at_cut import reader
from quartermaster.billing.pricebook import load, starter
from quartermaster.commands import contract as contracts
from quartermaster.commands import customer as customers
from quartermaster.commands import invoice as invoices
from quartermaster.commands import price_book as price_books
from quartermaster.config import Settings
from quartermaster.console.ports import OverviewFacts
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_instant
from quartermaster.kernel.contract import Commitment, Contract, Customer, Group, PtuLine
from quartermaster.kernel.errors import ConflictError, IntegrityError
from quartermaster.kernel.events import Closed, Opened
from quartermaster.kernel.units import Counts
from quartermaster.usage.cut import current_cut

BEGIN = Instant(1_785_538_800_000_000)  # 2026-07-31 23:00 UTC: August in Berlin, July in UTC
LATER = Instant(usage_facts.NOON)
BERLIN = ZoneInfo("Europe/Berlin")

EURO = b"""
[price_book]
id = "euro"
version = 1
currency = "EUR"
valid_from = 2024-01-01T00:00:00Z

[[price]]
model = "toy"
input = "2000"
output = "2000"
"""


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    found = Rooms(Settings(var=str(tmp_path)))
    prepare(found)
    price_books.publish(found.book, found.actor, load(EURO, "euro.toml"), found.now())
    return found


def _sign(rooms: Rooms, contract: str, customer: str, **terms: object) -> None:
    view = rooms.book.view()
    if customer not in view.customers:
        who = Customer(customer, "Fabrikam", customer)
        customers.add_customer(rooms.book, rooms.actor, who, rooms.now())
    fields = {"id": contract, "version": 1, "customer": customer, "valid_from": BEGIN}
    fields |= {"price_book": "euro", "currency": "EUR", "time_zone": "UTC", **terms}
    signed = msgspec.convert(fields, Contract)
    contracts.sign(rooms.book, rooms.actor, signed, rooms.now())


def _used(
    number: int, contract: str, customer: str, counts: Counts, *, model: str = "toy", at: int
) -> tuple[Opened, Closed]:
    opened = usage_facts.opened(number, at=at, customer=customer, model=model)
    opened = Opened(
        **{name: getattr(opened, name) for name in Opened.__struct_fields__}
        | {"contract": contract}
    )
    closed = usage_facts.closed(at=at + 9)
    return opened, Closed(
        **{name: getattr(closed, name) for name in Closed.__struct_fields__} | {"counts": counts}
    )


def _recompute(rooms: Rooms, *requests: tuple[Opened, Closed]) -> live.LiveBook:
    sealed_logs.write_segment(rooms.var / "wal" / "gateway-0", requests)
    clerk.ship(rooms)
    return clerk.recompute(rooms)


def _overview(rooms: Rooms) -> OverviewFacts:
    facts = LiveOverview(rooms.var, rooms.book).overview(rooms.now())
    assert facts is not None
    return facts


def test_a_shown_month_is_the_draft_invoice_of_that_month_in_its_own_zone(rooms: Rooms) -> None:
    _sign(rooms, "berlin", "fabrikam", time_zone="Europe/Berlin", rounding="down")
    _sign(rooms, "utc", "fabrikam")
    # 0.8 cents of input and of output: 2 cents rounded up line by line, 0 down, 1.6 together.
    counts = Counts(input=4, output=4)
    book = _recompute(
        rooms,
        _used(1, "berlin", "fabrikam", counts, at=BEGIN),
        _used(2, "utc", "fabrikam", counts, at=BEGIN),
        _used(3, "utc", "fabrikam", counts, at=LATER),
    )
    shown = {(row.contract, row.month): (row.minor, row.requests) for row in book.revenue}
    assert shown == {
        ("berlin", "2026-08"): (0, 1),
        ("utc", "2026-07"): (2, 1),
        ("utc", "2026-09"): (2, 1),
    }
    for contract, month in shown:
        drafted = invoices.draft(
            rooms.book,
            rooms.actor,
            contract=contract,
            period=month,
            read=reader(rooms),
            now=rooms.now(),
        )
        assert drafted.total_minor == shown[contract, month][0]


def test_two_customers_of_one_name_are_two_and_their_month_is_the_newest(rooms: Rooms) -> None:
    _sign(rooms, "one", "fabrikam-1")
    _sign(rooms, "two", "fabrikam-2")
    _recompute(
        rooms,
        _used(1, "one", "fabrikam-1", Counts(input=3_000), at=LATER),
        _used(2, "two", "fabrikam-2", Counts(input=1_000), at=LATER),
        # Too little to come to a cent, in a month of its own.
        _used(3, "two", "fabrikam-2", Counts(input=1), at=LATER + 40 * 24 * usage_facts.HOUR),
    )
    facts = _overview(rooms)
    assert facts.period == "2026-09"
    assert [(g.group, g.name, str(g.share)) for g in facts.revenue] == [
        ("fabrikam-1", "Fabrikam", "0.75"),
        ("fabrikam-2", "Fabrikam", "0.25"),
    ]
    assert all(group.entities == () for group in facts.revenue)
    assert not facts.still_open


def test_amounts_of_two_currencies_are_never_added(rooms: Rooms) -> None:
    _sign(rooms, "euro", "fabrikam")
    _sign(rooms, "dollar", "fabrikam", price_book="starter", currency="USD")
    many = Counts(input=10_000_000)
    book = _recompute(
        rooms,
        _used(1, "euro", "fabrikam", Counts(input=1_000), at=LATER),
        _used(2, "euro", "fabrikam", Counts(input=1_000), at=LATER),
        _used(3, "dollar", "fabrikam", many, at=LATER),
    )
    assert [(row.currency, row.minor, row.requests) for row in book.revenue] == [
        ("USD", 10, 1),
        ("EUR", 400, 2),
    ]
    facts = _overview(rooms)
    assert (facts.currency, facts.total_minor) == ("EUR", 400)
    assert "EUR" in facts.denominator.de
    assert "EUR" in facts.denominator.en
    # What is in no figure is named where the figures come from.
    assert facts.origin is not None
    assert facts.origin.en.endswith("in another currency without a rate (customers): $0.10 (1)")
    assert "in anderer Währung ohne Kurs (Zahl der Kunden): 0,10" in facts.origin.de


def test_usage_without_a_price_is_shown_and_is_no_money(rooms: Rooms) -> None:
    _sign(rooms, "euro", "fabrikam", serve_unpriced="queue")
    counts = Counts(input=7, output=5)
    (row,) = _recompute(
        rooms, _used(1, "euro", "fabrikam", counts, model="unknown", at=LATER)
    ).revenue
    assert (row.requests, row.unpriced, row.minor) == (1, 12, 0)
    assert row.amount == Decimal(0)


def test_usage_of_a_contract_that_is_not_in_the_book_does_not_stop_the_clerk(rooms: Rooms) -> None:
    assert _recompute(rooms, _used(1, "lost", "nobody", Counts(input=7), at=LATER)).revenue == ()


def test_sample_contracts_stay_out_of_real_revenue(rooms: Rooms) -> None:
    sample = msgspec.structs.replace(starter(), id="made-up", sample=True)
    price_books.publish(rooms.book, rooms.actor, sample, rooms.now())
    with pytest.raises(ConflictError, match="sample price book"):
        _sign(rooms, "real", "fabrikam", price_book="made-up", currency="USD")
    customers.add_group(rooms.book, rooms.actor, Group("s", "S", sample=True), rooms.now())
    who = Customer("s", "S", "s", sample=True)
    customers.add_customer(rooms.book, rooms.actor, who, rooms.now())
    _sign(rooms, "sample", "s", price_book="made-up", currency="USD", sample=True)
    used = _used(1, "sample", "s", Counts(input=7_000_000), at=LATER)
    assert _recompute(rooms, used).revenue == ()


def test_a_usage_table_that_lost_segments_makes_no_invoice(rooms: Rooms) -> None:
    _sign(rooms, "euro", "fabrikam")
    _recompute(rooms, _used(1, "euro", "fabrikam", Counts(input=7), at=LATER))
    view = rooms.book.view()
    invoices.require_shipped(view, current_cut(rooms.usage))
    with pytest.raises(IntegrityError, match="ends at segment 0 of gateway-0"):
        invoices.require_shipped(view, {})


def test_a_price_book_published_before_the_first_start_does_not_stop_it(tmp_path: Path) -> None:
    rooms = Rooms(Settings(var=str(tmp_path / "early")))
    price_books.publish(rooms.book, rooms.actor, load(EURO, "euro.toml"), rooms.now())
    prepare(rooms)
    assert FIRST_CONTRACT in rooms.book.view().contracts


def test_provisioned_units_are_owed_in_months_without_a_request(rooms: Rooms) -> None:
    line = PtuLine(
        "toy", "", 10, BEGIN, BEGIN + 2 * 24 * US_PER_HOUR, "2.00", input_tokens_per_minute=1
    )
    _sign(rooms, "units", "fabrikam", ptu_lines=(line,))
    book = _recompute(rooms)
    shown = {row.month: (row.minor, row.requests) for row in book.revenue}
    # One hour of July, and the rest of two days in August.
    assert shown == {"2026-07": (10 * 1 * 200, 0), "2026-08": (10 * 47 * 200, 0)}


def _berlin(month: int, day: int = 1) -> int:
    return as_instant(datetime(2026, month, day, tzinfo=BERLIN))


class _OnTheDay(Rooms):
    """As if it were the 25th of September 2026."""

    def now(self) -> Instant:
        """Fixed."""
        return Instant(_berlin(9, 25))


@pytest.fixture
def september(rooms: Rooms) -> Rooms:
    return _OnTheDay(rooms.settings)


def _bound(rooms: Rooms, floor: Commitment) -> None:
    terms = {"time_zone": "Europe/Berlin", "valid_from": floor.start, "commitments": (floor,)}
    _sign(rooms, "bound", "fabrikam", **terms)


def _owed(book: live.LiveBook) -> list[tuple[str, str, int]]:
    return [(one.first, one.last, one.minor) for one in book.owed]


def test_months_are_charged_for_what_usage_lacks_of_a_floor(september: Rooms) -> None:
    floor = Commitment(50_000, _berlin(8), _berlin(11))
    _bound(september, floor)
    used = _used(1, "bound", "fabrikam", Counts(output=1_000), at=LATER)
    book = _recompute(september, used)
    shown = {row.month: (row.minor, row.used_minor, row.requests) for row in book.revenue}
    # Of the month that runs nothing is lacking yet.
    assert shown == {"2026-08": (50_000, 0, 0), "2026-09": (200, 200, 1)}
    assert [row.amount for row in book.revenue] == [500, 2]
    assert _owed(book) == [("2026-08", "2026-10", 150_000)]


def test_only_months_that_follow_each_other_are_owed_as_one(september: Rooms) -> None:
    """Two halves of a month were spread over the whole months between them."""
    _bound(september, Commitment(50_000, _berlin(6, 16), _berlin(11, 16)))
    book = _recompute(september)
    assert _owed(book) == [
        ("2026-06", "2026-06", 25_000),
        ("2026-07", "2026-10", 200_000),
        ("2026-11", "2026-11", 25_000),
    ]


def test_of_a_year_that_runs_only_what_is_left_is_owed(september: Rooms) -> None:
    ends = as_instant(datetime(2028, 8, 1, tzinfo=BERLIN))
    _bound(september, Commitment(120_000, _berlin(8), ends, "year"))
    used = _used(1, "bound", "fabrikam", Counts(output=100_000), at=_berlin(8, 2))
    book = _recompute(september, used)
    # The year is trued up with its last month: until then only what was used is on a bill.
    assert {row.month: row.minor for row in book.revenue} == {"2026-08": 20_000, "2026-09": 0}
    assert _owed(book) == [
        ("2026-08", "2026-08", 10_000),
        ("2026-09", "2027-07", 100_000),
        ("2027-08", "2028-07", 120_000),
    ]
