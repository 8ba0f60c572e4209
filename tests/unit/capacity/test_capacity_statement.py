"""Busy, reserved-idle, idle and stranded hours of fleets small enough to count by hand."""

import pytest

from quartermaster.capacity.cost import GPU_US_PER_GPU_HOUR
from quartermaster.capacity.demand import HourTokens, without
from quartermaster.capacity.fleet import Fleet, Point, Pool, Reservation
from quartermaster.capacity.series import OTHERS, stack
from quartermaster.capacity.statement import Statement, state, window, without_reservations
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.errors import DataError

HOUR = GPU_US_PER_GPU_HOUR
# One replica of one GPU writes a token in 1 ms whatever the batch: 3.6 million an hour.
POINT = Point(
    model="m",
    gpu="g",
    tensor_parallel=1,
    prompt_tokens=1,
    output_tokens=1,
    batch=1,
    prefill_ms=1,
    decode_ms=1,
)
AN_HOUR = 3_600_000


def pool(**fields: object) -> Pool:
    given: dict[str, object] = {
        "id": "p",
        "gpu": "g",
        "model": "m",
        "gpus": 10,
        "batch": 1,
        "prompt_tokens": 1,
        "output_tokens": 1,
        "lease_per_gpu_hour": "1.00",
    }
    return Pool(**{**given, **fields})  # type: ignore[arg-type]


def fleet(*pools: Pool) -> Fleet:
    return Fleet(name="f", currency="USD", pools=pools, points=(POINT,))


def tokens(hour: int, customer: str, gpus: float, model: str = "m") -> HourTokens:
    """Demand that keeps so many GPUs busy for the hour."""
    return HourTokens(hour * US_PER_HOUR, customer, model, 0, int(gpus * AN_HOUR))


def stated(built: Fleet, *rows: HourTokens, revenue: dict[str, int] | None = None) -> Statement:
    return state(built, rows, span=window(rows), revenue=revenue)


def test_the_peak_divides_idle_from_stranded() -> None:
    found = stated(fleet(pool()), tokens(0, "a", 6), tokens(1, "a", 2))
    assert found.time.busy == {"a": 8 * HOUR}
    assert (found.time.idle, found.time.stranded) == (4 * HOUR, 8 * HOUR)
    assert found.cost_minor == 2_000
    assert (found.customer_minor, found.money.idle, found.money.stranded) == (800, 400, 800)
    assert found.pools[0].account.needed_gpus == 6


def test_headroom_and_whole_replicas_are_needed_too() -> None:
    built = fleet(pool(gpus=16, tensor_parallel=4, headroom_percent=50))
    point = Point(
        model="m", gpu="g", tensor_parallel=4, prompt_tokens=1, batch=1, prefill_ms=1, decode_ms=1
    )
    built = Fleet(name="f", currency="USD", pools=built.pools, points=(point,))
    # 1.5 replicas of four GPUs are 6 GPUs, with half as much above 9: three replicas.
    found = stated(built, HourTokens(0, "a", "m", 0, AN_HOUR * 3 // 2))
    assert found.pools[0].account.needed_gpus == 12
    assert found.time.stranded == 4 * HOUR


def test_what_is_reserved_is_never_stranded() -> None:
    kept = pool(reservations=(Reservation(customer="a", gpus=5),))
    found = stated(fleet(kept), tokens(0, "a", 2), tokens(0, "b", 3))
    assert found.time.busy == {"a": 2 * HOUR, "b": 3 * HOUR}
    assert found.time.reserved_idle == {"a": 3 * HOUR}
    assert (found.time.idle, found.time.stranded) == (0, 2 * HOUR)
    assert (found.reserved_idle_minor, found.customers[0].reserved_idle_minor) == (300, 300)


def test_who_leaves_turns_reserved_hours_into_stranded_ones_less_the_backfill() -> None:
    built = fleet(pool(reservations=(Reservation(customer="a", gpus=5),)))
    rows = (tokens(0, "a", 4), tokens(0, "b", 3))
    gone = without_reservations(built, ["a"])
    assert stated(built, *rows).time.stranded == 2 * HOUR
    assert stated(gone, *without(rows, ["a"])).time.stranded == 7 * HOUR
    half = stated(gone, *without(rows, ["a"], 50))
    assert half.time.stranded == 5 * HOUR
    assert half.cost_minor == stated(built, *rows).cost_minor


def test_others_may_use_what_is_reserved_and_free() -> None:
    kept = pool(reservations=(Reservation(customer="a", gpus=8),))
    found = stated(fleet(kept), tokens(0, "b", 6))
    assert found.time.busy == {"b": 6 * HOUR}
    assert found.time.reserved_idle == {"a": 4 * HOUR}
    assert found.time.idle == found.time.stranded == 0


def test_demand_beyond_the_hours_is_cut_and_said() -> None:
    found = stated(fleet(pool()), tokens(0, "a", 15), tokens(0, "b", 5))
    assert found.time.busy == {"a": 15 * HOUR // 2, "b": 5 * HOUR // 2}
    assert found.time.beyond == 10 * HOUR
    assert "by its points 100.0 % more work" in found.warnings[-1]


def test_two_pools_of_a_model_are_equally_busy() -> None:
    built = fleet(pool(id="small", gpus=2), pool(id="large", gpus=8))
    found = stated(built, tokens(0, "a", 5))
    assert [line.hours.busy["a"] for line in found.pools] == [HOUR, 4 * HOUR]


def test_demand_that_no_pool_serves_is_refused_unless_it_is_served_elsewhere() -> None:
    rows = (tokens(0, "a", 1), tokens(0, "b", 1, model="other"))
    with pytest.raises(DataError, match="no pool serves 'other'"):
        stated(fleet(pool()), *rows)
    built = Fleet(name="f", currency="USD", pools=(pool(),), points=(POINT,), elsewhere=("other",))
    assert [line.customer for line in stated(built, *rows).customers] == ["a"]


def test_a_pool_of_unknown_speed_is_refused_and_says_what_is_missing() -> None:
    built = Fleet(name="f", currency="USD", pools=(pool(),))
    with pytest.raises(DataError, match=r"no \[\[point\]\] of m on g .* no \[\[gpu\]\] of that id"):
        stated(built, tokens(0, "a", 1))


def test_margin_takes_use_and_unused_reservations_from_revenue() -> None:
    kept = pool(reservations=(Reservation(customer="a", gpus=5),))
    rows = (tokens(0, "a", 2), tokens(0, "b", 3))
    found = stated(fleet(kept), *rows, revenue={"a": 1_000, "c": 50})
    margins = {line.customer: line.margin_minor for line in found.customers}
    assert margins == {"a": 1_000 - 200 - 300, "b": -300, "c": 50}
    assert "b: demand, but no revenue" in found.warnings
    assert "c: revenue, but neither demand nor a reservation" in found.warnings
    assert {line.margin_minor for line in stated(fleet(kept), *rows).customers} == {None}


def test_cost_per_million_falls_with_the_batch() -> None:
    points = (
        POINT,
        Point(
            model="m",
            gpu="g",
            tensor_parallel=1,
            prompt_tokens=1,
            output_tokens=1,
            batch=64,
            prefill_ms=64,
            decode_ms=4,
        ),
    )
    built = Fleet(name="f", currency="USD", pools=(pool(),), points=points)
    costs = {cell.batch: cell for cell in stated(built, tokens(0, "a", 1)).pools[0].batches}
    # 1 ms at $1.00 an hour, a million times, is $0.2778; 64 sequences in 4 ms cost a sixteenth.
    assert costs[1].decode_per_million == "0.2778"
    assert costs[64].decode_per_million == "0.0174"
    assert costs[1].prefill_per_million == "0.2778"
    assert costs[1].blended_per_million == "0.2778"
    assert [costs[batch].extrapolated for batch in (1, 64, 128)] == [False, False, True]


def test_a_window_of_mistyped_years_is_refused() -> None:
    with pytest.raises(DataError, match="spans 200,001 hours"):
        window((tokens(0, "a", 1), tokens(200_000, "a", 1)))
    with pytest.raises(DataError, match="no demand"):
        window(())


def test_a_long_window_is_drawn_in_steps_that_keep_the_mean() -> None:
    rows = [tokens(hour, f"c{hour % 7}", hour % 5) for hour in range(1_000)]
    found = stated(fleet(pool()), *rows)
    drawn = stack(found)
    assert drawn.step_hours == 5
    assert len(drawn.starts) == 200
    assert drawn.layers[-1][0] == OTHERS
    heights = [
        sum(parts)
        for parts in zip(
            *(row for _, row in drawn.layers),
            drawn.reserved_idle,
            drawn.idle,
            drawn.stranded,
            strict=True,
        )
    ]
    assert heights == pytest.approx([drawn.provisioned] * 200)
    busy = sum(sum(row) for _, row in drawn.layers) * 5
    assert busy == pytest.approx(sum(found.time.busy.values()) / HOUR)
