"""Capacity is conserved: whatever the fleet and the demand, no cent and no GPU-second is lost."""

from collections.abc import Callable, Iterable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from quartermaster.capacity.cost import GPU_US_PER_GPU_HOUR
from quartermaster.capacity.demand import HourTokens, read_demand, without
from quartermaster.capacity.fleet import Fleet, Point, Pool, Reservation, parse_fleet
from quartermaster.capacity.monotone import fit
from quartermaster.capacity.placement import Rated, placed, rated_pools
from quartermaster.capacity.statement import state, window, without_reservations
from quartermaster.capacity.throughput import Key, tables
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.errors import DataError
from quartermaster.sim.capacity import sample_capacity

CUSTOMERS = ("a", "b", "c")
MODELS = ("m", "n")

times = st.floats(0.01, 1e5)
points = st.lists(
    st.builds(
        Point,
        model=st.sampled_from(MODELS),
        gpu=st.just("g"),
        tensor_parallel=st.just(2),
        prompt_tokens=st.integers(1, 10_000),
        output_tokens=st.integers(0, 10_000),
        batch=st.integers(1, 256),
        prefill_ms=times,
        decode_ms=times,
    ),
    max_size=12,
)
MEASURED_ONCE = tuple(
    Point(
        model=model,
        gpu="g",
        tensor_parallel=2,
        prompt_tokens=500,
        batch=8,
        prefill_ms=90,
        decode_ms=40,
    )
    for model in MODELS
)


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    pools = []
    for place in range(draw(st.integers(1, 4))):
        replicas = draw(st.integers(1, 40))
        model = MODELS[place % 2] if place < 2 else draw(st.sampled_from(MODELS))
        reserved = draw(st.lists(st.sampled_from(CUSTOMERS), max_size=3, unique=True))
        free = 2 * replicas
        reservations = []
        for customer in reserved:
            gpus = draw(st.integers(0, free))
            free -= gpus
            if gpus:
                reservations.append(Reservation(customer=customer, gpus=gpus))
        owned = draw(st.booleans())
        pools.append(
            Pool(
                id=f"p{place}",
                gpu="g",
                model=model,
                gpus=2 * replicas,
                tensor_parallel=2,
                batch=draw(st.integers(1, 128)),
                prompt_tokens=draw(st.integers(1, 5_000)),
                output_tokens=draw(st.integers(1, 5_000)),
                headroom_percent=draw(st.integers(0, 60)),
                capex_per_gpu=str(draw(st.decimals(0, 50_000, places=3))) if owned else "",
                depreciation_months=draw(st.integers(1, 60)) if owned else 0,
                lease_per_gpu_hour="" if owned else str(draw(st.decimals(0, 9, places=4))),
                power_kw_per_gpu=str(draw(st.decimals(0, 2, places=2))),
                power_price_per_kwh=str(draw(st.decimals(0, 1, places=4))),
                reservations=tuple(reservations),
            )
        )
    return Fleet(
        name="f",
        currency=draw(st.sampled_from(("USD", "JPY", "KWD"))),
        pools=tuple(pools),
        points=(*MEASURED_ONCE, *draw(points)),
        elsewhere=tuple({*MODELS} - {pool.model for pool in pools}),
    )


demands = st.lists(
    st.builds(
        HourTokens,
        hour=st.integers(0, 12).map(lambda hour: hour * US_PER_HOUR),
        customer=st.sampled_from(CUSTOMERS),
        model=st.sampled_from(MODELS),
        prefill_tokens=st.integers(0, 10**10),
        decode_tokens=st.integers(0, 10**9),
        requests=st.integers(0, 10**6),
        cached_tokens=st.integers(0, 10**9),
    ),
    min_size=1,
    max_size=20,
)


@given(fleets(), demands, st.integers(0, 100))
def test_customers_and_idle_and_stranded_are_the_cost_to_the_cent(
    fleet: Fleet, rows: list[HourTokens], backfill: int
) -> None:
    span = window(rows)
    before = state(fleet, rows, span=span)
    after = state(without_reservations(fleet, ["a"]), without(rows, ["a"], backfill), span=span)
    for found in (before, after):
        customers = sum(line.cost_minor for line in found.customers)
        idle = found.money.idle + sum(line.reserved_idle_minor for line in found.customers)
        assert customers + idle + found.money.stranded == found.cost_minor
        whole = sum(pool.gpus for pool in fleet.pools) * GPU_US_PER_GPU_HOUR * found.hours
        assert found.time.whole == found.gpu_us == whole
        assert found.cost_minor == sum(line.cost.minor for line in found.pools)
        for line in found.pools:
            assert line.money.whole == line.cost.minor
            for hour in line.account.hours.values():
                parts = [*hour.busy.values(), *hour.reserved_idle.values(), hour.idle]
                assert min([*parts, hour.stranded]) >= 0
                all_us = line.account.pool.gpus * GPU_US_PER_GPU_HOUR
                assert sum(parts) + hour.stranded == all_us
    assert after.cost_minor == before.cost_minor


@given(fleets(), demands)
def test_who_leaves_strands_capacity_and_frees_none(fleet: Fleet, rows: list[HourTokens]) -> None:
    span = window(rows)
    before = state(fleet, rows, span=span)
    after = state(without_reservations(fleet, ["a"]), without(rows, ["a"]), span=span)
    for earlier, later in zip(before.pools, after.pools, strict=True):
        assert later.account.needed_gpus <= earlier.account.needed_gpus
        assert later.hours.stranded >= earlier.hours.stranded
    assert "a" not in after.time.busy


@given(points, st.data())
def test_more_work_never_takes_less_time(measured: list[Point], data: st.DataObject) -> None:
    table = tables([*measured, MEASURED_ONCE[0]])[Key("m", "g", 2)]
    sizes = st.floats(1, 1e7)
    small, large = sorted((data.draw(sizes), data.draw(sizes)))
    other = data.draw(sizes)
    slack = 1 + 1e-9
    assert table.prefill_ms(small) <= table.prefill_ms(large) * slack
    assert table.decode_ms(small, other) <= table.decode_ms(large, other) * slack
    assert table.decode_ms(other, small) <= table.decode_ms(other, large) * slack


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=30))
def test_a_fitted_curve_rises_and_keeps_the_mean(pairs: list[tuple[float, float]]) -> None:
    curve = fit(pairs)
    assert list(curve.ys) == sorted(curve.ys)
    assert 0 <= curve.slope_after <= 1
    low, high = min(y for _, y in pairs), max(y for _, y in pairs)
    assert all(low - 1e-9 <= y <= high + 1e-9 for y in curve.ys)


tomls = st.recursive(
    st.one_of(
        st.integers(-10, 10**20), st.floats(), st.booleans(), st.text('a\x1b"0.1', max_size=4)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(("id", "gpus", "reservation", "batch")), inner),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(("pool", "point", "gpu", "model", "name", "schema")), tomls))
def test_any_tree_is_a_fleet_or_refused_in_words(tree: dict[str, object]) -> None:
    head = 'schema = "quartermaster.fleet/1"\nname = "f"\ncurrency = "USD"\n'
    lines = [f"{key} = {inline(value)}" for key, value in tree.items()]
    for text in ("\n".join(lines), head + "\n".join(lines)):
        assert refusal(partial(parse_fleet, text.encode(), "f.toml")).startswith(("f.toml", "read"))


def refusal(read: Callable[[], object]) -> str:
    """Why the input was refused; `read` where it was not."""
    try:
        read()
    except DataError as error:
        return error.message
    return "read"


def inline(value: object) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {inline(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(letter):04x}" for letter in value) + '"'
    return str(value).lower()


cells = st.one_of(
    st.text(max_size=6),
    st.sampled_from(("2024-03-04T12:00Z", "0001-01-01T00:00+14:00", "9999-12-31T23:00-14:00")),
    st.integers(0, 10**20).map(str),
    st.just("a"),
)


@given(st.lists(st.lists(cells, min_size=4, max_size=4), max_size=4), st.binary(max_size=9))
def test_any_csv_is_demand_or_refused_in_words(rows: list[list[str]], noise: bytes) -> None:
    text = "hour,customer,prefill_tokens,decode_tokens\n"
    text += "".join(",".join(row) + "\n" for row in rows)
    for data in (text.encode("utf-8", "replace"), text.encode("utf-8", "replace") + noise, noise):
        said = refusal(partial(read_demand, data, "d.csv", model="m"))
        assert said.startswith(("d.csv", "read"))


few = st.integers(0, 2)
"""So that rows are often alike, or alike but for one count."""
like_demands = st.lists(
    st.builds(
        HourTokens,
        hour=few.map(lambda hour: hour * US_PER_HOUR),
        customer=st.sampled_from(CUSTOMERS),
        model=st.sampled_from(MODELS),
        prefill_tokens=few.map(lambda count: count * 10**9),
        decode_tokens=few.map(lambda count: count * 10**8),
        requests=few.map(lambda count: count * 10**5),
        cached_tokens=few.map(lambda count: count * 10**8),
    ),
    max_size=30,
)

Busy = dict[str, dict[int, dict[str, int]]]


def placed_one_by_one(
    rows: Iterable[HourTokens], pools: tuple[Rated, ...], elsewhere: tuple[str, ...]
) -> Busy:
    sums: Busy = {rated.pool.id: {} for rated in pools}
    for row in rows:
        for pool, hours in placed([row], pools, elsewhere).items():
            for hour, customers in hours.items():
                into = sums[pool].setdefault(hour, {})
                for customer, busy_us in customers.items():
                    into[customer] = into.get(customer, 0) + busy_us
    return sums


@given(fleets(), like_demands)
def test_a_row_takes_the_same_time_whatever_is_placed_with_it(
    fleet: Fleet, demand: list[HourTokens]
) -> None:
    pools = rated_pools(fleet)
    found = placed(demand, pools, fleet.elsewhere)
    assert found == placed_one_by_one(demand, pools, fleet.elsewhere)


def test_rows_of_the_sample_take_the_same_time_whatever_is_placed_with_them() -> None:
    sample = sample_capacity()
    pools, rows = rated_pools(sample.fleet), sample.rows[:4_000]
    assert len({(row.prefill_tokens, row.decode_tokens) for row in rows}) < len(rows)
    assert placed(rows, pools, ()) == placed_one_by_one(rows, pools, ())
