"""What is seen of one worker: its counters each second, its access log, its spans."""

import os
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from quartermaster import __version__
from quartermaster.gateway import otlp_export
from quartermaster.gateway.access_log import DROPPED as LINES_DROPPED
from quartermaster.gateway.access_log import AccessLog
from quartermaster.gateway.metrics import Ended, Meters, seen
from quartermaster.gateway.metrics_file import (
    WorkerMetrics,
    metrics_path,
    predecessor,
    write_metrics,
)
from quartermaster.gateway.metrics_window import RUNNING_MAX, Window
from quartermaster.gateway.otlp import Ended as EndedSpan
from quartermaster.gateway.otlp import Service
from quartermaster.gateway.otlp_context import TraceContext, context, parent_of
from quartermaster.gateway.otlp_export import Collector, Exporter, Threadsafe, read_headers
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.status import Tallies
from quartermaster.kernel.clock import US_PER_S
from quartermaster.usage.offload import ThreadOffload

FOLDER_MODE: Final = 0o700
# 16 bytes of trace id and 8 for each of two spans.
TRACE_RANDOM_BYTES: Final = 32
SERVICE_NAME: Final = "quartermaster-gateway"


class Running(Ended, Protocol):
    """An exchange that has not ended."""

    @property
    def first_byte_at(self) -> int:
        """When its answer began, microseconds UTC; 0 while it has not."""


class Observer:
    """Everything that is seen of a worker.

    Args:
        settings: what is on.
        var: root of the data folder.
        app_id: of the worker.
        tallies: where refusals are counted.
        threadsafe: brings a callback from a thread to the loop.
        now: microseconds UTC.

    Raises:
        ConfigError: the collector's address or its headers cannot be used.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        var: Path,
        app_id: str,
        tallies: Tallies,
        threadsafe: Threadsafe,
        now: int,
    ) -> None:
        self._app_id = app_id
        self._tallies = tallies
        self._started_at = now
        self._path = metrics_path(var, app_id)
        self._path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self.meters = Meters(predecessor(self._path))
        self._window = Window(self.meters.totals(tallies, syncs=0, dropped={}), now)
        self._share = settings.otlp_share
        self.access_log = _access_log(settings, var, app_id)
        self.exporter = _exporter(settings, var, app_id, threadsafe)

    @property
    def tracer(self) -> Callable[[bytes], TraceContext] | None:
        """Gives a request its place in a trace, where traces are exported."""
        return None if self.exporter is None else self.context

    @property
    def when_refused(self) -> Callable[[str, int, str, int], None] | None:
        """Logs a request that was refused before it was admitted, where there is a log."""
        return None if self.access_log is None else self.access_log.refused

    def ended(self, batch: Sequence[Ended], now: int) -> None:
        """Requests have ended: count them, log them, and queue those that are traced.

        Args:
            batch: all that one group sync released.
            now: when it did, microseconds UTC.
        """
        self.meters.ended(batch, now)
        if self.access_log is not None:
            self.access_log.take(batch, now)
        if self.exporter is not None:
            for one in batch:
                span = span_of(one, now)
                if span is not None:
                    self.exporter.take(span)

    def context(self, traceparent: bytes) -> TraceContext:
        """A request's place in its client's trace, or in one of its own."""
        return context(parent_of(traceparent), os.urandom(TRACE_RANDOM_BYTES), self._share)

    def tick(
        self,
        running: Iterable[Running],
        syncs: int,
        contact_s: float,
        monotonic_s: float,
        now: int,
    ) -> None:
        """Once a second: write the counters' file, and move what was gathered along.

        Args:
            running: requests that have not ended.
            syncs: group syncs since the worker started.
            contact_s: when the snapshot was last found to be the newest, on the next one's clock.
            monotonic_s: seconds of a clock that never goes back.
            now: microseconds UTC.
        """
        if self.access_log is not None:
            self.access_log.tick()
        if self.exporter is not None:
            self.exporter.tick(monotonic_s)
        contact_at = now - int((monotonic_s - contact_s) * US_PER_S)
        try:
            write_metrics(self._path, self._metrics(running, syncs, contact_at, now))
        except OSError:
            # As for the status: the counters stay, and are written when the disk takes them.
            self._tallies.failed("metrics_unwritable")

    def stop(self) -> None:
        """Hand over what was gathered and end the threads; blocks until they have."""
        if self.access_log is not None:
            self.access_log.stop()
        if self.exporter is not None:
            self.exporter.stop()

    def _metrics(
        self, running: Iterable[Running], syncs: int, contact_at: int, now: int
    ) -> WorkerMetrics:
        totals = self.meters.totals(self._tallies, syncs=syncs, dropped=self._dropped())
        still = sorted(running, key=_opened_at)
        in_flight = Counter(one.grant.customer for one in still)
        shown = [seen(one, one.first_byte_at) for one in still[:RUNNING_MAX]]
        used = resource.getrusage(resource.RUSAGE_SELF)
        return WorkerMetrics(
            app_id=self._app_id,
            at=now,
            started_at=self._started_at,
            totals=totals,
            cpu_us=int((used.ru_utime + used.ru_stime) * US_PER_S),
            resident_bytes=_resident_bytes(),
            snapshot_contact_at=contact_at,
            window=self._window.look(totals, self.meters, shown, in_flight, now),
        )

    def _dropped(self) -> dict[str, int]:
        dropped = {}
        if self.access_log is not None:
            dropped[LINES_DROPPED] = self.access_log.dropped
        if self.exporter is not None:
            dropped[otlp_export.DROPPED] = self.exporter.dropped
        return dropped


def span_of(one: Ended, now: int) -> EndedSpan | None:
    """What is exported of a request, or None where it is not traced.

    Args:
        one: a request that has ended.
        now: when its answer was released, microseconds UTC.
    """
    trace, closed = one.trace_context, one.closed
    if trace is None or closed is None or not trace.sampled:
        return None
    deployment, origin = one.target.deployment, one.target.origin
    return EndedSpan(
        context=trace,
        request_id=one.request_id,
        endpoint=one.endpoint,
        model=deployment.model,
        deployment=deployment.name,
        api=deployment.api,
        host=origin.host,
        port=origin.port,
        customer=one.grant.customer,
        project=one.grant.project,
        stream=one.call.stream,
        opened_at=one.opened_at,
        released_at=now,
        closed=closed,
    )


def _opened_at(one: Running) -> int:
    return one.opened_at


def _access_log(settings: GatewaySettings, var: Path, app_id: str) -> AccessLog | None:
    if not settings.access_log:
        return None
    folder = var / "log"
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    offload = ThreadOffload(f"access-log-{app_id}")
    return AccessLog(
        folder / f"access-{app_id}.jsonl",
        offload,
        bytes_max=settings.access_log_bytes_max,
        files_max=settings.access_log_files,
    )


def _exporter(
    settings: GatewaySettings, var: Path, app_id: str, threadsafe: Callable[..., object]
) -> Exporter | None:
    if not settings.otlp_endpoint:
        return None
    named = settings.otlp_headers_file
    headers = read_headers(var / named) if named else {}
    collector = Collector(settings.otlp_endpoint, headers)
    service = Service(SERVICE_NAME, app_id, __version__)
    return Exporter(service, collector.send, ThreadOffload(f"otlp-{app_id}"), threadsafe)


def _resident_bytes() -> int:
    """Memory in RAM as the kernel counts it; the second number of `statm` is pages."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
