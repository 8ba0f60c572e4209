"""Customers' files: kept for a time, seen by their own project only, gone when they are deleted."""

from quartermaster.book.files import StoredFile, Tenant
from quartermaster.book.sealed_files import Sealed, Vault
from quartermaster.commands.key_holder import KeyHolder
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import ConflictError, NotFoundError, RefusedError, UsageError
from quartermaster.kernel.ids import new_id

LIFETIME_S_MIN, LIFETIME_S_MAX = 3_600, 2_592_000
"""OpenAI's bounds of `expires_after.seconds`: an hour and thirty days."""
FILENAME_CHARS_MAX = 255
"""What file systems take; it is shown, never opened."""
S_PER_DAY = 86_400
UNFINISHED_S = 86_400
"""An upload that was cut off is removed after a day; no upload takes as long."""
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


def add(
    book: Book,
    holder: KeyHolder,
    *,
    file_id: str,
    filename: str,
    purpose: str,
    sealed: Sealed,
    lifetime: int,
    quota: int,
    now: Instant,
) -> StoredFile:
    """Keep a file whose content is durable.

    Args:
        book: where it is recorded.
        holder: whose file it is.
        file_id: from `new_file_id`, under which the content was written.
        filename: the customer's own name for it.
        purpose: what it is for.
        sealed: the written content.
        lifetime: seconds until it is deleted.
        quota: bytes that all files of the customer may take.
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
        file_id, holder.tenant, filename, purpose, now, now + lifetime * US_PER_S, sealed
    )
    with book.writing() as unit:
        if unit.files.bytes_of(holder.customer) + sealed.size > quota:
            raise RefusedError(
                f"All files together may take {quota} bytes.",
                code="quota_exceeded",
                http_status=CONTENT_TOO_LARGE,
                hint="Delete files that you no longer need.",
                field="file",
            )
        unit.files.add(file)
    return file


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
