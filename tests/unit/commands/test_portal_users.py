"""A customer's own users: tied to one account by their link, and to nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from quartermaster.book.store import Book, open_book
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.customer import add_customer
from quartermaster.commands.identity import Identity
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Customer
from quartermaster.kernel.errors import NotFoundError, UsageError

NOW = Instant(20_000 * 24 * US_PER_HOUR)
PASSWORD = "a long enough password"
BEFORE_LINKS_KNEW = "3"
"""The last version of the book whose links were tied to no customer."""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    add_customer(book, OPERATOR, Customer("acme", "ACME", "acme"), NOW)
    yield book
    book.close()


def test_a_link_ties_its_user_to_one_customer(book: Book) -> None:
    identity = Identity(book)
    link = identity.issue_link(("customer",), NOW, customer="acme")
    token = identity.redeem_link(link, "Buyer", PASSWORD, NOW)
    signed_in = identity.session(token, NOW)
    assert signed_in is not None
    assert (signed_in.roles, signed_in.customer) == (("customer",), "acme")
    admin = identity.redeem_link(identity.issue_link(("admin",), NOW), "Ada", PASSWORD, NOW)
    own = identity.session(admin, NOW)
    assert own is not None
    assert own.customer == ""


def test_a_customers_user_needs_a_customer_and_gets_no_other_role(book: Book) -> None:
    identity = Identity(book)
    for roles, customer in ((("customer",), ""), (("admin",), "acme"),
                            (("customer", "admin"), "acme")):  # fmt: skip
        with pytest.raises(UsageError, match="one customer"):
            identity.issue_link(roles, NOW, customer=customer)
    with pytest.raises(NotFoundError):
        identity.issue_link(("customer",), NOW, customer="nobody")


def test_a_book_from_before_learns_whose_links_are(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/book.sqlite"
    open_book(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE links DROP COLUMN customer"))
        connection.execute(
            text("UPDATE meta SET value = :v WHERE name = 'schema_version'"),
            {"v": BEFORE_LINKS_KNEW},
        )
    engine.dispose()
    book = open_book(url)
    add_customer(book, OPERATOR, Customer("acme", "ACME", "acme"), NOW)
    assert Identity(book).issue_link(("customer",), NOW, customer="acme")
    book.close()
