"""One transaction of the book: journal, ledger, users and the view, all or nothing."""

from sqlalchemy import Connection, insert, select, update

from quartermaster.book import tables
from quartermaster.book.answers import Answers
from quartermaster.book.batches import Batches
from quartermaster.book.chain import Head
from quartermaster.book.files import Files
from quartermaster.book.journal import Journal
from quartermaster.book.postings import Ledger
from quartermaster.book.users import Users
from quartermaster.book.views import View, fold
from quartermaster.kernel.errors import IntegrityError

_SNAPSHOT_VERSION = "snapshot_version"


class Unit:
    """What a command works with. A writing unit holds the book's only write lock."""

    def __init__(self, connection: Connection, known: View) -> None:
        self._connection = connection
        self._known = known
        self.journal = Journal(connection)
        self.ledger = Ledger(connection)
        self.users = Users(connection)
        self.answers = Answers(connection)
        self.files = Files(connection)
        self.batches = Batches(connection)

    def view(self) -> View:
        """The view including what this unit has written."""
        self._known = fold(self._known, self.journal.facts(self._known.seq))
        return self._known

    def verify(self, *, expected: Head | None = None) -> Head:
        """Check the journal's chain, the ledger's balance, and one against the other.

        Postings are not hashed, but what is accrued for a period must be what the newest draft
        in the journal says.

        Raises:
            IntegrityError: names the first entry, posting set or period that does not fit.
        """
        head = self.journal.verify(expected=expected)
        self.ledger.verify()
        accrued = self.ledger.accrued()
        drafts = self.view().drafts
        for contract, period in sorted({*accrued, *drafts}):
            draft = drafts.get((contract, period))
            owed = 0 if draft is None else draft.total_minor
            booked = accrued.get((contract, period), 0)
            if booked != owed:
                raise IntegrityError(
                    f"contract {contract} {period}: {booked} minor units are accrued, "
                    f"the newest draft says {owed}"
                )
        return head

    def next_snapshot_version(self, above: int = 0) -> int:
        """A number that grows with every call, across processes and machines.

        Args:
            above: a version that was published; a book restored from a backup has forgotten it.
        """
        version = max(int(read_meta(self._connection, _SNAPSHOT_VERSION) or 0), above) + 1
        write_meta(self._connection, _SNAPSHOT_VERSION, str(version))
        return version


def read_meta(connection: Connection, name: str) -> str | None:
    """A named value of the book, or None."""
    row = connection.execute(select(tables.meta.c.value).where(tables.meta.c.name == name)).first()
    return None if row is None else str(row.value)


def write_meta(connection: Connection, name: str, value: str) -> None:
    """Set a named value of the book."""
    changed = connection.execute(
        update(tables.meta).where(tables.meta.c.name == name).values(value=value)
    )
    if changed.rowcount == 0:
        connection.execute(insert(tables.meta).values(name=name, value=value))
