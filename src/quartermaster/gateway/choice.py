"""Which deployment is asked next? Pure: candidates, a turn and an affinity in, a choice out.

1. Only what may be asked and has not been tried; the lowest priority of it.
2. With an affinity, the deployment that the affinity always falls to, unless it carries more than
   its share already; then the next one that it would fall to.
3. Without one, by weight in turn.

Sources: rendezvous hashing with weights (Wang, Schindelhauer and others), bounded loads (Mirrokni,
Thorup, Zadimoghaddam 2016).
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from quartermaster.gateway.affinity import Affinity
from quartermaster.gateway.breaker import Circuit

Why = Literal["affinity", "affinity_overloaded", "weight", "only", "last_resort"]

# A deployment takes at most this much more than its share before an affinity gives way: the bound
# of Google's and Vimeo's balancers, where caches stay warm and no server has a queue of its own.
LOAD_FACTOR: Final = 1.25
# Multiplying by 2**32 over the golden ratio spreads consecutive turns evenly (Knuth, TAOCP 3, 6.4).
_GOLDEN: Final = 2_654_435_769
_TURNS: Final = 1 << 32
_HASHES: Final = 1 << 64
_DIGEST_BYTES: Final = 8


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One deployment at this moment."""

    name: str
    weight: int
    priority: int
    circuit: Circuit
    available: bool
    """Whether its circuit lets a request pass now."""
    rests_s: float
    """For how long it still rests."""
    in_flight: int
    tried: bool


class Choice(msgspec.Struct, frozen=True, gc=False):
    """Who is asked, and why."""

    name: str
    why: Why


def choose(
    candidates: Sequence[Candidate], turn: int, affinity: Affinity, *, last_resort: bool
) -> Choice | None:
    """The deployment to ask, or None where none is left.

    Args:
        candidates: every deployment that may serve the request.
        turn: grows by one with every choice.
        affinity: what the request belongs to.
        last_resort: whether one that rests may be asked when nothing else is left.
    """
    untried = [one for one in candidates if not one.tried]
    usable = [one for one in untried if one.available]
    if not usable:
        if not (last_resort and untried):
            return None
        first = min(untried, key=lambda one: (one.rests_s, one.priority, one.name))
        return Choice(first.name, "last_resort")
    lowest = min(one.priority for one in usable)
    tier = [one for one in usable if one.priority == lowest]
    if len(tier) == 1:
        return Choice(tier[0].name, "only")
    if affinity.token:
        return _by_affinity(tier, affinity.token)
    return Choice(_by_weight(tier, turn).name, "weight")


def _by_weight(tier: Sequence[Candidate], turn: int) -> Candidate:
    """In proportion to the weights, evenly spread over consecutive turns."""
    total = sum(one.weight for one in tier)
    point = (turn * _GOLDEN % _TURNS) * total // _TURNS
    for one in tier:
        point -= one.weight
        if point < 0:
            return one
    return tier[-1]


def _by_affinity(tier: Sequence[Candidate], token: bytes) -> Choice:
    """The first in this affinity's own order of the deployments that is not overloaded."""
    total = sum(one.weight for one in tier)
    load = 1 + sum(one.in_flight for one in tier)
    order = sorted(tier, key=lambda one: _distance(one, token))
    for one in order:
        if one.in_flight < math.ceil(LOAD_FACTOR * load * one.weight / total):
            return Choice(one.name, "affinity" if one is order[0] else "affinity_overloaded")
    return Choice(order[0].name, "affinity")


def _distance(one: Candidate, token: bytes) -> float:
    """Smaller is nearer; nearest with a probability in proportion to the weight."""
    digest = blake2b(one.name.encode(), key=token, digest_size=_DIGEST_BYTES).digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (_HASHES + 1)
    return -math.log(uniform) / one.weight
