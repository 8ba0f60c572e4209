"""Is the ledger calibrated? Yes with right ratios; not when one thing is counted twice; yes capped.

A world of customers: hazards from a Beta, outcomes from the hazards, a usage detector and a conduct
test whose rates given the outcome are known. In the dependent world the conduct test sees nothing
but the usage pattern, so it fires exactly with the detector.
"""

import math
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from quartermaster.exposure.evidence import Evidence
from quartermaster.exposure.evidence_ledger import Ledger, Rule, ledger
from quartermaster.stats.beta_prior import Belief, Nodes, from_quantiles
from quartermaster.stats.likelihood import Ratio, shift, update
from quartermaster.stats.likelihood_scores import Scores, scores

SEED = 20240801
CUSTOMERS = 40_000
BETA = from_quantiles((0.5, 0.10), (0.9, 0.30))
# Chance of a finding where the customer leaves, and where it stays: ratios 12 and 4.
ALARM = (0.60, 0.05)
CONDUCT = (0.40, 0.10)
STEADY = (0.30, 0.60)

INDEPENDENT = Rule(overlap=0.0, joint_ratio_max=1_000.0, why="drawn independently")
CAPPED = Rule()


class World(NamedTuple):
    hazard: NDArray[np.float64]
    leaves: NDArray[np.bool_]
    alarm: NDArray[np.bool_]
    conduct: NDArray[np.bool_]


def world(*, dependent: bool) -> World:
    draw = np.random.default_rng(SEED)
    hazard = draw.beta(BETA.a, BETA.b, CUSTOMERS)
    leaves = draw.random(CUSTOMERS) < hazard
    alarm = draw.random(CUSTOMERS) < np.where(leaves, *ALARM)
    conduct = draw.random(CUSTOMERS) < np.where(leaves, *CONDUCT)
    return World(hazard, leaves, alarm, alarm if dependent else conduct)


def piece(kind: str, rates: tuple[float, float], *, found: bool) -> Evidence:
    leaving, staying = rates if found else (1 - rates[0], 1 - rates[1])
    ratio = leaving / staying
    return Evidence(
        kind=kind, on="2024-08-01", fact="drawn", source="drawn", low=ratio, high=ratio, why="known"
    )


@pytest.fixture(scope="module")
def prior() -> Nodes:
    return Belief((BETA,)).nodes()


def stated(
    prior: Nodes, found: World, conduct_rates: tuple[float, float], rule: Rule
) -> NDArray[np.float64]:
    """The ledger's probability for every customer; it depends on the two findings alone."""
    table = np.zeros((2, 2))
    for alarm in (False, True):
        for conduct in (False, True):
            pieces = [
                piece("usage_alarm", ALARM, found=alarm),
                piece("conduct_suspicion", conduct_rates, found=conduct),
            ]
            steps: Ledger = ledger(prior, pieces, rule)
            table[int(alarm), int(conduct)] = steps.posterior.probability
    chosen: NDArray[np.float64] = table[found.alarm.astype(int), found.conduct.astype(int)]
    return chosen


def scored(probability: NDArray[np.float64], found: World) -> Scores:
    result = scores(probability.tolist(), found.leaves.tolist())
    print(f"seed {SEED}, z {result.calibrated_z:.1f}, error {result.calibration_error:.4f}")
    for group in result.bins:
        print(f"  stated {group.stated:.3f} came {group.came.share:.3f} of {group.statements}")
    return result


def worst(found: Scores) -> float:
    """Largest distance of stated and observed, in standard errors of the observed share."""
    return max(
        abs(g.stated - g.came.share) / math.sqrt(g.stated * (1 - g.stated) / g.statements)
        for g in found.bins
    )


def test_with_right_ratios_and_independent_pieces_the_posterior_is_calibrated(
    prior: Nodes,
) -> None:
    found = world(dependent=False)
    result = scored(stated(prior, found, CONDUCT, INDEPENDENT), found)
    assert len(result.bins) >= 3
    assert worst(result) < 3.5
    assert result.calibration_error < 0.006


def test_counting_one_thing_twice_is_not_calibrated(prior: Nodes) -> None:
    found = world(dependent=True)
    result = scored(stated(prior, found, ALARM, INDEPENDENT), found)
    assert worst(result) > 20
    assert result.calibration_error > 0.03
    top = result.bins[-1]
    assert top.stated > top.came.share + 0.2


def test_with_the_cap_it_is_calibrated_again(prior: Nodes) -> None:
    found = world(dependent=True)
    result = scored(stated(prior, found, ALARM, CAPPED), found)
    assert worst(result) < 3.5
    assert result.calibration_error < 0.006


def test_the_cap_costs_sharpness_where_pieces_are_independent(prior: Nodes) -> None:
    """The price of the rule, measured: a worse Brier score, and no probability beyond the truth."""
    found = world(dependent=False)
    free = scored(stated(prior, found, CONDUCT, INDEPENDENT), found)
    capped = scored(stated(prior, found, CONDUCT, CAPPED), found)
    print(f"Brier {free.brier:.4f} independent, {capped.brier:.4f} capped")
    assert free.brier < capped.brier < free.brier * 1.1
    top = capped.bins[-1]
    assert top.stated < top.came.share + 0.02


def test_evidence_for_and_against_is_calibrated_across_blocks(prior: Nodes) -> None:
    """An alarm and what the contract says are drawn apart: they multiply under the default too."""
    found = world(dependent=False)
    draw = np.random.default_rng(SEED + 1)
    bound = draw.random(CUSTOMERS) < np.where(found.leaves, *STEADY)
    table = np.zeros((2, 2))
    for alarm in (False, True):
        for contract in (False, True):
            pieces = [
                piece("usage_alarm", ALARM, found=alarm),
                piece("renewed", STEADY, found=contract),
            ]
            table[int(alarm), int(contract)] = ledger(prior, pieces, CAPPED).posterior.probability
    result = scored(table[found.alarm.astype(int), bound.astype(int)], found)
    assert worst(result) < 3.5
    assert result.calibration_error < 0.006


def test_the_interval_holds_the_probability_of_who_knows_the_true_prior(prior: Nodes) -> None:
    """90 % of customers with an alarm: hazard and ratio as drawn, the interval as stated."""
    found = world(dependent=False)
    ratio = ALARM[0] / ALARM[1]
    interval = update(prior, Ratio(float(np.log(ratio)), 0.0))
    true = np.array([shift(float(p), ratio) for p in found.hazard[found.alarm]])
    inside = ((interval.low <= true) & (true <= interval.high)).mean()
    print(f"seed {SEED}, {inside:.3f} of {true.size} inside")
    assert inside == pytest.approx(0.90, abs=0.02)


def test_the_interval_also_holds_when_the_ratio_is_only_about_known() -> None:
    """The true ratio differs from the stated one by its own stated uncertainty.

    The uncertainty lies half in each rate, as the ledger assumes.
    """
    draw = np.random.default_rng(SEED + 2)
    sd = 0.5
    x = draw.normal(np.log(4.0), sd, CUSTOMERS)
    hazard = draw.beta(BETA.a, BETA.b, CUSTOMERS)
    leaves = draw.random(CUSTOMERS) < hazard
    base = 0.05
    chance = np.clip(np.where(leaves, base * np.exp(x / 2), base * np.exp(-x / 2)), 0, 1)
    fired = draw.random(CUSTOMERS) < chance
    interval = update(Belief((BETA,)).nodes(), Ratio(float(np.log(4.0)), sd))
    odds = hazard[fired] / (1 - hazard[fired]) * np.exp(x[fired])
    true = odds / (1 + odds)
    inside = ((interval.low <= true) & (true <= interval.high)).mean()
    came = leaves[fired].mean()
    error = np.sqrt(came * (1 - came) / fired.sum())
    print(f"seed {SEED + 2}, {inside:.3f} of {fired.sum()} inside; came {came:.3f}")
    assert inside == pytest.approx(0.90, abs=0.025)
    assert came == pytest.approx(interval.probability, abs=4 * error)
