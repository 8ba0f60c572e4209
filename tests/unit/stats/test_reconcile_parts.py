"""Reconciliation against the matrix formula, and what it wins."""

import random

import numpy as np
import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.reconcile import reconciled

SEED = 13
"""Of the simulation; printed where it fails."""


def by_matrices(total: float, parts: list[float], variances: list[float]) -> list[float]:
    """Minimum trace in its general form: (S' W^-1 S)^-1 S' W^-1 base."""
    summing = np.vstack([np.ones(len(parts)), np.eye(len(parts))])
    weights = np.diag(1 / np.array(variances))
    normal = summing.T @ weights @ summing
    moved = np.linalg.solve(normal, summing.T @ weights @ np.array([total, *parts]))
    return [float(value) for value in moved]


def test_it_is_the_matrix_formula() -> None:
    parts, variances = [30.0, 50.0, 12.0, 1.0], [4.0, 9.0, 1.0, 0.25]
    found = reconciled(100.0, parts, 5.0, variances)
    assert found == pytest.approx(by_matrices(100.0, parts, [5.0, *variances]), abs=1e-9)


def test_a_certain_total_is_kept_and_a_certain_part_too() -> None:
    found = reconciled(100.0, [30.0, 50.0], 0.0, [1.0, 3.0])
    assert sum(found) == pytest.approx(100.0)
    assert found == pytest.approx([35.0, 65.0])
    assert reconciled(100.0, [30.0, 50.0], 1.0, [0.0, 3.0])[0] == 30.0


def test_without_variances_it_is_bottom_up() -> None:
    assert reconciled(100.0, [30.0, 50.0], 0.0, [0.0, 0.0]) == [30.0, 50.0]


def test_the_sum_errs_less_than_either_way_alone() -> None:
    draw = random.Random(SEED)
    spreads, direct_spread = [1.0, 2.0, 3.0], 3.0
    ours, bottom_up, direct = 0.0, 0.0, 0.0
    for _ in range(4_000):
        parts = [draw.gauss(0, spread) for spread in spreads]
        total = draw.gauss(0, direct_spread)
        moved = reconciled(total, parts, direct_spread**2, [spread**2 for spread in spreads])
        ours += sum(moved) ** 2
        bottom_up += sum(parts) ** 2
        direct += total**2
    assert ours < 0.7 * min(bottom_up, direct), f"seed {SEED}: {ours}, {bottom_up}, {direct}"


def test_what_does_not_fit_is_refused() -> None:
    for variances in ([1.0], [1.0, -1.0]):
        with pytest.raises(UsageError):
            reconciled(1.0, [1.0, 2.0], 1.0, variances)
