"""How much was it? Requests, output tokens and money of a cluster, each with an interval.

The meter counts every request of an account-day; text was read for a uniform sample of them, so the
cluster's part of the day is an estimate. Each account-day is a stratum.

*Requests.* Of N requests n were read and k belong to the cluster: hypergeometric. Each stratum gets
the exact limits of that law (Clopper and Pearson's construction for a finite population; a stratum
that was read whole is known exactly). They are added up by MOVER (Zou and Donner, 2008): distances
from estimate to limit are added as squares; and because that is too narrow for rare clusters, the
interval is at least that of one stratum which knows as much (Kish's effective size). Assumes that
the sample is drawn without regard to what is asked, which a keyed draw that nobody foresees gives,
and that strata are drawn independently.

*Tokens and money.* Of a stratum the total is known; the cluster's part of it follows from its part
of the requests and from how large its requests are beside the others of that day. The mean size in
the cluster is taken from all strata together, because a stratum may hold few; it is assumed to be
the same on each. Parts of requests, the common mean and the others' means (on the log scale) vary
independently, so their distances are added by MOVER again. With fewer than `HITS_MIN` requests of
the cluster read, or fewer than `MISSES_MIN` others, sizes are not known well enough: then the
interval is what is certain, from what was read of the cluster to the total without what was read of
others.

`tests/simulation/test_conduct_extent.py` checks both by simulation: of the intervals at 95 % that
it draws, 95 % or more hold the truth.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from quartermaster.kernel.case import CasePart, CaseStatement, CaseStratum

LEVEL = 0.95
"""Of the intervals."""
_Z = 1.959963984540054
"""The normal quantile of `LEVEL`."""
HITS_MIN = 20
"""With fewer hits the variance of their sizes is not known well enough."""
MISSES_MIN = 20
"""The same of what is not a hit."""


class Range(msgspec.Struct, frozen=True):
    """An estimate with its interval."""

    point: float
    low: float
    high: float

    def over(self, total: float) -> "Range":
        """As a share of a total; none of nothing is none."""
        if total <= 0:
            return Range(0.0, 0.0, 0.0)
        return Range(self.point / total, self.low / total, self.high / total)


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of a cluster: how much, and which share of the account's whole."""

    name: str
    """`requests`, `output_tokens` or `minor`."""
    total: float
    """Of everything that the accounts asked on these days."""
    amount: Range
    share: Range
    certain: bool = False
    """Whether the interval is what is certain, because too little was read for another."""


class ClusterExtent(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster, over all its account-days."""

    cluster: str
    accounts: int
    days: int
    read: int
    hits: int
    sampled_fraction: float
    measures: tuple[Measure, ...]
    currency: str = ""
    """Of the measure `minor`."""

    def of(self, name: str) -> Measure | None:
        """A measure by name."""
        return next((one for one in self.measures if one.name == name), None)


Verdict = Literal["contradicted", "agrees", "open", "no_number"]
_NO_NUMBER: Verdict = "no_number"


class StatementCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What was said beside what was measured, as shares."""

    statement: CaseStatement
    measure: str
    share: Range
    verdict: Verdict
    """`no_number`: words alone; then `share.low` is the least that they must mean."""


def extent(strata: Iterable[CaseStratum]) -> tuple[ClusterExtent, ...]:
    """Each cluster's extent, the largest first."""
    by: defaultdict[str, list[CaseStratum]] = defaultdict(list)
    for one in strata:
        by[one.cluster].append(one)
    found = [_cluster(name, rows) for name, rows in by.items()]
    return tuple(sorted(found, key=lambda one: (-one.measures[0].amount.point, one.cluster)))


def check(statement: CaseStatement, measure: Measure) -> StatementCheck:
    """Hold what was said against a measured share."""
    share, verdict = measure.share, _NO_NUMBER
    if statement.low is not None or statement.high is not None:
        low = 0.0 if statement.low is None else statement.low
        high = 1.0 if statement.high is None else statement.high
        if share.low > high or share.high < low:
            verdict = "contradicted"
        elif low <= share.low and share.high <= high:
            verdict = "agrees"
        else:
            verdict = "open"
    return StatementCheck(statement=statement, measure=measure.name, share=share, verdict=verdict)


def hypergeometric_limits(total: int, read: int, hits: int, level: float = LEVEL) -> Range:
    """How many of `total` belong to a cluster, if `hits` of `read` do.

    Args:
        total: requests of the stratum.
        read: how many of them were read, drawn uniformly without replacement.
        hits: how many of those belong to the cluster.
        level: of the interval; each tail holds half of the rest.
    """
    if read == 0:
        return Range(0.0, 0.0, float(total))
    point, tail = total * hits / read, (1 - level) / 2
    least, most = hits, total - (read - hits)
    # Tails are monotone in the number of members, so halving finds where they cross.
    low = _first(least, most, lambda k: _at_least(total, k, read, hits) > tail)
    high = _first(least, most, lambda k: _at_most(total, k, read, hits) <= tail, otherwise=most + 1)
    return Range(point, float(low), float(high - 1))


def _cluster(name: str, rows: Sequence[CaseStratum]) -> ClusterExtent:
    requests, read = sum(one.requests for one in rows), sum(one.read for one in rows)
    amount = _summed(rows)
    measures = [
        Measure(name="requests", total=requests, amount=amount, share=amount.over(requests))
    ]
    names = sorted({part for one in rows for part in one.parts})
    measures += [_measure(part, rows) for part in names]
    return ClusterExtent(
        cluster=name,
        accounts=len({one.account for one in rows}),
        days=len({one.day for one in rows}),
        read=read,
        hits=sum(one.hits for one in rows),
        sampled_fraction=read / requests if requests else 1.0,
        measures=tuple(measures),
        currency=rows[0].currency,
    )


def _summed(rows: Sequence[CaseStratum]) -> Range:
    """MOVER, and no narrower than the exact limits of one stratum that knows as much."""
    limits = [hypergeometric_limits(one.requests, one.read, one.hits) for one in rows]
    point = sum(one.point for one in limits)
    low = point - math.sqrt(sum((one.point - one.low) ** 2 for one in limits))
    high = point + math.sqrt(sum((one.high - one.point) ** 2 for one in limits))
    left = [one for one in rows if one.read < one.requests]
    if left:
        known = sum(one.hits for one in rows if one.read >= one.requests)
        pooled = _pooled(left)
        low, high = min(low, known + pooled.low), max(high, known + pooled.high)
    least, most = sum(one.low for one in limits), sum(one.high for one in limits)
    return Range(point, max(low, least), min(high, most))


def _pooled(rows: Sequence[CaseStratum]) -> Range:
    """The strata as one, of the size whose estimate would vary as much (Kish, 1965)."""
    total = sum(one.requests for one in rows)
    point = sum(one.requests * one.hits / one.read if one.read else 0.0 for one in rows)
    if any(not one.read for one in rows):
        return Range(point, 0.0, float(total))
    read = round(total**2 / sum(one.requests**2 / one.read for one in rows))
    hits = read * point / total
    low = hypergeometric_limits(total, read, math.floor(hits)).low
    high = hypergeometric_limits(total, read, math.ceil(hits)).high
    return Range(point, low, high)


def _measure(name: str, rows: Sequence[CaseStratum]) -> Measure:
    parts = [(one, one.parts[name]) for one in rows if name in one.parts and one.read]
    total = sum(part.total for _, part in parts)
    known = sum(part.hit for one, part in parts if one.read >= one.requests)
    left = [(one, part) for one, part in parts if one.read < one.requests]
    hits, misses = sum(one.hits for one, _ in parts), sum(one.read - one.hits for one, _ in parts)
    certain = bool(left) and (hits < HITS_MIN or misses < MISSES_MIN)
    if certain:
        amount = Range(
            sum(part.total * part.hit / part.read if part.read else 0.0 for _, part in parts),
            sum(part.hit for _, part in parts),
            sum(part.total - (part.read - part.hit) for _, part in parts),
        )
    else:
        size = _mean(
            sum(part.hit for _, part in parts), sum(part.hit_squares for _, part in parts), hits
        )
        found = _left_amount(left, size)
        amount = Range(known + found.point, known + found.low, known + found.high)
    return Measure(name=name, total=total, amount=amount, share=amount.over(total), certain=certain)


def _left_amount(parts: Sequence[tuple[CaseStratum, CasePart]], size: Range) -> Range:
    """The cluster's part of strata that were not read whole."""
    point = total = below = above = least = sure = common_low = common_high = 0.0
    for one, part in parts:
        share = hypergeometric_limits(one.requests, one.read, one.hits).over(one.requests)
        rest, squares = part.read - part.hit, part.read_squares - part.hit_squares
        others = _mean(rest, squares, one.read - one.hits)
        middle = part.total * _part(share.point, size.point, others.point)
        # The larger the others, the smaller the cluster's part.
        for low, high in (
            ((share.low, others.point), (share.high, others.point)),
            ((share.point, others.high), (share.point, others.low)),
        ):
            below += (middle - part.total * _part(low[0], size.point, low[1])) ** 2
            above += (part.total * _part(high[0], size.point, high[1]) - middle) ** 2
        common_low += middle - part.total * _part(share.point, size.low, others.point)
        common_high += part.total * _part(share.point, size.high, others.point) - middle
        point, total = point + middle, total + part.total
        least, sure = least + part.hit, sure + rest
    down, up = math.sqrt(below + common_low**2), math.sqrt(above + common_high**2)
    return Range(point, max(least, point - down), min(total - sure, point + up))


def _part(share: float, size: float, others: float) -> float:
    """The cluster's part of a total, by its share of requests and the mean sizes."""
    mine, theirs = share * size, (1 - share) * others
    return mine / (mine + theirs) if mine + theirs else share


def _mean(total: float, squares: float, count: int) -> Range:
    """A mean with its interval on the log scale."""
    if not count or total <= 0:
        return Range(0.0, 0.0, 0.0)
    mean = total / count
    spread = math.sqrt(max(0.0, squares / count - mean * mean) / max(1, count - 1)) / mean
    return Range(mean, mean * math.exp(-_Z * spread), mean * math.exp(_Z * spread))


def _first(
    low: int, high: int, holds: Callable[[int], bool], *, otherwise: int | None = None
) -> int:
    """The first number of the range that holds; `otherwise` where none does."""
    if otherwise is not None and not holds(high):
        return otherwise
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _at_least(total: int, members: int, read: int, hits: int) -> float:
    """Chance of `hits` or more among what is read."""
    return sum(_chance(total, members, read, k) for k in range(hits, min(read, members) + 1))


def _at_most(total: int, members: int, read: int, hits: int) -> float:
    """Chance of `hits` or fewer among what is read."""
    first = max(0, read - (total - members))
    return sum(_chance(total, members, read, k) for k in range(first, hits + 1))


def _chance(total: int, members: int, read: int, k: int) -> float:
    others = total - members
    if k > members or read - k > others:
        return 0.0
    return math.exp(_choices(members, k) + _choices(others, read - k) - _choices(total, read))


def _choices(of: int, taken: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(taken + 1) - math.lgamma(of - taken + 1)
