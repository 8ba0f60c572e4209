"""One append-only Delta table on disk: idempotent commits, and what its log says about its files.

Delta's app transactions are not idempotent by themselves: a fresh snapshot accepts the same or a
lower version again. So a commit is always *check, then commit on the same `DeltaTable` object*:
whoever came in between makes the commit fail, and then we look again.
Source: deltalake 1.6, `CommitProperties.app_transactions`; a test shows the doubled commit.

The Delta writer calls no `fsync` (seen with strace), so a local table is synced here before
anybody may believe in a commit.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from quartermaster.kernel.errors import UnavailableError
from quartermaster.usage.files import OS_FILES, FileLayer

COMMIT_RETRIES_MAX = 30
"""Other writers' commits that may come in between; four contending writers needed none."""

LOG_FOLDER = "_delta_log"

FOLDERS_REMEMBERED_MAX = 16
"""Folders whose synced files are known: the log, the table, and the dates that still grow. The
files of another date are synced again when it is touched again, which costs little when clean."""


class DeltaFacts:
    """A Delta table of facts.

    Args:
        path: its folder; created with the first commit.
        schema: the columns.
        partition_by: names of the partition columns.
        files: what makes it durable.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        partition_by: tuple[str, ...] = (),
        files: FileLayer = OS_FILES,
    ) -> None:
        self.path = path
        self._files = files
        self.schema = schema
        self._partition_by = list(partition_by)
        self._synced: dict[Path, set[str]] = {}

    def exists(self) -> bool:
        """Whether anything was ever committed."""
        return (self.path / LOG_FOLDER).is_dir() and DeltaTable.is_deltatable(str(self.path))

    def open(self) -> DeltaTable:
        """A fresh snapshot; the table is created if it is missing."""
        if not self.exists():
            self._files.make_directory(self.path)
            DeltaTable.create(
                str(self.path),
                schema=self.schema,
                partition_by=self._partition_by,
                mode="ignore",
            )
        table = DeltaTable(str(self.path))
        known = {field.name for field in table.schema().fields}
        later = [field for field in self.schema if field.name not in known]
        if later:
            # The table was made by an older version; its rows have nulls in the new columns.
            table.alter.add_columns(Schema.from_arrow(pa.schema(later)).fields)
            table = DeltaTable(str(self.path))
        return table

    def append(self, snapshot: DeltaTable, rows: pa.Table, app_id: str, version: int) -> bool:
        """Commit rows as one app transaction on the snapshot in which the caller checked for it.

        Returns:
            False if another writer committed a transaction of this app meanwhile: look again.
        """
        properties = CommitProperties(
            app_transactions=[Transaction(app_id, version)],
            max_commit_retries=COMMIT_RETRIES_MAX,
        )
        try:
            write_deltalake(snapshot, rows, mode="append", commit_properties=properties)
        except CommitFailedError:
            return False
        return True

    def replace(self, rows: pa.Table, metadata: dict[str, str]) -> None:
        """Put these rows in the place of all others, in one commit."""
        properties = CommitProperties(custom_metadata=metadata)
        write_deltalake(self.open(), rows, mode="overwrite", commit_properties=properties)

    def make_durable(self, partitions: Iterable[str] = ()) -> None:
        """Sync the log and these partition folders, as far as this object has not synced them.

        Raises:
            UnavailableError: the disk refuses.
        """
        try:
            for folder in (*partitions, LOG_FOLDER, "."):
                self._sync_folder(self.path / folder)
        except OSError as error:
            raise UnavailableError(
                f"the table {self.path} cannot be synced: {error}",
                hint="free space or replace the disk; nothing is lost, shipping is repeated",
            ) from error

    def _sync_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            return
        known = self._synced.pop(folder, set())
        entries = list(folder.iterdir())
        found = [entry for entry in entries if entry.name not in known]
        for entry in found:
            if entry.is_file():
                self._files.sync_file(entry)
        if found:
            self._files.sync_directory(folder)
        # What has gone is forgotten: thousands of names a day would fill the memory of a year.
        # The pointer to the last checkpoint is the one file that is replaced.
        self._synced[folder] = {entry.name for entry in entries} - {"_last_checkpoint"}
        while len(self._synced) > FOLDERS_REMEMBERED_MAX:
            del self._synced[next(iter(self._synced))]

    def log(self) -> pa.Table:
        """What the newest snapshot's log says of each file: path, rows, ranges of the columns."""
        snapshot = DeltaTable(str(self.path))
        return pa.table(snapshot.get_add_actions(flatten=True))

    def files(self, log: pa.Table | None = None) -> list[str]:
        """Paths of the data files, in an order that does not change."""
        if log is None:
            if not self.exists():
                return []
            log = self.log()
        return sorted(str(self.path / path) for path in log["path"].to_pylist())

    def files_holding(self, column: str, low: object, high: object) -> list[str]:
        """Paths of the files that may hold values of the column in [low, high]."""
        if not self.exists():
            return []
        log = self.log()
        return self.files(log.filter(_may_hold(log, column, low, high)))


def _may_hold(log: pa.Table, column: str, low: object, high: object) -> pa.ChunkedArray:
    """A mask over the log; a file without a known range may hold anything."""
    lowest, highest = f"min.{column}", f"max.{column}"
    if lowest not in log.column_names:
        return pa.chunked_array([pa.array([True] * log.num_rows)])
    inside = pc.and_(
        pc.less_equal(log[lowest], pa.scalar(high, log[lowest].type)),
        pc.greater_equal(log[highest], pa.scalar(low, log[highest].type)),
    )
    return pc.fill_null(inside, fill_value=True)


def read(files: Iterable[str], columns: list[str] | None, where: pc.Expression) -> pa.Table | None:
    """Rows of these files that satisfy the expression; None where there is no file.

    A file that was written before a column was added has nulls in it.
    """
    parts = [pq.ParquetFile(name).read(columns=columns).filter(where) for name in files]
    return pa.concat_tables(parts, promote_options="default") if parts else None
