"""What a worker counts of its requests: integers in arrays, filled a batch at a time.

Nothing is counted while a request runs. When a group sync has released its answers, the exchanges
that it covered are read once, together: about a third of a microsecond each, after their last
bytes have left. A histogram is a list of counts by `bisect` on fixed bounds.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from quartermaster.gateway.otlp_context import TraceContext
from quartermaster.gateway.route import Origin
from quartermaster.gateway.status import Tallies
from quartermaster.kernel.events import Closed, Endpoint
from quartermaster.kernel.snapshot import Deployment, KeyGrant
from quartermaster.kernel.units import AXES

_MS: Final = 1_000
# Finer than OpenTelemetry's advice for GenAI servers, and with its bounds among them: the time to a
# first token is read to a quarter, from a millisecond to the time that a client gives up.
LATENCY_BOUNDS_US: Final = tuple(
    ms * _MS
    for ms in (
        *(1, 2, 5, 10, 20, 40, 60, 80, 100, 150, 200, 250, 350, 500, 750),
        *(1_000, 1_500, 2_500, 5_000, 7_500, 10_000, 20_000, 40_000, 80_000, 160_000),
    )
)
# A sync takes a tenth of a millisecond on a good disk and seconds on one that is about to fail.
SYNC_BOUNDS_US: Final = (
    *(100, 250, 500, 1_000, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000, 25_000),
    *(50_000, 100_000, 250_000, 1_000_000, 5_000_000),
)
# What the live screen draws as a timeline; more bars than fit on it are of no use.
RECENT_MAX: Final = 40
# Of one sync; a busy worker has hundreds a second, and whatever is kept leaves the caches.
RECENT_PER_SYNC: Final = 4
# The two axes that nearly every request has.
_INPUT, _OUTPUT = AXES.index("input"), AXES.index("output")

Outcome = tuple[int, str]
"""HTTP status and reason; the reason is empty for a request that simply went well."""
LOST: Final[Outcome] = (503, "meter_unavailable")
"""What the client read when the log failed under its request."""


class RoutedTo(Protocol):
    """Where a request went."""

    @property
    def deployment(self) -> Deployment:
        """The deployment that answered, or should have."""

    @property
    def origin(self) -> Origin:
        """Its host."""


class Asked(Protocol):
    """What a request asked for."""

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""


class Ended(Protocol):
    """An exchange whose close record is on disk, or whose log has failed."""

    @property
    def request_id(self) -> str:
        """Our id."""

    @property
    def endpoint(self) -> Endpoint:
        """What was asked for."""

    @property
    def opened_at(self) -> int:
        """When it was admitted, microseconds UTC."""

    @property
    def closed(self) -> Closed | None:
        """Its close record; None where the log failed, so that it never had one."""

    @property
    def target(self) -> RoutedTo:
        """Where it went."""

    @property
    def call(self) -> Asked:
        """What it asked for."""

    @property
    def grant(self) -> KeyGrant:
        """Whose key."""

    @property
    def trace_context(self) -> TraceContext | None:
        """Its place in a trace, where it has one."""


class Series:
    """Counts of one kind of request since the counters began.

    Args:
        endpoint: what was asked for.
        model: as customers call it.
        deployment: where it went.
        stream: whether a stream was asked for.
    """

    __slots__ = (
        "deployment",
        "duration",
        "duration_us",
        "endpoint",
        "first_byte",
        "first_byte_us",
        "model",
        "others",
        "served",
        "stream",
        "tokens",
    )

    def __init__(self, endpoint: str, model: str, deployment: str, stream: bool) -> None:
        self.endpoint = endpoint
        self.model = model
        self.deployment = deployment
        self.stream = stream
        self.served = 0
        """Ended with 200 and without any reason to say more."""
        self.others: dict[Outcome, int] = {}
        self.duration = [0] * (len(LATENCY_BOUNDS_US) + 1)
        self.duration_us = 0
        self.first_byte = [0] * (len(LATENCY_BOUNDS_US) + 1)
        self.first_byte_us = 0
        self.tokens = [0] * len(AXES)


class SeriesCounts(msgspec.Struct, frozen=True):
    """A series as it is handed on; histograms are counts by bound, the last is above all bounds."""

    endpoint: str
    model: str
    deployment: str
    stream: bool
    outcomes: tuple[tuple[int, str, int], ...]
    """HTTP status, reason, requests."""
    duration: tuple[int, ...]
    duration_us: int
    first_byte: tuple[int, ...]
    first_byte_us: int
    tokens: tuple[int, ...]
    """By axis, in the order of `AXES`."""


class Totals(msgspec.Struct, frozen=True):
    """Every counter of one worker. A successor goes on from them, so that no sum ever falls."""

    series: tuple[SeriesCounts, ...] = ()
    refusals: dict[str, int] = {}
    """Requests refused before they were opened, by error code."""
    sync_wait: tuple[int, ...] = (0,) * (len(SYNC_BOUNDS_US) + 1)
    """How long answers that were complete waited for their close record to be on disk."""
    sync_wait_us: int = 0
    syncs: int = 0
    dropped: dict[str, int] = {}
    """What was not written because a queue was full, by what it was."""
    failovers: int = 0
    """Attempts that a model server did not take and another one did."""


class RequestSeen(msgspec.Struct, frozen=True):
    """One request on the timeline. Instants are microseconds UTC; 0 means not yet."""

    request_id: str
    customer: str
    model: str
    endpoint: str
    stream: bool
    opened_at: int
    first_byte_at: int
    closed_at: int
    status: int
    reason: str
    input_tokens: int
    output_tokens: int


class Meters:
    """The counters of one worker.

    Args:
        before: what the worker's predecessor had counted.
    """

    def __init__(self, before: Totals | None = None) -> None:
        self._series: dict[tuple[str, str, str, bool], Series] = {}
        self._before = before or Totals()
        self.sync_wait = list(self._before.sync_wait)
        self.sync_wait_us = self._before.sync_wait_us
        self.customers: dict[str, list[int]] = {}
        """Requests and tokens by customer; whoever reads them may begin a new one."""
        self.latest: deque[Ended] = deque(maxlen=RECENT_MAX)
        """What ended last."""
        for counts in self._before.series:
            self._resume(counts)

    def ended(self, batch: Sequence[Ended], now: int) -> None:
        """Count requests whose end is on disk, or is not and never will be.

        Args:
            batch: all that one group sync released.
            now: when it did, microseconds UTC.
        """
        bisect, bounds, sync_bounds = bisect_left, LATENCY_BOUNDS_US, SYNC_BOUNDS_US
        customers, sync_wait = self.customers, self.sync_wait
        target: RoutedTo | None = None
        endpoint, stream, waited_us = "", False, 0
        for one in batch:
            closed = one.closed
            asked_stream = one.call.stream
            if one.target is not target or asked_stream is not stream or one.endpoint != endpoint:
                target, stream, endpoint = one.target, asked_stream, one.endpoint
                series = self._of(target.deployment, endpoint, stream)
                duration, tokens = series.duration, series.tokens
            if closed is None:
                series.others[LOST] = series.others.get(LOST, 0) + 1
                continue
            if closed.http_status == 200 and not closed.failure:
                series.served += 1
            else:
                outcome = (closed.http_status, closed.failure)
                series.others[outcome] = series.others.get(outcome, 0) + 1
            at = closed.closed_at
            took_us = at - one.opened_at
            if took_us < 0:
                took_us = 0  # the clock was set back; a sum must not fall
            duration[bisect(bounds, took_us)] += 1
            series.duration_us += took_us
            if stream and closed.first_byte_at:
                took_us = max(closed.first_byte_at - one.opened_at, 0)
                series.first_byte[bisect(bounds, took_us)] += 1
                series.first_byte_us += took_us
            wait_us = now - at
            if wait_us < 0:
                wait_us = 0
            sync_wait[bisect(sync_bounds, wait_us)] += 1
            waited_us += wait_us
            counts = closed.counts
            given, made = counts.input, counts.output
            tokens[_INPUT] += given
            tokens[_OUTPUT] += made
            if counts.cached_read or counts.reasoning or counts.cache_write:
                made += _count_rare(counts, tokens)
            elif counts.audio_input or counts.audio_output or counts.image:
                made += _count_rare(counts, tokens)
            customer = customers.get(one.grant.customer)
            if customer is None:
                customer = customers[one.grant.customer] = [0, 0]
            customer[0] += 1
            customer[1] += given + made
        self.sync_wait_us += waited_us
        self.latest.extend(batch[-RECENT_PER_SYNC:])

    def totals(self, tallies: Tallies, *, syncs: int, dropped: Mapping[str, int]) -> Totals:
        """Everything counted, with what the predecessor had.

        Args:
            tallies: refusals since this worker started.
            syncs: group syncs since this worker started.
            dropped: what was dropped since this worker started.
        """
        before = self._before
        return Totals(
            series=tuple(_counts(series) for series in self._series.values()),
            refusals=_added(before.refusals, tallies.refusals),
            sync_wait=tuple(self.sync_wait),
            sync_wait_us=self.sync_wait_us,
            syncs=before.syncs + syncs,
            dropped=_added(before.dropped, dropped),
            failovers=before.failovers + tallies.failovers,
        )

    def recent(self) -> list[RequestSeen]:
        """What ended since this was asked last, oldest first, at most `RECENT_MAX`."""
        found = [seen(one) for one in self.latest]
        self.latest.clear()
        return found

    def _of(self, deployment: Deployment, endpoint: str, stream: bool) -> Series:
        key = (deployment.name, deployment.model, endpoint, stream)
        series = self._series.get(key)
        if series is None:
            series = Series(endpoint, deployment.model, deployment.name, stream)
            self._series[key] = series
        return series

    def _resume(self, counts: SeriesCounts) -> None:
        series = Series(counts.endpoint, counts.model, counts.deployment, counts.stream)
        for status, reason, requests in counts.outcomes:
            if (status, reason) == (200, ""):
                series.served = requests
            else:
                series.others[(status, reason)] = requests
        series.duration = list(counts.duration)
        series.duration_us = counts.duration_us
        series.first_byte = list(counts.first_byte)
        series.first_byte_us = counts.first_byte_us
        series.tokens = list(counts.tokens)
        key = (counts.deployment, counts.model, counts.endpoint, counts.stream)
        self._series[key] = series


def seen(one: Ended, first_byte_at: int = 0) -> RequestSeen:
    """A request as the timeline shows it.

    Args:
        one: a request that has ended, or that runs.
        first_byte_at: of one that runs.
    """
    closed = one.closed
    counts = None if closed is None else closed.counts
    given = made = 0
    if counts is not None:
        given = counts.input + counts.cached_read + counts.cache_write + counts.audio_input
        made = counts.output + counts.reasoning + counts.audio_output
    return RequestSeen(
        request_id=one.request_id,
        customer=one.grant.customer,
        model=one.target.deployment.model,
        endpoint=one.endpoint,
        stream=one.call.stream,
        opened_at=one.opened_at,
        first_byte_at=first_byte_at if closed is None else closed.first_byte_at,
        closed_at=0 if closed is None else closed.closed_at,
        status=0 if closed is None else closed.http_status,
        reason="" if closed is None else closed.failure,
        input_tokens=given,
        output_tokens=made,
    )


def _count_rare(counts: msgspec.Struct, tokens: list[int]) -> int:
    """Add the axes that few requests have; returns the tokens among them."""
    added = 0
    for at, quantity in enumerate(msgspec.structs.astuple(counts)):
        if at not in (_INPUT, _OUTPUT):
            tokens[at] += quantity
            added += quantity if AXES[at] != "image" else 0
    return added


def _counts(series: Series) -> SeriesCounts:
    outcomes = [(status, reason, count) for (status, reason), count in series.others.items()]
    if series.served:
        outcomes.insert(0, (200, "", series.served))
    return SeriesCounts(
        series.endpoint,
        series.model,
        series.deployment,
        series.stream,
        tuple(outcomes),
        tuple(series.duration),
        series.duration_us,
        tuple(series.first_byte),
        series.first_byte_us,
        tuple(series.tokens),
    )


def _added(before: Mapping[str, int], since: Mapping[str, int]) -> dict[str, int]:
    names = (*before, *(name for name in since if name not in before))
    return {name: before.get(name, 0) + since.get(name, 0) for name in names}
