"""The journal in the database: append one fact, read facts, check the chain."""

from collections.abc import Iterator
from typing import Any, Protocol

from sqlalchemy import Connection, Row, insert, select

from quartermaster.book import chain, tables
from quartermaster.book.chain import Entry, Head, Recorded
from quartermaster.kernel.errors import ConflictError
from quartermaster.kernel.events import JournalFact

# Entries read at a time while the chain is checked; bounds memory, not the journal.
VERIFY_BATCH_ENTRIES = 5_000
# Behind every key with the same beginning, in the order of bytes that SQLite compares text by.
_LAST_CHARACTER = "\U0010ffff"


class Acting(Protocol):
    """Who writes: anything with a stable id."""

    @property
    def id(self) -> str:
        """A user id, or the name of a process such as `clerk`."""


class Journal:
    """The hash-chained facts, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(
        self, fact: JournalFact, *, actor: Acting, now: int, key: str | None = None
    ) -> Entry:
        """Write one fact behind the newest one.

        Call it inside a writing transaction: that lock is what keeps the chain from forking.

        Args:
            fact: what happened.
            actor: who did it.
            now: microseconds UTC.
            key: names the intent. The same key with the same fact writes nothing and returns the
                entry that is there.

        Raises:
            ConflictError: the key is taken by another fact.
        """
        payload = chain.encode_fact(fact)
        if key is not None:
            written = self._by_key(key)
            if written is not None:
                if written.fact == payload:
                    return written
                raise ConflictError(
                    f"{key!r} is already journal entry {written.seq} with other content",
                    hint="use a new id, or repeat the first request unchanged",
                )
        head = self.head()
        entry = chain.seal(
            seq=head.seq + 1, at=now, actor=actor.id, key=key, fact=payload, prev=head.sha256
        )
        self._connection.execute(
            insert(tables.journal).values(
                seq=entry.seq,
                at=entry.at,
                actor=entry.actor,
                key=entry.key,
                fact=entry.fact,
                prev=entry.prev,
                sha256=entry.sha256,
            )
        )
        return entry

    def head(self) -> Head:
        """The newest entry."""
        newest = select(tables.journal.c.seq, tables.journal.c.sha256)
        row = self._connection.execute(
            newest.order_by(tables.journal.c.seq.desc()).limit(1)
        ).first()
        return Head() if row is None else Head(row.seq, row.sha256)

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Entries with a higher `seq`, oldest first."""
        while True:
            rows = self._connection.execute(
                select(tables.journal)
                .where(tables.journal.c.seq > after)
                .order_by(tables.journal.c.seq)
                .limit(VERIFY_BATCH_ENTRIES)
            ).all()
            for row in rows:
                yield _entry(row)
            if len(rows) < VERIFY_BATCH_ENTRIES:
                return
            after = rows[-1].seq

    def facts(self, after: int = 0) -> list[Recorded]:
        """Facts with a higher `seq`, oldest first."""
        return [chain.recorded(entry) for entry in self.entries(after)]

    def keyed(self, prefix: str) -> list[Recorded]:
        """Facts whose key begins so, oldest first, without reading the others."""
        return [chain.recorded(entry) for entry in self.keyed_entries(prefix)]

    def keyed_entries(self, prefix: str) -> list[Entry]:
        """The same with their hashes, as stored."""
        keys = tables.journal.c.key
        found = self._connection.execute(
            select(tables.journal)
            .where(keys >= prefix, keys < prefix + _LAST_CHARACTER)
            .order_by(tables.journal.c.seq)
        )
        return [_entry(row) for row in found]

    def verify(self, *, expected: Head | None = None) -> Head:
        """Check the whole chain and return its head.

        Raises:
            IntegrityError: names the first entry that does not fit.
        """
        return chain.verify(self.entries(), expected=expected)

    def _by_key(self, key: str) -> Entry | None:
        row = self._connection.execute(
            select(tables.journal).where(tables.journal.c.key == key)
        ).first()
        return None if row is None else _entry(row)


def _entry(row: Row[Any]) -> Entry:
    return Entry(row.seq, row.at, row.actor, row.key, row.fact, row.prev, row.sha256)
