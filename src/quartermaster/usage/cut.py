"""Cuts: which usage a rating run has taken, and whether it is all there.

A cut is the last segment of every gateway worker. It names an input without a wall clock: segments
never change, so the same cut selects the same rows for ever.
"""

from typing import Any

import msgspec
from ibis import _

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import Cut
from quartermaster.usage import engine
from quartermaster.usage.segment import CHAIN_START
from quartermaster.usage.table import UsageTable


class Certificate(msgspec.Struct, frozen=True):
    """A cut is complete: every sealed row is in the table or in quarantine, exactly once."""

    cut: Cut
    segments: int
    rows: int
    """Rows that are summed; their event ids are all different."""
    quarantined: int
    heads: dict[str, str]
    """Hash of each worker's last segment; it covers all segments before it."""


def current_cut(table: UsageTable) -> Cut:
    """Everything shipped so far."""
    return table.last_segments()


def certify(table: UsageTable, cut: Cut) -> Certificate:
    """Check that a cut is complete.

    Raises:
        IntegrityError: a segment is missing or was changed, rows are missing or doubled; the
            message names the worker and the segment.
    """
    kept = _segments(table.rows.files(), cut)
    aside = _segments(table.quarantine.files(), cut)
    heads = {app_id: _walk(app_id, last, kept, aside) for app_id, last in sorted(cut.items())}
    rows = sum(part["rows"] for part in kept.values())
    distinct = _distinct_ids(table.rows.files(), cut) if rows else 0
    if distinct != rows:
        raise IntegrityError(f"{rows} usage rows have only {distinct} different request ids")
    return Certificate(
        cut=dict(sorted(cut.items())),
        segments=sum(cut.values()),
        rows=rows,
        quarantined=sum(part["rows"] for part in aside.values()),
        heads=heads,
    )


Parts = dict[tuple[str, int], dict[str, Any]]


def _segments(files: list[str], cut: Cut) -> Parts:
    """Per worker and segment: rows here, and what the seal said."""
    if not files:
        return {}
    found = engine.rows_of(
        engine.scan(files)
        .filter(engine.at_cut(cut))
        .group_by(
            [
                _.app_id,
                _.segment,
                _.segment_rows,
                _.segment_sha256,
                _.segment_previous_sha256,
            ]
        )
        .aggregate(rows=_.count())
        .order_by(["app_id", "segment"])
    )
    parts: Parts = {}
    for part in found:
        key = part["app_id"], part["segment"]
        if key in parts:
            raise IntegrityError(f"segment {key[1]} of {key[0]} is there with two contents")
        parts[key] = part
    return parts


def _walk(app_id: str, last: int, kept: Parts, aside: Parts) -> str:
    """Follow one worker's chain from its start; returns the hash of its last segment."""
    head = CHAIN_START
    for number in range(1, last + 1):
        key = app_id, number
        parts = [part for part in (kept.get(key), aside.get(key)) if part is not None]
        if not parts:
            raise IntegrityError(f"segment {number} of {app_id} is not in the usage table")
        seals = {
            (p["segment_rows"], p["segment_sha256"], p["segment_previous_sha256"]) for p in parts
        }
        sealed, sha256, previous = seals.pop()
        found = sum(part["rows"] for part in parts)
        if seals or previous != head:
            raise IntegrityError(f"segment {number} of {app_id} does not continue {number - 1}")
        if found != sealed:
            raise IntegrityError(
                f"segment {number} of {app_id} was sealed with {sealed} rows, {found} are there"
            )
        head = sha256
    return head


def _distinct_ids(files: list[str], cut: Cut) -> int:
    ids = engine.scan(files).filter(engine.at_cut(cut)).select("request_id", "attempt").distinct()
    return int(ids.aggregate(ids=_.count()).to_pyarrow()["ids"][0].as_py())
