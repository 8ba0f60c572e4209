"""The health and load of all deployments, as one worker sees them, and what was decided lately."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from quartermaster.gateway import breaker
from quartermaster.gateway.affinity import Affinity
from quartermaster.gateway.attempts import Route
from quartermaster.gateway.breaker import HEALTHY, Circuit, Health, Signal
from quartermaster.gateway.choice import Candidate, Choice, choose
from quartermaster.gateway.route import Target
from quartermaster.gateway.status import CircuitShown

# Some minutes of a busy worker's requests; each takes about a kilobyte.
TRACES_KEPT_MAX: Final = 4_096

Monotonic = Callable[[], float]
_CLOSED: Final = Circuit.CLOSED


class Router:
    """Chooses deployments for requests that have a choice.

    Args:
        monotonic: seconds of a clock that never jumps.
    """

    def __init__(self, monotonic: Monotonic) -> None:
        self.monotonic = monotonic
        self.opened = 0
        """Circuits that opened since the start."""
        self._health: dict[str, Health] = {}
        self._in_flight: dict[str, int] = {}
        self._turn = 0
        self._traces: deque[Route] = deque(maxlen=TRACES_KEPT_MAX)

    def route(self, targets: tuple[Target, ...], affinity: Affinity) -> Route:
        """A route for a request, with its first deployment chosen.

        Args:
            targets: at least one.
            affinity: what the request belongs to.
        """
        route = Route(self, targets, affinity)
        self._traces.append(route)
        return route

    def find(self, request_id: str) -> Route | None:
        """The route of a request that was decided lately."""
        return next((one for one in reversed(self._traces) if one.request_id == request_id), None)

    def choose(
        self, targets: tuple[Target, ...], tried: list[str], affinity: Affinity, now_s: float
    ) -> tuple[Choice | None, list[Candidate]]:
        """Who is asked next, and what was known of each."""
        candidates = [self._candidate(one, now_s, tried) for one in targets]
        self._turn += 1
        choice = choose(candidates, self._turn, affinity, last_resort=not tried)
        if choice is not None:
            name = choice.name
            self._in_flight[name] = self._in_flight.get(name, 0) + 1
            health = self._health.get(name)
            if health is not None and health.circuit is Circuit.HALF_OPEN:
                self._health[name] = breaker.probing(health, now_s)
        return choice, candidates

    def _candidate(self, target: Target, now_s: float, tried: list[str]) -> Candidate:
        deployment = target.deployment
        name, routing = deployment.name, deployment.routing
        in_flight, was_tried = self._in_flight.get(name, 0), name in tried
        if name not in self._health:
            weight, priority = routing.weight, routing.priority
            return Candidate(name, weight, priority, _CLOSED, True, 0.0, in_flight, was_tried)
        health = self._at(name, now_s)
        return Candidate(
            name,
            routing.weight,
            routing.priority,
            health.circuit,
            breaker.may_be_asked(health, now_s),
            max(health.until_s - now_s, 0.0),
            in_flight,
            was_tried,
        )

    def _at(self, name: str, now_s: float) -> Health:
        health = self._health.get(name)
        if health is None:
            return HEALTHY
        later, _ = breaker.at(health, now_s)
        if later is not health:
            self._keep(name, later)
        return later

    def signal(self, name: str, signal: Signal, wait_s: float | None = None) -> None:
        """A deployment served, failed, or said that it is busy."""
        if signal is Signal.SERVED and name not in self._health:
            return
        now_s = self.monotonic()
        known = self._at(name, now_s)
        health, effects = breaker.step(known, signal, now_s, wait_s=wait_s)
        self.opened += sum(effect.after is Circuit.OPEN for effect in effects)
        self._keep(name, health)

    def _keep(self, name: str, health: Health) -> None:
        """What is healthy needs no memory."""
        if health == HEALTHY:
            self._health.pop(name, None)
        else:
            self._health[name] = health

    def released(self, name: str) -> None:
        """An attempt at the deployment is over."""
        left = self._in_flight[name] - 1
        if left:
            self._in_flight[name] = left
        else:
            del self._in_flight[name]

    def unanswered(self, name: str) -> None:
        """An attempt ended without a word from the deployment: let another one find out."""
        health = self._health.get(name)
        if health is not None and health.circuit is Circuit.HALF_OPEN:
            self._health[name] = msgspec.structs.replace(health, until_s=0.0)

    def circuits(self) -> dict[str, CircuitShown]:
        """Every deployment that is not simply asked, by name."""
        now_s = self.monotonic()
        shown: dict[str, CircuitShown] = {}
        for name in sorted(self._health):
            health = self._at(name, now_s)
            if health.circuit is not Circuit.CLOSED:
                rests_s = round(max(health.until_s - now_s, 0.0), 3)
                shown[name] = CircuitShown(health.circuit.name.lower(), rests_s, health.failures)
        return shown

    def keep(self, names: Iterable[str]) -> None:
        """Forget the health of deployments that a new snapshot does not name."""
        known = frozenset(names)
        for name in [name for name in self._health if name not in known]:
            del self._health[name]
