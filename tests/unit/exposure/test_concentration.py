"""Indices against published vectors: R's `ineq` and the worked 24 % case."""

import math
from fractions import Fraction

import pytest

from quartermaster.exposure.concentration import (
    concentration,
    concentration_ratio,
    gini,
    hhi,
    hhi_bounds,
    hhi_normalised,
    is_reportable,
    lorenz,
    theil,
)
from quartermaster.kernel.errors import UsageError

INEQ = [541, 1463, 2445, 3438, 4437, 5401, 6392, 8304, 11904, 22261]
QUARTER = [24] + [1] * 76


def test_vector_of_r_ineq() -> None:
    found = concentration(INEQ)
    assert found.hhi == pytest.approx(0.1840812309, abs=1e-9)
    assert found.effective_number == pytest.approx(5.432384, abs=1e-6)
    assert found.cr1 == pytest.approx(0.3343195266, abs=1e-9)
    assert found.gini == pytest.approx(0.4620911303, abs=1e-9)
    assert found.theil == pytest.approx(0.3623412423, abs=1e-9)


def test_a_quarter_and_seventy_six_small_ones() -> None:
    found = concentration(QUARTER)
    assert found.hhi_points == pytest.approx(652, abs=1e-9)
    normalised = hhi_normalised(QUARTER)
    assert normalised is not None
    assert round(normalised * 10_000) == 529
    assert found.hhi_normalised == pytest.approx(float(normalised))
    assert found.effective_number == pytest.approx(15.337423, abs=1e-6)


def test_ratios_stop_where_everybody_is_in() -> None:
    assert concentration(QUARTER).ratios == ((1, 0.24), (2, 0.25), (4, 0.27), (8, 0.31), (20, 0.43))
    assert concentration([3, 1]).ratios == ((1, 0.75),)
    assert concentration([3]).ratios == ()


def test_theil_between_its_ends() -> None:
    assert theil([7] * 5) == 0
    assert theil([1, 0, 0, 0]) == pytest.approx(math.log(4))
    assert theil([10**30, 10**30 * 3]) == pytest.approx(theil([1, 3]), abs=1e-15)


def test_one_customer_has_no_normalised_index() -> None:
    found = concentration([5])
    assert (found.hhi, found.hhi_normalised, found.effective_number) == (1, None, 1)
    assert found.gini == 0


def test_equal_customers() -> None:
    found = concentration([7] * 4)
    assert (found.hhi_points, found.hhi_normalised, found.effective_number) == (2500, 0, 4)
    assert found.cr4 == 1


def test_amounts_beyond_float_are_exact() -> None:
    huge = 10**30
    assert hhi([huge, huge]) == Fraction(1, 2)
    assert concentration_ratio([huge + 1, huge - 1], 1) == Fraction(huge + 1, 2 * huge)


def test_ten_per_cent_is_decided_exactly() -> None:
    assert is_reportable(10, 100)
    assert not is_reportable(10**17 - 1, 10**18)


def test_lorenz_runs_from_corner_to_corner() -> None:
    points = lorenz([3, 1])
    assert points == [(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)]
    assert gini([3, 1]) == Fraction(1, 4)


def test_bounds_hold_whatever_the_rest_looks_like() -> None:
    low, high = hhi_bounds([Fraction(24, 100)])
    assert low == Fraction(576, 10_000)
    assert high == Fraction(2320, 10_000)
    assert low < hhi(QUARTER) < high
    assert hhi_bounds([Fraction(1)]) == (Fraction(1), Fraction(1))


@pytest.mark.parametrize("amounts", [[], [0, 0], [3, -1]])
def test_amounts_without_meaning_are_refused(amounts: list[int]) -> None:
    with pytest.raises(UsageError):
        concentration(amounts)


@pytest.mark.parametrize("named", [[], [Fraction(0)], [Fraction(3, 4), Fraction(1, 2)]])
def test_impossible_shares_are_refused(named: list[Fraction]) -> None:
    with pytest.raises(UsageError):
        hhi_bounds(named)
