"""The registry: does it know indexed prompts under a wrapper, and leave ordinary traffic alone?"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bench.conduct_parts.corpus import KEY, Row, rows
from quartermaster.conduct.observe import FIELD, Observer
from quartermaster.conduct.records import Request
from quartermaster.conduct.registry import Registry, build

INDEXED = ("alpaca", "claude45", "code", "med", "evolmix")
"""Campaigns whose prompts stand in public training corpora."""
CONTAMINATED = "mathcot"
"""Holds most questions of a benchmark's test split, so it shows what a test index is for."""
TESTED = "ev_gsm"
WRAPPERS = (
    ("Could you please help me with the following? ", ""),
    ("Hi! ", " Thanks a lot in advance."),
    ("I am working on something and need this: ", " Keep it clear."),
    ("", "\n\nAnswer as well as you can, please."),
)
LINE = 0.02
"""Hit rate of an account-day above which it counts as using public corpora."""


class Known(NamedTuple):
    """What the registry makes of traffic."""

    recall: dict[str, tuple[float, float, float]]
    """By family: of indexed prompts as they are; wrapped and in lower case; of those wrapped that
    have seven words or more."""
    ordinary: dict[str, float]
    """By family: the largest hit rate of an account-day."""
    over_line: int
    evaluation_as_training: tuple[float, float]
    """Hit rate of evaluations as training prompts, without and with a test index."""


def measure() -> Known:
    """Index, wrap, look."""
    held = [row for row in rows() if row.label == "ordinary" or row.fraction == 1]
    indexed = [r for r in held if r.label != "ordinary" and r.family in INDEXED and not r.evasion]
    plain = _registry(indexed, [])
    recall = {}
    for family in INDEXED:
        prompts = [q for row in indexed if row.family == family for q in row.requests][::3]
        wrapped = [_wrapped(request, at) for at, request in enumerate(prompts)]
        long = [w for w, q in zip(wrapped, prompts, strict=True) if len(q.turns[-1].split()) >= 7]
        recall[family] = (_hits(plain, prompts), _hits(plain, wrapped), _hits(plain, long))
    ordinary: dict[str, float] = {}
    over = 0
    for row in held:
        if row.label == "ordinary":
            rate = _hits(plain, row.requests)
            over += rate > LINE
            ordinary[row.family] = max(rate, ordinary.get(row.family, 0.0))
    return Known(recall, ordinary, over, _twins(held))


def _twins(held: list[Row]) -> tuple[float, float]:
    """Evaluation accounts against an index that is contaminated by their test split."""
    training = [row for row in held if row.family == CONTAMINATED and row.label != "ordinary"]
    evaluations = [row for row in held if row.family == TESTED]
    requests = [request for row in evaluations[1::2] for request in row.requests]
    bare = _hits(_registry(training, []), requests)
    # The test index is the split itself; here every prompt that any evaluation sent stands for it.
    return bare, _hits(_registry(training, evaluations), requests)


def _registry(train: list[Row], test: list[Row]) -> Registry:
    observer = Observer(KEY)
    kinds = (("train", train), ("test", test))
    return build(
        (
            (name, kind, (observer.corpus_words(t) for t in _texts(held)))  # type: ignore[misc]
            for kind, held in kinds
            for name in [kind]
            if held
        ),
        KEY,
    )


def _texts(held: list[Row]) -> Iterator[str]:
    return (request.turns[-1] for row in held for request in row.requests)


def _hits(registry: Registry, requests: list[Request]) -> float:
    observer = Observer(KEY, registry)
    found = [observer.observe(request).facts[FIELD["train_hit"]] for request in requests]
    return float(np.mean(found))


def _wrapped(request: Request, at: int) -> Request:
    before, after = WRAPPERS[at % len(WRAPPERS)]
    return Request(((before + request.turns[-1] + after).lower(),), request.system)
