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

    at: int
    """Position among the candidates."""
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
    tier: list[int] = []
    lowest = -1
    for at, one in enumerate(candidates):
        if one.available and not one.tried:
            if one.priority < lowest or not tier:
                lowest, tier = one.priority, [at]
            elif one.priority == lowest:
                tier.append(at)
    if not tier:
        untried = [at for at, one in enumerate(candidates) if not one.tried]
        if not (last_resort and untried):
            return None
        return _chosen(
            candidates, min(untried, key=lambda at: _rest(candidates[at])), "last_resort"
        )
    if len(tier) == 1:
        return _chosen(candidates, tier[0], "only")
    if affinity.token:
        return _by_affinity(candidates, tier, affinity.token)
    return _chosen(candidates, _by_weight(candidates, tier, turn), "weight")


def _chosen(candidates: Sequence[Candidate], at: int, why: Why) -> Choice:
    return Choice(at, candidates[at].name, why)


def _rest(one: Candidate) -> tuple[float, int, str]:
    return one.rests_s, one.priority, one.name


def _by_weight(candidates: Sequence[Candidate], tier: list[int], turn: int) -> int:
    """In proportion to the weights, evenly spread over consecutive turns."""
    total = sum([candidates[at].weight for at in tier])
    point = (turn * _GOLDEN % _TURNS) * total // _TURNS
    for at in tier:
        point -= candidates[at].weight
        if point < 0:
            return at
    return tier[-1]


def _by_affinity(candidates: Sequence[Candidate], tier: list[int], token: bytes) -> Choice:
    """The first in this affinity's own order of the deployments that is not overloaded."""
    total, load = 0, 1
    for at in tier:
        total += candidates[at].weight
        load += candidates[at].in_flight
    order = sorted([(_distance(candidates[at], token), at) for at in tier])
    for place, (_, at) in enumerate(order):
        one = candidates[at]
        if one.in_flight < math.ceil(LOAD_FACTOR * load * one.weight / total):
            return Choice(at, one.name, "affinity_overloaded" if place else "affinity")
    return _chosen(candidates, order[0][1], "affinity")


def _distance(one: Candidate, token: bytes) -> float:
    """Smaller is nearer; nearest with a probability in proportion to the weight."""
    digest = blake2b(one.name.encode(), key=token, digest_size=_DIGEST_BYTES).digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (_HASHES + 1)
    return -math.log(uniform) / one.weight
