"""The queue of batches and their lines: durable, claimed by one runner at a time.

What a line asks stands only in its sealed input file; what was answered lies here, sealed, until it
is written to the output file. Then the lines are deleted.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from quartermaster.book import tables
from quartermaster.book.batch_states import OPEN, Batch
from quartermaster.book.files import Tenant

LineState = Literal["waiting", "sent", "done", "failed"]


class Line(msgspec.Struct, frozen=True):
    """One request of a batch; `number` counts lines of the input from 1."""

    number: int
    offset: int
    length: int
    request_id: str
    state: LineState = "waiting"
    attempt: int = 0
    """The number of its last attempt; 0 where it was never sent."""
    failures: int = 0
    """How often it was answered with an error that another try may mend."""
    not_before: int = 0
    lost: bool = False
    """An attempt may have been metered whose answer nobody has."""
    answer: bytes | None = None


ANSWER_BYTES_AT_ONCE = 16 * 1_048_576
"""Of lines that are read together: a picture takes megabytes, an answer in words some kilobytes."""
ROWS_AT_ONCE = 8
"""Fetched ahead of what is looked at."""

_DECODER = msgspec.msgpack.Decoder(Batch)
_LINE = tuple(tables.batch_lines.c[name] for name in Line.__struct_fields__)


class Batches:
    """Batches and lines, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, batch: Batch) -> None:
        """Queue a batch."""
        self._connection.execute(
            insert(tables.batches).values(
                id=batch.id,
                customer=batch.tenant.customer,
                project=batch.tenant.project,
                input_file=batch.input_file,
                status=batch.status,
                holder="",
                held_until=0,
                doc=msgspec.msgpack.encode(batch),
            )
        )

    def put(self, batch: Batch) -> None:
        """Write a batch over its older self."""
        self._connection.execute(
            update(tables.batches)
            .where(tables.batches.c.id == batch.id)
            .values(status=batch.status, doc=msgspec.msgpack.encode(batch))
        )

    def find(self, batch_id: str, tenant: Tenant | None = None) -> Batch | None:
        """A batch, of this tenant where one is named; somebody else's is not there."""
        query = select(tables.batches.c.doc).where(tables.batches.c.id == batch_id)
        if tenant is not None:
            query = query.where(
                tables.batches.c.customer == tenant.customer,
                tables.batches.c.project == tenant.project,
            )
        row = self._connection.execute(query).first()
        return None if row is None else _DECODER.decode(row.doc)

    def page(
        self, tenant: Tenant | None, *, after: str, limit: int, customer: str | None = None
    ) -> list[Batch]:
        """Batches, newest first, of a tenant, of a customer or of all; one more than asked."""
        ids = tables.batches.c.id
        query = select(tables.batches.c.doc)
        if tenant is not None:
            query = query.where(
                tables.batches.c.customer == tenant.customer,
                tables.batches.c.project == tenant.project,
            )
        if customer is not None:
            query = query.where(tables.batches.c.customer == customer)
        if after:
            query = query.where(ids < after)
        rows = self._connection.execute(query.order_by(ids.desc()).limit(limit + 1))
        return [_DECODER.decode(row.doc) for row in rows]

    def open_of(self, customer: str) -> int:
        """How many batches of a customer are not over."""
        count = self._connection.execute(
            select(func.count())
            .select_from(tables.batches)
            .where(tables.batches.c.customer == customer, tables.batches.c.status.in_(OPEN))
        ).scalar_one()
        return int(count)

    def uses(self, file_id: str) -> str | None:
        """The id of a batch that is not over and reads this file."""
        row = self._connection.execute(
            select(tables.batches.c.id).where(
                tables.batches.c.input_file == file_id, tables.batches.c.status.in_(OPEN)
            )
        ).first()
        return None if row is None else str(row.id)

    # -- claims ----------------------------------------------------------------------------------

    def claim(
        self, holder: str, *, now: int, until: int, gone: Callable[[str], bool]
    ) -> list[tuple[Batch, bool]]:
        """Open batches that nobody else works on, now this holder's; True where new to it.

        Args:
            holder: who asks.
            now: microseconds UTC.
            until: how long the claim holds, unless it is renewed.
            gone: whether another holder is known to be dead, so that nobody waits for its claim.
        """
        held = tables.batches.c
        rows = self._connection.execute(
            select(held.id, held.holder, held.held_until, held.doc)
            .where(held.status.in_(OPEN))
            .order_by(held.id)
        ).all()
        rows = [
            row for row in rows if row.holder == holder or row.held_until <= now or gone(row.holder)
        ]
        for row in rows:
            self._connection.execute(
                update(tables.batches)
                .where(held.id == row.id)
                .values(holder=holder, held_until=until)
            )
        return [(_DECODER.decode(row.doc), row.holder != holder) for row in rows]

    def holds(self, batch_id: str, holder: str) -> bool:
        """Whether the batch is still this holder's."""
        row = self._connection.execute(
            select(tables.batches.c.holder).where(tables.batches.c.id == batch_id)
        ).first()
        return row is not None and row.holder == holder

    def release(self, holder: str) -> None:
        """Give everything back that a holder works on."""
        self._connection.execute(
            update(tables.batches)
            .where(tables.batches.c.holder == holder)
            .values(holder="", held_until=0)
        )

    # -- lines -----------------------------------------------------------------------------------

    def add_lines(self, batch_id: str, lines: Iterable[Line]) -> None:
        """Write the lines of a validated input."""
        rows = [{"batch": batch_id, **msgspec.structs.asdict(line)} for line in lines]
        if rows:
            self._connection.execute(insert(tables.batch_lines), rows)

    def drop_lines(self, batch_id: str) -> None:
        """Forget all lines, and what was answered to them."""
        self._connection.execute(
            delete(tables.batch_lines).where(tables.batch_lines.c.batch == batch_id)
        )

    def lines(
        self, batch_id: str, *, after: int, limit: int, states: Sequence[LineState] = ()
    ) -> list[Line]:
        """Lines in their order, from behind a number.

        Fewer than asked come where their answers are large; none, where there are no more.
        """
        line = tables.batch_lines.c
        query = select(*_LINE).where(line.batch == batch_id, line.number > after)
        if states:
            query = query.where(line.state.in_(states))
        query = query.order_by(line.number).limit(limit)
        found, size = list[Line](), 0
        with self._connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}) as rows:
            for row in rows:
                found.append(_line(row))
                size += len(found[-1].answer or b"")
                if size >= ANSWER_BYTES_AT_ONCE:
                    break
        return found

    def line(self, batch_id: str, number: int) -> Line | None:
        """One line."""
        found = self.lines(batch_id, after=number - 1, limit=1)
        return found[0] if found and found[0].number == number else None

    def due(self, batch_id: str, *, now: int, limit: int) -> list[Line]:
        """Lines that may be sent now."""
        line = tables.batch_lines.c
        rows = self._connection.execute(
            select(*_LINE)
            .where(line.batch == batch_id, line.state == "waiting", line.not_before <= now)
            .order_by(line.number)
            .limit(limit)
        )
        return [_line(row) for row in rows]

    def all_ended(self, batch_id: str) -> bool:
        """Whether no line waits, and none is on its way."""
        line = tables.batch_lines.c
        left = select(line.number).where(
            line.batch == batch_id, line.state.in_(("waiting", "sent"))
        )
        return self._connection.execute(left.limit(1)).first() is None

    def put_line(self, batch_id: str, line: Line, *, attempt: int | None = None) -> bool:
        """Write a line over its older self; only over this attempt, where one is named."""
        table = tables.batch_lines
        query = update(table).where(table.c.batch == batch_id, table.c.number == line.number)
        if attempt is not None:
            query = query.where(table.c.attempt == attempt, table.c.state == "sent")
        changed = self._connection.execute(
            query.values(
                state=line.state,
                attempt=line.attempt,
                failures=line.failures,
                not_before=line.not_before,
                lost=line.lost,
                answer=line.answer,
            )
        )
        return changed.rowcount == 1

    def reclaim(self, batch_id: str) -> int:
        """Lines whose runner is gone wait again; whether they were metered is not known."""
        line = tables.batch_lines.c
        changed = self._connection.execute(
            update(tables.batch_lines)
            .where(line.batch == batch_id, line.state == "sent")
            .values(state="waiting", lost=True, not_before=0)
        )
        return int(changed.rowcount)


def _line(row: Row[Any]) -> Line:
    return Line(**row._asdict())
