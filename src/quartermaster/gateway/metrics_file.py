"""The file in which a worker leaves its counters each second, for whoever adds them up.

Readers add the files of all workers, those that have stopped too. A worker that starts goes on from
its predecessor's file, so that the sum never falls: to Prometheus a sum that falls is a restart of
everything, and would be counted again from zero.
"""

from pathlib import Path
from typing import Final

import msgspec

from quartermaster.gateway.metrics import LATENCY_BOUNDS_US, SYNC_BOUNDS_US, Totals
from quartermaster.gateway.metrics_window import WindowSeen
from quartermaster.kernel.errors import IntegrityError

FOLDER: Final = "metrics"


class WorkerMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's counters at one moment."""

    app_id: str
    at: int
    started_at: int
    latency_bounds_us: tuple[int, ...] = LATENCY_BOUNDS_US
    sync_bounds_us: tuple[int, ...] = SYNC_BOUNDS_US
    totals: Totals
    cpu_us: int = 0
    """Since the worker started, user and system."""
    resident_bytes: int = 0
    snapshot_contact_at: int = 0
    """When the worker last found that its snapshot is the newest; microseconds UTC."""
    window: WindowSeen = msgspec.field(default_factory=WindowSeen)


def metrics_path(var: Path, app_id: str) -> Path:
    """Where a worker's counters are."""
    return var / FOLDER / f"{app_id}.json"


def write_metrics(path: Path, metrics: WorkerMetrics) -> None:
    """Replace the file atomically; not synced: a crash of the machine starts the sums anew."""
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.json.encode(metrics))
    beside.replace(path)


def read_metrics(path: Path) -> WorkerMetrics:
    """The counters in a file.

    Raises:
        IntegrityError: not a worker's counters.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkerMetrics)
    except msgspec.DecodeError as error:
        raise IntegrityError(
            f"{path} is no worker's counters: {error}", hint="remove the file; it is made again"
        ) from error


def all_metrics(var: Path) -> list[WorkerMetrics]:
    """The counters of every worker of this machine, by name.

    What an older version wrote with other bounds can not be added to ours and is left out.
    """
    found = [read_metrics(path) for path in sorted((var / FOLDER).glob("*.json"))]
    return [one for one in found if _same_bounds(one)]


def predecessor(path: Path) -> Totals:
    """What the worker of this name had counted when it ended, or nothing."""
    try:
        before = read_metrics(path)
    except (FileNotFoundError, IntegrityError):
        # Without a file, with a torn one, or with one of another version, counting begins anew.
        return Totals()
    return before.totals if _same_bounds(before) else Totals()


def _same_bounds(one: WorkerMetrics) -> bool:
    bounds = (one.latency_bounds_us, one.sync_bounds_us)
    return bounds == (LATENCY_BOUNDS_US, SYNC_BOUNDS_US)
