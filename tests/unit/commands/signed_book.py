"""The book that tests of commands begin with: one price list, and customers who signed for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quartermaster.book.store import Book, open_book
from quartermaster.commands import contract as contracts
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.contract import Contract, Customer
from quartermaster.kernel.price import Price, PriceBook


def prices(version: int = 1, valid_from: int = 0, amount: str = "0.15") -> PriceBook:
    """The list; the model `m` costs so much a million input tokens."""
    return PriceBook("list", version, "USD", valid_from, (Price("m", "input", amount),))


@contextmanager
def signed_book(
    folder: Path, now: Instant, signed: dict[str, str], *, zone: str = "UTC", **terms: Any
) -> Iterator[Book]:
    """An open book; `signed` names each customer's contract, and `terms` are of all of them."""
    book = open_book(f"sqlite:///{folder}/book.sqlite")
    price_books.publish(book, OPERATOR, prices(), now)
    for who, contract in signed.items():
        add_customer(book, OPERATOR, Customer(who, who.upper(), who), now)
        agreed = Contract(contract, 1, who, "list", "USD", zone, 0, **terms)
        contracts.sign(book, OPERATOR, agreed, now)
    yield book
    book.close()
