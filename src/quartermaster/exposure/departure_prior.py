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
    """The belief and the figures that it came from; faces put them into words by `by`."""

    belief: Belief
    by: str
    figures: dict[str, float | str]


def believe(prior: Prior) -> Believed:
    """The belief that the table describes.

    Raises:
        UsageError: a field is missing, or figures that cannot be.
    """
    if prior.by == "expert":
        beta = from_quantiles((0.5, prior.median), (0.9, prior.p90))
        figures = {"median": prior.median, "p90": prior.p90, "a": beta.a, "b": beta.b}
        return Believed(Belief((beta,)), prior.by, {**figures})
    if prior.by == "losses":
        return _counted(prior)
    if prior.by == "pooled":
        return _pooled(prior)
    if prior.a is None or prior.b is None:
        raise UsageError("a prior by beta needs a and b")
    if not (SHAPE_MIN <= prior.a <= SHAPE_MAX and SHAPE_MIN <= prior.b <= SHAPE_MAX):
        raise UsageError(f"a and b lie between {SHAPE_MIN:g} and {SHAPE_MAX:g}")
    belief = Belief((Beta(prior.a, prior.b),))
    return Believed(belief, prior.by, {"a": prior.a, "b": prior.b})


def _counted(prior: Prior) -> Believed:
    if prior.losses is None or prior.customer_years is None:
        raise UsageError("a prior by losses needs losses and customer_years")
    beta = from_losses(prior.losses, prior.customer_years, prior.rule)
    bound = upper_bound(prior.losses, prior.customer_years, BOUND_CONFIDENCE, prior.correlation)
    figures: dict[str, float | str] = {
        "losses": prior.losses,
        "customer_years": prior.customer_years,
        "rule": prior.rule,
        "confidence": BOUND_CONFIDENCE,
        "bound": bound,
    }
    return Believed(Belief((beta,)), prior.by, figures)


def _pooled(prior: Prior) -> Believed:
    names = [segment.name for segment in prior.segments]
    if prior.segment and names.count(prior.segment) != 1:
        raise UsageError(f"segment {prior.segment!r} is not there once", hint=", ".join(names))
    found = pooled([Segment(one.customer_years, one.losses) for one in prior.segments])
    belief = found.segments[names.index(prior.segment)] if prior.segment else found.new
    figures: dict[str, float | str] = {
        "segments": len(names),
        "segment": prior.segment,
        "concentration": found.concentration,
    }
    return Believed(belief, prior.by, figures)
