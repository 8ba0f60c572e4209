"""What is new on a day, against the account's own past 28 days: request by request, then in sum.

A request is new to the degree that its words, its form and its template are far from everything the
account asked before. How far is far is learnt from the past itself: each past day is held against
the others in the same way, and a request's p-value is its rank among those. No level is set by
hand, and an account whose ordinary traffic wanders raises its own bar.

Assumption: days of one workload are exchangeable. Seasons and slow drift are not; they make
ordinary days look newer than they are, which is why newness alone never decides (see `daily`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.conduct.features import FloatArray
from quartermaster.conduct.observe import FIELD, VECTOR_SCALE
from quartermaster.conduct.sketch import Sample, joined

PAST_DAYS = 28
"""Four weeks: every weekday four times, and no more than sketches are kept for."""
PAST_ROWS = 640
"""Past requests compared with; more change ranks by less than their own error of 0.01."""
NEW_P = 0.05
"""Requests that rank among the newest twentieth count as new."""
PAST_ROWS_MIN = 40
"""A twentieth of fewer requests is not a rank."""
FORM = (
    "limit",
    "meta",
    "make",
    "rate",
    "reason",
    "product",
    "quote",
    "long",
    "system",
    "turns",
    "words",
    "ask_chars",
    "imperative",
    "asking",
    "lines",
    "markup",
    "foreign",
)
"""What the form of a request is measured by, on a log scale."""


class Newness(NamedTuple):
    """A day against the past."""

    p: FloatArray
    """For each request the share of past requests that were at least as new on their day."""
    z: float
    """Excess of new requests over a twentieth, in standard errors (signed root of the deviance)."""

    @property
    def new(self) -> npt.NDArray[np.intp]:
        """Rows that count as new."""
        return np.flatnonzero(self.p <= NEW_P)


class Past:
    """An account's past days, ready to be compared with.

    Args:
        days: samples of past days, oldest first; at most `PAST_DAYS` of them are used.
        seed: draws the rows that are compared with where there are more than `PAST_ROWS`.
    """

    def __init__(self, days: Sequence[Sample], seed: int = 0) -> None:
        used = [day for day in days[-PAST_DAYS:] if len(day)]
        rows = joined(used)
        blocks = np.repeat(np.arange(len(used)), [len(day) for day in used])
        if len(rows) > PAST_ROWS:
            picked = np.random.default_rng(seed).choice(len(rows), PAST_ROWS, replace=False)
            picked.sort()
            rows, blocks = rows.take(picked), blocks[picked]
        self.rows = rows
        self._blocks = blocks
        if self.known:
            self._prepare()

    @property
    def known(self) -> bool:
        """Whether there is enough of a past: requests, on at least two days."""
        return len(self.rows) >= PAST_ROWS_MIN and len(np.unique(self._blocks)) > 1

    def newness(self, today: Sample) -> Newness:
        """How new each request of a day is."""
        far = self._distances(_units(today), self._form(today), self._unseen(today, None), None)
        p = _ranks(self._null, _combined(self._parts, far))
        count = len(p)
        share = float((p <= NEW_P).mean()) if count else 0.0
        return Newness(p, _signed_root(share, count))

    def _prepare(self) -> None:
        form = log_form(self.rows)
        self._centre, self._spread = form.mean(axis=0), form.std(axis=0) + 0.1
        self._vectors, self._past_form = _units(self.rows), self._form(self.rows)
        self._mark_days = self._days_of_marks()
        unseen = self._unseen(self.rows, self._blocks)
        self._parts = self._distances(self._vectors, self._past_form, unseen, self._blocks)
        self._null = np.sort(_combined(self._parts, self._parts))

    def _form(self, sample: Sample) -> FloatArray:
        return np.asarray((log_form(sample) - self._centre) / self._spread)

    def _distances(
        self,
        vectors: FloatArray,
        form: FloatArray,
        unseen: FloatArray,
        blocks: npt.NDArray[np.intp] | None,
    ) -> FloatArray:
        """Three columns: words, form and template; past rows are not held against their own day."""
        words = 1 - vectors @ self._vectors.T
        forms = _squares(form, self._past_form)
        if blocks is not None:
            same = blocks[:, None] == self._blocks[None, :]
            words[same], forms[same] = np.inf, np.inf
        return np.stack([words.min(axis=1), forms.min(axis=1), unseen], axis=1)

    def _days_of_marks(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        marks_a_row = self.rows.marks.shape[1]
        days = np.repeat(self._blocks, marks_a_row).astype(np.uint64)
        pairs = np.stack([self.rows.marks.ravel().astype(np.uint64), days])
        held = np.unique(pairs[:, pairs[0] > 0], axis=1)
        marks, counts = np.unique(held[0], return_counts=True)
        return marks.astype(np.uint32), counts

    def _unseen(self, sample: Sample, blocks: npt.NDArray[np.intp] | None) -> FloatArray:
        """Share of a request's marks that no other day has."""
        marks, days = self._mark_days
        held = sample.marks > 0
        places = np.minimum(np.searchsorted(marks, sample.marks), max(0, len(marks) - 1))
        found = (marks[places] == sample.marks) if len(marks) else np.zeros_like(held)
        count = np.where(found, days[places], 0) if len(marks) else np.zeros(held.shape)
        seen = count > (0 if blocks is None else 1)
        return np.asarray(1 - (seen & held).sum(axis=1) / np.maximum(1, held.sum(axis=1)))


def _combined(null: FloatArray, far: FloatArray) -> FloatArray:
    """Sum over the three distances of minus the log of their rank in the past."""
    total = np.zeros(len(far))
    for column in range(far.shape[1]):
        total -= np.log(_ranks(np.sort(null[:, column]), far[:, column]))
    return total


def _ranks(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """Share of the past at or above each value, never zero."""
    above = len(ordered) - np.searchsorted(ordered, values, "left")
    return np.asarray((above + 1) / (len(ordered) + 1))


def _signed_root(share: float, count: int) -> float:
    if not count or share <= NEW_P:
        return 0.0
    rest = (1 - share) * np.log((1 - share) / (1 - NEW_P)) if share < 1 else 0.0
    return float(np.sqrt(2 * count * (share * np.log(share / NEW_P) + rest)))


def _units(sample: Sample) -> FloatArray:
    return np.asarray(sample.vectors.astype(np.float64) / VECTOR_SCALE)


def log_form(sample: Sample) -> FloatArray:
    """What the form of requests is measured by, one row a request."""
    columns = [FIELD[name] for name in FORM]
    return np.asarray(np.log1p(sample.facts[:, columns].astype(np.float64)))


def _squares(left: FloatArray, right: FloatArray) -> FloatArray:
    norms = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    return np.asarray(np.maximum(0.0, norms - 2 * left @ right.T))
