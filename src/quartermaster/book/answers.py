"""Answers that the JSON API has given, so that a request sent twice is done once.

Only sealed bytes lie here: an answer may hold a secret that is stored nowhere, and the seal opens
with the caller's own token alone, which is not stored either.
"""

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from quartermaster.book import tables
from quartermaster.kernel.clock import US_PER_S

ANSWERS_KEPT_S = 24 * 3_600
"""A client retries within minutes; a day covers a job that is started again by hand."""


class Given(msgspec.Struct, frozen=True):
    """What is known of one request; without a status it is under way, or was cut off."""

    request_sha256: str
    begun_at: int
    status: int | None
    sealed: bytes | None


class Answers:
    """Answers by token and idempotency key, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, token: str, key_hash: str, *, now: int) -> Given | None:
        """What was answered to this key within `ANSWERS_KEPT_S`."""
        row = self._connection.execute(
            select(tables.answers).where(
                tables.answers.c.token == token,
                tables.answers.c.key_hash == key_hash,
                tables.answers.c.begun_at >= now - ANSWERS_KEPT_S * US_PER_S,
            )
        ).first()
        if row is None:
            return None
        return Given(row.request_sha256, row.begun_at, row.status, row.sealed)

    def begin(self, token: str, key_hash: str, request_sha256: str, *, now: int) -> None:
        """Take the key for a request; older answers are forgotten on the way."""
        self.forget(token, key_hash)
        old = now - ANSWERS_KEPT_S * US_PER_S
        self._connection.execute(delete(tables.answers).where(tables.answers.c.begun_at < old))
        self._connection.execute(
            insert(tables.answers).values(
                token=token, key_hash=key_hash, request_sha256=request_sha256, begun_at=now
            )
        )

    def keep(self, token: str, key_hash: str, *, status: int, sealed: bytes) -> None:
        """Remember the answer."""
        self._connection.execute(
            update(tables.answers)
            .where(tables.answers.c.token == token, tables.answers.c.key_hash == key_hash)
            .values(status=status, sealed=sealed)
        )

    def forget(self, token: str, key_hash: str) -> None:
        """Give the key back: the request wrote nothing."""
        self._connection.execute(
            delete(tables.answers).where(
                tables.answers.c.token == token, tables.answers.c.key_hash == key_hash
            )
        )
