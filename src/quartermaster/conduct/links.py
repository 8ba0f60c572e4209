"""Which accounts are one campaign: candidates by what they ask, edges by what else they share.

A campaign spread over many accounts shows too little on each. Two accounts are alike by their
templates (weighed by how rare they are), by what they ask about, and by the form of their requests;
each likeness is ranked among pairs of the same population, and the ranks are put together. Alike is
not yet one campaign: tenants of one trade use the same published template, and no likeness tells
them from two shards. What does is whether both look like a harvest by themselves, and what they
have in common besides text (see `coincidence`); both are ranked among pairs as well and added.

An edge needs something besides text: a payment instrument, key, network or client in common that
few others have, or waking hours more alike than those of most pairs. Accounts joined by edges are
scored again as one (see `linked`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.conduct.coincidence import Coincidence, clock
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
BLOCK = 4_096
"""Pairs compared at once: a megabyte, however many candidates there are."""
BUCKET_MAX = 200
"""A bucket that holds more accounts names a common trade, not a campaign."""
RARE_MARKS = 8
"""Rarest template runs of an account that make it meet others."""
BANDS, BAND_BITS = 8, 8
"""Sign patterns of random directions; alike accounts meet in one of eight with a high chance."""
LIKENESSES = 3
"""Templates, topics and form."""
HOURS_ALIKE = 0.7
"""Correlation of waking half-hours that is worth saying, if it is rare as well."""
HARVEST_WEIGHT = 0.5
"""What a rank among harvest scores counts beside one among likenesses: scores are the weaker."""
USUAL = 0.05
"""What every twentieth pair has in common besides text says nothing."""


class Signature(NamedTuple):
    """What an account is compared by; nothing of its text."""

    account: str
    marks: npt.NDArray[np.uint32]
    centre: FloatArray
    form: FloatArray
    requests: int
    traces: Traces | None
    clock: FloatArray | None
    """When it is awake, ready to be correlated; None where too little is known of that."""
    harvest: float
    """Harvest score of the account by itself; the same for all where nobody scored them."""


class Evidence(NamedTuple):
    """What speaks for pairs being one campaign, as minus the log of ranks; one entry a pair."""

    text: FloatArray
    harvest: FloatArray
    meter: FloatArray

    def total(self, harvest: float = HARVEST_WEIGHT) -> FloatArray:
        """All of it; usual coincidences do not count."""
        unusual = np.maximum(0.0, self.meter + np.log(USUAL))
        return np.asarray(self.text + harvest * self.harvest + unusual)


class Link(msgspec.Struct, frozen=True):
    """Two accounts that may be one campaign."""

    left: str
    right: str
    p: float
    """Share of the population's pairs for which at least as much speaks."""
    reasons: tuple[str, ...]
    """What they share besides text; an edge only with one of these."""

    @property
    def confirmed(self) -> bool:
        """Whether something besides text links them."""
        return bool(self.reasons)


def signature(
    account: str, sample: Sample, traces: Traces | None = None, harvest: float = 0.0
) -> Signature:
    """What an account is compared by.

    Args:
        account: its name.
        sample: its requests.
        traces: what the meter saw of it.
        harvest: its score by itself.
    """
    values, counts = np.unique(once_a_row(sample.marks), return_counts=True)
    least = max(TEMPLATE_COUNT_MIN, TEMPLATE_SHARE * len(sample))
    return Signature(
        account,
        values[(values > 0) & (counts >= least)],
        np.asarray(sample.vectors.mean(axis=0, dtype=np.float64) / VECTOR_SCALE),
        np.asarray(log_form(sample).mean(axis=0)),
        len(sample),
        traces,
        None if traces is None else clock(traces),
        harvest,
    )


class Population:
    """All accounts of a day or week, with what is usual among them.

    Args:
        signatures: one an account, two or more.
        seed: draws the pairs that pairs are ranked among, and the directions of the buckets.
    """

    def __init__(self, signatures: Sequence[Signature], seed: int = 0) -> None:
        self.accounts = list(signatures)
        seen = Counter(mark for one in self.accounts for mark in one.marks.tolist())
        self._rarest = float(np.log(len(self.accounts)))
        self._rarity = {mark: self._rarest - float(np.log(n)) for mark, n in seen.items()}
        centres = np.array([one.centre for one in self.accounts])
        forms = np.array([one.form for one in self.accounts])
        self._middle = centres.mean(axis=0)
        self._spread = forms.std(axis=0) + 0.1
        self.coincidence = Coincidence([one.traces for one in self.accounts])
        draw = np.random.default_rng(seed)
        self._directions = draw.normal(size=(BANDS, BAND_BITS, VECTOR_SIZE))
        found = np.array([self._measured(*self._pair(draw)) for _ in range(NULL_PAIRS)])
        self._null = np.sort(found, axis=0)
        self._alike = np.sort(self._ranks(found)[:, :LIKENESSES].sum(axis=1))
        self._totals = np.sort(self._evidence(found).total())

    def ps(self, pairs: Sequence[tuple[Signature, Signature]]) -> FloatArray:
        """For each pair the share of the population's pairs for which at least as much speaks."""
        return np.asarray(np.exp(-_rank(self._totals, self.evidence(pairs).total())))

    def evidence(self, pairs: Sequence[tuple[Signature, Signature]]) -> Evidence:
        """What speaks for each pair being one campaign; the accounts may be of elsewhere."""
        return self._evidence(np.array([self._measured(*pair) for pair in pairs]))

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

    def reasons(self, left: Signature, right: Signature) -> Iterable[str]:
        """What two accounts have in common besides text, where few others do."""
        yield from self.coincidence.reasons(left.traces, right.traces)
        hours = alike_hours(left, right)
        p = float(np.exp(-_rank(self._null[:, -1], np.array([hours]))[0]))
        if hours >= HOURS_ALIKE and p <= USUAL:
            yield f"awake at the same half-hours (correlation {hours:.2f})"

    def _measured(self, left: Signature, right: Signature) -> tuple[float, ...]:
        """Three likenesses, the smaller harvest score, values and hours in common."""
        rarity, most = self._rarity.get, self._rarest
        shared = np.intersect1d(left.marks, right.marks, assume_unique=True).tolist()
        weights = [sum(rarity(m, most) for m in part.marks.tolist()) for part in (left, right)]
        template = sum(rarity(mark, most) for mark in shared) / (min(weights) + 1.0)
        one, other = left.centre - self._middle, right.centre - self._middle
        lengths = float(np.sqrt((one @ one) * (other @ other))) or 1.0
        form = -float(np.sqrt((((left.form - right.form) / self._spread) ** 2).sum()))
        values = self.coincidence.weight(left.traces, right.traces)
        hours = alike_hours(left, right)
        topics = float(one @ other) / lengths
        return template, topics, form, min(left.harvest, right.harvest), values, hours

    def _ranks(self, measured: FloatArray) -> FloatArray:
        columns = [_rank(self._null[:, at], measured[:, at]) for at in range(measured.shape[1])]
        return np.stack(columns, axis=1)

    def _evidence(self, measured: FloatArray) -> Evidence:
        ranks = self._ranks(measured)
        text = _rank(self._alike, ranks[:, :LIKENESSES].sum(axis=1))
        return Evidence(text, ranks[:, LIKENESSES], ranks[:, LIKENESSES + 1 :].max(axis=1))

    def _pair(self, draw: np.random.Generator) -> tuple[Signature, Signature]:
        left, right = draw.choice(len(self.accounts), 2, replace=False)
        return self.accounts[left], self.accounts[right]


def alike_hours(left: Signature, right: Signature) -> float:
    """Correlation of waking half-hours; zero where it is not known of both."""
    if left.clock is None or right.clock is None:
        return 0.0
    return float(left.clock @ right.clock)


def _rank(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """Minus the log of the share of the population's pairs at or above each value."""
    above = len(ordered) - np.searchsorted(ordered, values, "left")
    return np.asarray(-np.log((above + 1) / (len(ordered) + 1)))


def link(population: Population, p_max: float) -> list[Link]:
    """The pairs for which most speaks, to `p_max` and most first, with what they share."""
    accounts = population.accounts
    met = sorted(population.candidates())
    out = []
    for first in range(0, len(met), BLOCK):
        pairs = [(accounts[at], accounts[other]) for at, other in met[first : first + BLOCK]]
        for (left, right), p in zip(pairs, population.ps(pairs).tolist(), strict=True):
            if p <= p_max:
                reasons = tuple(population.reasons(left, right))
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
