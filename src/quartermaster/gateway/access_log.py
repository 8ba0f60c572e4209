"""The access log: one JSON line a request, refused ones too. Names and numbers, never content.

A line holds no header, no address, no body, no query and no key: only ids, the path's endpoint,
sizes, times and outcomes. Lines gather on the loop and are written by a thread, a batch at a time;
the file is opened for each batch, so that it may be moved away by any tool for logs, and is rotated
here when it has grown.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from quartermaster.gateway.metrics import LOST, Ended
from quartermaster.gateway.settings import ACCESS_LOG_BYTES_MAX, ACCESS_LOG_FILES
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.events import Closed
from quartermaster.usage.offload import Offload

# Written at the latest after a second, and at once from this much on.
BATCH_BYTES: Final = 256 * 1024
# While a disk does not take the log this much waits; what comes after is dropped and counted.
PENDING_BYTES_MAX: Final = 8 * 1024 * 1024
DROPPED: Final = "access_log_lines"
US_PER_MS: Final = 1_000
_FILE_MODE: Final = 0o600


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One admitted request. Times are milliseconds since its arrival."""

    at: str
    request_id: str
    endpoint: str
    status: int
    customer: str
    project: str
    key_id: str
    model: str
    deployment: str
    input_tokens: int
    output_tokens: int
    usage_source: str
    duration_ms: float
    first_byte_ms: float = 0.0
    log_sync_ms: float = 0.0
    """How long the complete answer waited for the disk."""
    stream: bool = False
    reason: str = ""
    upstream_id: str = ""
    trace_id: str = ""


class RefusedLine(msgspec.Struct, frozen=True):
    """A request that was refused before it was admitted."""

    at: str
    request_id: str
    status: int
    reason: str


class AccessLog:
    """Gathers lines. Every method runs on the loop's thread.

    Args:
        path: of the file; older ones get `.1`, `.2`, … behind it.
        offload: the thread that writes.
        bytes_max: size at which the file is rotated.
        files_max: how many are kept, the current one included.
    """

    def __init__(
        self,
        path: Path,
        offload: Offload,
        *,
        bytes_max: int = ACCESS_LOG_BYTES_MAX,
        files_max: int = ACCESS_LOG_FILES,
    ) -> None:
        self.dropped = 0
        """Lines that were not written: too many waited, or the disk took none."""
        self.problem = ""
        """Why the last batch was not written; empty after one that was."""
        self._path = path
        self._offload = offload
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._lines: list[bytes] = []
        self._bytes = 0
        self._submitted_bytes = 0
        self._written_bytes = 0
        self._encode = msgspec.json.Encoder().encode

    def take(self, batch: Sequence[Ended], now: int) -> None:
        """Log requests whose answers were released.

        Args:
            batch: all that one group sync released.
            now: when it did, microseconds UTC.
        """
        for one in batch:
            self._add(self._encode(line_of(one, now)))

    def refused(self, request_id: str, status: int, reason: str, now: int) -> None:
        """Log a request that was refused before it was admitted."""
        self._add(self._encode(RefusedLine(_iso(now), request_id, status, reason)))

    def tick(self) -> None:
        """Once a second: hand what has gathered to the thread."""
        if not self._lines:
            return
        data = b"\n".join(self._lines) + b"\n"
        count = len(self._lines)
        self._lines = []
        self._bytes = 0
        self._submitted_bytes += len(data)
        self._offload.submit(partial(self._write, data, count))

    def stop(self) -> None:
        """Write what is left and end the thread."""
        self.tick()
        self._offload.stop()

    def _add(self, line: bytes) -> None:
        if self._submitted_bytes - self._written_bytes + self._bytes > PENDING_BYTES_MAX:
            self.dropped += 1
            return
        self._lines.append(line)
        self._bytes += len(line) + 1
        if self._bytes >= BATCH_BYTES:
            self.tick()

    def _write(self, data: bytes, lines: int) -> None:
        """In the thread. Only it writes these fields; the loop reads them a moment later."""
        try:
            with open(self._path, "ab", opener=_open_private) as file:
                file.write(data)
                size = file.tell()
            if size >= self._bytes_max:
                self._rotate()
            self.problem = ""
        except OSError as error:
            # A full disk must not stop a gateway whose meter can still write: lines are counted.
            self.dropped += lines
            self.problem = f"{self._path}: {error.strerror}"
        finally:
            self._written_bytes += len(data)

    def _rotate(self) -> None:
        for number in range(self._files_max - 1, 0, -1):
            source = self._numbered(number - 1)
            if source.exists():
                source.replace(self._numbered(number))
        if self._files_max == 1:
            self._path.unlink()

    def _numbered(self, number: int) -> Path:
        return self._path if number == 0 else self._path.with_name(f"{self._path.name}.{number}")


def line_of(one: Ended, now: int) -> Line:
    """What is logged of one request.

    Args:
        one: its close record is on disk, or never will be.
        now: when its answer was released, microseconds UTC.
    """
    closed, opened_at, grant = one.closed, one.opened_at, one.grant
    trace = one.trace_context
    deployment = one.target.deployment
    status, reason = LOST if closed is None else (closed.http_status, closed.failure)
    given, made = (0, 0) if closed is None else _tokens(closed)
    closed_at = now if closed is None else closed.closed_at
    first_byte_at = 0 if closed is None else closed.first_byte_at
    return Line(
        at=_iso(opened_at),
        request_id=one.request_id,
        endpoint=one.endpoint,
        status=status,
        customer=grant.customer,
        project=grant.project,
        key_id=grant.key_id,
        model=deployment.model,
        deployment=deployment.name,
        input_tokens=given,
        output_tokens=made,
        usage_source="" if closed is None else closed.count_source,
        duration_ms=_ms(closed_at - opened_at),
        first_byte_ms=_ms(first_byte_at - opened_at) if first_byte_at else 0.0,
        log_sync_ms=_ms(now - closed_at),
        stream=one.call.stream,
        reason=reason,
        upstream_id="" if closed is None else closed.upstream_id,
        trace_id="" if trace is None else trace.trace_id,
    )


def _tokens(closed: Closed) -> tuple[int, int]:
    counts = closed.counts
    given = counts.input + counts.cached_read + counts.cache_write + counts.audio_input
    return given, counts.output + counts.reasoning + counts.audio_output


def _ms(microseconds: int) -> float:
    return max(microseconds, 0) / US_PER_MS


def _iso(at: int) -> str:
    return as_datetime(Instant(at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE_MODE)
