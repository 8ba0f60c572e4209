"""Cold start: account-days of families that training never saw, on either side."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.conduct_parts.baselines import REFERENCE, Baselines, baselines, unit
from bench.conduct_parts.compose import Day, Mixer
from bench.conduct_parts.corpus import Source
from bench.conduct_parts.fit import nested
from bench.conduct_parts.measures import Scored
from quartermaster.conduct.features import FloatArray, features
from quartermaster.conduct.model import Model
from quartermaster.conduct.score import best_score

SEED = 20261123
PARTITIONS = 3
ORDINARY_FOLDS = 4
"""A quarter of the ordinary families is held out together with each family of campaigns."""
VIEWS = (260, 60, 26)
"""Training sees each source whole and twice in part, because small days look different."""
FRACTIONS = (1.0, 0.5, 0.2, 0.05, 0.01)
SIZES = (13, 26, 52, 104, 208)


class Fold(NamedTuple):
    """Families held out together."""

    campaign: str
    ordinary: frozenset[str]


class Training(NamedTuple):
    """Rows that a fold trains on."""

    rows: FloatArray
    harvest: np.ndarray[tuple[int], np.dtype[np.bool_]]
    family: list[str]


class Judged(NamedTuple):
    """A composed day with its scores."""

    day: Day
    ours: float
    whole: float
    chance: float
    """Log-odds at even odds, for calibration."""
    baselines: Baselines | None


def folds(sources: Sequence[Source], partition: int) -> list[Fold]:
    """One fold a family of campaigns, each with a quarter of the ordinary families."""
    draw = np.random.default_rng([SEED, partition])
    campaigns = sorted({s.family for s in sources if s.harvest})
    ordinary = draw.permutation(sorted({s.family for s in sources if not s.harvest})).tolist()
    return [
        Fold(name, frozenset(ordinary[at % ORDINARY_FOLDS :: ORDINARY_FOLDS]))
        for at, name in enumerate(campaigns)
    ]


def training(sources: Sequence[Source]) -> Training:
    """Whole and partial views of pure sources."""
    draw = np.random.default_rng([SEED, 1000])
    rows, harvest, family = [], [], []
    for source in sources:
        for size in VIEWS:
            count = min(size, len(source.sample))
            picked = draw.choice(len(source.sample), count, replace=False)
            rows.append(features(source.sample.take(picked)))
            harvest.append(source.harvest)
            family.append(source.family)
    return Training(np.array(rows), np.array(harvest), family)


def held_in(table: Training, fold: Fold) -> Training:
    """The training rows of a fold: nothing of its families."""
    keep = np.array([f != fold.campaign and f not in fold.ordinary for f in table.family])
    names = [f for f, kept in zip(table.family, keep, strict=True) if kept]
    return Training(table.rows[keep], table.harvest[keep], names)


def judge(sources: Sequence[Source], ordinary_days: int, campaign_days: int) -> list[Judged]:
    """Every fold's account-days, scored by the model that never saw their families.

    Args:
        sources: where requests come from.
        ordinary_days: in total, over all folds.
        campaign_days: for each fold and fraction.
    """
    table = training(sources)
    out: list[Judged] = []
    for partition in range(PARTITIONS):
        parts = folds(sources, partition)
        each = math.ceil(ordinary_days / PARTITIONS / len(parts))
        for place, fold in enumerate(parts):
            draw = np.random.default_rng([SEED, partition, place])
            model = nested(*held_in(table, fold))
            mixer = fold_mixer(sources, fold, draw)
            reference = _reference(sources, fold, draw)
            names = sorted(fold.ordinary)
            days = [mixer.ordinary_day(names[i % len(names)], mixer.size()) for i in range(each)]
            for fraction in FRACTIONS:
                days += [
                    mixer.campaign_day(fold.campaign, fraction, mixer.size())
                    for _ in range(campaign_days)
                ]
            out += [_judged(day, model, reference, at) for at, day in enumerate(days)]
    return out


def fold_mixer(sources: Sequence[Source], fold: Fold, draw: np.random.Generator) -> Mixer:
    """A mixer of the held-out families alone."""
    return Mixer(
        [s for s in sources if s.family == fold.campaign],
        [s for s in sources if s.family in fold.ordinary],
        draw,
    )


def by_size(sources: Sequence[Source], each: int) -> dict[int, tuple[Scored, Scored]]:
    """Pure campaigns and ordinary days of given sizes, in the first partition."""
    table = training(sources)
    found: dict[int, list[Judged]] = {size: [] for size in SIZES}
    for place, fold in enumerate(folds(sources, 0)):
        draw = np.random.default_rng([SEED, 77, place])
        model = nested(*held_in(table, fold))
        mixer = fold_mixer(sources, fold, draw)
        names = sorted(fold.ordinary)
        for size in SIZES:
            days = [mixer.campaign_day(fold.campaign, 1.0, size) for _ in range(each // 2)]
            days += [mixer.ordinary_day(names[i % len(names)], size) for i in range(each)]
            found[size] += [_judged(day, model, None, 0) for day in days]
    return {
        size: (
            scored([j for j in days if j.day.harvest]),
            scored([j for j in days if not j.day.harvest]),
        )
        for size, days in found.items()
    }


def scored(judged: Sequence[Judged], method: str = "ours") -> Scored:
    """The scores of one method."""
    return Scored(
        np.array([_score(one, method) for one in judged]),
        np.array([one.day.family for one in judged]),
        np.array([one.day.source for one in judged]),
    )


def _score(one: Judged, method: str) -> float:
    if method in ("ours", "whole", "chance"):
        return float(getattr(one, method))
    return float(getattr(one.baselines, method))


def _judged(day: Day, model: Model, reference: FloatArray | None, at: int) -> Judged:
    # Every third day of each kind carries the slower baselines as well.
    rivals = baselines(day.sample, reference) if reference is not None and at % 3 == 0 else None
    ours, whole = best_score(day.sample, model)
    return Judged(day, ours, whole, model.slope * ours + model.offset, rivals)


def _reference(sources: Sequence[Source], fold: Fold, draw: np.random.Generator) -> FloatArray:
    held = [s for s in sources if not s.harvest and s.family not in fold.ordinary]
    prompts = np.concatenate([unit(s.sample)[:8] for s in held])
    return prompts[draw.choice(len(prompts), min(REFERENCE, len(prompts)), replace=False)]
