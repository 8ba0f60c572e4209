"""A budget is never overrun: many workers, kills, no caps, media parts, and false counts."""

import random
from pathlib import Path

import pytest
from tests.simulation.budget_race import race

# Requests are let pass as long as anything is left, as gateways do that count afterwards.
SETS_NOTHING_ASIDE = """
from quartermaster.gateway import budget
budget.worst_case = lambda bound, rates: 1
"""


def test_a_race_does_not_overrun_the_budget(tmp_path: Path) -> None:
    overrun, ends = race(tmp_path, seed=11, amount_minor=300, requests=150, kills=2, patience=8)
    assert overrun <= 0
    assert ends["200"] > 20
    assert ends["429"] + ends["patience lost"] > 0, "the budget was not reached"


@pytest.mark.long
@pytest.mark.parametrize("turn", range(5))
def test_long_races_do_not_overrun_the_budget(tmp_path: Path, turn: int) -> None:
    seed = random.randrange(10**6)
    overrun, ends = race(
        tmp_path, seed=seed, amount_minor=2_000, requests=1_000, kills=2, patience=60
    )
    assert -2 < overrun <= 0
    assert ends["200"] > 100
    assert ends["429"] + ends["patience lost"] > 0, "the budget was not reached"


@pytest.mark.long
def test_a_planted_bug_is_seen(tmp_path: Path) -> None:
    overrun, _ = race(
        tmp_path, seed=3, amount_minor=500, requests=300, kills=0, planted=SETS_NOTHING_ASIDE
    )
    assert overrun > 0
