"""Which accounts are one campaign: candidates by what they ask, edges by what else they share.

A campaign spread over many accounts shows too little on each. Two accounts are alike by their
templates (weighed by how rare they are), by what they ask about, and by the form of their requests;
each likeness is ranked among pairs of the same population, and the ranks are put together. Alike is
not yet one campaign: tenants of one trade use the same published template, and no likeness tells
them from two shards. Three things do. Tenants of one trade are as alike to *others* of it: where it
is known who is an ordinary tenant, only what a pair has in common beyond either account's nearest
ordinary tenant counts. Two shards look like a harvest by themselves, both of them. And they have
things in common besides text (see `coincidence`). All of it is ranked among pairs and added.

An edge needs something besides text: a payment instrument, key, network or client in common that
few others have, or waking hours more alike than those of most pairs. Accounts joined by edges are
scored again as one (see `linked`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np

from quartermaster.conduct.coincidence import Coincidence
from quartermaster.conduct.features import FloatArray
from quartermaster.conduct.likeness import LIKENESSES, Beside, Likeness, Signature
from quartermaster.conduct.observe import VECTOR_SIZE

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
HOURS_ALIKE = 0.7
"""Correlation of waking half-hours that is worth saying, if it is rare as well."""
HARVEST_WEIGHT = 0.5
"""What a rank among harvest scores counts beside one among likenesses: scores are the weaker."""
BEYOND_HARVEST_WEIGHT = 0.25
"""Beside what ordinary tenants do not explain, scores are weaker still (chosen on half of the
families of `bench/conduct.py`, measured on the other half)."""
TAIL = 0.01
"""Of the pairs that are ranked among, those above this share say how fast it gets rarer."""
TAIL_SLOPE = 0.2
"""Above all of them an exponential tail goes on, at a fifth: it orders pairs that are more alike
than any two ordinary ones, and does not outweigh what they share besides text."""
NEAREST = 8
"""Ordinary tenants kept as explanations of an account: one may be the other half of the pair, and
those that share something besides text with it explain nothing."""
KNOWN_MIN = 19
"""With fewer ordinary tenants, as with p-values of days, they are not what is usual."""
USUAL = 0.05
"""What every twentieth pair has in common besides text says nothing."""


class Evidence(NamedTuple):
    """What speaks for pairs being one campaign; ranks are minus their log, one entry a pair."""

    text: FloatArray
    """Rank of the likeness."""
    beyond: FloatArray | None
    """Likeness beyond that to the nearest ordinary tenant; None where nobody is known as one."""
    harvest: FloatArray
    """Rank of the smaller harvest score."""
    meter: FloatArray
    """Rank of what is shared besides text."""

    def alike(self, harvest: float = HARVEST_WEIGHT) -> FloatArray:
        """Likeness and harvest scores."""
        return np.asarray(self.text + harvest * self.harvest)

    def total(self, among: "Evidence", harvest: float = BEYOND_HARVEST_WEIGHT) -> FloatArray:
        """All of it; usual coincidences do not count.

        Args:
            among: the same of the population's own pairs.
            harvest: weight of harvest scores beside what ordinary tenants do not explain.
        """
        unusual = np.maximum(0.0, self.meter + np.log(USUAL))
        if self.beyond is None or among.beyond is None:
            return np.asarray(self.alike() + unusual)
        # Whichever is the rarer. Where shards of the campaign are held for ordinary tenants, they
        # explain each other, and the plain likeness is what is left.
        left = self.beyond + harvest * self.harvest
        usual = np.sort(among.beyond + harvest * among.harvest)
        text = np.maximum(_rarer(np.sort(among.alike()), self.alike()), _rarer(usual, left))
        return np.asarray(text + unusual)


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


class Population:
    """All accounts of a day or week, with what is usual among them.

    Args:
        signatures: one an account, two or more.
        seed: draws the pairs that pairs are ranked among, and the directions of the buckets.
        known: accounts among them that are known as ordinary tenants.
    """

    def __init__(
        self, signatures: Sequence[Signature], seed: int = 0, known: Set[str] = frozenset()
    ) -> None:
        self.accounts = list(signatures)
        self.likeness = Likeness(self.accounts)
        self.coincidence = Coincidence([one.traces for one in self.accounts])
        ordinary = [one for one in self.accounts if one.account in known]
        self._known = Beside(ordinary, self.likeness) if len(ordinary) >= KNOWN_MIN else None
        self._nearest: dict[str, list[tuple[str, float]]] = {}
        draw = np.random.default_rng(seed)
        self._directions = draw.normal(size=(BANDS, BAND_BITS, VECTOR_SIZE))
        drawn = [self._pair(draw) for _ in range(NULL_PAIRS)]
        found = np.array([self._measured(*pair) for pair in drawn])
        self._null = np.sort(found, axis=0)
        self._alike = np.sort(self._ranks(found)[:, :LIKENESSES].sum(axis=1))
        self.null = self._evidence(drawn, found)
        """What speaks for the population's own pairs."""
        self._totals = np.sort(self.null.total(self.null))

    def ps(self, pairs: Sequence[tuple[Signature, Signature]]) -> FloatArray:
        """For each pair the share of the population's pairs for which at least as much speaks."""
        found = self.evidence(pairs).total(self.null)
        return np.asarray(np.exp(-_rank(self._totals, found)))

    def evidence(self, pairs: Sequence[tuple[Signature, Signature]]) -> Evidence:
        """What speaks for each pair being one campaign; the accounts may be of elsewhere."""
        return self._evidence(pairs, np.array([self._measured(*pair) for pair in pairs]))

    def candidates(self) -> set[tuple[int, int]]:
        """Pairs that meet in a bucket: of a rare template run, or of what they ask about."""
        buckets: defaultdict[object, list[int]] = defaultdict(list)
        for at, one in enumerate(self.accounts):
            marks = one.marks.tolist()
            rare = sorted(marks, key=lambda mark: -self.likeness.rarity(mark))[:RARE_MARKS]
            signs = (self._directions @ self.likeness.topics(one)) > 0
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
        values = self.coincidence.weight(left.traces, right.traces)
        hours = alike_hours(left, right)
        return *self.likeness.of(left, right), min(left.harvest, right.harvest), values, hours

    def _ranks(self, measured: FloatArray) -> FloatArray:
        columns = [_rank(self._null[:, at], measured[:, at]) for at in range(measured.shape[1])]
        return np.stack(columns, axis=1)

    def _evidence(
        self, pairs: Sequence[tuple[Signature, Signature]], measured: FloatArray
    ) -> Evidence:
        ranks = self._ranks(measured)
        alike = ranks[:, :LIKENESSES].sum(axis=1)
        beyond = None
        if self._known is not None:
            beyond = alike - np.array([self._explained(*pair) for pair in pairs])
        meter = ranks[:, LIKENESSES + 1 :].max(axis=1)
        return Evidence(_rank(self._alike, alike), beyond, ranks[:, LIKENESSES], meter)

    def _explained(self, left: Signature, right: Signature) -> float:
        """How alike either account is to the nearest ordinary tenant besides the two."""
        return max(
            next((alike for name, alike in self._near(one) if name != other.account), 0.0)
            for one, other in ((left, right), (right, left))
        )

    def _near(self, one: Signature) -> list[tuple[str, float]]:
        """The most alike ordinary tenants; what shares more than text with it is none of them."""
        assert self._known is not None, "asked for only where tenants are known"
        if one.account not in self._nearest:
            alike = self._ranks_of_likeness(self._known.likenesses(one))
            order = np.argsort(-alike)[: NEAREST + 1]
            near = [(self._known.accounts[at], float(alike[at])) for at in order.tolist()]
            self._nearest[one.account] = [
                (other.account, found)
                for other, found in near
                if other.account != one.account and not any(self.reasons(one, other))
            ]
        return self._nearest[one.account]

    def _ranks_of_likeness(self, measured: FloatArray) -> FloatArray:
        return np.asarray(
            sum(_rank(self._null[:, at], measured[:, at]) for at in range(LIKENESSES))
        )

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


def _rarer(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """As `_rank`, with the tail that `TAIL` and `TAIL_SLOPE` speak of."""
    first = float(np.quantile(ordered, 1 - TAIL))
    above = ordered[ordered > first] - first
    scale = float(above.mean()) if len(above) else 1.0
    rarer = np.where(
        values > first, (values - first) / scale - np.log(TAIL), _rank(ordered, values)
    )
    rarest = float(np.log(len(ordered) + 1))
    return np.asarray(np.minimum(rarer, rarest + TAIL_SLOPE * np.maximum(0.0, rarer - rarest)))


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
