"""Provisioned units that fail: the request goes on to a standard deployment, where that is agreed.

Azure does so for 429, 500 and 503 of a provisioned deployment. Here it is done for every way in
which the units' own deployment can fail before the first byte, once a request, and only where the
units have a deployment of their own: otherwise the same servers would fail at a price.

Source: learn.microsoft.com/azure/foundry/openai/how-to/spillover-traffic-management, "When does
spillover come into effect?".
"""

from collections.abc import Callable
from typing import Protocol

from quartermaster.gateway.attempts import CANNOT_SAY, Route
from quartermaster.gateway.budget import Hold
from quartermaster.gateway.route import Target, still_serving
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.errors import RefusedError


class Spilling(Protocol):
    """A request that runs on units, as far as its spilling is concerned."""

    @property
    def request_id(self) -> str:
        """Its id."""

    @property
    def call(self) -> ChatCall:
        """What it asks."""

    route: Route | None

    def goes_to(self, target: Target) -> bool:
        """Address the request to another deployment; whether it can be said there."""


class Counting(Protocol):
    """The units, as far as they count what they could not serve."""

    spilled: int


class Spare:
    """The standard way of a request that runs on units.

    Args:
        lane: the units.
        targets: standard deployments.
        set_aside: takes its worst case from its budgets.
        route: chooses between deployments.
    """

    __slots__ = ("_lane", "_route", "_set_aside", "_targets")

    def __init__(
        self,
        lane: Counting,
        targets: tuple[Target, ...],
        set_aside: Callable[[int, Target], Hold | None],
        route: Callable[[tuple[Target, ...]], Route],
    ) -> None:
        self._lane = lane
        self._targets = targets
        self._set_aside = set_aside
        self._route = route

    @property
    def takes_chats(self) -> bool:
        """Whether each deployment takes a chat as it is, and none needs another dialect."""
        return all(one.head for one in self._targets)

    def take(
        self, exchange: Spilling, serving: tuple[Target, ...] | None, now: int
    ) -> tuple[Target, Hold | None] | None:
        """Where the request goes on, and what is set aside for it; None where it cannot.

        Args:
            exchange: the request.
            serving: deployments that may serve it as of now; None where nothing has changed.
            now: microseconds UTC.
        """
        targets = still_serving(self._targets, serving)
        if not targets:
            return None
        call = exchange.call
        call.service_class = "standard"
        try:
            hold = self._set_aside(now, targets[0])
        except RefusedError:
            # There is no money for standard prices: the units' own answer stands.
            call.service_class = "provisioned"
            return None
        route = self._route(targets)
        target: Target | None = route.target
        while target is not None and not exchange.goes_to(target):
            target = route.elsewhere(CANNOT_SAY)
        if target is None:
            call.service_class = "provisioned"
            if hold is not None:
                hold.release()
            return None
        route.request_id, exchange.route = exchange.request_id, route
        route.attempts_before = 1
        self._lane.spilled += 1
        return target, hold
