"""The book in SQLite: creation, the lock, the chain under competition."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from quartermaster.book.chain import Head
from quartermaster.book.store import SCHEMA_VERSION, Book, open_book
from quartermaster.commands.actor import CLERK
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.contract import Group
from quartermaster.kernel.errors import (
    ConfigError,
    ConflictError,
    IntegrityError,
    UnavailableError,
)
from quartermaster.kernel.events import GroupAdded, SegmentShipped

NOW = Instant(1_000_000)


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/book.sqlite"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(url(tmp_path))
    yield book
    book.close()


def group(name: str) -> GroupAdded:
    return GroupAdded(group=Group(name, name))


def shipped(segment: int, app_id: str = "gw-0") -> SegmentShipped:
    return SegmentShipped(app_id=app_id, segment=segment, rows=3, sha256="ab")


def test_facts_come_back_in_order_with_who_and_when(book: Book) -> None:
    book.append(group("a"), actor=CLERK, now=NOW)
    book.append(group("b"), actor=CLERK, now=Instant(NOW + 1))
    assert [(f.seq, f.at, f.actor, f.fact) for f in book.facts()] == [
        (1, NOW, "clerk", group("a")),
        (2, NOW + 1, "clerk", group("b")),
    ]
    assert [f.seq for f in book.facts(after=1)] == [2]


def test_the_same_key_writes_once_and_refuses_another_fact(book: Book) -> None:
    first = book.append(group("a"), actor=CLERK, now=NOW, key="group:a")
    assert book.append(group("a"), actor=CLERK, now=Instant(NOW + 9), key="group:a") == first
    with pytest.raises(ConflictError, match="entry 1"):
        book.append(group("b"), actor=CLERK, now=NOW, key="group:a")
    assert len(book.facts()) == 1


def test_an_error_in_a_transaction_undoes_all_of_it(book: Book) -> None:
    def write_and_fail() -> None:
        with book.writing() as unit:
            unit.journal.append(group("a"), actor=CLERK, now=NOW)
            assert list(unit.view().groups) == ["a"]
            raise ConflictError("no")

    with pytest.raises(ConflictError):
        write_and_fail()
    assert book.facts() == []
    assert book.view().groups == {}
    book.append(group("b"), actor=CLERK, now=NOW)
    assert list(book.view().groups) == ["b"]


def test_the_view_follows_other_processes(book: Book, tmp_path: Path) -> None:
    assert book.view().groups == {}
    other = open_book(url(tmp_path))
    other.append(group("a"), actor=CLERK, now=NOW)
    other.close()
    assert list(book.view().groups) == ["a"]


def test_a_second_opening_keeps_what_is_there(tmp_path: Path) -> None:
    for name in ("a", "b"):
        book = open_book(url(tmp_path))
        book.append(group(name), actor=CLERK, now=NOW)
        book.close()
    assert list(open_book(url(tmp_path)).view().groups) == ["a", "b"]


def test_only_the_owner_can_read_the_file(book: Book, tmp_path: Path) -> None:
    book.append(group("a"), actor=CLERK, now=NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["book.sqlite"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_power_cut_cannot_take_an_acknowledged_fact(book: Book) -> None:
    with book.reading() as unit:
        pragma = unit.journal._connection.exec_driver_sql
        assert pragma("PRAGMA journal_mode").scalar() == "wal"
        assert pragma("PRAGMA synchronous").scalar() == 2  # FULL
        assert pragma("PRAGMA foreign_keys").scalar() == 1


def test_a_newer_book_is_refused(book: Book, tmp_path: Path) -> None:
    book.close()
    with sqlite3.connect(tmp_path / "book.sqlite") as connection:
        connection.execute(
            "UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(SCHEMA_VERSION + 1),)
        )
    connection.close()
    with pytest.raises(ConfigError, match=f"schema {SCHEMA_VERSION + 1}"):
        open_book(url(tmp_path))


def test_what_is_not_a_book_is_refused(tmp_path: Path) -> None:
    (tmp_path / "book.sqlite").write_bytes(b"something else entirely" * 100)
    with pytest.raises(ConfigError, match="not a book"):
        open_book(url(tmp_path))
    with pytest.raises(UnavailableError, match="postgresql"):
        open_book("postgresql://localhost/book")
    with pytest.raises(ConfigError, match="not a database URL"):
        open_book("book.sqlite")
    with pytest.raises(ConfigError, match="needs a file"):
        open_book("sqlite://")


def test_the_database_itself_keeps_the_journal(book: Book, tmp_path: Path) -> None:
    book.append(group("a"), actor=CLERK, now=NOW)
    connection = sqlite3.connect(tmp_path / "book.sqlite")
    for statement in ("UPDATE journal SET actor = 'eve'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_a_tampered_file_is_found_and_the_entry_named(book: Book, tmp_path: Path) -> None:
    for name in "abc":
        book.append(group(name), actor=CLERK, now=NOW)
    noted = book.verify()
    connection = sqlite3.connect(tmp_path / "book.sqlite")
    connection.execute("DROP TRIGGER journal_keeps")
    connection.execute("UPDATE journal SET at = at + 1 WHERE seq = 2")
    connection.commit()
    with pytest.raises(IntegrityError, match="entry 2 was changed"):
        book.verify()
    connection.execute("UPDATE journal SET at = at - 1 WHERE seq = 2")
    connection.execute("DROP TRIGGER journal_stays")
    connection.execute("DELETE FROM journal WHERE seq = 3")
    connection.commit()
    connection.close()
    assert book.verify() == Head(2, book.entries()[-1].sha256)
    with pytest.raises(IntegrityError, match="no longer holds entry 3"):
        book.verify(expected=noted)


def append_many(database_url: str, writer: int, count: int) -> None:
    book = open_book(database_url)
    for number in range(count):
        book.append(shipped(number, f"gw-{writer}"), actor=CLERK, now=Instant(number))
    book.close()


def test_competing_processes_do_not_fork_the_chain(tmp_path: Path) -> None:
    # Nobody has created the book yet: the processes also race for that.
    context = get_context("spawn")
    writers = [
        context.Process(target=append_many, args=(url(tmp_path), writer, 20)) for writer in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    book = open_book(url(tmp_path))
    assert book.verify().seq == 60
    assert book.view().shipped == {"gw-0": 19, "gw-1": 19, "gw-2": 19}
    assert book.view().shipped_rows == {"gw-0": 60, "gw-1": 60, "gw-2": 60}
    book.close()


def test_competing_threads_share_one_book(book: Book) -> None:
    barrier = threading.Barrier(4)

    def work(writer: int) -> None:
        barrier.wait()
        for number in range(15):
            book.append(shipped(number, f"gw-{writer}"), actor=CLERK, now=NOW)
            book.view()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert book.verify().seq == book.view().seq == 60


def test_competing_writers_of_one_key_agree_on_one_entry(book: Book) -> None:
    with ThreadPoolExecutor(4) as pool:
        entries = pool.map(
            lambda n: book.append(group("a"), actor=CLERK, now=Instant(n), key="group:a"),
            range(20),
        )
    assert len({entry.sha256 for entry in entries}) == 1
    assert len(book.facts()) == 1


def test_snapshot_versions_grow_across_openings(book: Book, tmp_path: Path) -> None:
    other = open_book(url(tmp_path))
    versions = []
    for which in (book, other, book):
        with which.writing() as unit:
            versions.append(unit.next_snapshot_version())
    other.close()
    assert versions == [1, 2, 3]


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    book = open_book(f"sqlite:///{path}")
    for number in range(200):
        group = Group(f"group-{number}", "x" * 200)
        book.append(GroupAdded(group=group), actor=CLERK, now=Instant(number))
    book.close()
    with path.open("r+b") as file:
        file.seek(8_192)
        file.write(b"\xff" * (path.stat().st_size - 8_192))
    with pytest.raises(IntegrityError, match="the book is damaged") as caught:
        open_book(f"sqlite:///{path}").verify()
    assert "backup" in caught.value.hint


def test_a_folder_in_the_place_of_the_book_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be opened: Is a directory"):
        open_book(f"sqlite:///{tmp_path}")
