"""Customers' files: what is known of each. The contents lie sealed in a folder, not here.

A file is no fact of the journal: it comes and goes, and nothing of it is left when it is deleted.
"""

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.sql import Select

from quartermaster.book import tables
from quartermaster.book.sealed_files import Sealed


class Tenant(msgspec.Struct, frozen=True):
    """Whose files and batches: one project of one customer."""

    customer: str
    project: str


class StoredFile(msgspec.Struct, frozen=True):
    """One file."""

    id: str
    tenant: Tenant
    filename: str
    purpose: str
    created_at: int
    expires_at: int
    sealed: Sealed


_DECODER = msgspec.msgpack.Decoder(StoredFile)


class Files:
    """Files, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, file: StoredFile) -> None:
        """Keep a file whose content is durable."""
        self._connection.execute(
            insert(tables.files).values(
                id=file.id,
                customer=file.tenant.customer,
                project=file.tenant.project,
                purpose=file.purpose,
                bytes=file.sealed.size,
                expires_at=file.expires_at,
                doc=msgspec.msgpack.encode(file),
            )
        )

    def find(self, file_id: str, tenant: Tenant) -> StoredFile | None:
        """A file of this tenant; somebody else's is not there."""
        row = self._connection.execute(
            _of(tenant, select(tables.files.c.doc)).where(tables.files.c.id == file_id)
        ).first()
        return None if row is None else _DECODER.decode(row.doc)

    def page(
        self, tenant: Tenant, *, purpose: str, after: str, limit: int, newest_first: bool
    ) -> list[StoredFile]:
        """Files in the order of their ids, which is that of their time; one more than asked."""
        ids = tables.files.c.id
        query = _of(tenant, select(tables.files.c.doc))
        if purpose:
            query = query.where(tables.files.c.purpose == purpose)
        if after:
            query = query.where(ids < after if newest_first else ids > after)
        query = query.order_by(ids.desc() if newest_first else ids).limit(limit + 1)
        return [_DECODER.decode(row.doc) for row in self._connection.execute(query)]

    def bytes_of(self, customer: str, now: int, *, but: str = "") -> int:
        """What all files of a customer take, and what is reserved for others than one upload."""
        kept = select(func.coalesce(func.sum(tables.files.c.bytes), 0)).where(
            tables.files.c.customer == customer
        )
        arriving = select(func.coalesce(func.sum(tables.uploads.c.bytes), 0)).where(
            tables.uploads.c.customer == customer,
            tables.uploads.c.id != but,
            tables.uploads.c.until > now,
        )
        return sum(int(self._connection.execute(one).scalar_one()) for one in (kept, arriving))

    def reserve(self, upload: str, customer: str, size: int, until: int) -> None:
        """Keep so many bytes free for an upload, instead of what was reserved for it before."""
        self.release(upload)
        self._connection.execute(
            insert(tables.uploads).values(id=upload, customer=customer, bytes=size, until=until)
        )

    def add_reserved(self, upload: str, customer: str, size: int, until: int) -> None:
        """Keep so many bytes more."""
        table = tables.uploads
        changed = self._connection.execute(
            update(table).where(table.c.id == upload).values(bytes=table.c.bytes + size)
        )
        if changed.rowcount == 0:
            self.reserve(upload, customer, size, until)

    def release(self, upload: str) -> None:
        """Reserve nothing for an upload any more."""
        self._connection.execute(delete(tables.uploads).where(tables.uploads.c.id == upload))

    def release_late(self, now: int) -> None:
        """Forget what uploads reserved that were cut off with their process."""
        self._connection.execute(delete(tables.uploads).where(tables.uploads.c.until <= now))

    def expired(self, now: int) -> list[StoredFile]:
        """Files whose time is over."""
        rows = self._connection.execute(
            select(tables.files.c.doc).where(tables.files.c.expires_at <= now)
        )
        return [_DECODER.decode(row.doc) for row in rows]

    def ids(self) -> set[str]:
        """Every file."""
        return {str(row.id) for row in self._connection.execute(select(tables.files.c.id))}

    def remove(self, file_id: str) -> None:
        """Forget a file, and with it the key to its content."""
        self._connection.execute(delete(tables.files).where(tables.files.c.id == file_id))


def _of(tenant: Tenant, query: Select[tuple[bytes]]) -> Select[tuple[bytes]]:
    return query.where(
        tables.files.c.customer == tenant.customer, tables.files.c.project == tenant.project
    )
