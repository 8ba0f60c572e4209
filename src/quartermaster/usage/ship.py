"""From sealed segments to the usage table, each exactly once, whatever dies in between.

For every segment, in order: open the table, look for its transaction, skip or commit *on that same
snapshot*, sync, look again with fresh eyes, and only then let the file go. A crash between any two
steps is repaired by doing it again.

The newest shipped file of a log stays as `.shipped`: it carries the number and the hash that the
log's next segment continues from.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from quartermaster.kernel.errors import IntegrityError, UnavailableError
from quartermaster.kernel.events import SegmentShipped, UsageEvent
from quartermaster.kernel.units import COUNT_MAX
from quartermaster.usage import columns, segment
from quartermaster.usage.delta import read
from quartermaster.usage.files import OS_FILES, FileLayer
from quartermaster.usage.frames import Seal
from quartermaster.usage.table import UsageTable

COMMIT_ATTEMPTS_MAX = 5
"""A second clerk that ships the same log can win a race once per segment; five are a defect."""

EventId = tuple[str, int]
"""Request id and attempt: what makes a usage event unique, for ever."""


def ship_sealed(
    wal_root: Path, table: UsageTable, *, files: FileLayer = OS_FILES
) -> list[SegmentShipped]:
    """Ship every sealed segment of every log under the root.

    Returns:
        One fact for each segment whose file was let go by this call; a segment that an interrupted
        run had committed is among them, so that its fact is not lost.

    Raises:
        IntegrityError: a segment is damaged, or contradicts what the table holds; raised when the
            other logs have been shipped.
        UnavailableError: the disk refuses.
    """
    shipped: list[SegmentShipped] = []
    damaged: list[IntegrityError] = []
    if not wal_root.is_dir():
        return shipped
    for directory in sorted(path for path in wal_root.iterdir() if path.is_dir()):
        try:
            shipped += _ship_log(directory, table, files)
        except IntegrityError as error:
            # The other logs do not wait for it; their facts follow from the table.
            damaged.append(error)
        except OSError as error:
            raise UnavailableError(
                f"segments of {directory} cannot be shipped: {error}",
                hint="free space or replace the disk; nothing is lost, shipping is repeated",
            ) from error
    if damaged:
        raise damaged[0]
    return shipped


def _ship_log(directory: Path, table: UsageTable, files: FileLayer) -> list[SegmentShipped]:
    if not segment.numbers(files.names(directory), segment.SEALED):
        return []
    # A sealed name that is only in the page cache could be gone after a power loss, and the
    # segment be sealed again with other content: believe it only when it is durable.
    files.sync_directory(directory)
    shipped = []
    for number in segment.numbers(files.names(directory), segment.SEALED):
        path = segment.seal_name(directory, number)
        events, seal = segment.read_sealed(files.read(path), str(path))
        if (seal.app_id, seal.segment) != (directory.name, number):
            raise IntegrityError(
                f"{path} is segment {seal.segment} of {seal.app_id!r}",
                hint="a write-ahead log cannot be renamed or copied; move the file back",
            )
        _commit(events, seal, table)
        _verify(events, seal, table)
        _let_go(directory, number, files)
        shipped.append(
            SegmentShipped(app_id=seal.app_id, segment=number, rows=seal.rows, sha256=seal.sha256)
        )
    return shipped


def _commit(events: Sequence[UsageEvent], seal: Seal, table: UsageTable) -> None:
    """Put the segment's rows where they belong, unless they are there."""
    for _ in range(COMMIT_ATTEMPTS_MAX):
        snapshot = table.rows.open()
        last = snapshot.transaction_version(seal.app_id) or 0
        if last >= seal.segment:
            return
        if last != seal.segment - 1:
            raise IntegrityError(
                f"segment {seal.segment} of {seal.app_id} cannot follow segment {last}",
                hint="segments are missing: restore them, or restore the usage table",
            )
        reasons = _set_aside(events, seal, table)
        kept = [event for event in events if event.sequence not in reasons]
        if table.rows.append(snapshot, columns.to_table(kept, seal), seal.app_id, seal.segment):
            return
    raise UnavailableError(
        f"segment {seal.segment} of {seal.app_id} lost {COMMIT_ATTEMPTS_MAX} races",
        hint="only one clerk may ship a log; stop the others",
    )


def _verify(events: Sequence[UsageEvent], seal: Seal, table: UsageTable) -> None:
    """Look with fresh eyes: transaction, number of rows and content, all synced."""
    partitions = columns.partitions(events)
    table.rows.make_durable(partitions)
    table.quarantine.make_durable(partitions)
    version = DeltaTable(str(table.path)).transaction_version(seal.app_id)
    hashes = table.segment_hashes(seal.app_id, seal.segment)
    if version is None or version < seal.segment or set(hashes) - {seal.sha256}:
        raise IntegrityError(
            f"the usage table has another segment {seal.segment} of {seal.app_id}",
            hint="two logs share one id: give each gateway worker its own folder",
        )
    if len(hashes) != seal.rows:
        raise IntegrityError(
            f"segment {seal.segment} of {seal.app_id} has {seal.rows} rows, "
            f"the usage table {len(hashes)}"
        )


def _let_go(directory: Path, number: int, files: FileLayer) -> None:
    target = directory / segment.file_name(number, segment.SHIPPED)
    files.rename(segment.seal_name(directory, number), target)
    files.sync_directory(directory)
    for older in segment.numbers(files.names(directory), segment.SHIPPED):
        if older < number:
            files.unlink(directory / segment.file_name(older, segment.SHIPPED))


# -- what may not be summed ----------------------------------------------------------------------


def _set_aside(events: Sequence[UsageEvent], seal: Seal, table: UsageTable) -> dict[int, str]:
    """Quarantine what may not be summed; returns the reason by sequence.

    `conflict`: the id is known with another content. `repeat`: known with the same content, so it
    has been counted. `absurd_count`: above `COUNT_MAX`, to be looked at by a person.
    """
    earlier = _already_set_aside(seal, table)
    if earlier is not None:
        return earlier
    known = _known(events, table)
    reasons: dict[int, str] = {}
    for event in events:
        event_id = (event.opened.request_id, event.opened.attempt)
        counts = msgspec.structs.astuple(event.closed.counts)
        if event_id in known:
            same = known[event_id] == event.event_hash
            reasons[event.sequence] = "repeat" if same else "conflict"
        elif min(counts) < 0 or max(counts) > COUNT_MAX:
            reasons[event.sequence] = "absurd_count"
        else:
            known[event_id] = event.event_hash
    if reasons:
        _quarantine(events, seal, reasons, table)
    return reasons


def _known(events: Sequence[UsageEvent], table: UsageTable) -> dict[EventId, str]:
    """Content hash of those of these events' ids that the table has already.

    Ids sort by time, so the log's ranges leave only the files of the last moments to look into.
    """
    ids = [event.opened.request_id for event in events]
    files = table.rows.files_holding("request_id", min(ids), max(ids)) if ids else []
    names = ["request_id", "attempt", "event_hash"]
    rows = read(files, names, pc.field("request_id").isin(pa.array(ids, pa.string())))
    if rows is None:
        return {}
    found = zip(*(rows[name].to_pylist() for name in names), strict=True)
    return {(request_id, attempt): event_hash for request_id, attempt, event_hash in found}


def _already_set_aside(seal: Seal, table: UsageTable) -> dict[int, str] | None:
    """What an interrupted run quarantined from this segment; it stays decided."""
    if not table.quarantine.exists():
        return None
    last = table.quarantine.open().transaction_version(seal.app_id) or 0
    if last < seal.segment:
        return None
    files = table.quarantine.files_holding("segment", seal.segment, seal.segment)
    where = (pc.field("app_id") == seal.app_id) & (pc.field("segment") == seal.segment)
    rows = read(files, ["app_id", "segment", "sequence", "reason"], where)
    assert rows is not None
    return dict(zip(rows["sequence"].to_pylist(), rows["reason"].to_pylist(), strict=True))


def _quarantine(
    events: Sequence[UsageEvent], seal: Seal, reasons: dict[int, str], table: UsageTable
) -> None:
    aside = [event for event in events if event.sequence in reasons]
    rows = columns.to_table(aside, seal).append_column(
        "reason", pa.array([reasons[event.sequence] for event in aside], pa.string())
    )
    snapshot = table.quarantine.open()
    if not table.quarantine.append(snapshot, rows, seal.app_id, seal.segment):
        raise UnavailableError(
            f"another clerk quarantines rows of {seal.app_id}",
            hint="only one clerk may ship a log; stop the others",
        )
