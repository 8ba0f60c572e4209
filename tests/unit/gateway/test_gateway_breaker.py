"""The circuit of one deployment, signal by signal."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.gateway.breaker import (
    CIRCUITS,
    COOLING_S,
    COOLING_S_MAX,
    FAILURES_IN_A_ROW_MAX,
    HEALTHY,
    OPEN_S,
    OPEN_S_MAX,
    PROBE_S,
    Changed,
    Circuit,
    Health,
    Signal,
    at,
    may_be_asked,
    probing,
    step,
)
from quartermaster.kernel.errors import IntegrityError


def after(*signals: Signal, health: Health = HEALTHY, now_s: float = 100.0) -> Health:
    for signal in signals:
        health, _ = step(health, signal, now_s)
    return health


FAILED, SERVED, THROTTLED = Signal.FAILED, Signal.SERVED, Signal.THROTTLED
ROUNDING_S = 1e-6
DOWN = (FAILED,) * FAILURES_IN_A_ROW_MAX


def test_failures_in_a_row_open_it_and_an_answer_in_between_does_not() -> None:
    almost = DOWN[1:]
    assert after(*almost).circuit is Circuit.CLOSED
    assert after(*almost, SERVED, *almost).circuit is Circuit.CLOSED
    assert after(*DOWN).circuit is Circuit.OPEN


def test_the_effect_names_the_change_and_the_rest() -> None:
    before, _ = step(after(*DOWN[1:]), SERVED, 100.0)
    assert before == HEALTHY
    _, effects = step(after(*DOWN[1:]), FAILED, 100.0)
    assert effects == (Changed(Circuit.CLOSED, Circuit.OPEN, OPEN_S),)
    assert step(HEALTHY, FAILED, 100.0)[1] == ()


def test_after_its_rest_one_request_at_a_time_finds_out() -> None:
    health = after(*DOWN)
    assert not may_be_asked(health, 100.0)
    same, _ = at(health, 100.0 + OPEN_S - 0.001)
    assert same is health
    health, effects = at(health, 100.0 + OPEN_S)
    assert effects == (Changed(Circuit.OPEN, Circuit.HALF_OPEN, 0.0),)
    assert may_be_asked(health, 101.0)
    asked = probing(health, 101.0)
    assert not may_be_asked(asked, 101.0 + PROBE_S - 0.1)
    assert may_be_asked(asked, 101.0 + PROBE_S)
    assert after(SERVED, health=asked) == HEALTHY


def test_each_failed_try_doubles_the_rest_up_to_a_bound_and_serving_forgets_it() -> None:
    health, now_s, rests = after(*DOWN), 100.0, []
    for _ in range(8):
        rests.append(health.until_s - now_s)
        now_s = health.until_s
        health, _ = at(health, now_s)
        health, _ = step(health, FAILED, now_s)
    assert rests == [1.0, 2.0, 4.0, 8.0, 16.0, OPEN_S_MAX, OPEN_S_MAX, OPEN_S_MAX]
    health, _ = at(health, health.until_s)
    served = after(SERVED, health=health)
    assert served == HEALTHY
    assert after(*DOWN, health=served).until_s == 100.0 + OPEN_S


@pytest.mark.parametrize(
    ("wait_s", "rest_s"),
    [(None, COOLING_S), (17.0, 17.0), (0.25, 0.25), (-1.0, 0.0), (86_400.0, COOLING_S_MAX)],
)
def test_a_busy_deployment_is_left_alone_for_as_long_as_it_asked(
    wait_s: float | None, rest_s: float
) -> None:
    health, _ = step(HEALTHY, THROTTLED, 100.0, wait_s=wait_s)
    assert (health.circuit, health.until_s) == (Circuit.COOLING, 100.0 + rest_s)
    rested, _ = at(health, 100.0 + rest_s)
    assert rested == HEALTHY


def test_the_longer_of_two_waits_counts() -> None:
    health, _ = step(HEALTHY, THROTTLED, 100.0, wait_s=60.0)
    health, _ = step(health, THROTTLED, 101.0, wait_s=1.0)
    assert health.until_s == 160.0


def test_requests_from_before_the_rest_say_little() -> None:
    resting = after(*DOWN)
    assert after(FAILED, health=resting).until_s == resting.until_s
    assert after(THROTTLED, health=resting).circuit is Circuit.OPEN
    # It answers after all: the next request finds out.
    assert after(SERVED, health=resting).circuit is Circuit.HALF_OPEN
    cooling, _ = step(HEALTHY, THROTTLED, 100.0, wait_s=60.0)
    assert after(SERVED, health=cooling).until_s == 160.0
    assert after(*DOWN, health=cooling).circuit is Circuit.OPEN


def test_every_state_knows_every_signal_but_the_end_of_a_rest_it_does_not_have() -> None:
    missing = set(itertools.product(Circuit, Signal)) - CIRCUITS.keys()
    assert missing == {(Circuit.CLOSED, Signal.RESTED), (Circuit.HALF_OPEN, Signal.RESTED)}
    with pytest.raises(IntegrityError, match="CLOSED circuit cannot be RESTED"):
        step(HEALTHY, Signal.RESTED, 1.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from((FAILED, SERVED, THROTTLED)),
            st.floats(0.0, 100.0),
            st.none() | st.floats(-10.0, 1e9),
        ),
        max_size=60,
    )
)
def test_whatever_comes_every_rest_ends(signals: list[tuple[Signal, float, float | None]]) -> None:
    health, now_s = HEALTHY, 0.0
    for signal, passed_s, wait_s in signals:
        now_s += passed_s
        health, _ = at(health, now_s)
        if may_be_asked(health, now_s) and health.circuit is Circuit.HALF_OPEN:
            health = probing(health, now_s)
        health, _ = step(health, signal, now_s, wait_s=wait_s)
        assert health.until_s - now_s <= COOLING_S_MAX + ROUNDING_S
    much_later = now_s + COOLING_S_MAX + ROUNDING_S
    later, _ = at(health, much_later)
    assert may_be_asked(later, much_later)
