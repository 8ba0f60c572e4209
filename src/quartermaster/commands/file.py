"""Customers' files: kept for a time, seen by their own project only, gone when they are deleted."""

from quartermaster.book.batch_states import Batch
from quartermaster.book.files import StoredFile, Tenant
from quartermaster.book.sealed_files import Sealed, Vault
from quartermaster.book.unit import Unit
from quartermaster.commands.key_holder import KeyHolder
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from quartermaster.kernel.ids import new_id

LIFETIME_S_MIN, LIFETIME_S_MAX = 3_600, 2_592_000
"""OpenAI's bounds of `expires_after.seconds`: an hour and thirty days."""
FILENAME_CHARS_MAX = 255
"""What file systems take; it is shown, never opened."""
S_PER_DAY = 86_400
UNFINISHED_S = 86_400
"""What was cut off is removed after a day; no upload takes as long, and no end of a batch."""
RESERVED_BYTES_MIN = 1_048_576
"""Most uploads ask the book once; what a small one does not need is free again in a moment."""
CONTENT_TOO_LARGE = 413


def new_file_id() -> str:
    """The id of a file whose content is about to be written; ids sort by time."""
    return new_id("file").replace("_", "-", 1)


def lifetime_s(asked: int | None, days_max: int) -> int:
    """How long a file is kept.

    Args:
        asked: by the customer, in seconds; None where nothing was said.
        days_max: what the operator allows.

    Raises:
        UsageError: outside of what OpenAI takes.
    """
    longest = days_max * S_PER_DAY
    if asked is None:
        return longest
    if not LIFETIME_S_MIN <= asked <= LIFETIME_S_MAX:
        raise UsageError(
            f"expires_after.seconds is from {LIFETIME_S_MIN} to {LIFETIME_S_MAX}",
            field="expires_after.seconds",
        )
    return min(asked, longest)


class Space:
    """Room for one upload, reserved before it is written: two at once find no more than there is.

    Args:
        book: where it is reserved.
        holder: whose upload it is.
        file_id: from `new_file_id`, under which the content is written.
        quota: bytes that all files of the customer may take.
        until: when nobody holds it any more, should this process die; microseconds UTC.
    """

    def __init__(
        self, book: Book, holder: KeyHolder, file_id: str, *, quota: int, until: Instant
    ) -> None:
        self._book, self.holder, self.file_id = book, holder, file_id
        self._quota, self._until = quota, until
        self._size = 0

    def cover(self, size: int, now: Instant) -> None:
        """See that the upload has room for so many bytes in all.

        Raises:
            RefusedError: 413, the customer's files together would be too large.
        """
        if size <= self._size:
            return
        with self._book.writing() as unit:
            left = self.left(unit, now)
            if size > left:
                raise self.full()
            # Twice as much each time: a large file asks the book a few times, and no small one
            # holds much that it does not need.
            self._size = min(left, max(size, 2 * self._size, RESERVED_BYTES_MIN))
            unit.files.reserve(self.file_id, self.holder.customer, self._size, self._until)

    def left(self, unit: Unit, now: Instant) -> int:
        """Bytes that this upload may take."""
        return self._quota - unit.files.bytes_of(self.holder.customer, now, but=self.file_id)

    def full(self) -> RefusedError:
        """The customer's files together would be too large."""
        return RefusedError(
            f"All files together may take {self._quota} bytes.",
            code="quota_exceeded",
            http_status=CONTENT_TOO_LARGE,
            hint="Delete files that you no longer need, or wait for what is being uploaded.",
            field="file",
        )

    def give_back(self) -> None:
        """Nothing is kept of this upload, also where it was cut off just behind its last step."""
        if self._size:
            with self._book.writing() as unit:
                unit.files.release(self.file_id)
                unit.files.remove(self.file_id)


def add(
    book: Book,
    space: Space,
    *,
    filename: str,
    purpose: str,
    sealed: Sealed,
    lifetime: int,
    now: Instant,
) -> StoredFile:
    """Keep a file whose content is durable, in the place of what was reserved for it.

    Args:
        book: where it is recorded.
        space: the room that it was written into.
        filename: the customer's own name for it.
        purpose: what it is for.
        sealed: the written content.
        lifetime: seconds until it is deleted.
        now: microseconds UTC.

    Raises:
        UsageError: no content, or a name that cannot be shown.
        RefusedError: 413, the customer's files together would be too large.
    """
    if sealed.size == 0:
        raise UsageError("The file is empty.", field="file")
    if not 0 < len(filename) <= FILENAME_CHARS_MAX or not filename.isprintable():
        raise UsageError("The file's name cannot be used.", field="file")
    file = StoredFile(
        space.file_id,
        space.holder.tenant,
        filename,
        purpose,
        now,
        now + lifetime * US_PER_S,
        sealed,
    )
    with book.writing() as unit:
        # Again, because a reservation ends with its time.
        if sealed.size > space.left(unit, now):
            raise space.full()
        unit.files.release(file.id)
        unit.files.add(file)
    return file


def reserve_answers(unit: Unit, batch: Batch, size: int) -> None:
    """Count answers of a batch among its customer's files, of which they will be one.

    Args:
        unit: in which the answers are kept.
        batch: that they belong to.
        size: bytes that have come and are kept.
    """
    until = batch.expires_at + UNFINISHED_S * US_PER_S
    unit.files.add_reserved(batch.id, batch.tenant.customer, size, until)


def require_room(unit: Unit, batch: Batch, quota: int, now: int) -> None:
    """See that a customer's files leave room for more answers of a batch.

    Args:
        unit: in which lines are about to be sent.
        batch: that they belong to.
        quota: bytes that all files of the customer may take.
        now: microseconds UTC.

    Raises:
        UnavailableError: they do not; the batch waits.
    """
    if unit.files.bytes_of(batch.tenant.customer, now) >= quota:
        raise UnavailableError(
            f"the files of {batch.tenant.customer} take all that they may",
            hint="it goes on when some are deleted, or with a larger api.customer_file_bytes_max",
        )


def find(book: Book, tenant: Tenant, file_id: str) -> StoredFile:
    """A file of a tenant.

    Raises:
        NotFoundError: there is none, or it is somebody else's: nobody learns which.
    """
    with book.reading() as unit:
        file = unit.files.find(file_id, tenant)
    if file is None:
        raise NotFoundError(f"No such File object: {file_id}", field="id")
    return file


def remove(book: Book, vault: Vault, tenant: Tenant, file_id: str) -> None:
    """Delete a file for good: its key first, then its content.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
        ConflictError: a batch that is not over reads it.
    """
    with book.writing() as unit:
        if unit.files.find(file_id, tenant) is None:
            raise NotFoundError(f"No such File object: {file_id}", field="id")
        batch = unit.batches.uses(file_id)
        if batch is not None:
            raise ConflictError(
                f"The batch {batch} still reads this file.",
                hint="Cancel the batch first, or wait for its end.",
                field="id",
            )
        unit.files.remove(file_id)
    vault.delete(file_id)


def sweep(book: Book, vault: Vault, now: Instant) -> int:
    """Delete files whose time is over and contents that no file has; returns how many files.

    A file that a batch still reads is kept until the batch is over.
    """
    gone = []
    with book.writing() as unit:
        unit.files.release_late(now)
        for file in unit.files.expired(now):
            if unit.batches.uses(file.id) is None:
                unit.files.remove(file.id)
                gone.append(file.id)
        kept = unit.files.ids()
    for name in gone:
        vault.delete(name)
    for name in vault.names():
        # Cut off before its row was written, or its row went and the process died.
        if name not in kept and vault.age_us(name, now) > UNFINISHED_S * US_PER_S:
            vault.delete(name)
    return len(gone)
