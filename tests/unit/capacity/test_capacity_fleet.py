"""The fleet file: every mistake is named with its entry and its field."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from quartermaster.capacity.cost import capex, hourly_rates, pool_cost
from quartermaster.capacity.fleet import parse_fleet
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.money import Money

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
HEAD = 'schema = "quartermaster.fleet/1"\nname = "f"\ncurrency = "USD"\n'
POOL = """
[[pool]]
id = "a"
gpu = "h100-80gb"
model = "m"
gpus = 16
tensor_parallel = 8
batch = 8
prompt_tokens = 100
output_tokens = 10
"""
LEASE = 'lease_per_gpu_hour = "2.50"\n'


def refused(text: str) -> str:
    with pytest.raises(DataError) as caught:
        parse_fleet(text.encode(), "fleet.toml")
    return caught.value.message


@pytest.mark.parametrize("name", ["fleet-sample.toml", "fleet-cold-start.toml"])
def test_the_examples_are_read(name: str) -> None:
    fleet = parse_fleet((EXAMPLES / name).read_bytes(), name)
    assert fleet.pools
    assert all(pool.gpus % pool.tensor_parallel == 0 for pool in fleet.pools)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing required field schema"),
        (HEAD, "pool: there is none"),
        (HEAD + "pool = 3\n", "pool: write each one as [[pool]]"),
        (HEAD + "colour = 1\n" + POOL + LEASE, "unknown field colour"),
        (HEAD.replace("USD", "usd") + POOL + LEASE, "currency: 'usd' is not an ISO 4217 code"),
        (HEAD + POOL, "pool 'a': capex_per_gpu or lease_per_gpu_hour"),
        (HEAD + POOL + 'capex_per_gpu = "3"\n', "pool 'a': depreciation_months: needed"),
        (HEAD + POOL + LEASE + "depreciation_months = 4\n", "depreciation_months: only with"),
        (HEAD + POOL + "lease_per_gpu_hour = 2.5\n", "lease_per_gpu_hour: expected str, got float"),
        (HEAD + POOL + 'lease_per_gpu_hour = "2,50"\n', "lease_per_gpu_hour: '2,50' is not a dec"),
        (HEAD + POOL + 'lease_per_gpu_hour = "-1"\n', "lease_per_gpu_hour: -1 is not between"),
        (HEAD + POOL + 'lease_per_gpu_hour = "1e30"\n', "lease_per_gpu_hour: 1E+30 is not betw"),
        (HEAD + POOL + LEASE + 'pue = "0.9"\n', "pue: 0.9 is under 1"),
        (HEAD + POOL + LEASE + 'pue = "1200"\n', "pue: 1200 is not between"),
        (HEAD + POOL.replace("16", "15") + LEASE, "gpus: 15 is not a multiple of tensor_parallel"),
        (HEAD + POOL.replace("16", "0") + LEASE, "pool 'a': gpus: expected int >= 1"),
        (HEAD + POOL.replace("batch = 8\n", "") + LEASE, "pool 'a': object missing required fie"),
        (HEAD + POOL + LEASE + POOL + LEASE, "pool 'a' is there 2 times"),
        (
            HEAD + POOL + LEASE + '[[pool.reservation]]\ncustomer = "x"\ngpus = 17\n',
            "pool 'a': reservation: 17 GPUs are reserved of 16",
        ),
        (
            HEAD + POOL + LEASE + 2 * '[[pool.reservation]]\ncustomer = "x"\ngpus = 1\n',
            "reservation: 'x' is there 2 times",
        ),
        (
            HEAD + POOL + LEASE + '[[pool.reservation]]\ncustomer = "x"\ngpus = "1"\n',
            "pool 'a': reservation[0].gpus: expected int, got str",
        ),
        (HEAD + POOL + LEASE + '[[point]]\nmodel = "m"\n', "point 1: object missing required"),
        ('elsewhere = ["m"]\n' + HEAD + POOL + LEASE, "elsewhere: 'm' is served by a pool"),
        (HEAD.replace('"f"', '"\\u001b[2J"') + POOL + LEASE, "holds a control character"),
        ("schema = ", "not TOML"),
    ],
)
def test_a_mistake_is_named(text: str, said: str) -> None:
    assert said in refused(text)


def test_all_mistakes_are_listed_at_once() -> None:
    message = refused(HEAD + POOL.replace("16", "x") + POOL.replace('"a"', "1"))
    assert "not TOML" in message
    message = refused(HEAD + POOL.replace("16", '"x"') + POOL.replace('"a"', '"B"'))
    assert message.startswith("fleet.toml: 2 problems")
    assert "pool 'a': gpus" in message
    assert "pool 'B': id" in message


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(DataError, match="UTF-8"):
        parse_fleet(b"\xff\xfe", "fleet.toml")


def test_owned_gpus_are_written_off_over_their_months() -> None:
    owned = 'capex_per_gpu = "35064"\ndepreciation_months = 48\n'
    power = 'power_kw_per_gpu = "1"\npue = "1.25"\npower_price_per_kwh = "0.08"\n'
    fleet = parse_fleet((HEAD + POOL + owned + power).encode(), "f")
    (pool,) = fleet.pools
    assert hourly_rates(pool) == (Fraction(1), Fraction(0), Fraction(1, 10))
    cost = pool_cost(pool, 48 * 8_766 // 12, "USD")
    assert cost.depreciation_minor == 16 * 3_506_400
    assert cost.power_minor == 16 * 350_640
    assert cost.minor == cost.depreciation_minor + cost.lease_minor + cost.power_minor
    assert capex(fleet) == Money(16 * 3_506_400, "USD")
    assert pool.amount("lease_per_gpu_hour") == Decimal(0)


def test_each_cost_line_is_rounded_once() -> None:
    fleet = parse_fleet((HEAD + POOL + 'lease_per_gpu_hour = "0.0003125"\n').encode(), "f")
    assert pool_cost(fleet.pools[0], 1, "USD").minor == 1
    assert pool_cost(fleet.pools[0], 3, "USD").minor == 2
    assert pool_cost(fleet.pools[0], 1, "JPY").minor == 0
