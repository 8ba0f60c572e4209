"""Few large files instead of many small ones: what shipping leaves, made quick to read again.

Every shipped segment is a file of its own, thousands a day, and every question opens each of them.
Compaction rewrites the small files of a date into larger ones in one commit that changes no row;
a cut names segments, not files, so it selects the same rows before and after. What was replaced
stays on disk for `KEPT_HOURS`, for readers that hold an older list of files.

Source: the Delta protocol, `dataChange = false`; deltalake 1.6, `optimize.compact`, `vacuum`.
"""

from collections import Counter
from datetime import date

import msgspec
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from quartermaster.kernel.errors import UnavailableError
from quartermaster.usage.delta import DeltaFacts
from quartermaster.usage.table import PARTITION, UsageTable

SMALL_FILES_MAX = 64
"""Small files of one date that are read as they are: opening one costs a millisecond."""

OPEN_FILE_BYTES = 8 * 1024 * 1024
"""Size from which a file of a date that still grows is left alone: with a larger one, every row of
a day would be rewritten again and again until its file is full."""

CLOSED_FILE_BYTES = 128 * 1024 * 1024
"""Size of the files of past dates; beyond it a reader gains nothing more."""

KEPT_HOURS = 24
"""How long a replaced file stays: longer than any query that began before it was replaced."""

LOG_KEPT = "interval 1 days"
"""How long entries of the table's log stay that a checkpoint has taken over. Thousands a day are
written, and each look at the table lists them."""

_RETENTION = {"delta.logRetentionDuration": LOG_KEPT}


class Compacted(msgspec.Struct, frozen=True):
    """What one run did, over both tables."""

    files_before: int = 0
    files_after: int = 0
    vacuumed: int = 0
    """Replaced files that were deleted."""


def compact(table: UsageTable, *, today: date) -> Compacted:
    """Merge small files, delete what was replaced long ago, and shorten the log.

    Only the clerk that ships may call this, between two segments.

    Args:
        table: the usage table.
        today: dates before it receive few rows any more.

    Raises:
        UnavailableError: the disk refuses; of every date the table is as it was, or compacted.
    """
    done = Compacted()
    for facts in (table.rows, table.quarantine):
        if not facts.exists():
            continue
        try:
            done = _compact(facts, today, done)
        except DeltaError as error:
            raise _cannot("be compacted", facts, error) from error
    return done


def _cannot(what: str, facts: DeltaFacts, error: DeltaError) -> UnavailableError:
    return UnavailableError(
        f"the table {facts.path} cannot {what}: {error}",
        hint="free space or replace the disk; nothing is lost, it is tried again",
    )


def _compact(facts: DeltaFacts, today: date, done: Compacted) -> Compacted:
    """The same for one of the two tables; adds up what was done."""
    before = facts.log().num_rows
    if _merge(facts, today):
        _shorten_log(facts)
    after = facts.log().num_rows
    return Compacted(
        done.files_before + before,
        done.files_after + after,
        done.vacuumed + len(tidy(facts)),
    )


def tidy(facts: DeltaFacts) -> list[str]:
    """Delete the files that no snapshot of the last `KEPT_HOURS` needs; returns their paths.

    Raises:
        UnavailableError: the disk refuses.
    """
    try:
        deleted: list[str] = DeltaTable(str(facts.path)).vacuum(
            KEPT_HOURS, dry_run=False, enforce_retention_duration=False
        )
    except DeltaError as error:
        raise _cannot("be tidied", facts, error) from error
    return deleted


def _merge(facts: DeltaFacts, today: date) -> bool:
    """Compact every date with too many small files; whether there was one."""
    log = facts.log()
    dates = log[f"partition.{PARTITION[0]}"].to_pylist()
    sizes = log["size_bytes"].to_pylist()
    small: Counter[date] = Counter()
    for day, size in zip(dates, sizes, strict=True):
        small[day] += size < _full(day, today)
    crowded = sorted(day for day, count in small.items() if count > _allowed(day, today))
    for day in crowded:
        snapshot = DeltaTable(str(facts.path))
        snapshot.optimize.compact(
            partition_filters=[(PARTITION[0], "=", day.isoformat())],
            target_size=_full(day, today),
        )
        # Each date for itself: until then a power loss could keep the commit and not its files.
        facts.make_durable([f"{PARTITION[0]}={day.isoformat()}"])
    return bool(crowded)


def _full(day: date, today: date) -> int:
    return CLOSED_FILE_BYTES if day < today else OPEN_FILE_BYTES


def _allowed(day: date, today: date) -> int:
    """A past date ends as one file; the present one may have a few."""
    return 1 if day < today else SMALL_FILES_MAX


def _shorten_log(facts: DeltaFacts) -> None:
    snapshot = DeltaTable(str(facts.path))
    if snapshot.metadata().configuration.get("delta.logRetentionDuration") != LOG_KEPT:
        snapshot.alter.set_table_properties(_RETENTION)
    snapshot.create_checkpoint()
    snapshot.cleanup_metadata()
    facts.make_durable()
