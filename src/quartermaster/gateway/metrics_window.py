"""The last minutes of one worker, for the live screen: what was counted in each five seconds."""

from collections import deque
from collections.abc import Mapping
from operator import add
from typing import Final

import msgspec

from quartermaster.gateway.metrics import LATENCY_BOUNDS_US, Meters, RequestSeen, Totals
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.units import AXES

# Short enough that a rise shows while it happens, long enough that a quantile has requests in it.
INTERVAL_S: Final = 5
# Five minutes fill the width of a figure, and are what somebody looks back when paged.
INTERVALS_MAX: Final = 60
# Customers are counted by the minute: by interval, thousands of them would fill the memory.
MINUTE_S: Final = 60
MINUTES_MAX: Final = 4
# The screen shows ten of all workers; one worker alone may have others among its first.
CUSTOMERS_MAX: Final = 100
# In-flight requests on the timeline: the oldest, which are those that somebody looks for.
RUNNING_MAX: Final = 20

_INTERVAL_US: Final = INTERVAL_S * US_PER_S
_BUCKETS: Final = len(LATENCY_BOUNDS_US) + 1


class Interval(msgspec.Struct, frozen=True):
    """What was counted from `at` for `seconds`. Histograms as in `metrics.SeriesCounts`."""

    at: int
    seconds: float
    requests: int
    tokens: int
    in_flight: int
    """At its end."""
    refusals: dict[str, int]
    failures: int
    """Opened requests that ended with another status than 200, or with a reason."""
    first_byte: tuple[int, ...]
    """Of streams."""
    duration: tuple[int, ...]


class BusyCustomer(msgspec.Struct, frozen=True):
    """What one customer's requests came to since `WindowSeen.customers_since`."""

    customer: str
    requests: int
    tokens: int
    in_flight: int


class WindowSeen(msgspec.Struct, frozen=True):
    """The last minutes of one worker."""

    intervals: tuple[Interval, ...] = ()
    """Oldest first; the last one may be shorter than the others, because it still runs."""
    customers: tuple[BusyCustomer, ...] = ()
    """Most tokens first."""
    customers_since: int = 0
    running: tuple[RequestSeen, ...] = ()
    """Oldest first, at most `RUNNING_MAX`."""
    ended: tuple[RequestSeen, ...] = ()
    """Oldest first."""


class _Sum(msgspec.Struct, frozen=True):
    """All series together at one moment."""

    at: int
    requests: int = 0
    failures: int = 0
    tokens: int = 0
    refusals: dict[str, int] = {}
    first_byte: tuple[int, ...] = (0,) * _BUCKETS
    duration: tuple[int, ...] = (0,) * _BUCKETS


class Window:
    """Takes the totals once a second and keeps the differences.

    Args:
        totals: what had been counted before.
        now: microseconds UTC.
    """

    def __init__(self, totals: Totals, now: int) -> None:
        self._begun = _sum(totals, now)
        self._intervals: deque[Interval] = deque(maxlen=INTERVALS_MAX)
        self._ended: deque[RequestSeen] = deque(maxlen=RUNNING_MAX)
        self._minutes: deque[tuple[int, dict[str, list[int]]]] = deque(maxlen=MINUTES_MAX)
        self._minute_at = now

    def look(
        self,
        totals: Totals,
        meters: Meters,
        running: list[RequestSeen],
        in_flight: Mapping[str, int],
        now: int,
    ) -> WindowSeen:
        """The window now.

        Args:
            totals: what has been counted.
            meters: of the same worker; its customers are begun anew each minute.
            running: open requests, oldest first.
            in_flight: open requests by customer.
            now: microseconds UTC.
        """
        self._ended.extend(meters.recent())
        summed = _sum(totals, now)
        last = _difference(self._begun, summed, sum(in_flight.values()))
        intervals = (*self._intervals, last)[-INTERVALS_MAX:]
        if now // _INTERVAL_US != self._begun.at // _INTERVAL_US:
            # By the clock, so that intervals of all workers can be laid on each other.
            self._intervals.append(last)
            self._begun = summed
        if now - self._minute_at >= MINUTE_S * US_PER_S:
            self._minutes.append((self._minute_at, meters.customers))
            meters.customers = {}
            self._minute_at = now
        since = self._minutes[0][0] if self._minutes else self._minute_at
        return WindowSeen(
            intervals=intervals,
            customers=self._busiest(meters, in_flight),
            customers_since=since,
            running=tuple(running[:RUNNING_MAX]),
            ended=tuple(self._ended),
        )

    def _busiest(self, meters: Meters, in_flight: Mapping[str, int]) -> tuple[BusyCustomer, ...]:
        sums: dict[str, list[int]] = {name: [0, 0] for name in in_flight}
        for counted in (meters.customers, *(minute for _, minute in self._minutes)):
            for name, (requests, tokens) in counted.items():
                both = sums.setdefault(name, [0, 0])
                both[0] += requests
                both[1] += tokens
        found = sorted(sums.items(), key=lambda item: (-item[1][1], -item[1][0], item[0]))
        return tuple(
            BusyCustomer(name, requests, tokens, in_flight.get(name, 0))
            for name, (requests, tokens) in found[:CUSTOMERS_MAX]
        )


def _sum(totals: Totals, at: int) -> _Sum:
    requests = served = tokens = 0
    first_byte, duration = [0] * _BUCKETS, [0] * _BUCKETS
    for series in totals.series:
        for status, reason, count in series.outcomes:
            requests += count
            served += count if (status, reason) == (200, "") else 0
        counted = zip(AXES, series.tokens, strict=True)
        tokens += sum(count for axis, count in counted if axis != "image")
        first_byte = list(map(add, first_byte, series.first_byte))
        duration = list(map(add, duration, series.duration))
    return _Sum(
        at,
        requests,
        requests - served,
        tokens,
        dict(totals.refusals),
        tuple(first_byte),
        tuple(duration),
    )


def _difference(begun: _Sum, now: _Sum, in_flight: int) -> Interval:
    refusals = {
        code: count - begun.refusals.get(code, 0)
        for code, count in now.refusals.items()
        if count != begun.refusals.get(code, 0)
    }
    return Interval(
        at=begun.at,
        # A clock that was set back must not make a rate negative, or divide by nothing.
        seconds=max(now.at - begun.at, 0) / US_PER_S,
        requests=now.requests - begun.requests,
        tokens=now.tokens - begun.tokens,
        in_flight=in_flight,
        refusals=refusals,
        failures=now.failures - begun.failures,
        first_byte=_less(now.first_byte, begun.first_byte),
        duration=_less(now.duration, begun.duration),
    )


def _less(now: tuple[int, ...], begun: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(now, begun, strict=True))
