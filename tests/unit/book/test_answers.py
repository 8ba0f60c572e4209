"""Answers kept for a day, by token and key; a book of the first schema gets the table."""

import sqlite3
from pathlib import Path

from quartermaster.book.answers import ANSWERS_KEPT_S
from quartermaster.book.store import SCHEMA_VERSION, open_book
from quartermaster.kernel.clock import US_PER_S

DAY = ANSWERS_KEPT_S * US_PER_S


def test_an_answer_is_found_by_its_token_and_key_until_it_is_a_day_old(tmp_path: Path) -> None:
    book = open_book(f"sqlite:///{tmp_path / 'book.sqlite'}")
    with book.writing() as unit:
        unit.answers.begin("tok_a", "k1", "request", now=1)
        begun = unit.answers.find("tok_a", "k1", now=1)
        assert begun is not None
        assert (begun.status, begun.sealed) == (None, None)
        unit.answers.keep("tok_a", "k1", status=201, sealed=b"sealed")
    with book.reading() as unit:
        kept = unit.answers.find("tok_a", "k1", now=DAY)
        assert kept is not None
        assert (kept.request_sha256, kept.status, kept.sealed) == ("request", 201, b"sealed")
        assert unit.answers.find("tok_b", "k1", now=DAY) is None
        assert unit.answers.find("tok_a", "k2", now=DAY) is None
        assert unit.answers.find("tok_a", "k1", now=DAY + 2) is None


def test_old_answers_are_forgotten_when_a_new_one_is_taken(tmp_path: Path) -> None:
    book = open_book(f"sqlite:///{tmp_path / 'book.sqlite'}")
    with book.writing() as unit:
        unit.answers.begin("tok_a", "old", "request", now=0)
        unit.answers.begin("tok_a", "new", "request", now=DAY + 1)
        # Asked as of then: it is no longer there at all.
        assert unit.answers.find("tok_a", "old", now=0) is None


def test_a_book_of_the_first_schema_gets_the_table(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    open_book(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE answers")
        connection.execute("UPDATE meta SET value = '1' WHERE name = 'schema_version'")
    connection.close()
    book = open_book(f"sqlite:///{path}")
    with book.writing() as unit:
        unit.answers.begin("tok_a", "k", "request", now=1)
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'")
        assert found.fetchone() == (str(SCHEMA_VERSION),)
    connection.close()
