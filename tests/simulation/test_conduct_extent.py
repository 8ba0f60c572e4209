"""Intervals of the extent hold the truth as often as they say: simulated, with printed seeds."""

import random

import pytest

from quartermaster.conduct.extent import check, extent, hypergeometric_limits
from quartermaster.kernel.case import CasePart, CaseStatement, CaseStratum

SEED = 20_261_123
SAMPLE = 64
"""Of each day, where a real one has 256: shorter days make the same point."""
WORLDS, WORLDS_LONG = 40, 600
"""40 worlds know a coverage of 95 % to within a standard error of 3.4 %, 600 to within 0.9 %."""


def world(
    draw: random.Random, shares: list[float], days: list[int]
) -> tuple[list[CaseStratum], float, float, float]:
    """Days of requests with heavy-tailed sizes, a cluster in them, and what sampling sees."""
    strata, members, tokens, everything = [], 0.0, 0.0, 0.0
    for day, (share, requests) in enumerate(zip(shares, days, strict=True)):
        hit = [draw.random() < share for _ in range(requests)]
        size = [draw.lognormvariate(5.5 if h else 4.5, 1.0) for h in hit]
        rows = draw.sample(range(requests), min(SAMPLE, requests))
        read = [size[at] for at in rows]
        hits = [size[at] for at in rows if hit[at]]
        strata.append(
            CaseStratum(
                cluster="new",
                account="a",
                day=f"day {day}",
                requests=requests,
                read=len(rows),
                hits=len(hits),
                parts={
                    "output_tokens": CasePart(
                        sum(size),
                        sum(read),
                        sum(x * x for x in read),
                        sum(hits),
                        sum(x * x for x in hits),
                    )
                },
            )
        )
        members += sum(hit)
        tokens += sum(x for x, h in zip(size, hit, strict=True) if h)
        everything += sum(size)
    return strata, members, tokens, everything


@pytest.mark.parametrize(
    ("shares", "days"),
    [
        ([0.2] * 10, [400] * 10),
        ([0.02] * 10, [400] * 10),
        # A flood on one day, behind which the others would hide.
        ([0.3, 0.3, 0.3, 0.3, 0.01], [200, 200, 200, 60, 4_000]),
        ([0.9] * 4, [300] * 4),
    ],
    ids=["a fifth", "a fiftieth", "a flood", "most"],
)
@pytest.mark.parametrize(
    ("worlds", "level"),
    [(WORLDS, 0.87), pytest.param(WORLDS_LONG, 0.935, marks=pytest.mark.long)],
    ids=["short", "long"],
)
def test_intervals_hold_the_truth(
    shares: list[float], days: list[int], worlds: int, level: float
) -> None:
    draw = random.Random(SEED)
    held = {"requests": 0, "output_tokens": 0}
    widths = []
    for _ in range(worlds):
        strata, members, tokens, _ = world(draw, shares, days)
        (found,) = extent(strata)
        requests, output = found.of("requests"), found.of("output_tokens")
        assert requests is not None
        assert output is not None
        held["requests"] += requests.amount.low - 1e-6 <= members <= requests.amount.high + 1e-6
        held["output_tokens"] += output.amount.low <= tokens <= output.amount.high
        widths.append(requests.share.high - requests.share.low)
    print(f"seed {SEED}: {held} of {worlds}, mean width {sum(widths) / worlds:.3f}")
    assert held["requests"] >= level * worlds
    assert held["output_tokens"] >= level * worlds
    # An interval that says nothing would hold it, too.
    assert sum(widths) / worlds < 0.25


def test_the_limits_are_those_of_the_exact_law() -> None:
    """For every number of members, the chance that the limits miss it is at most 5 %."""
    total, read = 60, 12
    from math import comb

    for members in range(total + 1):
        missed = 0.0
        for hits in range(max(0, read - (total - members)), min(read, members) + 1):
            chance = comb(members, hits) * comb(total - members, read - hits) / comb(total, read)
            limits = hypergeometric_limits(total, read, hits)
            if not limits.low <= members <= limits.high:
                missed += chance
        assert missed <= 0.05 + 1e-9, members


def test_what_was_read_whole_is_known_exactly() -> None:
    part = CasePart(100.0, 100.0, 3_000.0, 40.0, 900.0)
    one = CaseStratum(
        cluster="new", account="a", day="d", requests=10, read=10, hits=3, parts={"minor": part}
    )
    (found,) = extent([one])
    for name, amount in (("requests", 3.0), ("minor", 40.0)):
        measure = found.of(name)
        assert measure is not None
        assert (measure.amount.low, measure.amount.high) == (amount, amount)


def test_too_little_read_gives_what_is_certain() -> None:
    part = CasePart(1_000.0, 100.0, 900.0, 20.0, 90.0)
    one = CaseStratum(
        cluster="new", account="a", day="d", requests=100, read=10, hits=2, parts={"minor": part}
    )
    measure = extent([one])[0].of("minor")
    assert measure is not None
    assert measure.certain
    assert (measure.amount.low, measure.amount.high) == (20.0, 920.0)


def test_a_statement_is_held_against_the_share() -> None:
    one = CaseStratum(cluster="new", account="a", day="d", requests=100, read=100, hits=18)
    measure = extent([one])[0].of("requests")
    assert measure is not None
    said = CaseStatement(text="to a very limited extent", said_by="the customer")
    words = check(said, measure)
    assert words.verdict == "no_number"
    assert words.share.low == pytest.approx(0.18)
    for low, high, verdict in (
        (None, 0.01, "contradicted"),
        (0.1, 0.3, "agrees"),
        (None, 0.5, "agrees"),
        (0.5, None, "contradicted"),
    ):
        stated = CaseStatement(text="so much", said_by="the customer", low=low, high=high)
        assert check(stated, measure).verdict == verdict
