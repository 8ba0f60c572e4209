"""The usage table and, beside it, the table of rows that may not be summed.

Rows of a sealed segment go to exactly one of the two, in one transaction each, so for every
segment: rows in `usage` + rows in `usage_quarantine` = rows that were sealed.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from quartermaster.kernel.events import AppId, Cut
from quartermaster.usage.columns import QUARANTINE_SCHEMA, SCHEMA
from quartermaster.usage.delta import DeltaFacts, read
from quartermaster.usage.files import OS_FILES, FileLayer

PARTITION = ("event_date",)


class UsageTable:
    """The table of usage events in a folder, and its quarantine in the folder beside.

    Args:
        path: the folder of the table, such as `var/usage`; created by the first shipped segment.
        files: what makes both tables durable.
    """

    def __init__(self, path: Path, *, files: FileLayer = OS_FILES) -> None:
        self.path = path
        self.rows = DeltaFacts(path, SCHEMA, PARTITION, files)
        aside = path.with_name(f"{path.name}_quarantine")
        self.quarantine = DeltaFacts(aside, QUARANTINE_SCHEMA, PARTITION, files)

    def files(self) -> list[str]:
        """Paths of the usage table's data files, in an order that does not change."""
        return self.rows.files()

    def last_segments(self) -> Cut:
        """The highest segment of every gateway worker that has rows here or in quarantine.

        Quarantine is committed first, so a segment counts only once this table's transaction has
        followed: before that, some of its rows are nowhere yet.
        """
        aside = _last_segments(self.quarantine)
        found: Cut = {}
        for app_id, segment in _last_segments(self.rows):
            found[app_id] = max(segment, found.get(app_id, 0))
        ahead = [(app_id, segment) for app_id, segment in aside if segment > found.get(app_id, 0)]
        if ahead:
            snapshot = self.rows.open()
            for app_id, segment in ahead:
                shipped = min(segment, snapshot.transaction_version(app_id) or 0)
                if shipped:
                    found[app_id] = max(shipped, found.get(app_id, 0))
        return dict(sorted(found.items()))

    def segment_hashes(self, app_id: str, segment: int) -> list[str]:
        """`segment_sha256` of every row of one segment, in both tables, as they are on disk now."""
        where = (pc.field("app_id") == app_id) & (pc.field("segment") == segment)
        hashes: list[str] = []
        for facts in (self.rows, self.quarantine):
            files = facts.files_holding("segment", segment, segment)
            rows = read(files, ["app_id", "segment", "segment_sha256"], where)
            hashes += rows["segment_sha256"].to_pylist() if rows is not None else []
        return hashes


def _last_segments(facts: DeltaFacts) -> list[tuple[AppId, int]]:
    """From the log alone where a file holds one worker's rows; else from the file."""
    if not facts.exists():
        return []
    log = facts.log()
    if not log.num_rows:
        return []
    single = pc.fill_null(pc.equal(log["min.app_id"], log["max.app_id"]), fill_value=False)
    alone = log.filter(single)
    found = list(
        zip(alone["max.app_id"].to_pylist(), alone["max.segment"].to_pylist(), strict=True)
    )
    mixed = read(facts.files(log.filter(pc.invert(single))), ["app_id", "segment"], _ANY)
    if mixed is not None:
        last: pa.Table = mixed.group_by("app_id").aggregate([("segment", "max")])
        found += zip(last["app_id"].to_pylist(), last["segment_max"].to_pylist(), strict=True)
    return found


_ANY = pc.scalar(True)
"""An expression that every row satisfies."""
