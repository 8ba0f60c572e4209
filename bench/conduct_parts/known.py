"""Known tenants: campaigns and launches against ordinary days, families held out on both sides."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.conduct_parts.baselines import mmd, unit
from bench.conduct_parts.cold import SEED, fold_mixer, folds, held_in, training
from bench.conduct_parts.corpus import Source
from bench.conduct_parts.fit import nested
from bench.conduct_parts.measures import Scored, tpr_at
from bench.conduct_parts.tenants import TenantDay, tenant
from quartermaster.conduct.daily import HARVEST_BOUNDS, combined, quick_parts
from quartermaster.conduct.features import FloatArray
from quartermaster.conduct.history import Past
from quartermaster.conduct.score import best_score
from quartermaster.conduct.sketch import joined

PARTITIONS = 3
LOW, HIGH = HARVEST_BOUNDS
CAPS, WEIGHTS = (2.0, 3.0, 5.0), (0.3, 0.5, 1.0)
CHOSEN_AT = 0.2
REFERENCE = 200
"""Past prompts of the published test; every fourth tenant carries it."""


class KnownDay(NamedTuple):
    """A day of a known tenant with its scores."""

    kind: str
    share: float
    family: str
    source: int
    ours: float
    newness: float
    harvest: float
    cold: float
    mmd_own: float | None
    fold: tuple[int, int]
    held: frozenset[str]
    """Ordinary families that the fold holds out."""


def judge(sources: Sequence[Source], tenants: int) -> list[KnownDay]:
    """The days of composed tenants.

    Args:
        sources: where requests come from.
        tenants: in total, over all folds; each has eight ordinary days.
    """
    table = training(sources)
    out: list[KnownDay] = []
    for partition in range(PARTITIONS):
        parts = folds(sources, partition)
        for place, fold in enumerate(parts):
            draw = np.random.default_rng([SEED, 9, partition, place])
            model = nested(*held_in(table, fold))
            mixer = fold_mixer(sources, fold, draw)
            for at in range(tenants // PARTITIONS // len(parts)):
                made = tenant(mixer, draw)
                past = Past(made.past)
                reference = unit(joined(made.past))[:REFERENCE] if at % 4 == 0 else None
                for day in made.days:
                    z, harvest = quick_parts(past, day.sample, model)
                    cold = best_score(day.sample, model)[0]
                    rival = None if reference is None else mmd(unit(day.sample), reference)
                    scores = combined(z, harvest), z, LOW if harvest is None else harvest, cold
                    place_of = (partition, place), fold.ordinary
                    out.append(KnownDay(*_named(day), *scores, rival, *place_of))
    return out


def _named(day: TenantDay) -> tuple[str, float, str, int]:
    return day.kind, day.share, day.family, day.source


def chosen_elsewhere(days: Sequence[KnownDay]) -> Scored:
    """Scores whose cap and weight of newness were chosen without the fold's families.

    For each fold the pair that finds most campaigns at 1 % among the days of the other folds, less
    their days of ordinary families that this fold holds out.
    """
    scores = np.empty(len(days))
    for fold in sorted({day.fold for day in days}):
        inside = np.array([day.fold == fold for day in days])
        held = next(day.held for day in days if day.fold == fold)
        family = next((d.family for d in days if d.fold == fold and d.kind == "campaign"), "")
        other = [d for d in days if d.fold != fold and d.family != family and not d.held & held]
        cap, weight = max(
            ((cap, weight) for cap in CAPS for weight in WEIGHTS),
            key=lambda pair: _found(other, *pair),
        )
        usual = _weighed([d for d in other if d.kind == "ordinary"], cap, weight)
        middle, high = np.quantile(usual, [0.5, 0.99])
        mine = _weighed([d for d in days if d.fold == fold], cap, weight)
        # Pairs differ in scale: each fold's scores are put on that of its own choice.
        scores[inside] = (mine - middle) / (high - middle)
    blank = scored(days, "ours")
    return Scored(scores, blank.family, blank.source)


def _weighed(days: Sequence[KnownDay], cap: float, weight: float) -> FloatArray:
    z = np.array([day.newness for day in days])
    harvest = np.array([day.harvest for day in days])
    return np.asarray(weight * np.minimum(z, cap) + np.clip(harvest, LOW, HIGH))


def _found(days: Sequence[KnownDay], cap: float, weight: float) -> float:
    sides = [
        _weighed([d for d in days if d.kind == kind and d.share == share], cap, weight)
        for kind, share in (("campaign", CHOSEN_AT), ("ordinary", 0.0))
    ]
    return tpr_at(sides[0], sides[1], 0.01)


def scored(days: Sequence[KnownDay], method: str) -> Scored:
    """The scores of one method: "ours", "newness", "cold" or "mmd_own"."""
    return Scored(
        np.array([getattr(day, method) for day in days], dtype=np.float64),
        np.array([day.family for day in days]),
        np.array([day.source for day in days]),
    )
