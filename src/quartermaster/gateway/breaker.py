"""May a deployment be asked? Its circuit as a table: `(health, signal, now) -> (health, effects)`.

    closed      asked
    cooling     it said that it is busy, and for how long
    open        it failed several times in a row
    half-open   it rested; one request finds out whether it serves again

The breaker chooses between deployments. It refuses nobody: where every deployment of a model rests,
the one whose rest ends first is asked, because a refusal of ours would be no better than its own.
"""

from enum import IntEnum
from typing import Final

import msgspec

from quartermaster.kernel.errors import IntegrityError


class Circuit(IntEnum):
    """Whether a deployment is asked."""

    CLOSED = 1
    COOLING = 2
    OPEN = 3
    HALF_OPEN = 4


class Signal(IntEnum):
    """What a deployment lets us know, or its time."""

    SERVED = 1
    FAILED = 2
    FAILED_IN_A_ROW = 3
    THROTTLED = 4
    RESTED = 5


# Only these steps exist. RESTED is the passing of `Health.until_s`; a closed circuit never rests,
# and a half-open one waits for its request.
CIRCUITS: Final[dict[tuple[Circuit, Signal], Circuit]] = {
    (Circuit.CLOSED, Signal.SERVED): Circuit.CLOSED,
    (Circuit.CLOSED, Signal.FAILED): Circuit.CLOSED,
    (Circuit.CLOSED, Signal.FAILED_IN_A_ROW): Circuit.OPEN,
    (Circuit.CLOSED, Signal.THROTTLED): Circuit.COOLING,
    (Circuit.COOLING, Signal.SERVED): Circuit.COOLING,
    (Circuit.COOLING, Signal.FAILED): Circuit.COOLING,
    (Circuit.COOLING, Signal.FAILED_IN_A_ROW): Circuit.OPEN,
    (Circuit.COOLING, Signal.THROTTLED): Circuit.COOLING,
    (Circuit.COOLING, Signal.RESTED): Circuit.CLOSED,
    (Circuit.OPEN, Signal.SERVED): Circuit.HALF_OPEN,
    (Circuit.OPEN, Signal.FAILED): Circuit.OPEN,
    (Circuit.OPEN, Signal.FAILED_IN_A_ROW): Circuit.OPEN,
    (Circuit.OPEN, Signal.THROTTLED): Circuit.OPEN,
    (Circuit.OPEN, Signal.RESTED): Circuit.HALF_OPEN,
    (Circuit.HALF_OPEN, Signal.SERVED): Circuit.CLOSED,
    (Circuit.HALF_OPEN, Signal.FAILED): Circuit.OPEN,
    (Circuit.HALF_OPEN, Signal.FAILED_IN_A_ROW): Circuit.OPEN,
    (Circuit.HALF_OPEN, Signal.THROTTLED): Circuit.COOLING,
}

# One failure is bad luck; three in a row without an answer in between are not. Envoy's outlier
# detection waits for five, but counts per second and host; a worker sees a share of the requests.
FAILURES_IN_A_ROW_MAX: Final = 3
# A model server that was restarted is back within seconds; one that stays away is asked twice a
# minute at most, and each time by one request that goes elsewhere when it fails.
OPEN_S: Final = 1.0
OPEN_S_MAX: Final = 30.0
# Two to the fifth seconds are over `OPEN_S_MAX`; counting on would only make a large number.
TRIPS_MAX: Final = 5
# Where a 429 does not say how long: OpenAI and Azure count by the minute, and refill by the second.
COOLING_S: Final = 1.0
# A server may ask for a day of rest, when a daily quota is spent; quotas are raised meanwhile.
COOLING_S_MAX: Final = 3_600.0
# A request that was to find out and has not been answered for so long found out nothing.
PROBE_S: Final = 30.0


class Health(msgspec.Struct, frozen=True):
    """What one worker knows of one deployment; times are seconds of a clock that never jumps."""

    circuit: Circuit = Circuit.CLOSED
    failures: int = 0
    """In a row, up to now."""
    trips: int = 0
    """How often it opened since it last served; each doubles the rest."""
    until_s: float = 0.0
    """End of the rest, or of the wait for the request that finds out; 0 where nothing is waited
    for."""


HEALTHY: Final = Health()


class Changed(msgspec.Struct, frozen=True):
    """The one effect there is: a circuit changed; operators see it and traces say it."""

    before: Circuit
    after: Circuit
    rest_s: float


Effects = tuple[Changed, ...]
NO_EFFECT: Final[Effects] = ()


def step(
    health: Health, signal: Signal, now_s: float, *, wait_s: float | None = None
) -> tuple[Health, Effects]:
    """What a deployment's health is after a signal.

    Args:
        health: before it.
        signal: `FAILED` is counted here; who calls need not know how many there were.
        now_s: seconds of a monotonic clock.
        wait_s: how long a throttled deployment asked to be left alone, if it said so.

    Raises:
        IntegrityError: the signal cannot come in this state: a defect of ours.
    """
    before = health.circuit
    failures = health.failures + 1 if signal is Signal.FAILED else health.failures
    if signal is Signal.FAILED and failures >= FAILURES_IN_A_ROW_MAX:
        signal = Signal.FAILED_IN_A_ROW
    after = CIRCUITS.get((before, signal))
    if after is None:
        raise IntegrityError(f"a {before.name} circuit cannot be {signal.name}")
    if signal is Signal.SERVED:
        failures = 0
    trips, until_s = health.trips, health.until_s
    if after is Circuit.CLOSED:
        trips, until_s = (0, 0.0) if before is Circuit.HALF_OPEN else (trips, 0.0)
    elif after is Circuit.OPEN and before is not Circuit.OPEN:
        until_s = now_s + min(OPEN_S * 2**trips, OPEN_S_MAX)
        trips = min(trips + 1, TRIPS_MAX)
    elif after is Circuit.HALF_OPEN:
        until_s = 0.0
    elif signal is Signal.THROTTLED and after is Circuit.COOLING:
        rest_s = COOLING_S if wait_s is None else min(max(wait_s, 0.0), COOLING_S_MAX)
        until_s = max(now_s + rest_s, until_s if before is Circuit.COOLING else 0.0)
    known = Health(after, failures, trips, until_s)
    if after is before:
        return known, NO_EFFECT
    return known, (Changed(before, after, max(until_s - now_s, 0.0)),)


def at(health: Health, now_s: float) -> tuple[Health, Effects]:
    """The same health at a later moment: rests end by themselves."""
    resting = health.circuit in (Circuit.COOLING, Circuit.OPEN)
    if not resting or now_s < health.until_s:
        return health, NO_EFFECT
    return step(health, Signal.RESTED, now_s)


def probing(health: Health, now_s: float) -> Health:
    """A half-open deployment was just given the request that finds out."""
    return msgspec.structs.replace(health, until_s=now_s + PROBE_S)


def may_be_asked(health: Health, now_s: float) -> bool:
    """Whether it takes requests now; a half-open one takes one at a time."""
    if health.circuit is Circuit.HALF_OPEN:
        return now_s >= health.until_s
    return health.circuit is Circuit.CLOSED
