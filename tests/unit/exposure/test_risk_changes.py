"""What-if in both engines, its distribution, and the arithmetic of one departure."""

import math
from decimal import Decimal

import numpy as np
import pytest

from quartermaster.exposure.departure_bridge import Bridge, bridge
from quartermaster.exposure.risk_assumptions import (
    Assumptions,
    Backfill,
    CustomerTerms,
    Departure,
    Growth,
    Hazards,
    Price,
)
from quartermaster.exposure.risk_book import Payer
from quartermaster.exposure.risk_changes import (
    committing,
    cutting,
    diversified,
    leaving,
    priced,
    usual,
)
from quartermaster.exposure.risk_levers import LOSS_LEVELS, Change, WhatIf, what_if
from quartermaster.exposure.simulate import Run
from quartermaster.kernel.errors import UsageError

PAYERS = [Payer(f"c{rank:03}", Decimal(100_000 // (rank + 1) + 10)) for rank in range(200)]
ASSUMED = Assumptions(hazard_per_year=Hazards(top=0.35, rest=0.1))
STEADY = Growth(own_volatility_per_year=0.0, market_volatility_per_year=0.0)


def found(changes: list[Change], engine: str = "full", seed: int = 3) -> WhatIf:
    run = Run(scenarios=4_000, seed=seed)
    return what_if(PAYERS, ASSUMED, run, changes, engine="full" if engine == "full" else "reduced")


def every_change() -> list[Change]:
    return [
        leaving("c000", 0.0),
        leaving("c150", 2.0, suspended=True),
        cutting("c003", 0.5, 1),
        priced("", -0.1, 0, -0.5),
        *usual(PAYERS, ASSUMED, "c000"),
    ]


def test_the_reduced_engine_moves_as_the_full_one() -> None:
    """Within four standard errors of each difference; seed printed by pytest on a failure."""
    full, small = (found(every_change(), engine) for engine in ("full", "reduced"))
    # The 32 largest, and c150: whoever is changed is simulated in every world.
    assert (full.pooled, small.pooled) == (0, len(PAYERS) - 33)
    beside = {one.change.words: one for one in small.effects}
    for one in full.effects:
        other = beside[one.change.words]
        for mine, theirs in (
            (one.shortfall_difference, other.shortfall_difference),
            (one.expected_loss_difference, other.expected_loss_difference),
        ):
            error = mine.standard_error + theirs.standard_error
            assert abs(mine.value - theirs.value) < 4 * error + 1e-9 * full.plan, one.change.words
        assert other.top_shortfall_share == pytest.approx(one.top_shortfall_share, abs=0.05)


def test_random_numbers_are_common_in_the_reduced_engine_too() -> None:
    small = found(every_change(), "reduced")
    cut = next(one for one in small.effects if one.change.name == "cut")
    whole = cut.expected_shortfall.standard_error
    assert cut.shortfall_difference.standard_error < whole / 5


def test_the_distribution_is_of_the_same_losses() -> None:
    world = found([leaving("c000", 0.0)]).effects[0]
    assert list(world.loss_quantiles) == sorted(world.loss_quantiles)
    at = LOSS_LEVELS.index(0.95)
    assert world.loss_quantiles[at] == pytest.approx(world.value_at_risk, rel=1e-3)
    middle = float(np.mean(world.loss_quantiles[:-1]))
    assert middle == pytest.approx(world.expected_loss.value, rel=0.02)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda: cutting("c000", 1.5, 0), "size"),
        (lambda: priced("c000", -1.0, 0), "size"),
        (lambda: priced("c000", 1e26, 0), "size"),
        (lambda: priced("c000", float("nan"), 0), "size"),
        (lambda: committing(PAYERS, 24, "c000", 2.0, 12), "size"),
        (lambda: committing(PAYERS, 24, "c000", 0.5, 12, 2.0), "discount"),
        (lambda: diversified(PAYERS, "c000", 0.9), "size"),
        (lambda: diversified(PAYERS, "c001", 0.01), None),
        (lambda: diversified(PAYERS[:1], "c000", 0.5), "size"),
    ],
)
def test_changes_that_cannot_be_are_refused(change: object, field: str | None) -> None:
    assert callable(change)
    with pytest.raises(UsageError) as refused:
        change()
    assert refused.value.field == field


def test_a_discount_is_a_cost() -> None:
    change = committing(PAYERS, 24, "c000", 0.5, 12, 0.05)
    assert change.cost == pytest.approx(0.05 * float(PAYERS[0].per_month) * 24)
    assert committing(PAYERS, 24, "c000", 0.5, 12).cost is None


def steps(assumed: Assumptions, month: float = 0.0, *, suspended: bool = False) -> Bridge:
    amounts = [(payer.name, payer.per_month) for payer in PAYERS]
    return bridge(amounts, assumed, "c000", month=month, suspended=suspended)


TERMS = [
    Assumptions(growth=STEADY, hazard_per_year=Hazards(top=0, rest=0)),
    Assumptions(
        growth=Growth(
            drift_per_year=0.2, own_volatility_per_year=0.0, market_volatility_per_year=0.0
        ),
        price=Price(change_per_year=-0.3),
        departure=Departure(notice_months=2, ramp_months=4, kept_share=0.1),
        backfill=Backfill(share=0.4, delay_months=6),
        hazard_per_year=Hazards(top=0, rest=0),
    ),
    Assumptions(
        growth=STEADY,
        departure=Departure(notice_months=1, ramp_months=3),
        hazard_per_year=Hazards(top=0, rest=0),
        customer=(CustomerTerms(group="c000", commitment_per_month="70000", commitment_months=9),),
    ),
]


@pytest.mark.parametrize("assumed", TERMS, ids=["plain", "all", "commitment"])
@pytest.mark.parametrize("month", [0.0, 5.0])
@pytest.mark.parametrize("suspended", [False, True])
def test_the_steps_are_what_the_simulation_loses(
    assumed: Assumptions, month: float, suspended: bool
) -> None:
    """Without luck in usage every scenario is the arithmetic, to the simulation's float32."""
    change = leaving("c000", month, suspended=suspended)
    world = what_if(PAYERS, assumed, Run(scenarios=2_000, seed=1), [change])
    here = steps(assumed, month, suspended=suspended)
    lost = world.effects[0].expected_loss.value
    assert here.before - here.after == pytest.approx(lost, rel=1e-4)
    assert here.before == pytest.approx(world.plan, rel=1e-4)
    back = here.before_leaving + here.kept + here.commitment + here.backfill
    assert here.after == pytest.approx(here.before - here.customer + back)
    if suspended:
        assert (here.kept, here.commitment) == (0, 0)


def test_with_luck_in_usage_it_is_the_mean_of_the_simulation() -> None:
    assumed = Assumptions(
        departure=Departure(notice_months=1, ramp_months=6), hazard_per_year=Hazards(top=0, rest=0)
    )
    world = what_if(PAYERS, assumed, Run(scenarios=8_000, seed=5), [leaving("c000", 0.0)])
    lost = world.effects[0].expected_loss
    here = steps(assumed)
    assert abs(here.before - here.after - lost.value) < 4 * lost.standard_error


def test_months_that_are_gone() -> None:
    here = steps(Assumptions(departure=Departure(ramp_months=6), backfill=Backfill(share=0.5)))
    assert here.gone_months == pytest.approx(21)
    # Usage freed in the last six months comes back too late.
    assert here.refilled_months == pytest.approx(0.5 * (21 - 6))


def test_nobody_of_that_name() -> None:
    with pytest.raises(UsageError) as refused:
        bridge([("a", Decimal(1))], Assumptions(), "b")
    assert refused.value.field == "customer"


def test_one_customer_alone_has_levers_too() -> None:
    changes = usual(PAYERS[:1], ASSUMED, "c000")
    assert "diversify" not in {one.name for one in changes}
    world = what_if(PAYERS[:1], ASSUMED, Run(scenarios=2_000, seed=1), changes)
    assert world.base.top_shortfall_share == pytest.approx(1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_number_is_refused_by_name(value: float) -> None:
    with pytest.raises(UsageError, match="month") as refused:
        leaving("c000", value)
    assert refused.value.field == "month"
    with pytest.raises(UsageError, match="elasticity") as refused:
        priced("c000", -0.1, 0, value)
    assert refused.value.field == "elasticity"
