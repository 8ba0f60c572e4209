"""The end of a batch: its answers become files, and nothing is left in the queue."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from quartermaster.api.settings import ApiSettings
from quartermaster.app.batch_answers import TERMINATED, never_sent
from quartermaster.app.batch_input import read_line
from quartermaster.book.batch_states import Batch, BatchEnd
from quartermaster.book.batches import Line
from quartermaster.book.files import StoredFile
from quartermaster.book.sealed_files import Sealed, SealedReader, SealedWriter, Vault
from quartermaster.commands.file import lifetime_s, new_file_id
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Clock
from quartermaster.kernel.errors import IntegrityError

LINES_AT_ONCE: Final = 500
"""Fewer where their answers are large."""
UNREADABLE: Final = ""
"""The `custom_id` of a line whose input file was damaged or taken away meanwhile."""
PURPOSE: Final = "batch_output"

log = logging.getLogger("quartermaster.batches")

Void = Callable[[Batch, Sequence[Line]], None]
"""Meters nothing for lines whose attempts may have been metered and whose answers nobody has."""


class Ending:
    """Writes what a batch leaves.

    Args:
        book: the queue.
        vault: the files.
        void: see `Void`.
        settings: how long files are kept.
        clock: microseconds UTC.
    """

    def __init__(
        self, *, book: Book, vault: Vault, void: Void, settings: ApiSettings, clock: Clock
    ) -> None:
        self._book, self._vault, self._void = book, vault, void
        self._settings, self._clock = settings, clock

    def end(self, batch: Batch, end: BatchEnd, reader: SealedReader | None, holder: str) -> None:
        """Write both files, then say in one transaction that the batch is over.

        Interrupted anywhere before that, it is done again from the beginning.

        Args:
            batch: with nothing on its way.
            end: what becomes of it.
            reader: its input.
            holder: who works on it; where somebody else has taken over, nothing is changed.
        """
        output, errors = _Output(self._vault), _Output(self._vault)
        unpaid: list[Line] = []
        try:
            for line in self._lines(batch):
                if line.state != "done" and line.lost:
                    unpaid.append(line)
                into = output if line.state == "done" else errors
                into.write(self._line(batch, line, end, reader))
            output.finish()
            errors.finish()
            if unpaid:
                self._void(batch, unpaid)
            kept = self._over(batch, end, holder, output, errors)
        except BaseException:
            output.abandon()
            errors.abandon()
            raise
        if not kept:
            output.abandon()
            errors.abandon()

    def _over(
        self, batch: Batch, end: BatchEnd, holder: str, output: "_Output", errors: "_Output"
    ) -> bool:
        """Say that the batch is over; False where somebody else has said so."""
        with self._book.writing() as unit:
            known = unit.batches.find(batch.id)
            if known is None or not known.open or not unit.batches.holds(batch.id, holder):
                return False
            for written, kind in ((output, "output"), (errors, "error")):
                if written.sealed is not None:
                    unit.files.add(self._file(batch, written.name, written.sealed, kind))
            unit.batches.put(
                msgspec.structs.replace(
                    known.moved(end, self._clock()),
                    output_file=output.name if output.sealed else "",
                    error_file=errors.name if errors.sealed else "",
                    completed=output.lines,
                    failed=errors.lines,
                )
            )
            unit.batches.drop_lines(batch.id)
            unit.files.release(batch.id)
        return True

    def _lines(self, batch: Batch) -> Iterator[Line]:
        after = 0
        while True:
            with self._book.reading() as unit:
                lines = unit.batches.lines(batch.id, after=after, limit=LINES_AT_ONCE)
            yield from lines
            if not lines:
                return
            after = lines[-1].number

    def _line(self, batch: Batch, line: Line, end: BatchEnd, reader: SealedReader | None) -> bytes:
        if line.answer is not None:
            key = self._vault.unwrap(batch.key, batch.id)
            return self._vault.unseal(key, line.number, line.attempt, line.answer, batch.id)
        if end == "completed":
            raise IntegrityError(f"line {line.number} of {batch.id} has no answer")
        custom_id = UNREADABLE
        if reader is not None:
            try:
                custom_id = read_line(reader.read(line.offset, line.length)).custom_id
            except IntegrityError as error:
                log.warning("line %d of %s: %s (%s)", line.number, batch.id, error, error.hint)
        terminated = TERMINATED in batch.errors
        return never_sent(custom_id, line.request_id, end, terminated=terminated)

    def _file(self, batch: Batch, name: str, sealed: Sealed, kind: str) -> StoredFile:
        now = self._clock()
        lifetime = batch.output_lifetime_s or lifetime_s(None, self._settings.file_days)
        expires_at = now + lifetime * US_PER_S
        filename = f"{batch.id}_{kind}.jsonl"
        return StoredFile(name, batch.tenant, filename, PURPOSE, now, expires_at, sealed)


class _Output:
    """One of the two files; it exists where it has a line."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._writer: SealedWriter | None = None
        self.name = new_file_id()
        self.lines = 0
        self.sealed: Sealed | None = None

    def write(self, line: bytes) -> None:
        """The next line."""
        if self._writer is None:
            self._writer = self._vault.writer(self.name)
        self._writer.write(line)
        self.lines += 1

    def finish(self) -> None:
        """Make it durable."""
        if self._writer is not None:
            self.sealed = self._writer.finish()

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._writer is not None:
            self._writer.abandon()
            self._vault.delete(self.name)
