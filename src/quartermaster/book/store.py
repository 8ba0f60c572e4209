"""The book in a database: SQLite by default, one writer at a time, created where it is missing.

Only the composition root imports this module; commands receive the book as a port.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from quartermaster.book import tables
from quartermaster.book.chain import Entry, Head, Recorded
from quartermaster.book.journal import Acting
from quartermaster.book.unit import Unit, read_meta, write_meta
from quartermaster.book.views import View
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import ConfigError, IntegrityError, UnavailableError
from quartermaster.kernel.events import JournalFact

# A write takes milliseconds; ten seconds of waiting for the lock means a stuck process.
BUSY_TIMEOUT_MS = 10_000

# SQLite's extended error codes keep the primary one in the lowest byte.
_PRIMARY_CODE = 0xFF
_OPEN_HINT = "is the folder writable and the disk not full?"
_SCHEMA_VERSION = "schema_version"
_WRITES = "quartermaster_writes"


class Book:
    """Facts, postings and users behind one database URL. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._readers = engine
        self._writers = engine.execution_options(**{_WRITES: True})
        self._known = View()
        self._known_lock = threading.Lock()

    @contextmanager
    def writing(self) -> Iterator[Unit]:
        """A transaction that holds the write lock; committed at the end, undone on an error.

        Raises:
            UnavailableError: another process held the lock for `BUSY_TIMEOUT_MS`.
        """
        with _refusals(), self._writers.begin() as connection:
            yield Unit(connection, self._known)

    @contextmanager
    def reading(self) -> Iterator[Unit]:
        """A consistent reading transaction."""
        with _refusals(), self._readers.begin() as connection:
            yield Unit(connection, self._known)

    def append(
        self, fact: JournalFact, *, actor: Acting, now: Instant, key: str | None = None
    ) -> Entry:
        """Write one fact in its own transaction; see `Journal.append`."""
        with self.writing() as unit:
            return unit.journal.append(fact, actor=actor, now=now, key=key)

    def facts(self, after: int = 0) -> list[Recorded]:
        """Facts with a higher `seq`, oldest first."""
        with self.reading() as unit:
            return unit.journal.facts(after)

    def keyed(self, prefix: str) -> list[Recorded]:
        """Facts whose key begins so; see `Journal.keyed`."""
        with self.reading() as unit:
            return unit.journal.keyed(prefix)

    def view(self) -> View:
        """What the journal says now; only new facts are read and folded."""
        with self.reading() as unit:
            view = unit.view()
        with self._known_lock:
            # Only committed facts reach the cache, and it never goes back.
            if view.seq > self._known.seq:
                self._known = view
        return view

    def entries(self, after: int = 0) -> list[Entry]:
        """Journal entries as stored, for an export."""
        with self.reading() as unit:
            return list(unit.journal.entries(after))

    def verify(self, *, expected: Head | None = None) -> Head:
        """Check journal and ledger; see `Unit.verify`."""
        with self.reading() as unit:
            return unit.verify(expected=expected)

    def close(self) -> None:
        """Give the connections back."""
        self._readers.dispose()


def open_book(url: str) -> Book:
    """The book at a database URL, created or upgraded where needed.

    Args:
        url: such as `sqlite:///var/book.sqlite`.

    Raises:
        ConfigError: not a database URL, not a book, or a book of a newer version.
        IntegrityError: the file is damaged.
        UnavailableError: a database this installation has no driver for.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            f"{url!r} is not a database URL", hint="use sqlite:///var/book.sqlite"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        raise UnavailableError(
            f"the book cannot be kept in {parsed.get_backend_name()} yet",
            hint="use SQLite, such as sqlite:///var/book.sqlite",
        )
    engine = _sqlite(parsed)
    try:
        with engine.execution_options(**{_WRITES: True}).begin() as connection:
            _upgrade(connection)
    except OperationalError as error:
        raise UnavailableError(
            f"the book at {parsed.database} cannot be opened: {error.orig}",
            hint=_OPEN_HINT,
        ) from error
    except DatabaseError as error:
        if _is_damage(error):
            raise _damaged(error) from error
        raise ConfigError(f"{parsed.database} is not a book: {error.orig}") from error
    return Book(engine)


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigError("the book needs a file", hint="use sqlite:///var/book.sqlite")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # It holds password hashes; SQLite gives its side files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise UnavailableError(
            f"the book at {path} cannot be opened: {error.strerror}", hint=_OPEN_HINT
        ) from error
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401  (a DBAPI connection)
    # The driver opens transactions lazily and without the write lock; we open them ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # In WAL mode the weaker setting may lose the newest commits with the power.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    # Taking the write lock first means that what a command checked is still true when it writes.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise UnavailableError(
            f"the book did not answer: {error.orig}",
            hint="another process may hold its lock, or the disk may be full; try again",
        ) from error
    except DatabaseError as error:
        if not _is_damage(error):
            raise
        raise _damaged(error) from error


def _is_damage(error: DatabaseError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return bool(code & _PRIMARY_CODE == sqlite3.SQLITE_CORRUPT)


def _damaged(error: DatabaseError) -> IntegrityError:
    return IntegrityError(f"the book is damaged: {error.orig}", hint="restore it from a backup")


def _create_first(connection: Connection) -> None:
    tables.metadata.create_all(connection)
    for trigger in tables.SQLITE_TRIGGERS:
        connection.execute(text(trigger))


def _add_answers(connection: Connection) -> None:
    tables.answers.create(connection, checkfirst=True)


def _add_files_and_batches(connection: Connection) -> None:
    for table in (tables.files, tables.batches, tables.batch_lines):
        table.create(connection, checkfirst=True)


def _tie_links_to_customers(connection: Connection) -> None:
    if all(column["name"] != "customer" for column in inspect(connection).get_columns("links")):
        connection.execute(text("ALTER TABLE links ADD COLUMN customer TEXT NOT NULL DEFAULT ''"))


def _add_uploads(connection: Connection) -> None:
    tables.uploads.create(connection, checkfirst=True)


_STEPS: tuple[Callable[[Connection], None], ...] = (
    _create_first,
    _add_answers,
    _add_files_and_batches,
    _tie_links_to_customers,
    _add_uploads,
)
"""Step n makes a book of version n out of one of version n - 1."""

SCHEMA_VERSION = len(_STEPS)


def _upgrade(connection: Connection) -> None:
    known = inspect(connection).has_table("meta")
    version = int(read_meta(connection, _SCHEMA_VERSION) or 0) if known else 0
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"the book has schema {version}, this program knows {SCHEMA_VERSION}",
            hint="install the version of Quartermaster that wrote it, or a newer one",
        )
    for step in _STEPS[version:]:
        step(connection)
    if version < SCHEMA_VERSION:
        write_meta(connection, _SCHEMA_VERSION, str(SCHEMA_VERSION))
