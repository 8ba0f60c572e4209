"""Linking shards of one campaign, at the size of a shard that was reported: text, then meter.

Pairs are ranked among those of the ordinary accounts, as in a population where campaigns are rare.
The ordinary accounts are known as such, unless it is said otherwise: likeness to them explains
likeness. Each account's harvest score comes from weights that never saw its family. What the meter
sees is synthetic (`synthetic_meter`).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.conduct_parts.cold import SEED, folds, held_in, training
from bench.conduct_parts.corpus import Source
from bench.conduct_parts.fit import nested
from bench.conduct_parts.measures import Scored, joined, line_at, tpr_at
from bench.conduct_parts.synthetic_meter import Habit, MeterMaker
from quartermaster.conduct.features import FloatArray
from quartermaster.conduct.likeness import Signature, signature
from quartermaster.conduct.links import Evidence, Population
from quartermaster.conduct.model import Model
from quartermaster.conduct.score import best_score

SHARDS = 3
SIZE = 26
EASY_SHARE = 0.25
"""A quarter of the easy pairs is plenty."""
TRADE_SIZES = (2, 3, 4, 6)
"""Ordinary tenants that are known of each trade, besides all fourteen."""
MISTAKES = 6
"""Campaigns of each family that are mistaken in turn: 48 in all."""
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
KINDS = ("shards", "other_kinds", "same_trade", "same_recipe")


class Made(NamedTuple):
    """An account of one source."""

    source: Source
    signature: Signature


class Pairs(NamedTuple):
    """What speaks for pairs, by what they are."""

    evidence: Evidence
    null: Evidence
    """The same of pairs of ordinary accounts, which it is ranked among."""
    kind: npt.NDArray[np.str_]
    """"shards" of one campaign; accounts of "other_kinds"; tenants of the "same_trade", which are
    hard; campaigns of the "same_recipe", which share template and corpus: hard, or one?"""
    family: npt.NDArray[np.str_]
    source: npt.NDArray[np.int64]
    confirmed: npt.NDArray[np.bool_]
    """Whether something besides text is shared."""
    campaigns: npt.NDArray[np.bool_]
    """Whether both are of campaigns, which in a real population hardly ever meet."""

    def side(self, kind: str, scores: FloatArray) -> Scored:
        """The pairs of one kind by some score."""
        return self._taken(self.kind == kind, scores)

    @property
    def totals(self) -> FloatArray:
        """All that speaks for each pair."""
        return self.evidence.total(self.null)

    def others(self, scores: FloatArray) -> Scored:
        """All pairs that are not shards, hard ones as frequent as they were made."""
        return joined(self.side("other_kinds", scores), self.side("same_trade", scores))

    def with_ordinary(self, scores: FloatArray) -> Scored:
        """Those of them with an ordinary account."""
        rows = np.isin(self.kind, ("other_kinds", "same_trade")) & ~self.campaigns
        return self._taken(rows, scores)

    def _taken(self, rows: npt.NDArray[np.bool_], scores: FloatArray) -> Scored:
        """Drawn again by the first account; what pairs share by the second one is left out."""
        return Scored(scores[rows], self.family[rows], self.source[rows])


def accounts(sources: Sequence[Source], size: int = SIZE, habit: Habit | None = None) -> list[Made]:
    """Accounts of `size` disjoint requests: three of each campaign, one of each ordinary tenant."""
    draw = np.random.default_rng([SEED, 31])
    maker = None if habit is None else MeterMaker(habit, np.random.default_rng([SEED, 32]))
    table = training(sources)
    model_of: dict[str, Model] = {}
    for fold in folds(sources, 0):
        model = nested(*held_in(table, fold))
        model_of |= dict.fromkeys((fold.campaign, *fold.ordinary), model)
    made = []
    for source in sources:
        order = draw.permutation(len(source.sample))
        for shard in range(SHARDS if source.harvest else 1):
            sample = source.sample.take(order[shard * size : (shard + 1) * size])
            campaign = source.at if source.harvest else None
            traces = None if maker is None else maker.account(len(sample), campaign)
            score = best_score(sample, model_of[source.family])[0]
            made.append(Made(source, signature(f"{source.at}/{shard}", sample, traces, score)))
    return made


def names(made: Sequence[Made], each: int | None = None) -> frozenset[str]:
    """The ordinary accounts; of each trade the first `each` in a drawn order, if given."""
    draw = np.random.default_rng([SEED, 34])
    held: dict[str, list[str]] = {}
    for at in draw.permutation(len(made)).tolist():
        if not made[at].source.harvest:
            held.setdefault(made[at].source.family, []).append(made[at].signature.account)
    return frozenset(name for trade in held.values() for name in trade[:each])


def pairs(made: Sequence[Made], known: frozenset[str] | None = None) -> Pairs:
    """All pairs of accounts, but of the easy ones a part, and hard ones of known accounts alone.

    Args:
        made: the accounts.
        known: those that are held for ordinary tenants; all that are, by default.
    """
    draw = np.random.default_rng([SEED, 33])
    held = names(made) if known is None else known
    # Shards that are held for ordinary tenants by mistake stand among them.
    among = [m.signature for m in made if not m.source.harvest or m.signature.account in held]
    population = Population(among, SEED, held)
    kept, kinds = [], []
    for left, right in combinations(made, 2):
        kind = _kind(left.source, right.source)
        unknown = not {left.signature.account, right.signature.account} <= held
        if kind == "same_trade" and unknown:
            continue
        if kind != "other_kinds" or draw.random() < EASY_SHARE:
            kept.append((left, right))
            kinds.append(kind)
    both = [(left.signature, right.signature) for left, right in kept]
    return Pairs(
        population.evidence(both),
        population.null,
        np.array(kinds),
        np.array([left.source.family for left, _ in kept]),
        np.array([left.source.at for left, _ in kept]),
        np.array([any(population.reasons(*pair)) for pair in both]),
        np.array([left.source.harvest and right.source.harvest for left, right in kept]),
    )


def mistaken(made: Sequence[Made], rate: float) -> float:
    """Shard pairs found where a third of their campaign is held for ordinary tenants.

    One campaign of each family at a time, against pairs with an ordinary account.
    """
    of_family: dict[str, list[int]] = {}
    for one in made:
        if one.source.harvest and one.source.at not in of_family.setdefault(one.source.family, []):
            of_family[one.source.family].append(one.source.at)
    found = []
    for turn in range(MISTAKES):
        wrong = {held[turn % len(held)] for held in of_family.values()}
        last = {f"{at}/{SHARDS - 1}" for at in wrong}
        mine = [one for one in made if not one.source.harvest or one.source.at in wrong]
        seen = pairs(mine, names(made) | last)
        line = line_at(seen.with_ordinary(seen.totals).scores, rate)
        found.append(float((seen.side("shards", seen.totals).scores > line).mean()))
    return float(np.mean(found))


def met(made: Sequence[Made]) -> tuple[float, float]:
    """Share of shard pairs, and of all pairs, that meet in a bucket and are compared at all."""
    candidates = Population([one.signature for one in made], seed=SEED).candidates()
    shards = [
        (at, beside)
        for (at, left), (beside, right) in combinations(enumerate(made), 2)
        if left.source.at == right.source.at
    ]
    every = len(made) * (len(made) - 1) / 2
    return sum(pair in candidates for pair in shards) / len(shards), len(candidates) / every


def chosen_elsewhere(seen: Pairs, rate: float) -> float:
    """Share of shards found where the weight of harvest scores was chosen on other campaigns."""
    found = []
    for name in sorted(set(seen.family[seen.kind == "shards"].tolist())):
        mine = seen.family == name
        tried = {}
        for weight in WEIGHTS:
            scores = seen.evidence.total(seen.null, weight)
            shards, others = seen.kind == "shards", seen.others(scores).scores
            tried[weight] = (
                tpr_at(scores[shards & ~mine], others, rate),
                tpr_at(scores[shards & mine], others, rate),
            )
        best = max(WEIGHTS, key=lambda one: tried[one][0])
        found += [tried[best][1]] * int((mine & (seen.kind == "shards")).sum())
    return float(np.mean(found))


def _kind(left: Source, right: Source) -> str:
    if left.at == right.at:
        return "shards"
    if left.family != right.family:
        return "other_kinds"
    return "same_recipe" if left.harvest else "same_trade"
