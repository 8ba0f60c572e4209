"""Double entry through the real database."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartermaster.book.postings import (
    Posting,
    PostingSet,
    accrued_receivable,
    revenue,
    transfer,
)
from quartermaster.book.store import Book, open_book
from quartermaster.commands.actor import CLERK
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.contract import Group
from quartermaster.kernel.errors import ConflictError, IntegrityError
from quartermaster.kernel.events import GroupAdded

NOW = Instant(1_000_000)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    book.append(GroupAdded(group=Group("acme", "ACME")), actor=CLERK, now=NOW)
    yield book
    book.close()


def accrual(
    key: str, minor: int, *, sample: bool = False, currency: str = "USD", customer: str = "acme"
) -> PostingSet:
    postings = transfer(accrued_receivable(customer), revenue(customer), minor, currency)
    return PostingSet(key, f"{customer}-1", "2026-11", postings, sample=sample)


def post(book: Book, posting_set: PostingSet) -> bool:
    with book.writing() as unit:
        return unit.ledger.post(posting_set, seq=1, now=NOW)


def balances(book: Book, *, sample: bool = False) -> dict[tuple[str, str], int]:
    with book.reading() as unit:
        return unit.ledger.balances(sample=sample)


def test_an_accrual_debits_the_customer_and_credits_revenue(book: Book) -> None:
    assert post(book, accrual("a", 206))
    assert post(book, accrual("b", -6))
    assert balances(book) == {
        ("accrued_receivable:acme", "USD"): 200,
        ("revenue:acme", "USD"): -200,
    }
    with book.reading() as unit:
        assert unit.ledger.booked("acme-1", "2026-11", "accrued_receivable:acme") == 200
        assert unit.ledger.booked("acme-1", "2026-12", "accrued_receivable:acme") == 0
        assert unit.ledger.verify() == 2


def test_the_same_set_is_booked_once_and_another_one_is_refused(book: Book) -> None:
    assert post(book, accrual("a", 206))
    assert not post(book, accrual("a", 206))
    with pytest.raises(ConflictError, match="other amounts"):
        post(book, accrual("a", 207))
    assert balances(book)["accrued_receivable:acme", "USD"] == 206


def test_sample_books_and_currencies_stay_apart(book: Book) -> None:
    post(book, accrual("real", 100))
    post(book, accrual("sample", 999, sample=True))
    post(book, accrual("yen", 7, currency="JPY"))
    assert balances(book) == {
        ("accrued_receivable:acme", "JPY"): 7,
        ("accrued_receivable:acme", "USD"): 100,
        ("revenue:acme", "JPY"): -7,
        ("revenue:acme", "USD"): -100,
    }
    assert balances(book, sample=True)["revenue:acme", "USD"] == -999


@pytest.mark.parametrize(
    "postings",
    [
        (),
        (Posting("a", 1, "USD"),),
        (Posting("a", 1, "USD"), Posting("b", -1, "EUR")),
        (Posting("a", 2, "USD"), Posting("b", -1, "USD")),
    ],
)
def test_what_does_not_balance_is_refused(book: Book, postings: tuple[Posting, ...]) -> None:
    with pytest.raises(IntegrityError):
        post(book, PostingSet("x", "acme-1", "2026-11", postings))
    assert balances(book) == {}


def test_moving_nothing_makes_no_postings() -> None:
    assert transfer("a", "b", 0, "USD") == ()


def test_the_database_itself_refuses_an_unbalanced_or_changed_set(
    book: Book, tmp_path: Path
) -> None:
    post(book, accrual("a", 206))
    connection = sqlite3.connect(tmp_path / "book.sqlite")
    connection.execute(
        "INSERT INTO posting_sets (id, key, at, seq, contract, period, sample, sealed)"
        " VALUES (9, 'x', 1, 1, 'c', 'p', 0, 0)"
    )
    connection.execute("INSERT INTO postings VALUES (9, 1, 'a', 5, 'USD')")
    refused = {
        "UPDATE posting_sets SET sealed = 1 WHERE id = 9": "sum to zero",
        "INSERT INTO postings VALUES (9, 2, 'b', -4.5, 'USD')": "an integer of minor units",
        "INSERT INTO postings VALUES (1, 3, 'a', 5, 'USD')": "takes no more",
        "UPDATE posting_sets SET period = 'q' WHERE id = 1": "does not change",
        "UPDATE postings SET minor = 1": "append-only",
        "DELETE FROM postings": "append-only",
    }
    for statement, reason in refused.items():
        with pytest.raises(sqlite3.IntegrityError, match=reason):
            connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(IntegrityError, match="never sealed"):
        book.verify()
