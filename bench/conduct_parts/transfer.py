"""Does a line drawn on one half of the families keep its false-positive rate on the other half?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.conduct_parts.cold import SEED, Training, training
from bench.conduct_parts.compose import Mixer
from bench.conduct_parts.corpus import Source
from bench.conduct_parts.fit import nested
from bench.conduct_parts.measures import line_at
from quartermaster.conduct.model import Model
from quartermaster.conduct.score import best_score

RATE = 0.01
DAYS = 500
"""Ordinary account-days of each half: a rate of 1 % is five of them."""
CAMPAIGN_DAYS = 60
PARTS = 4


class Transfer(NamedTuple):
    """What became of a line on families it was not drawn on."""

    false_alarms: float
    found: float


def transfers(sources: Sequence[Source], splits: int) -> list[Transfer]:
    """Both directions of random splits of the families into halves."""
    table = training(sources)
    out = []
    for split in range(splits):
        draw = np.random.default_rng([SEED, 5, split])
        halves = _halves(sources, draw)
        for here, there in (halves, halves[::-1]):
            model, line = _drawn(table, sources, here, draw)
            mixer = _mixer(sources, there, draw)
            ordinary = _ordinary(mixer, model, DAYS)
            found = [
                best_score(mixer.campaign_day(name, 1.0, mixer.size()).sample, model)[0]
                for name in mixer.campaigns
                for _ in range(CAMPAIGN_DAYS // len(mixer.campaigns))
            ]
            out.append(
                Transfer(float((ordinary > line).mean()), float(np.mean(np.array(found) > line)))
            )
    return out


def _drawn(
    table: Training, sources: Sequence[Source], half: frozenset[str], draw: np.random.Generator
) -> tuple[Model, float]:
    """A model of a half, and the line on its families, each judged by a model without it."""
    scores = []
    ordinary = sorted(name for name in half if name.startswith("ordinary"))
    for part in range(PARTS):
        held = frozenset(ordinary[part::PARTS])
        mixer = _mixer(sources, held, draw)
        scores.append(_ordinary(mixer, _fit(table, half - held), DAYS // PARTS))
    return _fit(table, half), line_at(np.concatenate(scores), RATE)


def _fit(table: Training, families: frozenset[str]) -> Model:
    keep = np.array([name in families for name in table.family])
    names = [name for name in table.family if name in families]
    return nested(table.rows[keep], table.harvest[keep], names)


def _ordinary(
    mixer: Mixer, model: Model, count: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    names = mixer.workloads
    days = (mixer.ordinary_day(names[at % len(names)], mixer.size()) for at in range(count))
    return np.array([best_score(day.sample, model)[0] for day in days])


def _halves(
    sources: Sequence[Source], draw: np.random.Generator
) -> tuple[frozenset[str], frozenset[str]]:
    here: set[str] = set()
    everything = {source.family for source in sources}
    for side in (True, False):
        names = draw.permutation(sorted({s.family for s in sources if s.harvest == side}))
        here |= set(names[: len(names) // 2].tolist())
    return frozenset(here), frozenset(everything - here)


def _mixer(sources: Sequence[Source], families: frozenset[str], draw: np.random.Generator) -> Mixer:
    held = [source for source in sources if source.family in families]
    return Mixer([s for s in held if s.harvest], [s for s in held if not s.harvest], draw)
