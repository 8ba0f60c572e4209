"""From a sample of fingerprints to what an account-day looks like: one number a feature.

Each feature has a sign fixed in advance: what it can only add to, or only take from, the suspicion
of a harvest. Fixed signs and nearly equal weights are what makes scores carry over to kinds of
campaign that were not in training; free signs learn what those in training happened to be about.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.conduct.observe import FIELD
from quartermaster.conduct.sketch import Sample

FloatArray = npt.NDArray[np.float64]

TEMPLATE_SHARE = 0.10
"""A run of words in every tenth prompt is part of a template."""
FRAME_SHARE = 0.25
"""A run of words in every fourth prompt frames the account's work."""
TEMPLATE_COUNT_MIN = 3
"""Two equal prompts are a repetition, not a template."""
WORDS_MIN = 8.0
"""Rates of shorter prompts are taken a word in eight, so that one word is not a rate of one."""
SHARP_WORDS = 2.0
"""One word of grading may be chance; a rubric names several."""


class Feature(NamedTuple):
    """A number of an account-day, and what it can say."""

    name: str
    sign: int
    words: str


FEATURES = (
    Feature("make_meta", 1, "prompts that ask for prompts, tasks, questions or dialogues"),
    Feature("make_meta_alone", 1, "such prompts without a system prompt"),
    Feature("make_meta_vary", 1, "such prompts that also ask for variety or difficulty"),
    Feature("meta_rate", 1, "words for what a training set consists of"),
    Feature("vary_rate", 1, "words that ask for variety or difficulty"),
    Feature("reply_rate", 1, "words for a model's output as an object"),
    Feature("make_rate", 1, "verbs that ask for new text"),
    Feature("long_rate", 1, "words for long free text"),
    Feature("rating", 1, "prompts that grade answers"),
    Feature("rating_alone", 1, "such prompts without a system prompt"),
    Feature("reason_rate", 1, "words that ask for the reasoning"),
    Feature(
        "reason_alone", 1, "wishes for reasoning, with no bound on the answer and no system prompt"
    ),
    Feature("template_words", 1, "how much of the prompts is one template"),
    Feature("bare_even", 1, "prompts without any frame, all of about one length"),
    Feature("bare_open", 1, "prompts without any frame and with no bound on the answer"),
    Feature("limit_rate", -1, "words that bound the answer or have a program read it"),
    Feature("product_rate", -1, "words of somebody's product"),
    Feature("system", -1, "system prompts"),
)
NAMES = tuple(feature.name for feature in FEATURES)
SIGNS = np.array([feature.sign for feature in FEATURES])


class Shape(NamedTuple):
    """What the requests of one sample share with each other; one entry a request."""

    template: FloatArray
    """Share of its words that belong to templates."""
    framed: npt.NDArray[np.bool_]
    """Whether a run of its words stands in every fourth request."""


def shape(sample: Sample) -> Shape:
    """Find the templates of a sample."""
    marks = sample.marks
    held = marks > 0
    values, counts = np.unique(once_a_row(marks), return_counts=True)
    keep = values > 0
    values, counts = values[keep], counts[keep]
    count = len(sample)
    common = values[counts >= max(TEMPLATE_COUNT_MIN, TEMPLATE_SHARE * count)]
    frames = values[counts >= max(TEMPLATE_COUNT_MIN, FRAME_SHARE * count)]
    template = (np.isin(marks, common) & held).sum(axis=1) / np.maximum(1, held.sum(axis=1))
    return Shape(template, np.asarray((np.isin(marks, frames) & held).any(axis=1)))


def features(sample: Sample) -> FloatArray:
    """The numbers of `FEATURES`, in that order; zeros for an empty sample."""
    if not len(sample):
        return np.zeros(len(FEATURES))
    facts = sample.facts.astype(np.float64)
    found = shape(sample)
    words = np.maximum(WORDS_MIN, facts[:, FIELD["words"]])

    def share(rows: npt.NDArray[np.bool_]) -> float:
        return float(rows.mean())

    def rate(name: str) -> float:
        return float((facts[:, FIELD[name]] / words).mean())

    made = facts[:, FIELD["make_meta"]] >= 1
    rating = facts[:, FIELD["rate_reply"]] >= SHARP_WORDS
    alone = facts[:, FIELD["system"]] == 0
    open_ended = facts[:, FIELD["limit"]] == 0
    bare = alone & (facts[:, FIELD["turns"]] == 1) & ~found.framed
    quarters = np.percentile(np.log1p(facts[:, FIELD["ask_chars"]]), [25, 75])
    values = {
        "make_meta": share(made),
        "make_meta_alone": share(made & alone),
        "make_meta_vary": share(facts[:, FIELD["make_meta_vary"]] >= 1),
        "meta_rate": rate("meta"),
        "vary_rate": rate("vary"),
        "reply_rate": rate("reply"),
        "make_rate": rate("make"),
        "long_rate": rate("long"),
        "rating": share(rating),
        "rating_alone": share(rating & alone),
        "reason_rate": rate("reason"),
        "reason_alone": share((facts[:, FIELD["reason"]] >= 1) & alone & open_ended),
        "template_words": float(np.log1p((found.template * facts[:, FIELD["words"]]).mean())),
        "bare_even": share(bare) * float(np.exp(quarters[0] - quarters[1])),
        "bare_open": share(bare & open_ended),
        "limit_rate": rate("limit"),
        "product_rate": rate("product"),
        "system": 1 - share(alone),
    }
    return np.array([values[name] for name in NAMES])


def once_a_row(marks: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The marks of each row without repetitions, so that counts are counts of requests."""
    ordered = np.sort(marks, axis=1)
    repeated = np.zeros(ordered.shape, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return np.where(repeated, np.uint32(0), ordered).ravel()
