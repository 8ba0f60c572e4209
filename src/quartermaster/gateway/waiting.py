"""Requests that wait for their first lease: no customer is refused because a worker has just begun.

A worker spends a budget only from leases, and after a restart, of its own or of everything, it has
none for a moment. The money is there; only the word of whoever grants leases is not. So a request
waits for that word, in the order of arrival, and is then looked at anew, with the snapshot of that
moment. Where nobody answers, it is refused as before: who grants leases is away for longer.
"""

from collections.abc import Callable
from typing import Final

from quartermaster.gateway.budget import BudgetSpentError, Purses
from quartermaster.gateway.ports import ClientPort
from quartermaster.gateway.requests import Request
from quartermaster.kernel.errors import RefusedError

WAITING_MAX: Final = 1_000
"""Requests of one worker that wait at once: what a thousand clients send into a restart."""
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bodies of requests that wait, together: a tenth of what a worker's connections may take."""
ANSWERS: Final = 2
"""So many answers of the grantor are waited for where it knows the budget: the first may have been
on its way before the request came, and money that lies with other workers comes back with the
second. Beyond, the money is in use."""


class Waiting:
    """One request that waits; to its connection it is an exchange that has not begun.

    Args:
        room: where it waits.
        request: as it came.
        client: whose it is.
        number: answers up to this one are waited for.
        until_s: it is refused then, by a clock that never jumps.
    """

    __slots__ = ("_room", "client", "number", "request", "until_s")

    def __init__(
        self, room: "WaitingRoom", request: Request, client: ClientPort, number: int, until_s: float
    ) -> None:
        self._room = room
        self.request = request
        self.client = client
        self.number = number
        self.until_s = until_s

    def client_gone(self) -> None:
        """The client hung up: nothing was begun."""
        self._room.leave(self)

    def pause(self) -> None:
        """The client does not keep up with an answer before: nothing is on its way yet."""

    def resume(self) -> None:
        """The client's buffer has drained."""


class WaitingRoom:
    """The requests of one worker that wait.

    Args:
        purses: what the worker may spend.
        patience_s: how long a request waits where nobody answers; 0 lets none wait.
        monotonic: seconds of a clock that never jumps.
    """

    def __init__(self, purses: Purses, patience_s: int, monotonic: Callable[[], float]) -> None:
        self._purses = purses
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._waiting: dict[Waiting, None] = {}
        self._bytes = 0
        self._again: Waiting | None = None
        self._answered = purses.answered
        self._silent_since_s: float | None = None
        self._closed = patience_s <= 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self, refusal: RefusedError, request: Request, client: ClientPort) -> Waiting | None:
        """Let a refused request wait; None where waiting does not help, or not any more.

        Args:
            refusal: why it is refused.
            request: as it came.
            client: whose it is.
        """
        waiting, self._again = self._again, None
        if not isinstance(refusal, BudgetSpentError) or not refusal.waits or self._closed:
            return None
        now_s = self._monotonic()
        size = len(request.body)
        if waiting is None:
            if len(self._waiting) >= WAITING_MAX or self._bytes + size > WAITING_BYTES_MAX:
                return None
            number = self._purses.number + ANSWERS
            waiting = Waiting(self, request, client, number, now_s + self._patience_s)
        answered = refusal.known and self._purses.answered >= waiting.number
        if answered or now_s >= min(waiting.until_s, self._given_up_s()):
            return None
        self._waiting[waiting] = None
        self._bytes += size
        return waiting

    def _given_up_s(self) -> float:
        """When nobody waits any more for a grantor that has said nothing for so long."""
        if self._silent_since_s is None:
            return float("inf")
        return self._silent_since_s + self._patience_s

    def leave(self, waiting: Waiting) -> None:
        """It waits no more."""
        if waiting in self._waiting:
            del self._waiting[waiting]
            self._bytes -= len(waiting.request.body)

    def look(self) -> None:
        """After each look at the leases: let go on who can, or who has waited long enough."""
        purses, now_s = self._purses, self._monotonic()
        if purses.answered == purses.number:
            self._silent_since_s = None
        elif self._silent_since_s is None or purses.answered != self._answered:
            self._silent_since_s = now_s
        news = purses.answered != self._answered
        self._answered = purses.answered
        if not self._waiting:
            return
        first = next(iter(self._waiting))
        if news or now_s >= min(first.until_s, self._given_up_s()):
            self.again()

    def again(self) -> None:
        """Look at everybody's request anew, in the order in which they came."""
        for waiting in list(self._waiting):
            if waiting in self._waiting:
                self.leave(waiting)
                self._again, self._purses.again = waiting, True
                waiting.client.ask_again(waiting.request)
                self._again, self._purses.again = None, False

    def close(self) -> None:
        """The worker ends: nobody waits any more."""
        self._closed = True
        self.again()
