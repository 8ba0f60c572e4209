"""Expected cost: when a move pays, checked against the sums that define it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conduct.case_made_up import LARGE, SMALL

from quartermaster.conduct.expected_cost import expected_cost, posterior
from quartermaster.kernel.case import StakeElsewhere


def test_a_large_customer_needs_much_more_certainty_than_a_small_one() -> None:
    large, small = (expected_cost(stake).of("suspend") for stake in (LARGE, SMALL))
    assert large is not None
    assert small is not None
    # 14 of 365 days and 30 % of $240M a year; 20 times the $3M that was harvested.
    assert large.wrong_minor == round(24_000_000_000 * (14 / 365 + 0.3))
    assert large.averted_minor == 6_000_000_000
    assert large.threshold == pytest.approx(0.5753, abs=1e-3)
    assert large.acts is False
    assert small.threshold == pytest.approx(0.140, abs=1e-3)
    assert small.acts is True


@given(st.floats(0.001, 0.999), st.integers(1, 10**12), st.integers(1, 10**9))
def test_a_move_pays_exactly_where_its_expected_cost_is_below_waiting(
    probability: float, revenue: int, harvested: int
) -> None:
    stake = msgspec.structs.replace(
        SMALL, probability=probability, revenue_a_year_minor=revenue, harvested_minor=harvested
    )
    cost = expected_cost(stake)
    assert cost.waiting_minor is not None
    for move in cost.moves:
        assert move.expected_minor is not None
        gain = cost.waiting_minor - move.expected_minor
        if abs(gain) > 2:  # both are rounded to a minor unit
            assert (gain > 0) == move.acts


def test_nothing_is_decided_where_nobody_said_how_likely_it_is() -> None:
    cost = expected_cost(msgspec.structs.replace(SMALL, probability=None))
    assert cost.best is None
    assert {move.acts for move in cost.moves} == {None}


def test_waiting_is_best_where_nothing_was_taken() -> None:
    assert expected_cost(msgspec.structs.replace(SMALL, harvested_minor=0)).best is None
    assert expected_cost(SMALL).best is not None


def test_a_chance_at_even_odds_is_small_among_few_harvesters() -> None:
    assert posterior(0.9, 0.005) == pytest.approx(0.9 * 0.005 / (0.9 * 0.005 + 0.1 * 0.995))
    assert posterior(0.7, 0.5) == pytest.approx(0.7)
    assert posterior(1.0, 0.1) == 1.0
    assert posterior(0.3, 0.0) == 0.0


EURO = StakeElsewhere("EUR", 24_000_000, 10)
"""Ten times the revenue of the other currency, and next to nothing was harvested in it."""


def test_amounts_of_several_currencies_are_not_added() -> None:
    both = expected_cost(msgspec.structs.replace(SMALL, others=(EURO,)))
    alone = expected_cost(SMALL)
    (euro,) = both.elsewhere
    assert (euro.currency, euro.damage_minor) == ("EUR", 200)
    assert [one.wrong_minor for one in both.moves] == [one.wrong_minor for one in alone.moves]
    assert both.waiting_minor == alone.waiting_minor
    suspend, in_euro = both.of("suspend"), euro.moves[3]
    assert suspend is not None
    assert (in_euro.move, in_euro.acts) == ("suspend", False)
    # It pays in dollars and not in euros: which of them weighs more hangs on the rate.
    assert alone.of("suspend").acts is True  # type: ignore[union-attr]
    assert suspend.acts is None
    assert both.best is None


def test_a_currency_with_nothing_to_lose_is_silent() -> None:
    nothing = StakeElsewhere("EUR", 0, 0)
    both = expected_cost(msgspec.structs.replace(SMALL, others=(nothing,)))
    assert [one.acts for one in both.moves] == [one.acts for one in expected_cost(SMALL).moves]


@given(
    st.floats(0.01, 0.99),
    st.tuples(st.integers(1, 10**9), st.integers(1, 10**8)),
    st.tuples(st.integers(1, 10**9), st.integers(1, 10**8)),
    st.floats(0.001, 1_000),
)
def test_a_verdict_on_several_currencies_holds_at_any_rate(
    probability: float, dollars: tuple[int, int], euros: tuple[int, int], rate: float
) -> None:
    stake = msgspec.structs.replace(
        SMALL,
        probability=probability,
        revenue_a_year_minor=dollars[0],
        harvested_minor=dollars[1],
        others=(StakeElsewhere("EUR", *euros),),
    )
    both = expected_cost(stake)
    for first, second in zip(both.moves, both.elsewhere[0].moves, strict=True):
        wrong = first.wrong_minor + rate * second.wrong_minor
        whole = wrong + first.averted_minor + rate * second.averted_minor
        if first.acts is not None and whole and abs(probability - wrong / whole) > 1e-9:
            assert first.acts == (probability > wrong / whole)


def test_who_leaves_anyway_is_not_lost_by_a_suspension() -> None:
    stays = expected_cost(SMALL).of("suspend")
    leaves = expected_cost(msgspec.structs.replace(SMALL, leaves_anyway=0.5)).of("suspend")
    assert stays is not None
    assert leaves is not None
    a_year = SMALL.revenue_a_year_minor
    assert stays.wrong_minor == round(a_year * (14 / 365 + 0.3))
    assert leaves.wrong_minor == round(a_year * (14 / 365 + 0.15))
