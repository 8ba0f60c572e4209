"""What the live-traffic page asks: what passes the gateways now, and in the last minutes."""

from typing import Protocol

import msgspec

from quartermaster.kernel.clock import Instant


class TrafficPoint(msgspec.Struct, frozen=True):
    """What all workers counted in one stretch of some seconds, a second. None: nothing to say."""

    at: Instant
    """Its beginning."""
    requests_per_s: float
    tokens_per_s: float
    refused_per_s: float
    in_flight: int
    """At its end."""
    first_token_ms_p50: float | None
    """Of streams, read from histogram buckets."""
    first_token_ms_p95: float | None


class TrafficRefusals(msgspec.Struct, frozen=True):
    """Requests that were refused for one reason."""

    reason: str
    requests: int


class TrafficCustomer(msgspec.Struct, frozen=True):
    """What one customer asked for since `TrafficFacts.customers_since`."""

    customer: str
    """Id."""
    name: str
    requests: int
    tokens: int
    in_flight: int


class TrafficRequest(msgspec.Struct, frozen=True):
    """One request on the timeline. An instant of None has not come yet."""

    request_id: str
    name: str
    """Of the customer."""
    model: str
    endpoint: str
    stream: bool
    opened_at: Instant
    first_byte_at: Instant | None
    closed_at: Instant | None
    status: int | None
    reason: str
    """Empty where it went well."""
    input_tokens: int
    output_tokens: int


class TrafficFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Live traffic of one machine. Always real, never the sample book."""

    workers: int
    """That report."""
    silent: tuple[str, ...] = ()
    """Workers that have stopped reporting; nothing of them is in the figures of now."""
    in_flight: int = 0
    requests_per_s: float = 0.0
    """Of the last whole stretches."""
    tokens_per_s: float = 0.0
    refused_per_s: float = 0.0
    first_token_ms_p50: float | None = None
    """Of the streams of the last minute."""
    first_token_ms_p95: float | None = None
    duration_ms_p50: float | None = None
    """Of all requests of the last minute."""
    duration_ms_p95: float | None = None
    points: tuple[TrafficPoint, ...] = ()
    """In time order, without gaps: a stretch without requests is there with zeros."""
    step_s: int = 5
    """Seconds of a stretch."""
    refusals: tuple[TrafficRefusals, ...] = ()
    """Of all points together, most first."""
    customers: tuple[TrafficCustomer, ...] = ()
    """Most tokens first."""
    customers_since: Instant | None = None
    requests: tuple[TrafficRequest, ...] = ()
    """Running and lately ended, in the order of arrival."""


class TrafficBook(Protocol):
    """The gateways behind the live-traffic page."""

    def traffic(self, now: Instant) -> TrafficFacts:
        """The facts; cheap to ask, every two seconds by every open page."""


class NoTraffic:
    """No gateway on this machine."""

    def traffic(self, now: Instant) -> TrafficFacts:
        """That nobody reports."""
        del now
        return TrafficFacts(workers=0)
