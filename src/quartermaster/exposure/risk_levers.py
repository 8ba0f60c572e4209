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
from quartermaster.exposure.risk_measure import Engine
from quartermaster.exposure.simulate import Run, contributions, losses
from quartermaster.exposure.simulate_rest import reduce
from quartermaster.exposure.simulate_world import Rest
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

LOSS_LEVELS = (*(at / 100 for at in range(100)), 0.995)
"""Where the distribution of losses is reported: a curve from them has a point every per cent, and
100 of 20,000 scenarios lie beyond the last."""


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
    key: str = ""
    """What it is, for a face that has words of its own in other languages than `words`."""
    who: str = ""
    """Whose; empty: everybody's."""
    figures: dict[str, float] = msgspec.field(default_factory=dict)
    """The numbers in `words`, by name."""


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
    loss_quantiles: tuple[float, ...]
    """The loss at each of `LOSS_LEVELS`."""


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """The book as it stands and what each change would do to it."""

    assumptions: Assumptions
    engine: Engine
    pooled: int
    """Customers in closed form; 0 in the full engine."""
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


class _Bench(msgspec.Struct, frozen=True):
    """What every world of a what-if has in common."""

    payers: tuple[Payer, ...]
    assumptions: Assumptions
    run: Run
    engine: Engine
    keep: frozenset[str]
    """Customers that are different in some world: simulated one by one in all of them."""
    equal: Doubles
    """One hazard for everybody, the one that is stated: the same in every world."""
    rests: dict[bytes, Rest] = msgspec.field(default_factory=dict)

    def split(self, book: Book) -> tuple[Book, Rest | None]:
        """Who is simulated one by one, and the others in closed form."""
        if self.engine == "full":
            return book, None
        small = reduce(book, keep=self.keep, known=self.rests)
        return small.book, small.rest

    def losses(self, book: Book, *, quiet: bool = False) -> Doubles:
        """Of every scenario, against the book's own plan."""
        part, rest = self.split(book)
        run = msgspec.structs.replace(self.run, progress=None) if quiet else self.run
        return losses(part, run, rest, float(book.reference.sum()))[0]


def what_if(
    payers: Sequence[Payer],
    assumptions: Assumptions,
    run: Run,
    changes: Sequence[Change],
    *,
    engine: Engine = "full",
) -> WhatIf:
    """Simulate the book as it stands and under each change, with common random numbers.

    Args:
        payers: see `build`.
        assumptions: of the book as it stands.
        run: how many scenarios, of which seed.
        changes: one at a time.
        engine: `reduced` pools the small customers, the same ones in every world.

    Raises:
        UsageError: too few scenarios for the quantile, or a customer that is not there.
    """
    checked_quantile(assumptions.quantile, run.scenarios)
    touched = [one.lever.group for one in changes if one.lever is not None]
    touched += [one.terms.group for one in changes if one.terms is not None]
    base_book = build(payers, assumptions, against="plan")
    amounts = np.array(sorted((float(payer.per_month) for payer in payers), reverse=True))
    equal = equal_hazards(amounts, base_book.hazards)
    bench = _Bench(tuple(payers), assumptions, run, engine, frozenset(touched), equal)
    nobody = build(payers, assumptions, hazards=np.zeros(len(payers)), against="plan")
    reference = bench.losses(nobody)
    base = _world(bench, base_book, Change(name="", words=""), nobody, reference)
    nothing = Change(name="base", words="as it stands", key="base")
    worlds = [(change, _world(bench, None, change, nobody, reference)) for change in changes]
    quantile, scale = assumptions.quantile, base_book.scale
    effects = [_effect(change, world, base, quantile, scale) for change, world in worlds]
    return WhatIf(
        assumptions=assumptions,
        engine=engine,
        pooled=len(payers) - len(bench.split(base_book)[0].names),
        top=base_book.names[0],
        top_hazard_per_year=float(base_book.hazards[0]),
        equal_hazard_per_year=float(equal[0]),
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
    # Single precision would lose what the others are beside a customer that is nearly everything.
    today = float(usage[0].sum(dtype=np.float64) / usage.sum(dtype=np.float64))
    if not 0 <= share < today:
        raise UsageError(
            f"share {share:g} is not below today's {today:.3g} of {book.names[0]}",
            hint="write 12 % as 0.12",
        )
    usage[0] *= np.float32(share / today)
    usage[1:] *= np.float32((1 - share) / (1 - today))
    return msgspec.structs.replace(book, world=book.world._replace(usage=usage))


def _world(
    bench: _Bench, book: Book | None, change: Change, nobody: Book, reference: Doubles
) -> _World:
    payers, assumptions = bench.payers, bench.assumptions
    book = book or changed_book(payers, assumptions, change)
    level = changed_book(payers, assumptions, change, bench.equal)
    if change.diversified_share is not None:
        # Another business, not a loss of this one: it is measured against itself.
        nobody = _diversified(nobody, change.diversified_share)
        reference = bench.losses(nobody, quiet=True)
    found, beside = bench.losses(book) - reference, bench.losses(level) - reference
    return _World(
        found,
        _top_share(bench, book, nobody, found),
        _top_share(bench, level, nobody, beside),
    )


def _top_share(bench: _Bench, book: Book, nobody: Book, loss: Doubles) -> float:
    """The largest customer's Euler share of the shortfall against the common reference."""
    scenarios, weights = tail_weights(loss, bench.assumptions.quantile)
    quiet = msgspec.structs.replace(bench.run, progress=None)
    # The largest comes first, and is never pooled.
    here, _ = contributions(bench.split(book)[0], quiet, scenarios, weights)
    there, _ = contributions(bench.split(nobody)[0], quiet, scenarios, weights)
    whole = float(weights @ loss[scenarios])
    # Where nothing is lost there is nothing to have a share of.
    return float(here[0] - there[0]) / whole if whole else 0.0


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
        loss_quantiles=tuple(
            float(loss) * scale for loss in np.quantile(world.losses, LOSS_LEVELS)
        ),
    )


def _scaled(estimate: Estimate, scale: float) -> Estimate:
    return Estimate(estimate.value * scale, estimate.standard_error * scale)
