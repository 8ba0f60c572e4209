"""The live-traffic page's port: the workers' last minutes laid on each other."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final

from quartermaster.app import live as views
from quartermaster.console.ports_traffic import (
    TrafficCustomer,
    TrafficFacts,
    TrafficPoint,
    TrafficRefusals,
    TrafficRequest,
)
from quartermaster.gateway.metrics import LATENCY_BOUNDS_US, RequestSeen
from quartermaster.gateway.metrics_file import WorkerMetrics, all_metrics
from quartermaster.gateway.metrics_window import INTERVAL_S, INTERVALS_MAX, Interval
from quartermaster.gateway.status import succeeded
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.snapshot import OUT_OF_CONTACT_S

# Two of five seconds are whole when the third runs: enough for a rate that does not jump.
RATE_INTERVALS: Final = 2
# Quantiles of a few seconds would be of a few requests.
QUANTILE_INTERVALS: Final = 12
CUSTOMERS_SHOWN_MAX: Final = 10
"""One look; the workers' files and the usage table know the others."""
REQUESTS_SHOWN_MAX: Final = 20
"""Bars that fit on a screen with their names."""

_STEP_US: Final = INTERVAL_S * US_PER_S
_BUCKETS: Final = len(LATENCY_BOUNDS_US) + 1


class LiveTraffic:
    """What the gateway workers of a data folder last wrote.

    Args:
        var: root of the data folder.
    """

    def __init__(self, var: Path) -> None:
        self._var = var

    def traffic(self, now: Instant) -> TrafficFacts:
        """The facts.

        Raises:
            IntegrityError: a worker's file cannot be read.
        """
        found = all_metrics(self._var)
        heard = [one for one in found if now - one.at <= OUT_OF_CONTACT_S * US_PER_S]
        gone_us = INTERVALS_MAX * _STEP_US
        starts = [(one.app_id, one.started_at) for one in found]
        silent = [
            one
            for one in found
            if one not in heard
            and now - one.at <= gone_us
            and not succeeded(one.app_id, one.started_at, starts)
        ]
        return facts_of(heard, tuple(one.app_id for one in silent), self._names(), now)

    def _names(self) -> Mapping[str, str]:
        book = views.read(self._var)
        return {} if book is None else {row.customer: row.customer_name for row in book.revenue}


def facts_of(
    heard: Sequence[WorkerMetrics], silent: tuple[str, ...], names: Mapping[str, str], now: Instant
) -> TrafficFacts:
    """Lay the workers' minutes on each other.

    Args:
        heard: workers that report.
        silent: those that have stopped to, by name.
        names: of customers, by id; one that is not known is shown by its id.
        now: microseconds UTC.
    """
    slots: dict[int, list[Interval]] = defaultdict(list)
    for one in heard:
        for interval in one.window.intervals:
            slots[interval.at // _STEP_US].append(interval)
    current = now // _STEP_US
    known = [slot for slot in slots if current - INTERVALS_MAX < slot <= current]
    # The stretch that runs has only begun; a point of it would look like a fall.
    past = range(min(known), current) if known else range(0)
    points = [_point(slot, slots.get(slot, [])) for slot in past]
    minute = [each for slot in past[-QUANTILE_INTERVALS:] for each in slots.get(slot, [])]
    minute += slots.get(current, [])
    rates = points[-RATE_INTERVALS:]
    refusals: Counter[str] = Counter()
    for slot in known:
        for each in slots[slot]:
            refusals.update(each.refusals)
    first, whole = _summed(minute, "first_byte"), _summed(minute, "duration")
    return TrafficFacts(
        workers=len(heard),
        silent=silent,
        in_flight=sum(each.window.intervals[-1].in_flight for each in heard if _begun(each)),
        requests_per_s=_mean([point.requests_per_s for point in rates]),
        tokens_per_s=_mean([point.tokens_per_s for point in rates]),
        refused_per_s=_mean([point.refused_per_s for point in rates]),
        first_token_ms_p50=quantile_ms(first, 0.5),
        first_token_ms_p95=quantile_ms(first, 0.95),
        duration_ms_p50=quantile_ms(whole, 0.5),
        duration_ms_p95=quantile_ms(whole, 0.95),
        points=tuple(points),
        step_s=INTERVAL_S,
        refusals=tuple(TrafficRefusals(*item) for item in refusals.most_common()),
        customers=_customers(heard, names),
        customers_since=_since(heard),
        requests=_requests(heard, names),
    )


def quantile_ms(counts: Sequence[int], share: float) -> float | None:
    """A quantile of a latency histogram, in ms; None where it is empty.

    Between two bounds it is read as if the requests lay evenly there, as Prometheus does it; above
    the last bound it is that bound.

    Args:
        counts: by `LATENCY_BOUNDS_US`, the last above all bounds.
        share: of the requests that were faster.
    """
    upto = list(accumulate(counts))
    if not upto or not upto[-1]:
        return None
    wanted = share * upto[-1]
    at = next(number for number, count in enumerate(upto) if count >= wanted and counts[number])
    if at == len(LATENCY_BOUNDS_US):
        return LATENCY_BOUNDS_US[-1] / 1_000
    low = LATENCY_BOUNDS_US[at - 1] if at else 0
    inside = (wanted - (upto[at] - counts[at])) / counts[at]
    return (low + (LATENCY_BOUNDS_US[at] - low) * inside) / 1_000


def _point(slot: int, intervals: Sequence[Interval]) -> TrafficPoint:
    first = _summed(intervals, "first_byte")
    return TrafficPoint(
        at=Instant(slot * _STEP_US),
        requests_per_s=sum(_rate(each.requests, each) for each in intervals),
        tokens_per_s=sum(_rate(each.tokens, each) for each in intervals),
        refused_per_s=sum(_rate(sum(each.refusals.values()), each) for each in intervals),
        in_flight=sum(each.in_flight for each in intervals),
        first_token_ms_p50=quantile_ms(first, 0.5),
        first_token_ms_p95=quantile_ms(first, 0.95),
    )


def _rate(count: int, interval: Interval) -> float:
    # A worker's first stretch may have begun a moment before its end.
    return count / max(interval.seconds, 1.0)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _begun(one: WorkerMetrics) -> bool:
    return bool(one.window.intervals)


def _summed(intervals: Iterable[Interval], name: str) -> list[int]:
    total = [0] * _BUCKETS
    for each in intervals:
        counts: tuple[int, ...] = getattr(each, name)
        total = [a + b for a, b in zip(total, counts, strict=True)]
    return total


def _customers(
    heard: Sequence[WorkerMetrics], names: Mapping[str, str]
) -> tuple[TrafficCustomer, ...]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in heard:
        for each in one.window.customers:
            known = sums[each.customer]
            known[0] += each.requests
            known[1] += each.tokens
            known[2] += each.in_flight
    found = sorted(sums.items(), key=lambda item: (-item[1][1], -item[1][0], item[0]))
    return tuple(
        TrafficCustomer(customer, names.get(customer, customer), *counts)
        for customer, counts in found[:CUSTOMERS_SHOWN_MAX]
    )


def _since(heard: Sequence[WorkerMetrics]) -> Instant | None:
    begun = [one.window.customers_since for one in heard if one.window.customers_since]
    return Instant(min(begun)) if begun else None


def _requests(
    heard: Sequence[WorkerMetrics], names: Mapping[str, str]
) -> tuple[TrafficRequest, ...]:
    """What runs first of all, then what ended last; shown in the order of arrival."""
    running = sorted((r for one in heard for r in one.window.running), key=_opened_at)
    ended = sorted((r for one in heard for r in one.window.ended), key=_opened_at)
    shown = running[:REQUESTS_SHOWN_MAX]
    room = REQUESTS_SHOWN_MAX - len(shown)
    shown += ended[-room:] if room else []
    return tuple(_request(one, names) for one in sorted(shown, key=_opened_at))


def _opened_at(one: RequestSeen) -> int:
    return one.opened_at


def _request(one: RequestSeen, names: Mapping[str, str]) -> TrafficRequest:
    return TrafficRequest(
        request_id=one.request_id,
        name=names.get(one.customer, one.customer),
        model=one.model,
        endpoint=one.endpoint,
        stream=one.stream,
        opened_at=Instant(one.opened_at),
        first_byte_at=Instant(one.first_byte_at) if one.first_byte_at else None,
        closed_at=Instant(one.closed_at) if one.closed_at else None,
        status=one.status or None,
        reason=one.reason,
        input_tokens=one.input_tokens,
        output_tokens=one.output_tokens,
    )
