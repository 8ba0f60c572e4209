"""Provisioned units that the workers of all machines share, by leases as other limits.

The bucket of a lane is one of `limits_leased`: what a worker holds of the units it may use at once,
and where the store is gone it has its even part.
"""

from collections.abc import Iterable
from typing import Final

from quartermaster.gateway.limits import Limiter, Scoped
from quartermaster.gateway.limits_leased import LeasedLimiter
from quartermaster.gateway.ptu import Lane, LaneName, Lanes
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.snapshot import Provisioned

SCOPE: Final = "lane"
"""Among the accounts of a limiter."""


class SharedLanes(Lanes):
    """The provisioned units of one worker's snapshot, of which it leases what it needs.

    Args:
        limiter: that leases.
    """

    def __init__(self, limiter: LeasedLimiter) -> None:
        super().__init__(1, 0)
        self._limiter = limiter
        self._scoped: dict[LaneName, tuple[Provisioned, Scoped]] = {}

    def lane(self, contract: str, terms: Provisioned, now: int) -> Lane:
        """The lane of a contract and model; a resize takes effect at once."""
        name = (contract, terms.model)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(terms, 0, now)
        known, of = self._scoped.get(name, (None, None))
        if of is None or (known is not terms and known != terms):
            limits = Limits(tokens_per_minute=terms.input_tokens_per_minute)
            of = Scoped(SCOPE, _called(name), limits)
            self._scoped[name] = terms, of
            lane.terms = terms
        bucket = self._limiter.account(of, now).tokens
        if bucket is not None:
            lane.bucket = bucket
        return lane

    def keep(self, names: Iterable[LaneName]) -> None:
        """Forget lanes that no contract has any more."""
        super().keep(names)
        self._scoped = {name: one for name, one in self._scoped.items() if name in self._lanes}
        self._limiter.keep_lanes({_called(name) for name in self._scoped})


def lanes_of(limiter: Limiter, workers: int, number: int) -> Lanes:
    """The lanes of one worker, shared as its limits are.

    Args:
        limiter: of the worker.
        workers: processes of this machine.
        number: which of them this is, from 0.
    """
    if isinstance(limiter, LeasedLimiter):
        return SharedLanes(limiter)
    return Lanes(workers, number)


def _called(name: LaneName) -> str:
    """Ids of contracts hold no colon; models may hold anything."""
    contract, model = name
    return f"{contract}:{model}"
