"""What a case believes before its evidence: one table of the file, made into a belief.

A yearly probability, whichever way it was found; the ledger converts it to the horizon.
"""

from typing import Literal

import msgspec

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.beta_prior import (
    SHAPE_MAX,
    SHAPE_MIN,
    Belief,
    Beta,
    Rule,
    from_losses,
    from_quantiles,
    upper_bound,
)
from quartermaster.stats.beta_prior_pooled import Segment, pooled

EXPERT_MEDIAN = 0.10
EXPERT_P90 = 0.30
BOUND_CONFIDENCE = 0.95
"""At which the most prudent bound is quoted beside a counted prior."""


class PooledSegment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A kind of customers: how long they were watched and how many were lost."""

    name: str
    customer_years: float
    losses: float


class Prior(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `[prior]` table. The default is an expert's: median 10 %, nine of ten below 30 %."""

    by: Literal["expert", "losses", "pooled", "beta"] = "expert"
    source: str = ""
    median: float = EXPERT_MEDIAN
    p90: float = EXPERT_P90
    losses: float | None = None
    customer_years: float | None = None
    rule: Rule = "neutral"
    correlation: float = 0.0
    segment: str = ""
    """Name of the case's segment; empty for a customer of none of them."""
    segments: tuple[PooledSegment, ...] = ()
    a: float | None = None
    b: float | None = None


class Believed(msgspec.Struct, frozen=True):
    """The belief and how it came about, in words."""

    belief: Belief
    words: str


def believe(prior: Prior) -> Believed:
    """The belief that the table describes.

    Raises:
        UsageError: a field is missing, or figures that cannot be.
    """
    if prior.by == "expert":
        beta = from_quantiles((0.5, prior.median), (0.9, prior.p90))
        return Believed(
            Belief((beta,)),
            f"expert: median {_pct(prior.median)}, nine of ten below {_pct(prior.p90)} a year;"
            f" Beta({beta.a:.2f}, {beta.b:.2f})",
        )
    if prior.by == "losses":
        return _counted(prior)
    if prior.by == "pooled":
        return _pooled(prior)
    if prior.a is None or prior.b is None:
        raise UsageError("a prior by beta needs a and b")
    if not (SHAPE_MIN <= prior.a <= SHAPE_MAX and SHAPE_MIN <= prior.b <= SHAPE_MAX):
        raise UsageError(f"a and b lie between {SHAPE_MIN:g} and {SHAPE_MAX:g}")
    return Believed(Belief((Beta(prior.a, prior.b),)), f"Beta({prior.a:g}, {prior.b:g}) a year")


def _counted(prior: Prior) -> Believed:
    if prior.losses is None or prior.customer_years is None:
        raise UsageError("a prior by losses needs losses and customer_years")
    beta = from_losses(prior.losses, prior.customer_years, prior.rule)
    bound = upper_bound(prior.losses, prior.customer_years, BOUND_CONFIDENCE, prior.correlation)
    return Believed(
        Belief((beta,)),
        f"{prior.losses:g} losses in {prior.customer_years:g} customer-years ({prior.rule});"
        f" most prudent bound at {_pct(BOUND_CONFIDENCE)}: {_pct(bound)} a year",
    )


def _pooled(prior: Prior) -> Believed:
    names = [segment.name for segment in prior.segments]
    if prior.segment and names.count(prior.segment) != 1:
        raise UsageError(f"segment {prior.segment!r} is not there once", hint=", ".join(names))
    found = pooled([Segment(one.customer_years, one.losses) for one in prior.segments])
    belief = found.segments[names.index(prior.segment)] if prior.segment else found.new
    return Believed(
        belief,
        f"pooled over {len(names)} segments, {prior.segment or 'a new one'}; a segment with"
        f" {found.concentration:.0f} customer-years relies half on itself",
    )


def _pct(share: float) -> str:
    return f"{share * 100:.3g} %"
