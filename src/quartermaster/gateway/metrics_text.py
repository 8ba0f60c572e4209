"""The machine's counters in Prometheus' text format, version 0.0.4: one sum, or one line a worker.

Written by hand: the format is a few lines, and the client library would count a second time, in
every worker, what is counted already.
Source: prometheus.io/docs/instrumenting/exposition_formats.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, Literal

import msgspec

from quartermaster.gateway.metrics import LATENCY_BOUNDS_US, SYNC_BOUNDS_US, SeriesCounts
from quartermaster.gateway.metrics_file import WorkerMetrics
from quartermaster.gateway.status import SharedShown, WorkerStatus, succeeded
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.snapshot import OUT_OF_CONTACT_S
from quartermaster.kernel.units import AXES

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
UPSTREAM_PREFIX: Final = "upstream_"
"""Reasons that begin so are the model server's doing."""

REJECTED: Final = "upstream_rejected"
"""But this one is the customer's, who sent what the server does not take, unless it was busy."""
BUSY_STATUS: Final = 429

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]

PERMILLE: Final = 1_000
_P: Final = "quartermaster_gateway_"
REQUESTS: Final = f"{_P}requests_total"
REFUSALS: Final = f"{_P}refusals_total"
UPSTREAM_ERRORS: Final = f"{_P}upstream_errors_total"
FAILOVERS: Final = f"{_P}failovers_total"
TOKENS: Final = f"{_P}tokens_total"
IMAGES: Final = f"{_P}images_total"
DURATION: Final = f"{_P}request_duration_seconds"
FIRST_TOKEN: Final = f"{_P}time_to_first_token_seconds"
SYNC_WAIT: Final = f"{_P}wal_sync_wait_seconds"
SYNCS: Final = f"{_P}wal_syncs_total"
DROPPED: Final = f"{_P}dropped_total"
UP: Final = f"{_P}worker_up"
READY: Final = f"{_P}worker_ready"
IN_FLIGHT: Final = f"{_P}in_flight_requests"
CONNECTIONS: Final = f"{_P}client_connections"
UPSTREAM_CONNECTIONS: Final = f"{_P}upstream_connections"
WAL_WRITABLE: Final = f"{_P}wal_writable"
SNAPSHOT_VERSION: Final = f"{_P}snapshot_version"
SNAPSHOT_AGE: Final = f"{_P}snapshot_age_seconds"
START_TIME: Final = f"{_P}worker_start_time_seconds"
UNITS_UTILISATION: Final = f"{_P}provisioned_utilization_ratio"
UNITS_REQUESTS: Final = f"{_P}provisioned_requests_total"
SHARED_ALONE: Final = f"{_P}shared_limits_alone"
SHARED_WORKERS: Final = f"{_P}shared_limits_workers"
SHARED_EXCHANGES: Final = f"{_P}shared_limits_exchanges_total"
SHARED_FAILURES: Final = f"{_P}shared_limits_failures_total"
SHARED_WAIT: Final = f"{_P}shared_limits_wait_seconds_total"
SHARED_FALLBACKS: Final = f"{_P}shared_limits_fallbacks_total"
SHARED_REPLACED: Final = f"{_P}shared_limits_replaced_total"
NOTICES_REFUSED: Final = f"{_P}shared_notices_refused_total"
CPU: Final = f"{_P}worker_cpu_seconds_total"
RESIDENT: Final = f"{_P}worker_resident_memory_bytes"

FAMILIES: Final[dict[str, tuple[Kind, str]]] = {
    REQUESTS: ("counter", "Requests that were admitted and have ended, by what became of them."),
    REFUSALS: ("counter", "Requests that were refused before they were admitted, by error code."),
    UPSTREAM_ERRORS: ("counter", "Admitted requests that a model server failed, by reason."),
    FAILOVERS: ("counter", "Attempts that one deployment did not take and that went to another."),
    TOKENS: ("counter", "Tokens as metered; the axes are disjoint, so they may be added."),
    IMAGES: ("counter", "Images as metered."),
    DURATION: ("histogram", "From arrival to the close record, the wait for the disk excluded."),
    FIRST_TOKEN: ("histogram", "Of streams: from arrival to the first byte of the answer."),
    SYNC_WAIT: ("histogram", "How long a complete answer waited until its record was on disk."),
    SYNCS: ("counter", "Disk syncs of the write-ahead log; one covers many requests."),
    DROPPED: ("counter", "Spans and log lines that were not written because a queue was full."),
    UP: ("gauge", f"1 while the worker has written its status within {OUT_OF_CONTACT_S} s."),
    READY: ("gauge", "1 while the worker should be sent requests; none once it has handed over."),
    IN_FLIGHT: ("gauge", "Admitted requests that have not ended, streams included."),
    CONNECTIONS: ("gauge", "Connections of clients."),
    UPSTREAM_CONNECTIONS: ("gauge", "Connections to model servers, idle ones included."),
    WAL_WRITABLE: ("gauge", "0 when the log has failed and the worker refuses requests."),
    SNAPSHOT_VERSION: ("gauge", "The snapshot that the worker serves."),
    SNAPSHOT_AGE: ("gauge", "Seconds since the worker last found its snapshot to be the newest."),
    UNITS_UTILISATION: (
        "gauge",
        "How full a contract's provisioned units are: this worker's share, or all, where shared.",
    ),
    UNITS_REQUESTS: (
        "counter",
        "Requests for provisioned units: served on them, spilled over to standard, or refused.",
    ),
    SHARED_ALONE: (
        "gauge",
        "1 while the store of shared limits is gone and limits are held to even parts.",
    ),
    SHARED_WORKERS: ("gauge", "Workers of all machines that share limits, as this one knows them."),
    SHARED_EXCHANGES: ("counter", "Exchanges with the store of shared limits."),
    SHARED_FAILURES: ("counter", "Exchanges with the store of shared limits without an answer."),
    SHARED_WAIT: (
        "counter",
        "How long workers waited, in the background, for the store's answers.",
    ),
    SHARED_FALLBACKS: ("counter", "How often a worker went on alone because the store was gone."),
    SHARED_REPLACED: ("counter", "How often the store was another server than before."),
    NOTICES_REFUSED: ("counter", "Standings in the store that this installation did not sign."),
    START_TIME: ("gauge", "When the worker started, in seconds since 1970."),
    CPU: ("counter", "CPU of the worker, user and system."),
    RESIDENT: ("gauge", "Memory of the worker that is in RAM."),
}


class _Writer:
    """Samples by family, added up where their labels are the same."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[Labels, float]] = {
            name: defaultdict(float) for name in FAMILIES
        }
        self._buckets: dict[str, dict[Labels, list[int]]] = {name: {} for name in FAMILIES}
        self._bounds: dict[str, tuple[int, ...]] = {}

    def add(self, name: str, value: float, *labels: tuple[str, str]) -> None:
        """Add to a counter or a gauge."""
        self._counts[name][labels] += value

    def observe(
        self,
        name: str,
        bounds_us: tuple[int, ...],
        counts: Sequence[int],
        sum_us: int,
        *labels: tuple[str, str],
    ) -> None:
        """Add to a histogram; the sum of it is kept beside, under the same labels."""
        self._bounds[name] = bounds_us
        before = self._buckets[name].get(labels) or [0] * len(counts)
        self._buckets[name][labels] = [a + b for a, b in zip(before, counts, strict=True)]
        self._counts[name][labels] += sum_us / US_PER_S

    def text(self) -> str:
        """The exposition: families as `FAMILIES` has them, without those that have no sample."""
        lines: list[str] = []
        for name, (kind, explained) in FAMILIES.items():
            if not self._counts[name]:
                continue
            lines += (f"# HELP {name} {_escaped(explained)}", f"# TYPE {name} {kind}")
            for labels, value in sorted(self._counts[name].items()):
                if kind == "histogram":
                    lines += self._histogram(name, labels, value)
                else:
                    lines.append(f"{name}{_braces(labels)} {_number(value)}")
        return "\n".join(lines) + "\n"

    def _histogram(self, name: str, labels: Labels, total_s: float) -> Iterable[str]:
        bounds = [_number(bound / US_PER_S) for bound in self._bounds[name]] + ["+Inf"]
        upto = list(accumulate(self._buckets[name][labels]))
        for bound, count in zip(bounds, upto, strict=True):
            yield f"{name}_bucket{_braces((*labels, ('le', bound)))} {count}"
        yield f"{name}_sum{_braces(labels)} {_number(total_s)}"
        yield f"{name}_count{_braces(labels)} {upto[-1]}"


def exposition(
    metrics: Iterable[WorkerMetrics],
    statuses: Iterable[WorkerStatus],
    now: Instant,
    *,
    by_worker: bool = False,
) -> str:
    """What `/metrics` answers.

    Args:
        metrics: of every worker of the machine, also of those that have stopped.
        statuses: what the workers last said of themselves.
        now: microseconds UTC.
        by_worker: every counter by worker, instead of one sum of all; states always are by worker.
    """
    writer = _Writer()
    latest = list(metrics)
    for one in latest:
        _counters(writer, one, (("worker", one.app_id),) if by_worker else ())
    by_name = {one.app_id: one for one in latest}
    known = list(statuses)
    starts = [(status.app_id, status.started_at) for status in known]
    for status in known:
        handed_over = succeeded(status.app_id, status.started_at, starts)
        _states(writer, status, by_name.get(status.app_id), now, handed_over=handed_over)
    return writer.text()


def _counters(writer: _Writer, one: WorkerMetrics, worker: Labels) -> None:
    totals = one.totals
    for series in totals.series:
        _series(writer, series, worker)
    for code, count in totals.refusals.items():
        writer.add(REFUSALS, count, ("reason", code), *worker)
    writer.observe(SYNC_WAIT, SYNC_BOUNDS_US, totals.sync_wait, totals.sync_wait_us, *worker)
    writer.add(SYNCS, totals.syncs, *worker)
    writer.add(FAILOVERS, totals.failovers, *worker)
    for what, count in totals.dropped.items():
        writer.add(DROPPED, count, ("what", what), *worker)


def _series(writer: _Writer, one: SeriesCounts, worker: Labels) -> None:
    served = (("endpoint", one.endpoint), ("model", one.model), ("deployment", one.deployment))
    named = (*served, ("stream", "true" if one.stream else "false"), *worker)
    for status, reason, count in one.outcomes:
        writer.add(REQUESTS, count, *named, ("status", str(status)), ("reason", reason))
        if reason.startswith(UPSTREAM_PREFIX) and (reason != REJECTED or status == BUSY_STATUS):
            place = (("model", one.model), ("deployment", one.deployment), *worker)
            writer.add(UPSTREAM_ERRORS, count, *place, ("reason", reason))
    writer.observe(DURATION, LATENCY_BOUNDS_US, one.duration, one.duration_us, *named)
    if one.stream:
        writer.observe(
            FIRST_TOKEN, LATENCY_BOUNDS_US, one.first_byte, one.first_byte_us, *served, *worker
        )
    for axis, count in zip(AXES, one.tokens, strict=True):
        if axis == "image":
            if count:
                writer.add(IMAGES, count, *served, *worker)
        elif count or axis in ("input", "output"):
            writer.add(TOKENS, count, *served, ("axis", axis), *worker)


def _states(
    writer: _Writer,
    status: WorkerStatus,
    metrics: WorkerMetrics | None,
    now: Instant,
    *,
    handed_over: bool,
) -> None:
    worker = ("worker", status.app_id)
    silent = now - status.at > OUT_OF_CONTACT_S * US_PER_S
    up = not silent and status.state != "stopped"
    if handed_over and status.state == "stopped":
        return  # nobody misses it, so no alert may
    writer.add(UP, up, worker)
    if not handed_over:
        writer.add(READY, up and status.ready, worker)
    writer.add(START_TIME, status.started_at / US_PER_S, worker)
    if metrics is not None:
        writer.add(CPU, metrics.cpu_us / US_PER_S, worker)
    if not up:
        return
    writer.add(IN_FLIGHT, status.in_flight, worker)
    writer.add(CONNECTIONS, status.connections, worker)
    writer.add(UPSTREAM_CONNECTIONS, status.upstream_connections, worker)
    writer.add(WAL_WRITABLE, status.wal_writable, worker)
    for lane in status.provisioned:
        named = (("contract", lane.contract), ("model", lane.model), worker)
        writer.add(UNITS_UTILISATION, lane.utilisation_permille / PERMILLE, *named)
        for outcome in ("served", "spilled", "refused"):
            writer.add(UNITS_REQUESTS, getattr(lane, outcome), *named, ("outcome", outcome))
    if status.shared is not None:
        _add_shared(writer, status.shared, worker)
    if status.snapshot_version is not None:
        writer.add(SNAPSHOT_VERSION, status.snapshot_version, worker)
    if metrics is not None:
        writer.add(RESIDENT, metrics.resident_bytes, worker)
        age_us = max(now - metrics.snapshot_contact_at, 0)
        writer.add(SNAPSHOT_AGE, age_us / US_PER_S, worker)


def _add_shared(writer: _Writer, shared: SharedShown, worker: tuple[str, str]) -> None:
    writer.add(SHARED_ALONE, shared.alone, worker)
    writer.add(SHARED_WORKERS, shared.workers, worker)
    writer.add(SHARED_EXCHANGES, shared.exchanges, worker)
    writer.add(SHARED_FAILURES, shared.failures, worker)
    writer.add(SHARED_WAIT, shared.waited_us / US_PER_S, worker)
    writer.add(SHARED_FALLBACKS, shared.fallbacks, worker)
    writer.add(SHARED_REPLACED, shared.replaced, worker)
    writer.add(NOTICES_REFUSED, shared.notices_refused, worker)


def as_json(metrics: Iterable[WorkerMetrics]) -> bytes:
    """The counters as they are kept, one object a worker."""
    return msgspec.json.encode(list(metrics))


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    inside = ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in labels)
    return f"{{{inside}}}"


def _escaped(value: str, *, quote: bool = False) -> str:
    value = value.replace("\\", "\\\\").replace("\n", "\\n")
    return value.replace('"', '\\"') if quote else value
