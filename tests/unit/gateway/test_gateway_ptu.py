"""Provisioned throughput: Azure's leaky bucket, spillover, and several workers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.gateway.ptu import Lane, Lanes, Ride, enter, spillover_headers, weigh
from quartermaster.gateway.rate_headers import RateLimitedError, retry_headers
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.snapshot import Provisioned
from quartermaster.kernel.units import Counts

NOW = 1_700_000_000 * US_PER_S
MINUTE = 60 * US_PER_S
TERMS = Provisioned("m", 60_000, 8, spillover=False)


def lane(*, now: int = NOW, **changes: object) -> Lane:
    terms = {
        "model": "m", "input_tokens_per_minute": 60_000, "output_weight": 8, "spillover": False,
    }  # fmt: skip
    return Lanes(1, 0).lane("c", Provisioned(**{**terms, **changes}), now)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("read", "written", "cached", "per_minute"),
    [(100, 50, 0, 500_000), (100, 50, 25, 475_000), (500, 200, 0, 2_100_000),
     (500, 200, 125, 1_975_000)],
)  # fmt: skip
def test_tokens_weigh_as_the_vendor_publishes_it(
    read: int, written: int, cached: int, per_minute: int
) -> None:
    """Microsoft's sizing examples: 1,000 requests a minute, output counts eightfold."""
    counts = Counts(input=read - cached, cached_read=cached, output=written)
    assert 1_000 * weigh(counts, 8) == per_minute


def test_reasoning_weighs_as_output_does() -> None:
    assert weigh(Counts(input=10, reasoning=5, output=1), 4) == 34


def test_one_request_may_go_over_and_the_next_waits_until_utilisation_is_below() -> None:
    one = lane()
    assert enter(one)
    Ride(one, 90_000)
    assert one.utilisation_permille(NOW) == 1_500
    with pytest.raises(RateLimitedError) as refused:
        enter(one)
    # 30,000 over at 1,000 a second, and one unit of room.
    assert b"retry-after-ms: 30001\r\n" in retry_headers(refused.value)
    assert b"retry-after: 31\r\n" in retry_headers(refused.value)
    one.bucket.refill(NOW + refused.value.wait_us)
    assert enter(one)
    assert (one.served, one.refused) == (1, 1)


def test_an_estimate_is_corrected_by_what_was_metered() -> None:
    one = lane()
    ride = Ride(one, 50_000)
    ride.metered(Counts(input=2_000, cached_read=40_000, output=1_000), NOW)
    assert one.bucket.level == 10_000
    ride.metered(Counts(input=9), NOW)
    assert one.bucket.level == 10_000
    Ride(one, 10).metered(Counts(output=5_000), NOW)
    assert one.bucket.level == 50_000
    Ride(one, 5_000).metered(Counts(), NOW)
    assert one.bucket.level == 50_000


def test_the_bucket_drains_with_the_throughput_of_all_units() -> None:
    one = lane()
    Ride(one, 60_000)
    assert [one.utilisation_permille(NOW + n * MINUTE // 4) for n in range(5)] == [
        1_000, 750, 500, 250, 0,
    ]  # fmt: skip


def test_what_spills_over_is_told_as_azure_tells_it() -> None:
    one = lane(spillover=True)
    Ride(one, 60_000)
    assert not enter(one)
    with pytest.raises(RateLimitedError):
        enter(one, can_spill=False)
    assert spillover_headers("gpt-4o", "gpt-4o@eu").split(b"\r\n") == [
        b"x-ms-spillover-from-deployment: gpt-4o", b"x-ms-deployment-name: gpt-4o@eu", b"",
    ]  # fmt: skip
    strange = spillover_headers("mod\r\nset-cookie: a", "é")
    assert strange.count(b"\r\n") == 2


def test_workers_share_the_units_and_a_resize_takes_effect_at_once() -> None:
    terms = Provisioned("m", 1_001, 1, spillover=False)
    shares = [Lanes(3, number).lane("c", terms, NOW).bucket.per_minute for number in range(3)]
    assert sum(shares) == 1_001
    lanes = Lanes(1, 0)
    Ride(lanes.lane("c", terms, NOW), 1_001)
    more = lanes.lane("c", Provisioned("m", 2_002, 1, spillover=False), NOW)
    assert more.utilisation_permille(NOW) == 500
    (status,) = lanes.status(NOW)
    assert (status.contract, status.input_tokens_per_minute) == ("c", 2_002)
    lanes.keep(())
    assert lanes.status(NOW) == ()


@given(
    st.lists(
        st.tuples(st.integers(0, 20_000_000), st.integers(0, 90_000), st.integers(0, 90_000)),
        max_size=60,
    )
)
def test_over_any_time_no_more_passes_than_the_units_carry_and_one_request(
    steps: list[tuple[int, int, int]],
) -> None:
    """What was metered of admitted requests is at most the throughput, one bucket, one request."""
    one, now, used, largest = lane(), NOW, 0, 0
    for wait_us, estimate, actual in steps:
        now += wait_us
        one.bucket.refill(now)
        try:
            enter(one)
        except RateLimitedError:
            continue
        Ride(one, estimate).metered(Counts(input=actual), now)
        used += actual
        largest = max(largest, actual)
        assert used <= 60_000 + largest + -(-60_000 * (now - NOW) // MINUTE)
