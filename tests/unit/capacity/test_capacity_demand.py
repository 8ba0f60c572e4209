"""Demand from a CSV, from metered usage, and after somebody left."""

import pytest

from quartermaster.capacity.demand import (
    BACKFILL,
    HourTokens,
    from_usage,
    read_demand,
    without,
)
from quartermaster.capacity.revenue_csv import read_revenue
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.units import Counts

HEAD = "hour,customer,prefill_tokens,decode_tokens,model,requests,cached_tokens\n"
NOON = 1_709_553_600_000_000
"""2024-03-04 12:00 UTC."""


def usage(customer: str, hour: int, counts: Counts, project: str = "p") -> HourlyUsage:
    return HourlyUsage(
        customer=customer,
        contract="k",
        contract_version=1,
        price_book="b",
        project=project,
        key_id="key",
        model="m",
        deployment="d",
        service_class="standard",
        hour=hour,
        requests=2,
        counts=counts,
    )


def test_metered_axes_become_prefill_and_decode() -> None:
    counts = Counts(input=5, cached_read=7, cache_write=3, output=11, reasoning=13, image=99)
    rows = [
        usage("b", NOON, counts),
        usage("b", NOON, counts, project="q"),
        usage("a", NOON, Counts()),
    ]
    assert from_usage(rows) == (
        HourTokens(NOON, "a", "m", 0, 0, 2),
        HourTokens(NOON, "b", "m", 16, 48, 4, 14),
    )


def test_a_csv_in_any_zone_and_order() -> None:
    text = HEAD + ("2024-03-04T14:00+01:00,b,20,2,m,,\n2024-03-04T12:00Z,a,10,1,m,4,6\n\n")
    assert read_demand(text.encode(), "d.csv") == (
        HourTokens(NOON, "a", "m", 10, 1, 4, 6),
        HourTokens(NOON + US_PER_HOUR, "b", "m", 20, 2),
    )


def test_a_fleet_of_one_model_need_not_be_named_in_every_row() -> None:
    text = "Hour;Customer;Decode_tokens;Prefill_tokens\n2024-03-04T12:00Z;a;1;10\n"
    assert read_demand(text.encode("utf-8-sig"), "d.csv", model="m") == (
        HourTokens(NOON, "a", "m", 10, 1),
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("noon,a,1,1,m,1,", "line 2: hour 'noon' is not a time"),
        ("2024-03-04T12:00,a,1,1,m,1,", "line 2: hour '2024-03-04T12:00' has no time zone"),
        ("0001-01-01T00:00+10:00,a,1,1,m,1,", "line 2: hour '0001-01-01T00:00+10:00' is not bet"),
        ("2024-03-04T12:30Z,a,1,1,m,1,", "line 2: hour '2024-03-04T12:30Z' does not begin"),
        ("2024-03-04T12:00Z,,1,1,m,1,", "line 2: customer is empty"),
        ("2024-03-04T12:00Z,a,1,1,,1,", "line 2: model is empty"),
        ("2024-03-04T12:00Z,a,1.5,1,m,1,", "line 2: prefill_tokens '1.5' is not a whole number"),
        ("2024-03-04T12:00Z,a,1,-1,m,1,", "line 2: decode_tokens '-1' is not a whole number"),
        ("2024-03-04T12:00Z,a,1,1,m,x,", "line 2: requests 'x' is not a whole number"),
        ("2024-03-04T12:00Z,a,1", "line 2: 3 fields where the header has 7"),
    ],
)
def test_a_bad_row_is_named(row: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_demand(f"{HEAD}{row}\n".encode(), "d.csv")
    assert said in caught.value.message


def test_rows_are_not_added_up_in_silence() -> None:
    row = "2024-03-04T12:00Z,a,1,1,m,1,\n"
    with pytest.raises(DataError, match="the same hour, customer and model as line 2"):
        read_demand((HEAD + row + row).encode(), "d.csv")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("", "missing: 'hour'"),
        ("hour,customer,prefill_tokens\n", "missing: 'decode_tokens'"),
        (HEAD.replace("model", "modell"), "unknown: 'modell'"),
        (HEAD.replace("model", "hour"), "there twice: 'hour'"),
        (HEAD, "holds no demand"),
    ],
)
def test_columns_are_checked(head: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_demand(head.encode(), "d.csv")


def test_a_leaver_is_gone_and_backfill_takes_its_part_of_every_hour() -> None:
    rows = (
        HourTokens(NOON, "a", "m", 100, 10, 4, 8),
        HourTokens(NOON, "b", "m", 50, 5, 2),
        HourTokens(NOON, "c", "m", 7, 7, 7),
    )
    assert without(rows, ["a", "b"]) == rows[2:]
    assert without(rows, ["a", "b"], 50) == (
        HourTokens(NOON, BACKFILL, "m", 75, 7, 3, 4),
        rows[2],
    )


def test_revenue_is_added_up_by_customer_and_other_columns_are_left_alone() -> None:
    text = "customer,month,revenue,currency\na,2024-03,1.50,USD\na,2024-04,2,USD\nb,,-3.01,USD\n"
    assert read_revenue(text.encode(), "r.csv", "USD") == {"a": 350, "b": -301}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,1.505,USD", "revenue '1.505' has more decimals than USD"),
        ("a,1.50,EUR", "'EUR' where the fleet has USD"),
        ("a,one,USD", "'one' is not a decimal number"),
        (",1,USD", "customer is empty"),
    ],
)
def test_bad_revenue_is_named(row: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_revenue(f"customer,revenue,currency\n{row}\n".encode(), "r.csv", "USD")
    assert f"line 2: {said}" in caught.value.message
