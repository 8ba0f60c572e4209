"""Likelihood ratios and what they make of a belief; scores of statements."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.beta_prior import Belief, Beta, Nodes, from_quantiles
from quartermaster.stats.likelihood import (
    NEUTRAL,
    Ratio,
    diluted,
    from_interval,
    of_alarm,
    of_test,
    shift,
    update,
)
from quartermaster.stats.likelihood_scores import (
    BINS_MAX,
    PER_BIN_MIN,
    reliability,
    scores,
    wilson,
)

EXPERT = Belief((from_quantiles((0.5, 0.10), (0.9, 0.30)),))


@pytest.fixture(scope="module")
def expert() -> Nodes:
    return EXPERT.nodes()


def test_the_alarm_of_the_detector_benchmark(expert: Nodes) -> None:
    """0.5 false alarms a year, found within 35 days: about 21, which takes 13 % to 77 %."""
    exact = 1 / -math.expm1(-0.5 * 35 / 365)
    assert exact == pytest.approx(21.4, abs=0.05)
    assert shift(expert.mean, exact) == pytest.approx(0.77, abs=0.005)
    measured = of_alarm(33, 33, 0.5 * 33 * 4, 33 * 4, 35)
    assert measured.central == pytest.approx(21, abs=0.5)
    assert measured.low < measured.central < measured.high
    assert update(expert, measured).probability == pytest.approx(0.765, abs=0.005)


def test_fewer_series_years_make_an_alarm_less_certain_and_not_stronger() -> None:
    many, few = of_alarm(33, 33, 66, 132, 35), of_alarm(3, 3, 2, 4, 35)
    assert few.log_sd > 3 * many.log_sd
    assert few.low < many.low


def test_an_alarm_says_less_where_departures_have_not_begun() -> None:
    whole, part = of_alarm(33, 33, 66, 132, 35), of_alarm(33, 33, 66, 132, 35, under_way=0.3)
    assert part.central == pytest.approx(1 + 0.3 * (whole.central - 1), rel=0.02)


def test_silence_says_at_most_that_none_is_under_way() -> None:
    silent = of_alarm(33, 33, 66, 132, 35, under_way=0.3, silent=True)
    assert silent.central == pytest.approx(0.70, abs=0.02)
    assert silent.central < 1


@pytest.mark.parametrize(
    "counts",
    [(34, 33, 1, 10, 35), (1, 0, 1, 10, 35), (1, 2, -1, 10, 35), (1, 2, 1, 0, 35), (1, 2, 1, 9, 0)],
)
def test_alarm_counts_that_cannot_be(counts: tuple[float, ...]) -> None:
    with pytest.raises(UsageError):
        of_alarm(*counts)


def test_a_test_with_measured_rates() -> None:
    found = of_test(450, 500, 300, 1000)
    assert found.central == pytest.approx(3.0, rel=0.01)
    assert found.low < 3 < found.high
    assert of_test(9, 10, 6, 20).log_sd > 3 * found.log_sd


def test_a_finding_about_a_cause_is_worth_less() -> None:
    """A distiller is not yet a leaver: with 40 % of leavers distilling, 6 becomes 3."""
    assert diluted(Ratio(math.log(6), 0.0), 0.4).central == pytest.approx(3.0)
    assert diluted(from_interval(3, 12), 1.0).central == pytest.approx(6.0, rel=1e-6)


def test_an_interval_is_read_back() -> None:
    found = from_interval(1.5, 6)
    assert (found.low, found.central, found.high) == pytest.approx((1.5, 3, 6))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (3, 2), (1, 2000), (-1, 2), (math.nan, 2)])
def test_ratios_that_cannot_be(low: float, high: float) -> None:
    with pytest.raises(UsageError):
        from_interval(low, high)


# --- updating -------------------------------------------------------------------------------


@pytest.mark.parametrize("sd", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("ratio", [0.2, 1.0, 3.0, 21.4])
def test_the_probability_is_prior_odds_times_the_ratio(
    expert: Nodes, ratio: float, sd: float
) -> None:
    found = update(expert, Ratio(math.log(ratio), sd))
    assert found.probability == pytest.approx(shift(expert.mean, ratio), rel=1e-9)
    assert found.low < found.probability < found.high


def test_nothing_new_leaves_the_prior_and_its_interval(expert: Nodes) -> None:
    found = update(expert, NEUTRAL)
    assert found.low == pytest.approx(expert.quantile(0.05), rel=1e-2)
    assert found.high == pytest.approx(expert.quantile(0.95), rel=1e-3)


def test_a_less_certain_ratio_gives_a_wider_interval(expert: Nodes) -> None:
    sharp, vague = update(expert, Ratio(1.0, 0.1)), update(expert, Ratio(1.0, 1.0))
    assert vague.low < sharp.low < sharp.high < vague.high


def test_the_interval_against_brute_force(expert: Nodes) -> None:
    """Draw prior and ratio, weigh each draw by how well it predicts the evidence, take quantiles.

    The weight splits the ratio evenly: numerator times sqrt(ratio), denominator over it.
    """
    seed, mean, sd = 3, 1.2, 0.7
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    beta = EXPERT.parts[0]
    p, x = draw.beta(beta.a, beta.b, 400_000), draw.normal(mean, sd, 400_000)
    weight = p * np.exp(x / 2) + (1 - p) * np.exp(-x / 2)
    after = p * np.exp(x / 2) / weight
    order = np.argsort(after)
    rising = np.cumsum(weight[order]) / weight.sum()
    found = update(expert, Ratio(mean, sd))
    assert after @ weight / weight.sum() == pytest.approx(found.probability, abs=2e-3)
    for level, end in ((0.05, found.low), (0.95, found.high)):
        assert after[order][np.searchsorted(rising, level)] == pytest.approx(end, abs=4e-3)


def test_a_skewed_belief_still_holds_its_own_mean() -> None:
    found = update(Belief((Beta(0.05, 5),)).nodes(), NEUTRAL)
    assert found.low <= found.probability <= found.high


# --- scores ---------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    found = scores([0.8, 0.3, 0.5], [True, False, True])
    assert found.brier == pytest.approx(float(Fraction(4 + 9 + 25, 300)))
    assert found.log_score == pytest.approx(-(math.log(0.8) + math.log(0.7) + math.log(0.5)) / 3)
    assert found.brier_base_rate == pytest.approx(2 / 9)
    assert not found.enough


def test_an_even_chance_cannot_be_scored_for_calibration() -> None:
    assert scores([0.5, 0.5], [True, False]).calibrated_z is None


def test_a_calibrated_forecaster_passes_and_an_overconfident_one_does_not() -> None:
    seed = 5
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    p = draw.uniform(0.05, 0.95, 4_000)
    came = draw.random(4_000) < p
    fair = scores(p.tolist(), came.tolist())
    pushed = scores(np.where(p > 0.5, 0.97, 0.03).tolist(), came.tolist())
    assert fair.calibrated_z is not None
    assert abs(fair.calibrated_z) < 3
    assert fair.calibration_error < 0.03
    assert pushed.calibrated_z is not None
    assert pushed.calibrated_z > 10


def test_a_calibrated_record_is_beyond_chance_in_a_tenth_of_all_cases() -> None:
    """Also where four statements about a subject come true together or not at all."""
    seed, subjects, each = 8, 60, 4
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    names = [str(at % subjects) for at in range(subjects * each)]
    beyond = [0, 0, 0]
    for _ in range(500):
        p = np.tile(draw.uniform(0.05, 0.4, subjects), each)
        came = np.tile(draw.random(subjects), each) < p
        for at, (stated, about) in enumerate(((p, names), (p, None), (p + 0.2, names))):
            beyond[at] += scores(stated.tolist(), came.tolist(), about).beyond_chance
    print(f"{beyond} of 500")
    assert 20 <= beyond[0] <= 70
    assert beyond[1] > 150  # the same, had every statement been about another subject
    assert beyond[2] > 450  # a fifth too much is seen


def test_too_few_statements_are_never_beyond_chance() -> None:
    assert not scores([0.9] * 20, [False] * 20).beyond_chance
    assert scores([0.9] * 40, [False] * 40).beyond_chance


@pytest.mark.parametrize(
    ("stated", "came"),
    [([], []), ([0.5], []), ([0.0], [False]), ([1.0], [True]), ([math.nan], [True])],
)
def test_statements_that_cannot_be_scored(stated: list[float], came: list[bool]) -> None:
    with pytest.raises(UsageError):
        scores(stated, came)


def test_bins_hold_every_statement_once_and_never_divide_equal_ones() -> None:
    stated = [0.1] * 30 + [0.2] * 3 + [0.7] * 27
    groups = reliability(stated, [False] * 60)
    assert sum(group.statements for group in groups) == 60
    assert groups[0].stated == pytest.approx(0.1)
    assert groups[0].statements == 30
    assert len({group.stated for group in groups}) == len(groups)


def test_few_statements_are_one_bin() -> None:
    assert len(reliability([0.1, 0.9, 0.4], [False, True, False])) == 1


def test_wilson() -> None:
    """Brown, Cai and DasGupta's form; 1 of 20 at 95 %: 0.9 % to 23.6 %."""
    found = wilson(1, 20, 0.95)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0089, 0.2361)
    assert wilson(0, 9).low == 0
    assert wilson(9, 9).high == 1


def test_wilson_covers_about_as_often_as_it_says() -> None:
    for true in (0.05, 0.2, 0.5):
        chance = 0.0
        for k in range(101):
            found = wilson(k, 100)
            chance += binom.pmf(k, 100, true) if found.low <= true <= found.high else 0.0
        assert 0.86 <= chance <= 0.94


@pytest.mark.parametrize(("tied", "others"), [(96, 289), (50, 53), (100, 3), (30, 31)])
def test_a_bin_that_ties_make_large_leaves_no_bin_of_a_few(tied: int, others: int) -> None:
    stated = [0.013] * tied + [0.014 + at / 10_000 for at in range(others)]
    found = reliability(stated, [False] * len(stated))
    assert sum(one.statements for one in found) == len(stated)
    assert len(found) <= BINS_MAX
    assert min(one.statements for one in found) >= PER_BIN_MIN
