"""The batch runner: validates inputs, sends lines through the gateway, writes what came back.

Everything that it must not forget is in the book before it acts: a line is marked as sent before
it leaves, and its answer is kept before the next one is taken. After a `kill -9` the next runner
sends the lines again whose answers nobody has, under the same request ids and as later attempts; of
a line only the last attempt is billed, so the customer pays once for the one answer it gets.
"""

import logging
import os
import queue
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from quartermaster.api.settings import ApiSettings
from quartermaster.app import batch_answers
from quartermaster.app.batch_ending import Ending
from quartermaster.app.batch_gateway import Answered, Outgoing, Send
from quartermaster.app.batch_input import Input, ModelError, check, read_line
from quartermaster.app.batch_judged import judged
from quartermaster.book.batch_states import Batch, BatchEnd, BatchStatus, LineError, Tokens
from quartermaster.book.batches import Line
from quartermaster.book.sealed_files import SealedReader, Vault
from quartermaster.book.unit import Unit
from quartermaster.commands.file import require_room, reserve_answers, sweep
from quartermaster.commands.ports import Book
from quartermaster.kernel.batch_run import ATTEMPT_STEP
from quartermaster.kernel.clock import US_PER_S, Clock
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import IntegrityError, NotFoundError, QuartermasterError

POLL_S: Final = 1.0
"""How soon a batch is seen that another process queued; our own wake us."""
HELD_POLL_S: Final = 0.2
"""How soon a line is sent again whose time has come."""
RENEWALS: Final = 3
"""Within the time that a claim holds: two of them may fail."""
CLAIM_S: Final = 10
"""A runner that is silent for longer is gone."""
COLLECT_S: Final = 0.05
"""Answers that arrive within this time are kept by one write to the disk."""
REST_S: Final = 30
"""Before a batch is looked at again that could not go on: an unreadable file, a full disk."""
SWEEP_S: Final = 60
"""How often files are looked through whose time is over."""
LINES_AT_ONCE: Final = 2_000
"""Written in one transaction, so that others who write to the book wait for milliseconds only."""
STOP_S: Final = 5.0
"""How long a stopping runner waits for answers that are on their way."""

log = logging.getLogger("quartermaster.batches")


class Runner:
    """Works on every batch that nobody else works on.

    Args:
        book: the queue.
        vault: the files.
        send: sends one line; called from several threads.
        hang_up: ends what these threads wait for.
        ending: writes what a batch leaves.
        model_error: looks whether a key may ask a model in a batch.
        key_of: the key in whose name a batch goes on.
        standing_of: whether its customer is served.
        settings: bounds.
        line_bytes_max: the largest request that the gateway takes.
        clock: microseconds UTC.
        claim_s: how long a claim holds that is not renewed.
    """

    def __init__(
        self,
        *,
        book: Book,
        vault: Vault,
        send: Send,
        hang_up: Callable[[], None],
        ending: Ending,
        model_error: Callable[[Batch], ModelError],
        key_of: Callable[[Batch], str],
        standing_of: Callable[[Batch], Standing],
        settings: ApiSettings,
        line_bytes_max: int,
        clock: Clock,
        claim_s: int = CLAIM_S,
    ) -> None:
        self._book, self._vault, self._ending = book, vault, ending
        self._send, self._hang_up = send, hang_up
        self._model_error, self._key_of, self._standing_of = model_error, key_of, standing_of
        self._settings, self._clock = settings, clock
        self._line_bytes_max, self._claim_us = line_bytes_max, claim_s * US_PER_S
        self.name = f"{_here()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._pool = ThreadPoolExecutor(settings.batch_requests_at_once, "batch")
        self._answers: queue.SimpleQueue[Answered] = queue.SimpleQueue()
        self._unkept: list[Answered] = []
        self._in_flight: dict[str, set[int]] = {}
        self._readers: dict[str, SealedReader] = {}
        self._held: dict[str, Batch] = {}
        self._resting: dict[str, int] = {}
        self._renew_at = self._sweep_at = 0
        self._wake = threading.Event()

    # -- the loop --------------------------------------------------------------------------------

    def run(self, stopping: threading.Event) -> None:
        """Work until asked to stop."""
        while not stopping.is_set():
            try:
                self.step()
            except QuartermasterError as error:
                # A full disk or a locked book: the queue is as it was, and is tried again.
                log.warning("batches wait: %s (%s)", error.message, error.hint)
            except Exception:
                log.exception("batches wait for a defect of ours")
            if not self.sending:
                self._wake.wait(HELD_POLL_S if self._held else POLL_S)
                self._wake.clear()
        self.stop()

    def wake(self) -> None:
        """There is something to do."""
        self._renew_at = 0
        self._wake.set()

    @property
    def sending(self) -> bool:
        """Whether a line is on its way."""
        return any(self._in_flight.values())

    def step(self) -> None:
        """One round."""
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S * US_PER_S
            sweep(self._book, self._vault, now)
        self._keep(self._arrived())
        if now >= self._renew_at:
            self._renew_at = now + self._claim_us // RENEWALS
            self._renew(now)
        else:
            self._look()
        for batch in list(self._held.values()):
            if now < self._resting.get(batch.id, 0):
                continue
            try:
                self._advance(batch)
            except Exception as error:
                # One batch that cannot go on must not hold up the others.
                if isinstance(error, QuartermasterError):
                    log.warning("%s waits: %s (%s)", batch.id, error.message, error.hint)
                else:
                    log.exception("%s waits for a defect of ours", batch.id)
                self._resting[batch.id] = self._clock() + REST_S * US_PER_S

    def stop(self) -> None:
        """Keep what still arrives within a moment, and let others go on."""
        deadline = self._clock() + int(STOP_S * US_PER_S)
        while self.sending and self._clock() < deadline:
            self._keep(self._arrived())
        self._pool.shutdown(wait=False, cancel_futures=True)
        # Or a model that thinks for minutes would keep the process from ending.
        self._hang_up()
        with self._book.writing() as unit:
            unit.batches.release(self.name)
        for batch_id in list(self._readers):
            self._forget(batch_id)

    # -- claims ----------------------------------------------------------------------------------

    def _look(self) -> None:
        """See what customers did to what is ours."""
        with self._book.reading() as unit:
            for batch_id in list(self._held):
                batch = unit.batches.find(batch_id)
                if batch is not None and batch.open:
                    self._held[batch_id] = batch
                else:
                    self._forget(batch_id)

    def _renew(self, now: int) -> None:
        """Take what is free, and keep what is ours."""
        with self._book.writing() as unit:
            claimed = unit.batches.claim(
                self.name, now=now, until=now + self._claim_us, gone=is_gone
            )
            for batch, is_new in claimed:
                if is_new:
                    unit.batches.reclaim(batch.id)
        ours = {batch.id: batch for batch, _ in claimed}
        for batch_id in self._held.keys() - ours.keys():
            self._forget(batch_id)
        self._held = ours

    def _forget(self, batch_id: str) -> None:
        self._held.pop(batch_id, None)
        self._resting.pop(batch_id, None)
        self._in_flight.pop(batch_id, None)
        reader = self._readers.pop(batch_id, None)
        if reader is not None:
            reader.close()

    # -- one batch -------------------------------------------------------------------------------

    def _advance(self, batch: Batch) -> None:
        now = self._clock()
        standing = self._standing_of(batch)
        if standing == "terminated" and batch.status in ("validating", "in_progress"):
            batch = self._move(batch, "cancelling", errors=(batch_answers.TERMINATED,))
        if batch.status == "validating":
            self._validate(batch)
        elif batch.status == "in_progress":
            if now >= batch.expires_at:
                self._end(batch, "expired")
            elif not self._fill(batch, now, standing) and self._all_done(batch):
                self._end(batch, "completed")
        elif batch.status == "cancelling":
            self._end(batch, "cancelled")
        else:
            # A runner died while it wrote the files; what is in the book says how it ends.
            self._end(batch, "completed" if self._all_done(batch) else "expired")

    def _validate(self, batch: Batch) -> None:
        """Check the input, and queue its lines."""
        try:
            checked = self._checked(batch)
        except (IntegrityError, NotFoundError) as error:
            log.warning("the input of %s cannot be read: %s (%s)", batch.id, error, error.hint)
            gone = LineError("file_unreadable", "The input file cannot be read.", "input_file_id")
            self._move(batch, "failed", errors=(gone,))
            return
        if checked.errors:
            self._move(batch, "failed", errors=checked.errors, total=len(checked.lines))
            self._forget(batch.id)
            return
        with self._book.writing() as unit:
            unit.batches.drop_lines(batch.id)
        for at in range(0, len(checked.lines), LINES_AT_ONCE):
            with self._book.writing() as unit:
                unit.batches.add_lines(batch.id, checked.lines[at : at + LINES_AT_ONCE])
        self._move(batch, "in_progress", total=len(checked.lines), model=checked.model)

    def _checked(self, batch: Batch) -> Input:
        reader = self._reader(batch)
        if reader is None:
            raise NotFoundError(f"the file {batch.input_file} is gone")
        return check(
            reader,
            batch.endpoint,
            lines_max=self._settings.batch_lines_max,
            line_bytes_max=self._line_bytes_max,
            model_error=self._model_error(batch),
        )

    def _fill(self, batch: Batch, now: int, standing: Standing) -> int:
        """Send what is due while there is room; how many lines are on their way.

        Lines of a suspended customer wait: it may be served again within the batch's time.
        """
        flying = self._in_flight.setdefault(batch.id, set())
        busy = sum(len(numbers) for numbers in self._in_flight.values())
        # Every batch gets its share of the room, so that none waits for a large one to end.
        share = max(1, self._settings.batch_requests_at_once // max(1, len(self._held)))
        room = min(share - len(flying), self._settings.batch_requests_at_once - busy)
        reader = self._reader(batch)
        if room <= 0 or reader is None or standing == "suspended":
            return len(flying)
        with self._book.writing() as unit:
            if not unit.batches.holds(batch.id, self.name):
                return len(flying)
            due = [
                msgspec.structs.replace(line, state="sent", attempt=_next_attempt(line))
                for line in unit.batches.due(batch.id, now=now, limit=room)
            ]
            if due:
                require_room(unit, batch, self._settings.customer_file_bytes_max, now)
            key_id = self._key_of(batch) if due else ""
            # Read before anything is marked: what cannot be read is not on its way.
            outgoing = [_outgoing(batch, line, reader, key_id) for line in due]
            for line in due:
                unit.batches.put_line(batch.id, line)
        for one in outgoing:
            flying.add(one.number)
            self._pool.submit(self._sent, one)
        return len(flying)

    def _sent(self, line: Outgoing) -> None:
        """In a thread of the pool: send, and hand the answer back whatever happens."""
        answer = Answered(line, "lost")
        try:
            answer = self._send(line)
        except Exception:
            log.exception("line %d of %s met a defect of ours", line.number, line.batch_id)
            raise
        finally:
            self._answers.put(answer)

    def _all_done(self, batch: Batch) -> bool:
        with self._book.reading() as unit:
            return unit.batches.all_ended(batch.id)

    def _end(self, batch: Batch, end: BatchEnd) -> None:
        """Write the files, once nothing is on its way any more."""
        if self._in_flight.get(batch.id):
            return
        try:
            reader = self._reader(batch)
        except NotFoundError:
            reader = None  # its answers are in the book; only who never got one stays unnamed
        if batch.status == "in_progress":
            batch = self._move(batch, "finalizing")
        if batch.status == "in_progress":
            return  # cancelled meanwhile, or no longer ours
        self._ending.end(batch, end, reader, self.name)
        self._forget(batch.id)

    def _move(
        self,
        batch: Batch,
        status: BatchStatus,
        *,
        errors: tuple[LineError, ...] = (),
        total: int = 0,
        model: str = "",
    ) -> Batch:
        """The batch in its next state, unless it was cancelled or taken from us meanwhile."""
        with self._book.writing() as unit:
            known = unit.batches.find(batch.id)
            if known is None or known.status != batch.status:
                return batch
            if not unit.batches.holds(batch.id, self.name):
                return batch
            moved = msgspec.structs.replace(
                known.moved(status, self._clock()),
                errors=errors or known.errors,
                total=total or known.total,
                model=model or known.model,
            )
            unit.batches.put(moved)
        self._held[batch.id] = moved
        return moved

    def _reader(self, batch: Batch) -> SealedReader | None:
        if batch.id not in self._readers:
            with self._book.reading() as unit:
                file = unit.files.find(batch.input_file, batch.tenant)
            if file is None:
                return None
            self._readers[batch.id] = self._vault.reader(file.id, file.sealed)
        return self._readers[batch.id]

    # -- answers ---------------------------------------------------------------------------------

    def _arrived(self) -> list[Answered]:
        """Answers since the last look; waits a moment where some are on their way."""
        if not self.sending:
            return []
        try:
            found = [self._answers.get(timeout=COLLECT_S)]
        except queue.Empty:
            return []
        while not self._answers.empty():
            found.append(self._answers.get())
        return found

    def _keep(self, arrived: Sequence[Answered]) -> None:
        """Make answers durable, in one transaction; where it fails, the next one takes them."""
        self._unkept += arrived
        answers = self._unkept
        if not answers:
            return
        now = self._clock()
        with self._book.writing() as unit:
            for batch_id in {answer.line.batch_id for answer in answers}:
                batch = unit.batches.find(batch_id)
                if batch is None or not unit.batches.holds(batch_id, self.name):
                    continue  # taken over by another runner, which sends the lines again
                mine = [answer for answer in answers if answer.line.batch_id == batch_id]
                unit.batches.put(self._keep_lines(unit, batch, mine, now))
        for answer in answers:
            self._in_flight.get(answer.line.batch_id, set()).discard(answer.line.number)
        self._unkept = []

    def _keep_lines(self, unit: Unit, batch: Batch, answers: Sequence[Answered], now: int) -> Batch:
        """Write what came of lines; the batch with what was kept of it added up."""
        used, ended, size = Tokens(), Counter[str](), 0
        key = self._vault.unwrap(batch.key, batch.id)
        for answer in answers:
            known = unit.batches.line(batch.id, answer.line.number)
            if known is None:
                continue
            line = judged(known, answer, now)
            if line.state in ("done", "failed"):
                data = _answer_line(answer)
                sealed = self._vault.seal(key, line.number, line.attempt, data, batch.id)
                line = msgspec.structs.replace(line, answer=sealed)
            # A line that waits again, or was sent again, is no longer this attempt's.
            kept = unit.batches.put_line(batch.id, line, attempt=answer.line.attempt)
            if kept:
                ended[line.state] += 1
                size += len(line.answer or b"")
            if kept and line.state == "done":
                used += batch_answers.tokens_of(answer.body)
        reserve_answers(unit, batch, size)
        return msgspec.structs.replace(
            batch,
            completed=batch.completed + ended["done"],
            failed=batch.failed + ended["failed"],
            tokens=batch.tokens + used,
        )


def _here() -> str:
    """Where process ids mean the same: this host, and on it this container."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return socket.gethostname()  # not Linux: no containers either
    return f"{socket.gethostname()}/{namespace}".replace(":", "")


def is_gone(holder: str) -> bool:
    """Whether a runner is known to be dead: its process was here and is no more."""
    where, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if where != _here() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # somebody else's process has the number now
    return False


def _outgoing(batch: Batch, line: Line, reader: SealedReader, key_id: str) -> Outgoing:
    read = read_line(reader.read(line.offset, line.length))
    return Outgoing(
        batch.id,
        line.number,
        line.attempt,
        key_id,
        line.request_id,
        batch.endpoint,
        read.custom_id,
        bytes(read.body),
    )


def _answer_line(answer: Answered) -> bytes:
    line = answer.line
    if answer.sent == "answered":
        return batch_answers.answered(line.custom_id, line.request_id, answer.status, answer.body)
    return batch_answers.unanswered(
        line.custom_id, line.request_id, "The request was sent several times without an answer."
    )


def _next_attempt(line: Line) -> int:
    return line.attempt + ATTEMPT_STEP if line.attempt else 1
