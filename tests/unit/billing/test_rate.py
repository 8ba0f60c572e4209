"""Rating: which price, which period, which line, and what waits in the queue."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from quartermaster.billing.rate import RatedLine, rate
from quartermaster.kernel.clock import US_PER_HOUR, as_instant
from quartermaster.kernel.clock import month as calendar_month
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Axis, Counts

NOVEMBER = calendar_month(2026, 11, "Europe/Berlin")
CONTRACT = Contract("acme-1", 1, "acme", "list", "USD", "Europe/Berlin", 0)
USAGE = HourlyUsage(
    customer="acme",
    contract="acme-1",
    contract_version=1,
    price_book="list",
    project="default",
    key_id="k",
    model="m",
    deployment="d",
    service_class="standard",
    hour=NOVEMBER.start,
    requests=1,
    counts=Counts(),
)


def prices(version: int, valid_from: int, **amounts: str) -> PriceBook:
    axes: dict[str, Axis] = {"input": "input", "output": "output", "reasoning": "reasoning"}
    listed = tuple(Price("m", axes[axis], amount) for axis, amount in amounts.items())
    return PriceBook("list", version, "USD", valid_from, listed)


LIST = prices(1, 0, input="0.15", output="0.60")


def usage(hour: int = NOVEMBER.start, **changes: Any) -> HourlyUsage:
    counts = Counts(**{k: v for k, v in changes.items() if isinstance(v, int) and k in AXES})
    rest = {k: v for k, v in changes.items() if k not in AXES}
    return msgspec.structs.replace(USAGE, hour=hour, counts=counts, **rest)


AXES = ("input", "cached_read", "output", "reasoning")


def amounts(lines: tuple[RatedLine, ...]) -> dict[str, Decimal]:
    return {line.axis: line.amount for line in lines}


def test_each_axis_is_its_own_line_at_its_own_exact_price() -> None:
    rated = rate([usage(input=137, output=21)], [CONTRACT], [LIST])
    assert amounts(rated.lines) == {"input": Decimal("0.00002055"), "output": Decimal("0.0000126")}
    assert rated.unpriced == ()
    assert {line.period for line in rated.lines} == {NOVEMBER}


def test_small_calls_are_not_rounded_away() -> None:
    """100,000 calls of 137 tokens at $0.15 a million are $2.055, not $0.00."""
    hours = [usage(NOVEMBER.start + n * US_PER_HOUR, input=137 * 1_000) for n in range(100)]
    (line,) = rate(hours, [CONTRACT], [LIST]).lines
    assert line.quantity == 13_700_000
    assert line.amount == Decimal("2.055")


def test_reasoning_has_its_own_price_and_is_not_output() -> None:
    book = prices(1, 0, output="0.60", reasoning="2.00")
    rated = rate([usage(output=1_000_000, reasoning=500_000)], [CONTRACT], [book])
    assert amounts(rated.lines) == {"output": Decimal("0.60"), "reasoning": Decimal("1.00")}


def test_the_price_is_the_one_of_the_hour_of_use() -> None:
    noon = NOVEMBER.start + 12 * US_PER_HOUR
    books = [prices(2, noon, input="0.30"), LIST]
    hours = [usage(noon - US_PER_HOUR, input=10**6), usage(noon, input=10**6)]
    rated = rate(hours, [CONTRACT], books)
    assert {(line.price, line.amount) for line in rated.lines} == {
        ("0.15", Decimal("0.15")),
        ("0.30", Decimal("0.30")),
    }
    assert {line.price_book_versions for line in rated.lines} == {(1,), (2,)}


def test_an_unchanged_price_stays_one_line_across_versions() -> None:
    noon = NOVEMBER.start + 12 * US_PER_HOUR
    books = [LIST, prices(2, noon, input="0.15")]
    hours = [usage(noon - US_PER_HOUR, input=3), usage(noon, input=4)]
    (line,) = rate(hours, [CONTRACT], books).lines
    assert (line.quantity, line.price_book_versions) == (7, (1, 2))


def test_the_period_is_the_month_in_the_contracts_zone() -> None:
    before = usage(NOVEMBER.start - US_PER_HOUR, input=1)
    rated = rate([before, usage(input=2)], [CONTRACT], [LIST])
    assert [(line.period.label, line.quantity) for line in rated.lines] == [
        ("2026-10", 1),
        ("2026-11", 2),
    ]


def test_new_york_april_holds_exactly_its_local_month() -> None:
    """Local midnight is 04:00 UTC in April: the hours around it belong to different months."""
    contract = msgspec.structs.replace(CONTRACT, time_zone="America/New_York")
    stamps = {
        "2024-04-01T03:00:00+00:00": "2024-03",
        "2024-04-01T04:00:00+00:00": "2024-04",
        "2024-05-01T03:00:00+00:00": "2024-04",
        "2024-05-01T04:00:00+00:00": "2024-05",
    }
    for text, label in stamps.items():
        hour = as_instant(msgspec.convert(text, datetime))
        (line,) = rate([usage(hour, input=1)], [contract], [LIST]).lines
        assert line.period.label == label


@pytest.mark.parametrize(
    ("changes", "contracts", "books", "reason"),
    [
        ({"reasoning": 5}, [CONTRACT], [LIST], "price book list version 1 has no price for it"),
        ({"input": 5, "model": "x"}, [CONTRACT], [LIST], "no price for it"),
        ({"input": 5, "service_class": "batch"}, [CONTRACT], [LIST], "no price for it"),
        ({"input": 5, "contract_version": 2}, [CONTRACT], [LIST], "version 2 is not in the book"),
        ({"input": 5, "contract": "x"}, [CONTRACT], [LIST], "is not in the book"),
        ({"input": 5, "customer": "eve"}, [CONTRACT], [LIST], "belongs to acme"),
        ({"input": 5}, [CONTRACT], [], "no version in force"),
        (
            {"input": 5},
            [CONTRACT],
            [prices(1, NOVEMBER.start + US_PER_HOUR, input="1")],
            "no version in force",
        ),
        (
            {"input": 5},
            [msgspec.structs.replace(CONTRACT, currency="EUR")],
            [LIST],
            "is in USD, the contract in EUR",
        ),
    ],
)
def test_a_quantity_without_a_price_waits_with_its_reason(
    changes: dict[str, Any],
    contracts: list[Contract],
    books: list[PriceBook],
    reason: str,
) -> None:
    rated = rate([usage(**changes)], contracts, books)
    assert rated.lines == ()
    (waiting,) = rated.unpriced
    assert waiting.quantity == 5
    assert reason in waiting.reason
    assert (waiting.first_hour, waiting.last_hour) == (NOVEMBER.start, NOVEMBER.start)


def test_a_price_of_zero_is_a_price() -> None:
    rated = rate([usage(input=5)], [CONTRACT], [prices(1, 0, input="0")])
    assert amounts(rated.lines) == {"input": Decimal(0)}
    assert rated.unpriced == ()


def test_the_queue_adds_up_what_waits_for_the_same_reason() -> None:
    hours = [usage(NOVEMBER.start + n * US_PER_HOUR, reasoning=n + 1) for n in range(3)]
    (waiting,) = rate(hours, [CONTRACT], [LIST]).unpriced
    assert waiting.quantity == 6
    assert waiting.last_hour - waiting.first_hour == 2 * US_PER_HOUR


def test_sample_contracts_and_books_mark_their_lines() -> None:
    sample = msgspec.structs.replace(CONTRACT, sample=True)
    (line,) = rate([usage(input=1)], [sample], [LIST]).lines
    assert line.sample
    (line,) = rate([usage(input=1)], [CONTRACT], [LIST]).lines
    assert not line.sample


def test_usage_under_an_unknown_version_waits_in_its_local_month() -> None:
    """The first hour of Berlin's November is still October in UTC."""
    (waiting,) = rate([usage(input=1, contract_version=9)], [CONTRACT], [LIST]).unpriced
    assert waiting.period == "2026-11"
    (waiting,) = rate([usage(input=1, contract="x")], [CONTRACT], [LIST]).unpriced
    assert waiting.period == "2026-10"
