"""Linking shards of one campaign by text alone, at the size of a shard that was reported."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bench.conduct_parts.cold import SEED
from bench.conduct_parts.corpus import Source
from bench.conduct_parts.measures import Scored
from quartermaster.conduct.links import Population, Signature, signature

SHARDS = 3
SIZE = 26
KINDS = ("shards", "other_kinds", "same_trade", "same_recipe")


class Pairs(NamedTuple):
    """Likeness of pairs, by what they are."""

    shards: Scored
    """Two shards of one campaign."""
    other_kinds: Scored
    """Accounts of different families."""
    same_trade: Scored
    """Different ordinary tenants of one workload family; a hard pair."""
    met: tuple[float, float]
    """Share of shard pairs, and of all pairs, that meet in a bucket and are compared at all."""
    same_recipe: Scored
    """Different campaigns of one family, which often share template and corpus: hard, or one?"""


def pairs(sources: Sequence[Source], size: int = SIZE) -> Pairs:
    """Shards of `size` disjoint requests: three of each campaign, one of each ordinary tenant."""
    draw = np.random.default_rng([SEED, 31])
    made: list[tuple[Source, Signature]] = []
    for source in sources:
        count = SHARDS if source.harvest else 1
        order = draw.permutation(len(source.sample))
        for shard in range(count):
            rows = order[shard * size : (shard + 1) * size]
            name = f"{source.at}/{shard}"
            made.append((source, signature(name, source.sample.take(rows))))
    population = Population([one for _, one in made], seed=SEED)
    found: dict[str, list[tuple[float, str, int]]] = {name: [] for name in KINDS}
    candidates = population.candidates()
    met = {True: 0, False: 0}
    for (at, (left, one)), (beside, (right, other)) in combinations(enumerate(made), 2):
        kind = _kind(left, right)
        met[kind == "shards"] += (at, beside) in candidates
        if kind == "other_kinds" and draw.random() > 0.25:
            continue  # a quarter of the easy pairs is plenty
        found[kind].append((population.likeness(one, other), left.family, left.at))
    shards = len(found["shards"])
    share = met[True] / shards, len(candidates) / (len(made) * (len(made) - 1) / 2)
    return Pairs(met=share, **{name: _scored(found[name]) for name in KINDS})


def _kind(left: Source, right: Source) -> str:
    if left.at == right.at:
        return "shards"
    if left.family != right.family:
        return "other_kinds"
    return "same_recipe" if left.harvest else "same_trade"


def _scored(rows: Sequence[tuple[float, str, int]]) -> Scored:
    return Scored(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]),
    )
