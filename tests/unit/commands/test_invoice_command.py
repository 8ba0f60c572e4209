"""Drafting through the real book: recorded once, accrued by the difference."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quartermaster.billing.document import as_json
from quartermaster.billing.invoice import Invoice
from quartermaster.book.postings import PostingSet, transfer
from quartermaster.book.store import Book, open_book
from quartermaster.commands import contract as contracts
from quartermaster.commands import invoice as invoices
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import CLERK, OPERATOR, Actor
from quartermaster.commands.customer import add_customer
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.errors import (
    ConflictError,
    IntegrityError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.events import Cut, HourlyUsage
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts

NOVEMBER = month(2026, 11, "Europe/Berlin")
NOW = Instant(NOVEMBER.start + 500 * US_PER_HOUR)
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


def draft(
    book: Book, cut: Cut, *hourly: HourlyUsage, actor: Actor = CLERK, **changes: Any
) -> Invoice:
    arguments: dict[str, Any] = {"contract": "acme-1", "period": "2026-11", **changes}
    return invoices.draft(book, actor, cut=cut, hourly=hourly, now=NOW, **arguments)


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
