"""Score account-days with reasons: the most suspicious workload of a day, and its looks.

A score orders account-days; it is not a probability that somebody harvests, because that depends on
how many of your customers do. What a score is worth on kinds of campaign and workload that training
never saw is measured by `bench/conduct.py` and written in docs/concepts/conduct.md.
"""

import math
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from quartermaster.conduct.detectors import Finding, findings
from quartermaster.conduct.features import FEATURES, FloatArray, features
from quartermaster.conduct.model import Model, shipped
from quartermaster.conduct.observe import FIELD, Observer
from quartermaster.conduct.records import AccountDay
from quartermaster.conduct.sketch import DaySketch, Sample, SketchedDay, sketched
from quartermaster.conduct.slices import slices

SMALL_PENALTY = 4.0
"""Log-odds taken off a workload seen in one request; falls with the root of their number."""
REASONS_SHOWN = 4
"""The strongest few features carry most of a score; all of them would hide it."""
REASON_MIN = 0.2
"""A feature that adds less than a fifth of a log-odd explains nothing."""


class Reason(msgspec.Struct, frozen=True):
    """What one feature adds to a score."""

    feature: str
    value: float
    adds: float
    """Log-odds against the mean of training; negative speaks against a harvest."""
    words: str


class Workload(msgspec.Struct, frozen=True):
    """A part of the day that was judged on its own."""

    kind: str
    requests: int
    """Estimated for the whole day where only a sample was read."""
    share: float
    score: float
    findings: tuple[Finding, ...]
    reasons: tuple[Reason, ...]


class Score(msgspec.Struct, frozen=True):
    """What an account-day looks like by its requests."""

    account: str
    day: str
    requests: int
    sampled_fraction: float
    score: float | None
    """0 is the median ordinary day, 3 % lie above 1; `None` without requests."""
    even_chance: float | None
    """Probability if every second account-day were a harvest; yours are far fewer."""
    over_line: bool
    """Whether the score is above the line of the model. A reason to look, not a verdict."""
    workload: Workload | None
    """The part of the day that the score rests on."""
    whole: Workload | None
    """The day as a whole, of which a covert part may be small."""
    blind: tuple[str, ...]
    """What this score could not see."""


def score_days(
    days: Iterable[AccountDay], observer: Observer, key: bytes, model: Model | None = None
) -> Iterator[Score]:
    """The score of each account-day, in their order.

    Args:
        days: what was asked; each is forgotten before the next is read.
        observer: reads requests; made from the same key.
        key: the deployment's key, which draws the sample of a long day.
        model: weights; those of the package by default.
    """
    for day in days:
        yield score_sketch(sketched(day, observer, key), model or shipped())


def score_sketch(sketch: DaySketch, model: Model) -> Score:
    """The score of a day of which only the sketch is left."""
    sample = sketch.sample
    total = sketch.totals.requests
    parts = judged(sample, model)
    worst = max(parts, key=lambda part: part.score, default=None)
    scaled = 1 / sketch.sampled_fraction if total else 1.0
    return Score(
        account=sketch.account,
        day=sketch.day,
        requests=total,
        sampled_fraction=sketch.sampled_fraction,
        score=worst.score if worst else None,
        even_chance=model.even_chance(worst.score) if worst else None,
        over_line=worst is not None and worst.score > model.line,
        workload=_scaled(worst, scaled),
        whole=_scaled(parts[0] if parts else None, scaled),
        blind=("history: this day alone was judged", *blind_spots(sketch)),
    )


def judged(sample: Sample, model: Model) -> list[Workload]:
    """The whole day first, then each of its workloads."""
    if not len(sample):
        return []
    found = [("the whole day", np.arange(len(sample))), *slices(sample)]
    out = []
    for kind, rows in found:
        part = sample.take(rows)
        row = features(part)
        penalty = SMALL_PENALTY / math.sqrt(len(rows))
        out.append(
            Workload(
                kind,
                len(rows),
                len(rows) / len(sample),
                float(model.score(model.log_odds(row) - penalty)),
                findings(part, row),
                _reasons(model, row),
            )
        )
    return out


def best_score(sample: Sample, model: Model) -> tuple[float, float]:
    """The score of a sample as `score_sketch` gives it, and that of its whole, without reasons."""
    if not len(sample):
        return -math.inf, -math.inf
    parts = [np.arange(len(sample)), *(part.rows for part in slices(sample))]
    rows = np.array([features(sample.take(part)) for part in parts])
    penalty = SMALL_PENALTY / np.sqrt([len(part) for part in parts])
    scores = model.score(model.log_odds(rows) - penalty)
    return float(scores.max()), float(scores[0])


def _reasons(model: Model, row: FloatArray) -> tuple[Reason, ...]:
    adds = model.contributions(row)
    order = np.argsort(-np.abs(adds))[:REASONS_SHOWN]
    return tuple(
        Reason(FEATURES[at].name, float(row[at]), float(adds[at]), FEATURES[at].words)
        for at in order
        if abs(adds[at]) >= REASON_MIN
    )


def _scaled(part: Workload | None, factor: float) -> Workload | None:
    if part is None:
        return None
    return msgspec.structs.replace(part, requests=round(part.requests * factor))


def blind_spots(sketch: SketchedDay) -> tuple[str, ...]:
    """What the sketch of a day cannot show."""
    out = []
    if not sketch.totals.metered:
        out.append("meter: no token counts")
    if sketch.sampled_fraction < 1:
        out.append(f"text: {sketch.sampled_fraction:.1%} of the requests are in the sample")
    if not (sketch.sample.facts[:, [FIELD["train_hit"], FIELD["test_hit"]]] > 0).any():
        out.append("public corpora: no registry, or no hit in it")
    return tuple(out)
