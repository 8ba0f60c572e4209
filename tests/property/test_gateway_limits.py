"""Limits under arbitrary traffic: no window holds more than is allowed, whatever is corrected."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from quartermaster.gateway.limits import DEBT_MINUTES_MAX, Bucket, Limiter, Permit, Scoped
from quartermaster.gateway.rate_headers import RateLimitedError
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.limit import Limits

MINUTE = 60 * US_PER_S
STEPS_US = st.one_of(st.integers(0, 5_000), st.integers(0, 5 * MINUTE))


class Asked(msgspec.Struct):
    """One request: how long after the one before, what it asks, what it takes, how long."""

    after_us: int
    estimate: int
    actual: int
    lasts_us: int


def asked(most: int) -> st.SearchStrategy[list[Asked]]:
    one = st.integers(1, most).flatmap(
        lambda estimate: st.builds(
            Asked, STEPS_US, st.just(estimate), st.integers(0, estimate), STEPS_US
        )
    )
    return st.lists(one, max_size=40)


# Few sizes and few moments, so that traffic fills the bucket to the brim and meets itself again.
COARSE_US = st.integers(0, 15).map(lambda tenths: tenths * MINUTE // 10)
COARSE = st.lists(
    st.builds(
        lambda after_us, tokens, lasts_us: Asked(after_us, tokens[0], tokens[1], lasts_us),
        COARSE_US,
        st.sampled_from(((10, 0), (10, 10), (9, 9), (5, 0), (1, 1))),
        COARSE_US,
    ),
    min_size=3,
    max_size=10,
)


def play(limiter: Limiter, limits: Limits, requests: list[Asked]) -> list[tuple[int, int]]:
    """What passed: when it arrived, and the tokens that it took in the end."""
    passed: list[tuple[int, int]] = []
    running: list[tuple[int, int, Permit]] = []
    now = 0
    for request in requests:
        now += request.after_us
        for end in sorted((one for one in running if one[0] <= now), key=lambda one: one[0]):
            running.remove(end)
            end[2].metered(end[1], end[0])
            end[2].end()
        try:
            permit = limiter.admit((Scoped("key", "k", limits),), request.estimate, now)
        except RateLimitedError:
            continue
        passed.append((now, request.actual))
        running.append((now + request.lasts_us, request.actual, permit))
    return passed


def windows_hold(passed: list[tuple[int, int]], per_minute: int) -> None:
    """In any time `t`, at most the limit times one and `t` in minutes."""
    for first in range(len(passed)):
        total = 0
        for at, units in passed[first:]:
            total += units
            elapsed_us = at - passed[first][0]
            assert total * MINUTE <= per_minute * (MINUTE + elapsed_us)


@given(st.integers(1, 60), asked(1))
def test_no_window_holds_more_requests(per_minute: int, requests: list[Asked]) -> None:
    passed = play(Limiter(1, 0), Limits(requests_per_minute=per_minute), requests)
    windows_hold([(at, 1) for at, _ in passed], per_minute)
    assert bool(passed) == bool(requests)


@settings(max_examples=150)
@given(st.integers(1, 3_000), asked(1_000))
def test_no_window_holds_more_tokens_whatever_is_given_back(
    per_minute: int, requests: list[Asked]
) -> None:
    """What was estimated too high is given back, and never twice with what time gives back."""
    windows_hold(play(Limiter(1, 0), Limits(tokens_per_minute=per_minute), requests), per_minute)


@settings(max_examples=400)
@given(COARSE)
def test_what_came_back_with_time_is_not_given_back_again(requests: list[Asked]) -> None:
    windows_hold(play(Limiter(1, 0), Limits(tokens_per_minute=10), requests), 10)


@given(st.integers(1, 20), asked(1))
def test_never_more_open_than_allowed(concurrent: int, requests: list[Asked]) -> None:
    limiter, limits = Limiter(1, 0), Limits(concurrent=concurrent)
    running: list[tuple[int, Permit]] = []
    now = 0
    for request in requests:
        now += request.after_us
        for one in [one for one in running if one[0] <= now]:
            running.remove(one)
            one[1].end()
            one[1].end()
        free = len(running) < concurrent
        try:
            permit = limiter.admit((Scoped("key", "k", limits),), 1, now)
        except RateLimitedError:
            assert not free
            continue
        assert free
        running.append((now + request.lasts_us, permit))


@given(
    st.integers(1, 1_000),
    st.lists(st.tuples(st.integers(-5 * MINUTE, 5 * MINUTE), st.integers(0, 2_000)), max_size=40),
)
def test_a_bucket_is_never_more_than_full_and_a_debt_never_more_than_an_hour(
    per_minute: int, steps: list[tuple[int, int]]
) -> None:
    """Corrections in both directions, and a clock that jumps in both."""
    bucket, now = Bucket(per_minute, 0), 0
    for jump_us, actual in steps:
        now += jump_us
        bucket.refill(now)
        taken = min(bucket.remaining, actual // 2 + 1)
        bucket.correct(bucket.take(taken), taken, actual)
        assert 0 <= bucket.remaining <= per_minute
        assert bucket.full_in_us <= DEBT_MINUTES_MAX * MINUTE


@given(st.integers(1, 100), st.lists(st.integers(0, 2 * MINUTE), max_size=50), st.data())
def test_a_clock_that_goes_back_lets_nothing_more_pass_and_locks_nobody_out(
    per_minute: int, steps: list[int], data: st.DataObject
) -> None:
    limiter = Limiter(1, 0)
    limited = (Scoped("key", "k", Limits(requests_per_minute=per_minute)),)
    now, truth = 10 * MINUTE, 0
    passed, waits = [], [0]
    for step_us in steps:
        truth += step_us
        back_us = data.draw(st.integers(0, 5 * MINUTE))
        now += step_us - back_us
        try:
            limiter.admit(limited, 0, now)
            passed.append((truth, 1))
        except RateLimitedError as refusal:
            waits.append(refusal.wait_us)
    windows_hold(passed, per_minute)
    assert max(waits) <= MINUTE


@given(st.integers(1, 1_000), asked(1_000))
def test_who_waits_as_long_as_was_said_passes(per_minute: int, requests: list[Asked]) -> None:
    limiter, now = Limiter(1, 0), 0
    limited = (Scoped("key", "k", Limits(requests_per_minute=7, tokens_per_minute=per_minute)),)
    for request in requests:
        now += request.after_us
        try:
            limiter.admit(limited, request.estimate, now)
        except RateLimitedError as refusal:
            if refusal.never:
                assert request.estimate > per_minute
                continue
            now += refusal.wait_us
            limiter.admit(limited, request.estimate, now)


@given(st.integers(1, 10_000), st.integers(1, 64))
def test_the_shares_of_all_workers_are_the_limit(limit: int, workers: int) -> None:
    limits = Limits(requests_per_minute=limit, concurrent=limit)
    shares = [limits.share(workers, number) for number in range(workers)]
    for field in ("requests_per_minute", "concurrent"):
        parts = [getattr(share, field) for share in shares]
        assert sum(parts) == limit
        assert max(parts) - min(parts) <= 1
    assert {share.tokens_per_minute for share in shares} == {None}
