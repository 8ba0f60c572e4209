"""Drafting through the real book: recorded once, accrued by the difference."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quartermaster.billing.document import as_json, as_text
from quartermaster.billing.invoice import Invoice
from quartermaster.book.postings import PostingSet, transfer
from quartermaster.book.store import Book, open_book
from quartermaster.commands import contract as contracts
from quartermaster.commands import invoice as invoices
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import CLERK, OPERATOR, Actor
from quartermaster.commands.customer import add_customer
from quartermaster.kernel.case import Credit, CreditUsed, MoveAsked, Moved
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month
from quartermaster.kernel.contract import Commitment, Contract, Customer
from quartermaster.kernel.errors import (
    ConflictError,
    IntegrityError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.events import CaseStepped, Cut, HourlyUsage
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts

NOVEMBER = month(2026, 11, "Europe/Berlin")
NOW = Instant(NOVEMBER.start + 500 * US_PER_HOUR)
OVER = Instant(month(2027, 1, "Europe/Berlin").start)
"""November and December are over by then."""
CONTRACT = Contract("acme-1", 1, "acme", "list", "USD", "Europe/Berlin", NOVEMBER.start)
LIST = PriceBook("list", 1, "USD", 0, (Price("m", "input", "0.15"),))
RECEIVABLE = ("accrued_receivable:acme", "USD")
REVENUE = ("revenue:acme", "USD")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    add_customer(book, OPERATOR, Customer("acme", "ACME", "acme"), NOW)
    price_books.publish(book, OPERATOR, LIST, NOW)
    contracts.sign(book, OPERATOR, CONTRACT, NOW)
    yield book
    book.close()


def usage(tokens: int, *, hour: int = 0, **counts: int) -> HourlyUsage:
    return HourlyUsage(
        customer="acme",
        contract="acme-1",
        contract_version=1,
        price_book="list",
        project="default",
        key_id="k",
        model="m",
        deployment="d",
        service_class="standard",
        hour=NOVEMBER.start + hour * US_PER_HOUR,
        requests=1,
        counts=Counts(input=tokens, **counts),
    )


def read_of(cut: Cut, hourly: Sequence[HourlyUsage]) -> invoices.ReadUsage:
    return lambda _, span: invoices.UsageAtCut(cut, span, hourly)


def draft(
    book: Book, cut: Cut, *hourly: HourlyUsage, actor: Actor = CLERK, **changes: Any
) -> Invoice:
    arguments: dict[str, Any] = {
        "contract": "acme-1",
        "period": "2026-11",
        "now": OVER,
        **changes,
    }
    return invoices.draft(book, actor, read=read_of(cut, hourly), **arguments)


def balances(book: Book) -> dict[tuple[str, str], int]:
    with book.reading() as unit:
        return unit.ledger.balances()


def test_a_draft_is_recorded_and_accrued_once_per_cut(book: Book) -> None:
    written = len(book.facts())
    first = draft(book, {"gw-0": 1}, usage(13_700_000))
    again = draft(book, {"gw-0": 1}, usage(13_700_000))
    assert as_json(first) == as_json(again)
    assert len(book.facts()) == written + 1
    assert balances(book) == {RECEIVABLE: 206, REVENUE: -206}
    recorded = book.view().drafts["acme-1", "2026-11"]
    assert (recorded.invoice, recorded.total_minor) == (first.id, 206)
    assert book.verify().seq == written + 1


def test_late_usage_changes_the_draft_and_books_only_the_difference(book: Book) -> None:
    draft(book, {"gw-0": 1}, usage(13_700_000))
    later = draft(book, {"gw-0": 2}, usage(13_700_000), usage(1_000_000, hour=3))
    assert later.total_minor == 221
    assert balances(book) == {RECEIVABLE: 221, REVENUE: -221}
    with book.reading() as unit:
        assert unit.ledger.verify() == 2


def test_an_older_cut_cannot_undo_a_newer_one(book: Book) -> None:
    draft(book, {"gw-0": 2, "gw-1": 5}, usage(13_700_000))
    with pytest.raises(ConflictError, match="newer cut"):
        draft(book, {"gw-0": 3}, usage(1_000_000))
    assert balances(book) == {RECEIVABLE: 206, REVENUE: -206}


def test_a_cut_that_adds_nothing_to_this_contract_writes_nothing(book: Book) -> None:
    draft(book, {"gw-0": 1}, usage(13_700_000))
    written = len(book.facts())
    draft(book, {"gw-0": 9}, usage(13_700_000))
    assert len(book.facts()) == written


def test_usage_that_waited_is_billed_when_its_price_arrives(book: Book) -> None:
    waiting = draft(book, {"gw-0": 1}, usage(1_000_000, output=1_000_000))
    assert (waiting.total_minor, len(waiting.unpriced)) == (15, 1)
    second = PriceBook(
        "list",
        2,
        "USD",
        NOVEMBER.start,
        (Price("m", "input", "0.15"), Price("m", "output", "0.60")),
    )
    price_books.publish(book, OPERATOR, second, NOW)
    priced = draft(book, {"gw-0": 1}, usage(1_000_000, output=1_000_000))
    assert (priced.total_minor, priced.unpriced) == (75, ())
    assert balances(book) == {RECEIVABLE: 75, REVENUE: -75}


def test_other_months_and_contracts_in_the_rows_are_left_out(book: Book) -> None:
    invoice = draft(
        book, {"gw-0": 1}, usage(10**6), usage(10**6, hour=-1), usage(10**6, hour=NOVEMBER.hours)
    )
    assert invoice.total_minor == 15
    assert invoice.unpriced == ()


def test_an_empty_month_is_a_draft_of_nothing_and_posts_nothing(book: Book) -> None:
    assert draft(book, {}).total_minor == 0
    assert balances(book) == {}
    assert book.view().drafts["acme-1", "2026-11"].total_minor == 0


def test_who_may_and_what_exists(book: Book) -> None:
    with pytest.raises(NotAllowedError):
        draft(book, {}, actor=Actor("u", ("viewer", "trust")))
    with pytest.raises(NotFoundError, match="no contract"):
        draft(book, {}, contract="x")
    with pytest.raises(NotFoundError, match="begins after"):
        draft(book, {}, period="2026-10")
    with pytest.raises(UsageError, match="not a month"):
        draft(book, {}, period="November")


def test_a_ledger_that_disagrees_with_the_journal_is_found(book: Book) -> None:
    draft(book, {"gw-0": 1}, usage(13_700_000))
    draft(book, {"gw-0": 2}, usage(13_700_000), usage(1_000_000))
    book.verify()
    forged = transfer("accrued_receivable:acme", "revenue:acme", 5, "USD")
    with book.writing() as unit:
        unit.ledger.post(PostingSet("forged", "acme-1", "2026-11", forged), seq=1, now=NOW)
    with pytest.raises(IntegrityError, match="226 minor units are accrued"):
        book.verify()


FLOOR = Commitment(1_000, NOVEMBER.start, month(2027, 1, "Europe/Berlin").end, "month")
DECEMBER = month(2026, 12, "Europe/Berlin")


def bound(book: Book, *floors: Commitment) -> None:
    terms = {"valid_from": NOVEMBER.start + US_PER_HOUR, "version": 2, "commitments": floors}
    contracts.sign(book, OPERATOR, msgspec.structs.replace(CONTRACT, **terms), NOW)


def granted(book: Book, minor: int, *, contract: str = "acme-1", period: str = "2026-11") -> None:
    """A case reinstates, and posts what it credits."""
    credit = Credit(
        customer="acme",
        contract=contract,
        period=period,
        minor=minor,
        currency="USD",
        held_back_us=1,
        revenue_a_day_minor=1,
        percent=25,
    )
    asked = MoveAsked(move="reinstate", reason="nothing was found")
    fact = CaseStepped(case="case_1", number=1, event=Moved(asked=asked, credits=(credit,)))
    with book.writing() as unit:
        seq = unit.journal.append(fact, actor=OPERATOR, now=NOW).seq
        posts = transfer("service_credit:acme", "credit_balance:acme", minor, "USD")
        unit.ledger.post(PostingSet("credit:1", contract, period, posts), seq=seq, now=NOW)


def test_a_floor_is_accrued_and_a_draft_of_it_shrinks_as_usage_comes(book: Book) -> None:
    later = msgspec.structs.replace(FLOOR, start=DECEMBER.start)
    bound(book, later)
    empty = draft(book, {"gw-0": 1}, period="2026-12")
    assert (empty.earned_minor, [line.minor for line in empty.shortfalls]) == (1_000, [1_000])
    used = usage(20_000_000, hour=NOVEMBER.hours)
    drawn = draft(book, {"gw-0": 2}, used, period="2026-12")
    assert [line.minor for line in drawn.shortfalls] == [700]
    enough = usage(90_000_000, hour=NOVEMBER.hours)
    over = draft(book, {"gw-0": 3}, enough, period="2026-12")
    assert (over.shortfalls, over.total_minor) == ((), 1_350)
    assert balances(book) == {RECEIVABLE: 1_350, REVENUE: -1_350}


def test_a_running_month_holds_what_has_accrued_and_tells_what_is_still_to_come(
    book: Book,
) -> None:
    bound(book, msgspec.structs.replace(FLOOR, start=NOVEMBER.start + US_PER_HOUR))
    used = usage(20_000_000, hour=2)
    with pytest.raises(UsageError, match="2026-12 has not begun in Europe/Berlin"):
        draft(book, {"gw-0": 1}, used, period="2026-12", now=NOW)
    running = draft(book, {"gw-0": 1}, used, now=Instant(NOW + 7))
    assert (running.total_minor, running.shortfalls, running.accrued_until) == (300, (), NOW)
    (lacks,) = running.ahead
    assert (lacks.number, lacks.minor, lacks.end) == (0, 699, NOVEMBER.end)
    text = as_text(running)
    assert "Accrued   until 2026-11-21 20:00; the month is not over" in text
    assert "Not in the total: 6.99 USD are lacking so far of at least" in text
    assert balances(book) == {RECEIVABLE: 300, REVENUE: -300}
    over = draft(book, {"gw-0": 1}, used)
    assert (over.total_minor, over.ahead, over.accrued_until) == (999, (), None)
    assert balances(book) == {RECEIVABLE: 999, REVENUE: -999}


def test_late_usage_of_an_earlier_month_brings_the_true_up_of_its_term_up_to_date(
    book: Book,
) -> None:
    begins = NOVEMBER.start + US_PER_HOUR
    bound(book, Commitment(1_000, begins, DECEMBER.end, "term"))
    draft(book, {"gw-0": 1})
    draft(book, {"gw-0": 1}, period="2026-12")
    assert book.view().drafts["acme-1", "2026-12"].total_minor == 1_000
    late = usage(20_000_000, hour=3)
    agreed = book.view().contracts["acme-1"][-1]
    span = invoices.usage_span(book.view(), agreed, NOVEMBER)
    assert (span.start, span.end) == (NOVEMBER.start, DECEMBER.end)
    assert invoices.usage_span(book.view(), agreed, DECEMBER).start == begins
    draft(book, {"gw-0": 2}, late)
    drafts = book.view().drafts
    assert [drafts["acme-1", label].total_minor for label in ("2026-11", "2026-12")] == [300, 700]
    assert balances(book) == {RECEIVABLE: 1_000, REVENUE: -1_000}


def test_a_credit_is_redeemed_and_what_is_left_of_it_goes_to_the_next_invoice(book: Book) -> None:
    granted(book, 500)
    used = [usage(20_000_000), usage(30_000_000, hour=NOVEMBER.hours)]
    first = draft(book, {"gw-0": 1}, *used)
    assert (first.earned_minor, first.total_minor) == (300, 0)
    assert [(line.case, line.minor, line.left_minor) for line in first.credits] == [
        ("case_1", -300, 200)
    ]
    second = draft(book, {"gw-0": 1}, *used, period="2026-12")
    assert (second.earned_minor, second.total_minor) == (450, 250)
    left = ("credit_balance:acme", "USD")
    assert balances(book) == {
        RECEIVABLE: 250,
        REVENUE: -750,
        left: 0,
        ("service_credit:acme", "USD"): 500,
    }
    # Late usage takes more of the credit, and the recorded draft after it gets less.
    draft(book, {"gw-0": 2}, *used, usage(10_000_000, hour=2))
    drafts = book.view().drafts
    assert [drafts["acme-1", label].total_minor for label in ("2026-11", "2026-12")] == [0, 400]
    assert drafts["acme-1", "2026-11"].credits == (CreditUsed("case_1", 450),)
    assert (balances(book)[left], balances(book)[RECEIVABLE]) == (0, 400)
    with book.reading() as unit:
        assert unit.ledger.verify() == 5


def test_a_month_without_a_draft_between_two_trues_up_the_whole_of_its_year(book: Book) -> None:
    """What December redeems hangs on November's year, which began before the first credit."""
    start = month(2025, 12, "Europe/Berlin").start
    year = Commitment(1_000, start, NOVEMBER.end, "year")
    signed = {"id": "acme-2", "valid_from": start, "commitments": (year,)}
    contracts.sign(book, OPERATOR, msgspec.structs.replace(CONTRACT, **signed), NOW)
    granted(book, 500, contract="acme-2", period="2026-10")
    hours = (start, NOVEMBER.end)
    rows = [
        msgspec.structs.replace(usage(60_000_000), contract="acme-2", hour=hour) for hour in hours
    ]

    def drafted(period: str) -> Invoice:
        agreed, of_month = invoices.contract_of(book.view(), "acme-2", period)
        span = invoices.usage_span(book.view(), agreed, of_month)
        read = [row for row in rows if row.hour in span]
        return draft(book, {"gw-0": 1}, *read, contract="acme-2", period=period)

    first = drafted("2026-12")
    assert [line.minor for line in first.credits] == [-400]
    drafted("2026-10")
    assert book.view().drafts["acme-2", "2026-12"].total_minor == first.total_minor == 500
