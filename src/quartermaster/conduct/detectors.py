"""Typed detectors: what kind of harvest a set of requests looks like, each in its own words.

A detector states a strength between 0 and 1 and the requests it rests on. None of them is a
verdict, and wishes to see the reasoning alone never count beyond observation: ordinary products ask
for explanations, and customers who must keep them for audits were warned for it elsewhere.
"""

from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np

from quartermaster.conduct.features import NAMES, FloatArray
from quartermaster.conduct.observe import FIELD
from quartermaster.conduct.sketch import Sample

Kind = Literal[
    "meta_generation",
    "answer_harvest",
    "reasoning_harvest",
    "rubric_harvest",
    "public_corpus",
    "benchmark_items",
    "model_pivot",
    "reseller",
]

SHOWN_MIN = 0.2
"""A detector that rests on less than a fifth of its requests says nothing about them."""
CORPUS_SHOWN_MIN = 0.02
"""Ordinary workloads were measured at no more than 0.3 % of hits; 2 % is not chance."""
CORPUS_FULL = 0.10
"""One prompt in ten from public training sets leaves no doubt that they are being used."""


class Finding(msgspec.Struct, frozen=True):
    """What a detector says about a set of requests."""

    kind: Kind
    strength: float
    share: float
    """Share of the requests that it rests on."""
    words: str
    observe_only: bool = False
    """Whether this alone may never lead beyond observation."""


def findings(sample: Sample, row: FloatArray) -> tuple[Finding, ...]:
    """What the detectors say, strongest first.

    Args:
        sample: the requests.
        row: their `features`.
    """
    if not len(sample):
        return ()
    value = dict(zip(NAMES, row.tolist(), strict=True))
    found = [detector(sample, value) for detector in _DETECTORS]
    return tuple(sorted((f for f in found if f is not None), key=lambda f: -f.strength))


def _meta_generation(sample: Sample, value: dict[str, float]) -> Finding | None:
    del sample
    share = value["make_meta"]
    strength = share * (0.6 + 0.4 * value["make_meta_vary"] / share) if share else 0.0
    return _shown(
        "meta_generation",
        strength,
        share,
        f"{share:.0%} of the prompts ask for prompts, tasks, questions or dialogues"
        f" ({value['make_meta_vary']:.0%} also for variety or difficulty)",
    )


def _answer_harvest(sample: Sample, value: dict[str, float]) -> Finding | None:
    share = value["bare_open"]
    return _shown(
        "answer_harvest",
        share * min(1.0, 0.5 + _share(sample, "imperative")),
        share,
        f"{share:.0%} of the prompts stand alone: no template, no system prompt, no earlier turns,"
        " no bound on the answer",
    )


def _reasoning_harvest(sample: Sample, value: dict[str, float]) -> Finding | None:
    share = max(value["reason_alone"], _share(sample, "steps"))
    return _shown(
        "reasoning_harvest",
        share,
        share,
        f"{share:.0%} of the prompts ask to see the reasoning",
        observe_only=True,
    )


def _rubric_harvest(sample: Sample, value: dict[str, float]) -> Finding | None:
    del sample
    share = value["rating"]
    strength = 0.5 * (share + value["rating_alone"])
    return _shown(
        "rubric_harvest", strength, share, f"{share:.0%} of the prompts have answers graded"
    )


def _public_corpus(sample: Sample, value: dict[str, float]) -> Finding | None:
    del value
    return _corpus(sample, "train_hit", "public_corpus", "stand in public training corpora")


def _benchmark_items(sample: Sample, value: dict[str, float]) -> Finding | None:
    del value
    words = "stand in the test split of a benchmark, as in an evaluation"
    return _corpus(sample, "test_hit", "benchmark_items", words)


def _corpus(sample: Sample, field: str, kind: Kind, words: str) -> Finding | None:
    share = _share(sample, field)
    if share < CORPUS_SHOWN_MIN:
        return None
    said = f"{share:.0%} of the prompts {words}"
    return Finding(kind, min(1.0, share / CORPUS_FULL), share, said, kind != "public_corpus")


def _share(sample: Sample, field: str) -> float:
    return float((sample.facts[:, FIELD[field]] > 0).mean(dtype=np.float64))


def _shown(
    kind: Kind, strength: float, share: float, words: str, *, observe_only: bool = False
) -> Finding | None:
    if share < SHOWN_MIN:
        return None
    return Finding(kind, round(min(1.0, strength), 4), share, words, observe_only)


_DETECTORS: tuple[Callable[[Sample, dict[str, float]], Finding | None], ...] = (
    _meta_generation,
    _answer_harvest,
    _reasoning_harvest,
    _rubric_harvest,
    _public_corpus,
    _benchmark_items,
)
