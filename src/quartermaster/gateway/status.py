"""What a worker says about itself each second, in a file that anyone may read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec

from quartermaster.kernel.errors import IntegrityError

WorkerState = Literal["starting", "serving", "draining", "stopped"]

# The log of every second worker of a number: a log belongs to one process.
SECOND_LOG: Final = "-b"


class Tallies:
    """Counters of one worker since its start."""

    __slots__ = ("failovers", "failures", "refusals", "requests")

    def __init__(self) -> None:
        self.failovers = 0
        """Attempts that another deployment took the place of."""
        self.requests = 0
        """Admitted requests."""
        self.refusals: dict[str, int] = {}
        """Requests refused before they were opened, by error code."""
        self.failures: dict[str, int] = {}
        """Opened requests that ended without a complete answer, by reason."""

    def refused(self, code: str) -> None:
        """Count a refusal."""
        self.refusals[code] = self.refusals.get(code, 0) + 1

    def failed(self, reason: str) -> None:
        """Count a failure."""
        self.failures[reason] = self.failures.get(reason, 0) + 1


class Readiness(msgspec.Struct, frozen=True):
    """The reply of the health endpoints."""

    status: str
    snapshot_version: int | None = None


class NotedReadiness(msgspec.Struct, frozen=True):
    """The reply of a worker that is ready, and not all that it should be."""

    status: str
    snapshot_version: int | None
    note: str


def readiness(status: str, snapshot_version: int | None = None, note: str = "") -> bytes:
    """What the health endpoints say, as JSON."""
    if note:
        return msgspec.json.encode(NotedReadiness(status, snapshot_version, note))
    return msgspec.json.encode(Readiness(status, snapshot_version))


class CircuitShown(msgspec.Struct, frozen=True):
    """A deployment that rests, as one worker sees it."""

    circuit: str
    rests_s: float
    failures: int


class LaneStatus(msgspec.Struct, frozen=True):
    """Provisioned units of one contract and model, as one worker uses its share of them."""

    contract: str
    model: str
    input_tokens_per_minute: int
    """What this worker's share carries."""
    utilisation_permille: int
    served: int
    """Requests that ran on the units."""
    spilled: int
    """Requests that were served by standard deployments instead."""
    refused: int


class SharedShown(msgspec.Struct, frozen=True):
    """How one worker shares limits with the workers of other machines."""

    alone: bool
    """Whether the store is gone and the worker holds every limit to its even part."""
    workers: int
    """Workers of all machines, as far as they are known."""
    exchanges: int
    """With the store, since the worker started."""
    failures: int
    """Exchanges that had no answer."""
    error: str
    """Empty, or why the store does not answer."""
    name: str = ""
    """Of this life of the worker, among all that ever shared."""
    notices_refused: int = 0
    """Notices of standings in the store that this installation did not sign."""
    replaced: int = 0
    """How often the store was another one than before: restarted, or a replica in its place."""
    waited_us: int = 0
    """For answers of the store, all of them together; no request waited."""
    fallbacks: int = 0
    """How often it went on alone."""


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker at one moment; `snapshot_version` is its acknowledgement."""

    app_id: str
    worker: int
    pid: int
    host: str
    port: int
    state: WorkerState
    started_at: int
    at: int
    snapshot_version: int | None
    snapshot_error: str
    """Empty, or why the newest snapshot file could not be taken."""
    out_of_contact: bool
    """For over `OUT_OF_CONTACT_S` the snapshot file could not be used: what changed meanwhile is
    not known here."""
    wal_writable: bool
    connections: int
    upstream_connections: int
    in_flight: int
    requests: int
    requests_per_s: int
    refusals: dict[str, int]
    failures: dict[str, int]
    wal_syncs: int = 0
    """Disk syncs since the worker started; requests by syncs is how many shared one."""
    provisioned: tuple[LaneStatus, ...] = ()
    running: dict[str, int] = {}
    """Open requests by deployment."""
    circuits: dict[str, CircuitShown] = {}
    """Deployments that rest, by name."""
    failovers: int = 0
    """Attempts that another deployment took the place of, since the worker started."""
    circuits_opened: int = 0
    """How often one was given a rest after failures, since the worker started."""
    shared: SharedShown | None = None
    """None where limits stay on this machine."""

    @property
    def ready(self) -> bool:
        """Whether the worker should be sent requests, as `/readyz` says it."""
        informed = self.snapshot_version is not None and not self.out_of_contact
        return self.state == "serving" and informed and self.wal_writable


def succeeded(app_id: str, started_at: int, others: Iterable[tuple[str, int]]) -> bool:
    """Whether another worker has taken this one's place since: it is not missed when it ends.

    Args:
        app_id: of the worker.
        started_at: when it started.
        others: name and start of every worker of the machine.
    """
    place = app_id.removesuffix(SECOND_LOG)
    return any(
        other != app_id and other.removesuffix(SECOND_LOG) == place and later > started_at
        for other, later in others
    )


def write_status(path: Path, status: WorkerStatus) -> None:
    """Replace the status file atomically; not synced, because it is about now."""
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.json.encode(status))
    beside.replace(path)


def read_status(path: Path) -> WorkerStatus:
    """The status in a file.

    Raises:
        IntegrityError: not a status file.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkerStatus)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"{path} is not a worker status: {error}") from error
