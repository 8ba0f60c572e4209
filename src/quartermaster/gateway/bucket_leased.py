"""One bucket that many workers share, as one of them sees it: what it holds, and what it says.

Pure, in integers. The store's half is `limits_leased.lua`.
"""

from typing import Final

import msgspec

from quartermaster.gateway.limits import Bucket
from quartermaster.kernel.clock import US_PER_S

# A unit in the levels of a bucket, in which a microsecond of refilling is `per_minute`.
UNIT: Final = 60 * US_PER_S

EXCHANGE_S: Final = 0.05
"""Pause between two exchanges: a worker is refilled twenty times a second."""

# What is wanted in hand, in rounds of the busiest recent one: a lost exchange is not noticed.
ROUNDS_IN_HAND: Final = 4
# When to come back where only a lease is missing: two exchanges.
_LEASE_WAIT_US: Final = int(2 * EXCHANGE_S * US_PER_S)


class Held(msgspec.Struct, frozen=True):
    """What the store says of one bucket; levels."""

    granted: int
    used: int
    drained: int
    others: int
    """What other workers hold."""


class LeasedBucket(Bucket):
    """A worker's view of a shared bucket, and what it holds of it.

    Args:
        per_minute: the whole limit.
        first: what may pass before the first exchange, besides one request.
        now: microseconds.
    """

    __slots__ = (
        "_credit",
        "_demand",
        "_fresh",
        "_keep",
        "_offset",
        "_others",
        "_peak",
        "_short",
        "_spent",
        "local",
    )

    def __init__(self, per_minute: int, first: int, now: int) -> None:
        super().__init__(per_minute, now)
        self.local = False
        """Whether the store is gone, and `per_minute` is this worker's own part."""
        self._credit = first * UNIT
        self._fresh = True
        self._keep = self._others = self._offset = 0
        self._demand = self._peak = self._short = self._spent = 0

    def wait_us(self, units: int) -> int:
        """How long until so many can be taken, 0 for now; remembers what a refusal lacked."""
        if self.local:
            return super().wait_us(units)
        need = units * UNIT
        if units <= self.per_minute:
            if need <= self._credit or self._fresh:
                return 0
            self._short = max(self._short, need)
        lacking = self._used + self._others + need - self.per_minute * UNIT
        return max(-(-lacking // max(self.per_minute, 1)), _LEASE_WAIT_US)

    def take(self, units: int) -> int:
        """Take units; the mark is for `correct`."""
        need = units * UNIT
        self._spent += need
        self._demand += need
        self._fresh = False
        if not self.local:
            self._credit -= need
        return super().take(units)

    def correct(self, mark: int, taken: int, actual: int) -> None:
        """Take what was too little, give back what was too much and has not come back since."""
        before = self._used
        super().correct(mark, taken, actual)
        more = self._used - before
        self._spent += more
        if not self.local:
            self._credit -= more

    @property
    def level(self) -> int:
        """Whole units that are taken or lie with other workers, rounded up."""
        if self.local:
            return super().level
        return -(-(self._used + self._others) // UNIT)

    # -- exchange ----------------------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        """Whether the store should hear of it now."""
        return bool(self._spent or self._short)

    def report(self, limit: int, standing: int, rounds: int = 1) -> tuple[int, ...]:
        """Limit, spent, keep, want, need and seed; until the answer it holds itself to `keep`.

        Args:
            limit: the whole limit.
            standing: levels that it may hold for requests that nobody expects.
            rounds: since the last report; a busy one is forgotten within a second.
        """
        for _ in range(rounds):
            self._peak = self._peak * 3 // 4
        self._peak = max(self._demand, self._peak)
        self._demand = 0
        need, self._short = self._short, 0
        spent, self._spent = self._spent, 0
        seed = max(self._used - spent, 0)
        if self.local:
            return (limit, spent, 0, 0, 0, seed)
        want = min(max(ROUNDS_IN_HAND * self._peak, standing) + need, limit * UNIT)
        # What is too little for a refused request may be what another worker needs.
        self._keep = 0 if need > self._credit else max(min(self._credit, want), 0)
        self._credit = self._keep
        return (limit, spent, self._keep, want, need, seed)

    def answered(self, held: Held, now: int, *, anew: bool) -> None:
        """What the store says.

        Args:
            held: of this bucket.
            now: microseconds.
            anew: whether the store's account is another one than before.
        """
        if anew:
            # Marks of running requests stay on the scale that they were taken on.
            reported = self._used + self._drained - self._spent
            self._offset = held.used + held.drained - reported
        self._credit += held.granted - self._keep
        self._others = held.others
        self._used = max(held.used + self._spent, 0)
        self._drained = held.drained - self._offset
        self._at = now

    def forget(self) -> None:
        """Everything was given back; the next request is a first one again."""
        self._credit = self._peak = 0
        self._fresh = True

    def stand_alone(self, share: int, part: int) -> None:
        """The store is gone: have a part of the limit to itself.

        Args:
            share: units a minute.
            part: how many workers there are, to whom what is used belongs evenly.
        """
        self.local, self.per_minute = True, share
        # What others held is spent by now, as far as anybody knows.
        self._used = (self._used + self._others) // part
        self._credit = self._others = self._short = 0

    def join(self, per_minute: int) -> None:
        """The store is back: lease from the whole limit again."""
        self.local, self.per_minute = False, per_minute
        self._credit = self._keep = 0
        self._fresh = False
