"""The way of one request through the deployments that may serve it, and the record of each step."""

from collections.abc import Callable
from typing import Final, Protocol, Self, TypeVar

import msgspec

from quartermaster.gateway.affinity import Affinity
from quartermaster.gateway.breaker import Signal
from quartermaster.gateway.choice import Candidate, Choice
from quartermaster.gateway.route import Target, still_serving
from quartermaster.kernel.errors import RefusedError

T = TypeVar("T")

# The first and two more: a third failure elsewhere is hardly bad luck, and clients try again too.
ATTEMPTS_MAX: Final = 3

TOO_MANY_REQUESTS: Final = 429
# Anthropic's "overloaded", which it sends before it has begun.
OVERLOADED: Final = 529
UNAVAILABLE: Final = 503
BUSY: Final = frozenset((TOO_MANY_REQUESTS, UNAVAILABLE, OVERLOADED))
"""Statuses that say that nothing was begun, so that somebody else may be asked."""

# Our own credentials or balance were refused: the client's key is fine, so it must not
# read that it is not, nor what the server says about us.
OUR_CREDENTIALS: Final = frozenset((401, 402, 407))

CANNOT_SAY: Final = "unsupported"
"""The outcome where a deployment's dialect has no words for the request."""

UNREACHABLE: Final = "upstream_unreachable"
DRAINED: Final = "model_drained"
"""The outcome where a deployment takes no requests any more."""
# Ends of which the deployment is innocent, or says nothing: whether it serves is not known.
_SAYS_NOTHING: Final = frozenset(
    (
        "client_gone",
        DRAINED,
        "upstream_saturated",
        "meter_unavailable",
        "account_suspended",
        "invalid_api_key",
        "time_limit_exceeded",
    )
)


class Considered(msgspec.Struct, frozen=True, gc=False):
    """One deployment as a choice saw it."""

    deployment: str
    circuit: str
    priority: int
    weight: int
    in_flight: int
    rests_s: float
    tried: bool

    @classmethod
    def of(cls, one: Candidate) -> Self:
        """What a trace says of a candidate."""
        rests_s = round(one.rests_s, 3)
        circuit = one.circuit.name.lower()
        return cls(one.name, circuit, one.priority, one.weight, one.in_flight, rests_s, one.tried)


class Attempt(msgspec.Struct, frozen=True):
    """One attempt as its trace tells it."""

    number: int
    """As in the usage table; what could not be said to a deployment has the next one's."""
    deployment: str
    why: str
    considered: tuple[Considered, ...]
    began_s: float
    """Seconds since the route began."""
    outcome: str = ""
    """Empty while it runs, `served`, or why it ended."""
    ended_s: float | None = None
    wait_s: float | None = None
    """How long the deployment asked to be left alone."""


class _Tried(msgspec.Struct, gc=False):
    """One attempt as it is remembered: put into words only when somebody asks."""

    choice: Choice
    seen: list[Candidate]
    began_s: float
    outcome: str = ""
    ended_s: float | None = None
    wait_s: float | None = None


class Trace(msgspec.Struct, frozen=True):
    """Every decision for one request."""

    request_id: str
    affinity: str
    """What it belongs to was told by: `prompt_cache_key`, `user`, `prefix`, or nothing."""
    attempts: tuple[Attempt, ...]


class HealthPort(Protocol):
    """What a route asks of the router."""

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps."""

    def choose(
        self, targets: tuple[Target, ...], tried: list[str], affinity: Affinity, now_s: float
    ) -> tuple[Choice | None, list[Candidate]]:
        """Who is asked next, and what was known of each."""

    def signal(self, name: str, signal: Signal, wait_s: float | None = None) -> None:
        """A deployment served, failed, or said that it is busy."""

    def released(self, name: str) -> None:
        """An attempt at the deployment is over."""

    def unanswered(self, name: str) -> None:
        """An attempt ended without a word from the deployment."""


class Route:
    """Which deployments a request has been sent to.

    Args:
        health: of all deployments.
        targets: which may serve it, at least one.
        affinity: what it belongs to.
    """

    __slots__ = (
        "_attempts",
        "_began_s",
        "_health",
        "_running",
        "_said",
        "_targets",
        "_tried",
        "affinity",
        "attempts_before",
        "request_id",
        "target",
    )

    def __init__(self, health: HealthPort, targets: tuple[Target, ...], affinity: Affinity) -> None:
        self._health = health
        self._targets = targets
        self.affinity = affinity
        self._attempts: list[_Tried] = []
        self._tried: list[str] = []
        self._began_s = now_s = health.monotonic()
        self._running = False
        self._said = False
        self.request_id = ""
        self.attempts_before = 0
        """Of the request, on units that failed: they had no choice."""
        chosen = self._choose(now_s)
        assert chosen is not None, "the last resort of at least one target"
        self.target = chosen

    def _choose(self, now_s: float) -> Target | None:
        choice, seen = self._health.choose(self._targets, self._tried, self.affinity, now_s)
        if choice is None:
            return None
        self._tried.append(choice.name)
        self._running, self._said = True, False
        self._attempts.append(_Tried(choice, seen, now_s))
        return self._targets[choice.at]

    @property
    def _sent(self) -> int:
        """Attempts but those that a deployment's dialect had no words for."""
        return sum(one.outcome != CANNOT_SAY for one in self._attempts)

    def elsewhere(
        self,
        outcome: str,
        wait_s: float | None = None,
        serving: tuple[Target, ...] | None = None,
    ) -> Target | None:
        """The attempt failed before anything was begun: who else may be asked, if anybody.

        Args:
            outcome: why, such as `upstream_unreachable` or `429`.
            wait_s: how long the deployment asked to be left alone.
            serving: whoever may serve the request by now: what was drained or removed since it
                came is not asked; None where nothing has changed.
        """
        self._targets = still_serving(self._targets, serving)
        if self._running and outcome in (CANNOT_SAY, DRAINED):
            self._untold(outcome)
        elif self._running:
            busy = outcome == str(TOO_MANY_REQUESTS) or wait_s is not None
            self._end(outcome, Signal.THROTTLED if busy else Signal.FAILED, wait_s)
        if self._sent >= ATTEMPTS_MAX:
            return None
        chosen = self._choose(self._health.monotonic())
        if chosen is not None:
            self.target = chosen
        return chosen

    def first(self, say: Callable[[Target], T]) -> T:
        """What the first deployment is told whose dialect has words for the request.

        Raises:
            RefusedError: none has.
        """
        while True:
            try:
                return say(self.target)
            except RefusedError:
                if self.elsewhere(CANNOT_SAY) is None:
                    raise

    def answers(self) -> None:
        """A stream begins: the deployment serves, however long the stream will be."""
        if not self._said:
            self._said = True
            self._health.signal(self._tried[-1], Signal.SERVED)

    def ended(self, failure: str) -> None:
        """The request is over.

        Args:
            failure: why it ended without a complete answer, or empty.
        """
        if not self._running:
            return
        if failure in _SAYS_NOTHING:
            self._untold(failure)
        elif failure.startswith("upstream_") and failure != "upstream_rejected":
            self._end(failure, Signal.FAILED)
        else:
            self._end(failure or "served", None if self._said else Signal.SERVED)

    def withdrawn(self) -> None:
        """The request was refused before it was sent anywhere."""
        if self._running:
            self._untold("withdrawn")

    def _untold(self, outcome: str) -> None:
        self._health.unanswered(self._tried[-1])
        self._end(outcome, None)

    def _end(self, outcome: str, signal: Signal | None, wait_s: float | None = None) -> None:
        self._running = False
        name = self._tried[-1]
        attempt = self._attempts[-1]
        attempt.outcome, attempt.wait_s = outcome, wait_s
        attempt.ended_s = self._health.monotonic()
        self._health.released(name)
        if signal is not None:
            self._health.signal(name, signal, wait_s)

    def trace(self) -> Trace:
        """Every decision up to now."""
        told: list[Attempt] = []
        number = 1 + self.attempts_before
        for one in self._attempts:
            told.append(self._told(number, one))
            number += one.outcome != CANNOT_SAY
        return Trace(self.request_id, self.affinity.source, tuple(told))

    def _told(self, number: int, one: _Tried) -> Attempt:
        began_s = self._began_s
        return Attempt(
            number,
            one.choice.name,
            one.choice.why,
            tuple(Considered.of(seen) for seen in one.seen),
            one.began_s - began_s,
            one.outcome,
            None if one.ended_s is None else one.ended_s - began_s,
            one.wait_s,
        )
