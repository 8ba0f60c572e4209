"""Where CreditRisk+ is exact, the engine must agree with it: one month, departures at once."""

from decimal import Decimal

import numpy as np
import pytest

from quartermaster.exposure.risk_assumptions import Assumptions, Departure, Growth, Hazards
from quartermaster.exposure.risk_book import RAMP_MONTHS_LEAST, Book, Payer, build
from quartermaster.exposure.simulate import Run, losses
from quartermaster.stats.credit_risk import LossDistribution, banded, loss_distribution
from quartermaster.stats.tail import Tail, measure_tail

CUSTOMERS, VARIANCE, CHANCE = 4_000, 0.5, 0.001
SEED = 20240801


def special_case() -> tuple[Book, LossDistribution]:
    """Four thousand customers that leave within the month with 0.1 %, one gamma factor.

    The engine's customer leaves at most once, the Poisson law's may leave twice: at 0.1 % and a
    factor of 3 in the tail that is 0.15 % of the loss, less than the tolerance.
    """
    sizes = [Decimal(1 + 37 * at % 100) for at in range(CUSTOMERS)]
    # Revenue is looked at in the middle of the month, after a ramp of a thousandth of one.
    rate = CHANCE * 12 / (0.5 - RAMP_MONTHS_LEAST / 2)
    assumed = Assumptions(
        horizon_months=1,
        growth=Growth(own_volatility_per_year=0, market_volatility_per_year=0),
        departure=Departure(ramp_months=0, frailty_variance=VARIANCE),
        hazard_per_year=Hazards(top=rate, rest=rate),
    )
    book = build([Payer(f"c{at}", size) for at, size in enumerate(sizes)], assumed)
    closed = banded([float(size) for size in sizes], [CHANCE] * CUSTOMERS, 1.0)
    return book, loss_distribution(closed, VARIANCE)


def simulated(scenarios: int, quantile: float) -> tuple[Tail, float]:
    print(f"seed {SEED}")
    book, _ = special_case()
    found, _ = losses(book, Run(scenarios=scenarios, seed=SEED))
    return measure_tail(found, quantile), book.scale


def test_mean_and_shortfall_agree_within_their_errors() -> None:
    tail, scale = simulated(20_000, 0.99)
    _, closed = special_case()
    expected, shortfall = tail.expected, tail.expected_shortfall
    assert abs(expected.value * scale - closed.mean()) < (
        4 * expected.standard_error * scale + 0.003 * closed.mean()
    )
    truth = closed.tail(0.99)[1]
    assert abs(shortfall.value * scale - truth) < (
        4 * shortfall.standard_error * scale + 0.003 * truth
    )


@pytest.mark.long
def test_value_at_risk_and_shortfall_at_99_percent_within_half_a_percent() -> None:
    tail, scale = simulated(1_500_000, 0.99)
    _, closed = special_case()
    level, shortfall, _ = closed.tail(0.99)
    assert abs(tail.value_at_risk * scale / level - 1) < 0.005
    assert abs(tail.expected_shortfall.value * scale / shortfall - 1) < 0.005


@pytest.mark.long
def test_standard_errors_of_the_engine_hold() -> None:
    """Thirty seeds: the spread of the shortfall is what its standard error says."""
    book, closed = special_case()
    truth, scores = closed.tail(0.95)[1], []
    for seed in range(30):
        found, _ = losses(book, Run(scenarios=4_000, seed=seed))
        estimate = measure_tail(found * book.scale, 0.95).expected_shortfall
        scores.append((estimate.value - truth) / estimate.standard_error)
    assert abs(np.mean(scores)) < 0.6
    assert 0.75 < np.std(scores) < 1.3
