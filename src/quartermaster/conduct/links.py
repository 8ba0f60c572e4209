"""Which accounts are one campaign: candidates by what they ask, edges by what else they share.

A campaign spread over many accounts shows too little on each. Two accounts are alike by their
templates (weighed by how rare they are), by what they ask about, and by the form of their requests;
each likeness is ranked among pairs of the same population, and the ranks are put together. Alike is
not yet linked: tenants of one trade use the same published template. An edge needs something
besides text as well: a payment instrument, key, network or client in common that few others have,
or the same waking hours. Accounts joined by edges are scored again as one (see `linked`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.conduct.features import FloatArray, once_a_row
from quartermaster.conduct.history import log_form
from quartermaster.conduct.observe import VECTOR_SCALE, VECTOR_SIZE
from quartermaster.conduct.sketch import Sample, Traces

TEMPLATE_COUNT_MIN = 2
"""A run of words in two of an account's requests may be a template of 26."""
TEMPLATE_SHARE = 0.08
"""Of a larger sample, a run in every twelfth request."""
NULL_PAIRS = 20_000
"""Pairs that a likeness is ranked among: 1 in 1,000 is then known to within a fifth."""
BUCKET_MAX = 200
"""A bucket that holds more accounts names a common trade, not a campaign."""
RARE_MARKS = 8
"""Rarest template runs of an account that make it meet others."""
BANDS, BAND_BITS = 8, 8
"""Sign patterns of random directions; alike accounts meet in one of eight with a high chance."""
SHARED_MAX = 3
"""A network or client of more accounts than this is a public one."""
HOURS_ALIKE = 0.8
"""Correlation of waking half-hours."""
HOURS_MIN = 20
"""Requests with a time that a pattern of half-hours needs."""


class Signature(NamedTuple):
    """What an account is compared by; nothing of its text."""

    account: str
    marks: npt.NDArray[np.uint32]
    centre: FloatArray
    form: FloatArray
    requests: int
    traces: Traces | None


class Link(msgspec.Struct, frozen=True):
    """Two accounts that are alike."""

    left: str
    right: str
    p: float
    """Share of the population's pairs that are at least as alike."""
    reasons: tuple[str, ...]
    """What they share besides text; an edge only with one of these."""

    @property
    def confirmed(self) -> bool:
        """Whether something besides text links them."""
        return bool(self.reasons)


def signature(account: str, sample: Sample, traces: Traces | None = None) -> Signature:
    """What an account is compared by."""
    values, counts = np.unique(once_a_row(sample.marks), return_counts=True)
    least = max(TEMPLATE_COUNT_MIN, TEMPLATE_SHARE * len(sample))
    return Signature(
        account,
        values[(values > 0) & (counts >= least)],
        np.asarray(sample.vectors.mean(axis=0, dtype=np.float64) / VECTOR_SCALE),
        np.asarray(log_form(sample).mean(axis=0)),
        len(sample),
        traces,
    )


class Population:
    """All accounts of a day or week, with what is usual among them.

    Args:
        signatures: one an account, two or more.
        seed: draws the pairs that likeness is ranked among, and the directions of the buckets.
    """

    def __init__(self, signatures: Sequence[Signature], seed: int = 0) -> None:
        self.accounts = list(signatures)
        seen = Counter(mark for one in self.accounts for mark in one.marks.tolist())
        self._rarity = {mark: float(np.log(len(self.accounts) / n)) for mark, n in seen.items()}
        centres = np.array([one.centre for one in self.accounts])
        forms = np.array([one.form for one in self.accounts])
        self._middle = centres.mean(axis=0)
        self._spread = forms.std(axis=0) + 0.1
        draw = np.random.default_rng(seed)
        self._directions = draw.normal(size=(BANDS, BAND_BITS, VECTOR_SIZE))
        ordered = [self._likeness(*self._pair(draw)) for _ in range(NULL_PAIRS)]
        self._null = np.sort(np.array(ordered), axis=0)
        self._sums = np.sort(self._sum(np.array(ordered)))

    def p(self, left: Signature, right: Signature) -> float:
        """Share of the population's pairs that are at least as alike as these two."""
        total = self._sum(np.array([self._likeness(left, right)]))[0]
        above = len(self._sums) - int(np.searchsorted(self._sums, total, "left"))
        return (above + 1) / (len(self._sums) + 1)

    def likeness(self, left: Signature, right: Signature) -> float:
        """Sum over three likenesses of minus the log of their rank among the pairs."""
        return float(self._sum(np.array([self._likeness(left, right)]))[0])

    def candidates(self) -> set[tuple[int, int]]:
        """Pairs that meet in a bucket: of a rare template run, or of what they ask about."""
        buckets: defaultdict[object, list[int]] = defaultdict(list)
        for at, one in enumerate(self.accounts):
            rare = sorted(one.marks.tolist(), key=lambda mark: -self._rarity[mark])[:RARE_MARKS]
            signs = (self._directions @ (one.centre - self._middle)) > 0
            bands = [(band, row.tobytes()) for band, row in enumerate(signs)]
            for bucket in (*rare, *bands):
                buckets[bucket].append(at)
        return {
            pair
            for held in buckets.values()
            if len(held) <= BUCKET_MAX
            for pair in combinations(held, 2)
        }

    def _likeness(self, left: Signature, right: Signature) -> tuple[float, float, float]:
        shared = np.intersect1d(left.marks, right.marks, assume_unique=True).tolist()
        weights = [sum(self._rarity[m] for m in part.marks.tolist()) for part in (left, right)]
        template = sum(self._rarity[mark] for mark in shared) / (min(weights) + 1.0)
        one, other = left.centre - self._middle, right.centre - self._middle
        lengths = float(np.sqrt((one @ one) * (other @ other))) or 1.0
        form = -float(np.sqrt((((left.form - right.form) / self._spread) ** 2).sum()))
        return template, float(one @ other) / lengths, form

    def _sum(self, pairs: FloatArray) -> FloatArray:
        total = np.zeros(len(pairs))
        for column in range(3):
            ordered = self._null[:, column]
            above = len(ordered) - np.searchsorted(ordered, pairs[:, column], "left")
            total -= np.log((above + 1) / (len(ordered) + 1))
        return total

    def _pair(self, draw: np.random.Generator) -> tuple[Signature, Signature]:
        left, right = draw.choice(len(self.accounts), 2, replace=False)
        return self.accounts[left], self.accounts[right]


def link(population: Population, p_max: float) -> list[Link]:
    """The pairs of a population that are alike to `p_max`, most alike first, with their reasons."""
    owners = _owners(population.accounts)
    out = []
    for at, other in sorted(population.candidates()):
        left, right = population.accounts[at], population.accounts[other]
        p = population.p(left, right)
        if p <= p_max:
            reasons = tuple(_shared(left, right, owners))
            out.append(Link(left.account, right.account, p, reasons))
    return sorted(out, key=lambda one: (one.p, one.left, one.right))


def groups(edges: Iterable[Link]) -> list[list[str]]:
    """Accounts joined by confirmed edges, largest group first."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for edge in edges:
        if edge.confirmed:
            parent[root(edge.left)] = root(edge.right)
    joined: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(parent):
        joined[root(name)].append(name)
    return sorted(joined.values(), key=lambda held: (-len(held), held))


_KINDS = ("payments", "keys", "networks", "clients")


def _owners(accounts: Sequence[Signature]) -> Counter[tuple[str, int]]:
    return Counter(
        (kind, value)
        for one in accounts
        if one.traces is not None
        for kind in _KINDS
        for value in getattr(one.traces, kind)
    )


def _shared(left: Signature, right: Signature, owners: Counter[tuple[str, int]]) -> Iterable[str]:
    if left.traces is None or right.traces is None:
        return
    for kind in _KINDS:
        common = getattr(left.traces, kind) & getattr(right.traces, kind)
        # Payments and keys are nobody's public good, however many accounts of a campaign share one.
        private = kind in ("payments", "keys")
        rare = [value for value in common if private or owners[kind, value] <= SHARED_MAX]
        if rare:
            yield f"{len(rare)} {kind} in common"
    hours = left.traces.half_hours, right.traces.half_hours
    if min(int(part.sum()) for part in hours) >= HOURS_MIN and all(np.ptp(h) for h in hours):
        alike = float(np.corrcoef(hours[0], hours[1])[0, 1])
        if alike >= HOURS_ALIKE:
            yield f"awake at the same half-hours (correlation {alike:.2f})"
