"""Daily statements: settled by days of use, all together, and scored apart where they overlap."""

from datetime import date, timedelta

import pytest

from quartermaster.exposure.daily_statements import apart, event_scores, past_of, settle
from quartermaster.kernel.events import CustomerStated, ProbabilitiesStated

ON = date(2024, 1, 1)


def stated(on: date = ON, probability: float = 0.3) -> ProbabilitiesStated:
    return ProbabilitiesStated(
        event="halved_in_a_quarter",
        on=on.isoformat(),
        customers=(CustomerStated("a", probability, 10.0), CustomerStated("b", probability, 10.0)),
        cut={"g": 1},
    )


def use(a_day: float, first: date, days: int) -> dict[date, float]:
    return {first + timedelta(days=at): a_day for at in range(days)}


def test_half_is_kept_and_less_is_not() -> None:
    after = ON + timedelta(days=1)
    found = settle(
        stated(), {"a": use(5.0, after, 91), "b": use(4.9, after, 91)}, ON + timedelta(days=91)
    )
    assert found is not None
    assert (found.stayed, found.came) == (("a",), ("b",))


def test_only_days_after_the_statement_and_within_its_time_settle_it() -> None:
    outside = use(1e6, ON - timedelta(days=30), 31) | use(1e6, ON + timedelta(days=92), 30)
    found = settle(stated(), {"a": outside}, ON + timedelta(days=200))
    assert found is not None
    assert found.came == ("a", "b")


def test_nothing_is_settled_while_its_time_runs() -> None:
    assert settle(stated(), {}, ON + timedelta(days=90)) is None


def test_overlapping_statements_are_left_out_of_the_second_score() -> None:
    days = [stated(ON + timedelta(days=at)) for at in (0, 1, 90, 91, 180, 182)]
    outcomes = [settle(one, {}, ON + timedelta(days=400)) for one in days]
    past = past_of(days, [one for one in outcomes if one is not None])
    assert sorted({(one.on - ON).days for one in apart(past)}) == [0, 91, 182]
    year, quarter = event_scores(past)
    assert (year.statements, year.scored) == (0, None)
    assert quarter.scored is not None
    assert quarter.apart is not None
    assert (quarter.scored.statements, quarter.apart.statements) == (12, 6)
    assert (quarter.scored_customers, quarter.apart_days) == (2, 3)
    assert quarter.scored.brier == pytest.approx(quarter.apart.brier)


def test_a_customer_that_was_not_settled_is_open() -> None:
    late = stated(ON + timedelta(days=50))
    outcome = settle(stated(), {}, ON + timedelta(days=100))
    assert outcome is not None
    past = past_of([stated(), late], [outcome])
    assert [one.came for one in past] == [True, True, None, None]
    quarter = event_scores(past)[1]
    assert (quarter.open, quarter.next_due) == (2, ON + timedelta(days=141))
