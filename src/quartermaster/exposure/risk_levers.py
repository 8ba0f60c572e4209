"""What if: one change at a time, in the same scenarios as without it.

Both worlds draw the same random numbers for every customer, factor and month, so what differs is
the lever, and the standard error is that of the difference, scenario by scenario. Losses of every
world are counted against the same reference: what each scenario of the book as it stands would
have brought had nobody left. Only a diversified book is another business, and is measured against
itself.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.exposure.risk_assumptions import Assumptions, CustomerTerms
from quartermaster.exposure.risk_book import Book, Lever, Payer, build, equal_hazards
from quartermaster.exposure.simulate import Run, contributions, losses
from quartermaster.kernel.errors import UsageError
from quartermaster.stats.tail import (
    Estimate,
    checked_quantile,
    influence,
    mean_estimate,
    measure_tail,
    tail_weights,
)

Doubles = npt.NDArray[np.float64]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may be different: a lever, terms of one customer, or a smaller share."""

    name: str
    words: str
    lever: Lever | None = None
    terms: CustomerTerms | None = None
    backfill_share: float | None = None
    diversified_share: float | None = None
    """The largest customer's share of revenue, the others growing in proportion."""
    cost: float | None = None
    """What pulling it costs, as the user says, in major units over the horizon."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a change does, in major units; differences are lever minus base."""

    change: Change
    expected_loss: Estimate
    expected_shortfall: Estimate
    value_at_risk: float
    expected_loss_difference: Estimate
    shortfall_difference: Estimate
    top_shortfall_share: float
    top_shortfall_share_at_equal_hazard: float
    shortfall_cut_per_cost: float | None


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """The book as it stands and what each change would do to it."""

    assumptions: Assumptions
    top: str
    top_hazard_per_year: float
    equal_hazard_per_year: float
    seed: int
    scenarios: int
    plan: float
    base: Effect
    effects: tuple[Effect, ...]


class _World(msgspec.Struct, frozen=True):
    losses: Doubles
    top_share: float
    equal_share: float


def what_if(
    payers: Sequence[Payer], assumptions: Assumptions, run: Run, changes: Sequence[Change]
) -> WhatIf:
    """Simulate the book as it stands and under each change, with common random numbers.

    Raises:
        UsageError: too few scenarios for the quantile, or a customer that is not there.
    """
    checked_quantile(assumptions.quantile, run.scenarios)
    base_book = build(payers, assumptions, against="plan")
    nobody = build(payers, assumptions, hazards=np.zeros(len(payers)), against="plan")
    reference, _ = losses(nobody, run)
    base = _world(base_book, payers, assumptions, Change(name="", words=""), run, nobody, reference)
    nothing = Change(name="base", words="as it stands")
    worlds = [
        (change, _world(None, payers, assumptions, change, run, nobody, reference))
        for change in changes
    ]
    amounts = np.array(sorted((float(payer.per_month) for payer in payers), reverse=True))
    quantile, scale = assumptions.quantile, base_book.scale
    effects = [_effect(change, world, base, quantile, scale) for change, world in worlds]
    return WhatIf(
        assumptions=assumptions,
        top=base_book.names[0],
        top_hazard_per_year=float(base_book.hazards[0]),
        equal_hazard_per_year=float(equal_hazards(amounts, base_book.hazards)[0]),
        seed=run.seed,
        scenarios=run.scenarios,
        plan=float(base_book.plan.sum()) * scale,
        base=_effect(nothing, base, base, quantile, scale),
        effects=tuple(sorted(effects, key=lambda effect: effect.shortfall_difference.value)),
    )


def changed_book(
    payers: Sequence[Payer],
    assumptions: Assumptions,
    change: Change,
    hazards: Doubles | None = None,
) -> Book:
    """The book under one change, losses against the plan of the book as it stands.

    Raises:
        UsageError: see `build`; or a diversified share that is not below today's.
    """
    changed = assumptions
    if change.backfill_share is not None:
        backfill = msgspec.structs.replace(assumptions.backfill, share=change.backfill_share)
        changed = msgspec.structs.replace(changed, backfill=backfill)
    if change.terms is not None:
        others = tuple(one for one in changed.customer if one.group != change.terms.group)
        changed = msgspec.structs.replace(changed, customer=(*others, change.terms))
    levers = [] if change.lever is None else [change.lever]
    book = build(payers, changed, levers=levers, hazards=hazards, against="plan")
    if change.diversified_share is not None:
        book = _diversified(book, change.diversified_share)
    return book


def _diversified(book: Book, share: float) -> Book:
    """The same total plan, of which the largest customer is that share."""
    usage = book.world.usage.copy()
    today = float(usage[0].sum() / usage.sum())
    if not 0 <= share < today:
        raise UsageError(
            f"share {share:g} is not below today's {today:.3g} of {book.names[0]}",
            hint="write 12 % as 0.12",
        )
    usage[0] *= np.float32(share / today)
    usage[1:] *= np.float32((1 - share) / (1 - today))
    return msgspec.structs.replace(book, world=book.world._replace(usage=usage))


def _world(
    book: Book | None,
    payers: Sequence[Payer],
    assumptions: Assumptions,
    change: Change,
    run: Run,
    nobody: Book,
    reference: Doubles,
) -> _World:
    book = book or changed_book(payers, assumptions, change)
    amounts = book.world.usage[:, 0].astype(np.float64)
    equal = equal_hazards(amounts, book.hazards)
    level = changed_book(payers, assumptions, change, equal)
    if change.diversified_share is not None:
        # Another business, not a loss of this one: it is measured against itself.
        nobody = _diversified(nobody, change.diversified_share)
        reference, _ = losses(nobody, msgspec.structs.replace(run, progress=None))
    found, _ = losses(book, run)
    beside, _ = losses(level, run)
    quantile = assumptions.quantile
    return _World(
        found - reference,
        _top_share(book, nobody, found - reference, quantile, run),
        _top_share(level, nobody, beside - reference, quantile, run),
    )


def _top_share(book: Book, nobody: Book, loss: Doubles, quantile: float, run: Run) -> float:
    """The largest customer's Euler share of the shortfall against the common reference."""
    scenarios, weights = tail_weights(loss, quantile)
    quiet = msgspec.structs.replace(run, progress=None)
    here, _ = contributions(book, quiet, scenarios, weights)
    there, _ = contributions(nobody, quiet, scenarios, weights)
    parts = here - there
    whole = float(parts.sum())
    # Where nothing is lost there is nothing to have a share of.
    return float(parts[0]) / whole if whole else 0.0


def _effect(change: Change, world: _World, base: _World, quantile: float, scale: float) -> Effect:
    tail = measure_tail(world.losses, quantile)
    moved = influence(world.losses, quantile) - influence(base.losses, quantile)
    moved_mean = mean_estimate(moved)
    shortfall_error = moved_mean.standard_error * scale
    before = measure_tail(base.losses, quantile).expected_shortfall.value
    difference = (tail.expected_shortfall.value - before) * scale
    expected = mean_estimate(world.losses - base.losses)
    cut = None
    if change.cost is not None and math.isfinite(change.cost) and change.cost > 0:
        cut = -difference / change.cost
    return Effect(
        change=change,
        expected_loss=_scaled(tail.expected, scale),
        expected_shortfall=_scaled(tail.expected_shortfall, scale),
        value_at_risk=tail.value_at_risk * scale,
        expected_loss_difference=_scaled(expected, scale),
        shortfall_difference=Estimate(difference, shortfall_error),
        top_shortfall_share=world.top_share,
        top_shortfall_share_at_equal_hazard=world.equal_share,
        shortfall_cut_per_cost=cut,
    )


def _scaled(estimate: Estimate, scale: float) -> Estimate:
    return Estimate(estimate.value * scale, estimate.standard_error * scale)
