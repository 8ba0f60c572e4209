"""A made-up fleet and a month of demand on it, for the customers of the sample book.

Every customer of the sample's last month uses tokens in proportion to what it pays, more by day
than by night and less at weekends; the fleet is built for the busiest hour. Nobody's figures.
"""

import math
import random
from collections.abc import Mapping

import msgspec

from quartermaster.capacity.demand import HourTokens
from quartermaster.capacity.fleet import Fleet, Point, Pool, Reservation
from quartermaster.kernel.clock import US_PER_HOUR, month_named
from quartermaster.sim.book import reference_scenario, sample_book

MODEL = "sample-70b"

# Sample shape, not data: requests that a dollar buys, tokens of a request, and how the day goes.
_REQUESTS_PER_DOLLAR = 250
_PROMPT_TOKENS, _OUTPUT_TOKENS = 1_000, 300
_DAY_SWING, _WEEKEND_PERCENT = 350, 70
_HOURS_A_DAY = 24
_FIRST_PEAK, _PEAKS = 13, 7
# An epoch day of 0 is a Thursday: days 2 and 3 after a Thursday are the weekend.
_WEEKEND = (2, 3)
_RESERVED_GPUS = 12_000


class SampleCapacity(msgspec.Struct, frozen=True):
    """What was built, who used it in one month, and what they paid for that month."""

    fleet: Fleet
    rows: tuple[HourTokens, ...]
    revenue: Mapping[str, int]
    """Minor units by customer."""
    month: str
    span: tuple[int, int]
    """First hour, and how many."""


def sample_capacity() -> SampleCapacity:
    """The sample; the same every time, because its world is seeded."""
    book = sample_book()
    month = max(row.month for row in book)
    paid = {row.customer: row.minor for row in book if row.month == month}
    period = month_named(month, "UTC")
    hours = range(period.start, period.end, US_PER_HOUR)
    draw = random.Random(reference_scenario().seed)  # noqa: S311 - a reproducible world
    rows = [
        row
        for customer, minor in sorted(paid.items())
        for row in _demand(customer, minor, hours, _FIRST_PEAK + draw.randrange(_PEAKS))
    ]
    largest = max(paid, key=lambda customer: (paid[customer], customer))
    return SampleCapacity(
        _fleet(book[0].currency, largest), tuple(sorted(rows)), paid, month, (hours[0], len(hours))
    )


def _demand(customer: str, minor: int, hours: range, peak_hour: int) -> list[HourTokens]:
    """A month of one customer; its requests follow the hours' weights."""
    weights = [_weight(hour // US_PER_HOUR, peak_hour) for hour in hours]
    whole, requests = sum(weights), minor * _REQUESTS_PER_DOLLAR // 100
    found = []
    for hour, weight in zip(hours, weights, strict=True):
        count = requests * weight // whole
        found.append(
            HourTokens(
                hour=hour,
                customer=customer,
                model=MODEL,
                prefill_tokens=count * _PROMPT_TOKENS,
                decode_tokens=count * _OUTPUT_TOKENS,
                requests=count,
            )
        )
    return found


def _weight(hour: int, peak_hour: int) -> int:
    """Of an hour since the epoch: a wave over the day, lower at weekends."""
    angle = 2 * math.pi * ((hour % _HOURS_A_DAY) - peak_hour) / _HOURS_A_DAY
    wave = 1_000 + round(_DAY_SWING * math.cos(angle))
    weekend = hour // _HOURS_A_DAY % 7 in _WEEKEND
    return wave * (_WEEKEND_PERCENT if weekend else 100)


def _fleet(currency: str, largest: str) -> Fleet:
    """Owned and leased GPUs with round prices, and points as round as they."""
    owned = Pool(
        id="h100-owned",
        gpu="h100-80gb",
        model=MODEL,
        gpus=52_000,
        tensor_parallel=8,
        batch=32,
        prompt_tokens=_PROMPT_TOKENS,
        output_tokens=_OUTPUT_TOKENS,
        headroom_percent=10,
        capex_per_gpu="32000",
        depreciation_months=48,
        power_kw_per_gpu="1.1",
        pue="1.2",
        power_price_per_kwh="0.08",
        reservations=(Reservation(customer=largest, gpus=_RESERVED_GPUS),),
    )
    leased = Pool(
        id="a100-leased",
        gpu="a100-80gb",
        model=MODEL,
        gpus=8_000,
        tensor_parallel=8,
        batch=16,
        prompt_tokens=_PROMPT_TOKENS,
        output_tokens=_OUTPUT_TOKENS,
        headroom_percent=10,
        lease_per_gpu_hour="1.80",
    )
    points = [
        _point("h100-80gb", 500, 1, 55, 29),
        _point("h100-80gb", 4_000, 1, 390, 31),
        _point("h100-80gb", 500, 64, 2_900, 50),
        _point("a100-80gb", 500, 1, 90, 41),
        _point("a100-80gb", 4_000, 1, 630, 43),
        _point("a100-80gb", 500, 64, 5_100, 66),
    ]
    return Fleet(
        name="sample fleet", currency=currency, pools=(owned, leased), points=tuple(points)
    )


def _point(gpu: str, prompt: int, batch: int, prefill_ms: float, decode_ms: float) -> Point:
    return Point(
        model=MODEL,
        gpu=gpu,
        tensor_parallel=8,
        prompt_tokens=prompt,
        output_tokens=_OUTPUT_TOKENS,
        batch=batch,
        prefill_ms=prefill_ms,
        decode_ms=decode_ms,
    )
