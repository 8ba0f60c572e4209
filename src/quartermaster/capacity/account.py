"""Where a pool's hours went: busy for a customer, reserved and idle, idle, or stranded.

Every hour of every GPU is exactly one of

- *busy*: it worked for a customer;
- *reserved idle*: kept for a customer who did not use it;
- *idle*: free now, but the busiest hour of the window needs it, with the stated headroom;
- *stranded*: free, and not even the busiest hour needs it.

All are integers of GPU-microseconds, so nothing is lost, and a pool's cost is divided by them to
the last minor unit. Who leaves turns busy and reserved hours into stranded ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from quartermaster.capacity.cost import GPU_US_PER_GPU_HOUR, PoolCost
from quartermaster.capacity.fleet import Pool
from quartermaster.kernel.money import split

Busy = Mapping[int, Mapping[str, int]]
"""GPU-microseconds by hour and customer."""


class PoolHour(msgspec.Struct, frozen=True):
    """One hour of one pool, in GPU-microseconds that sum to all of its GPUs."""

    busy: dict[str, int]
    reserved_idle: dict[str, int]
    idle: int
    stranded: int
    beyond: int = 0
    """Demand that by the throughput table did not fit; never part of the sum."""


class PoolAccount(msgspec.Struct, frozen=True):
    """Every hour of a pool in a window."""

    pool: Pool
    hours: dict[int, PoolHour]
    needed_gpus: int
    """Whole replicas that the busiest hour takes, with headroom, at most all there are."""
    peak_us: int
    """Busiest hour: use, and reservations where they are higher."""

    @property
    def gpu_us(self) -> int:
        """All of the pool's GPU-microseconds in the window."""
        return self.pool.gpus * GPU_US_PER_GPU_HOUR * len(self.hours)

    def totals(self) -> "Totals":
        """Sums over the window."""
        busy: dict[str, int] = defaultdict(int)
        reserved: dict[str, int] = defaultdict(int)
        for hour in self.hours.values():
            for customer, us in hour.busy.items():
                busy[customer] += us
            for customer, us in hour.reserved_idle.items():
                reserved[customer] += us
        hours = self.hours.values()
        return Totals(
            busy=dict(sorted(busy.items())),
            reserved_idle=dict(sorted(reserved.items())),
            idle=sum(hour.idle for hour in hours),
            stranded=sum(hour.stranded for hour in hours),
            beyond=sum(hour.beyond for hour in hours),
        )


class Totals(msgspec.Struct, frozen=True):
    """GPU-microseconds, or minor units, of a window by what they were for."""

    busy: dict[str, int]
    reserved_idle: dict[str, int]
    idle: int
    stranded: int
    beyond: int = 0

    @property
    def whole(self) -> int:
        """Everything: customers, idle and stranded."""
        return (
            sum(self.busy.values()) + sum(self.reserved_idle.values()) + self.idle + self.stranded
        )


def account(pool: Pool, busy: Busy, hours: Sequence[int]) -> PoolAccount:
    """Divide the pool's hours.

    Args:
        pool: with its reservations.
        busy: what each customer needed in each hour, by the throughput table.
        hours: the window, every hour once.
    """
    reserved = {r.customer: r.gpus * GPU_US_PER_GPU_HOUR for r in pool.reservations}
    all_us = pool.gpus * GPU_US_PER_GPU_HOUR
    peak = max((_wanted(busy.get(hour, {}), reserved) for hour in hours), default=0)
    needed = _needed_gpus(pool, peak)
    return PoolAccount(
        pool=pool,
        hours={
            hour: _divided(all_us, needed * GPU_US_PER_GPU_HOUR, busy.get(hour, {}), reserved)
            for hour in hours
        },
        needed_gpus=needed,
        peak_us=peak,
    )


def _wanted(busy: Mapping[str, int], reserved: Mapping[str, int]) -> int:
    """What one hour takes: each customer's use, or its reservation where that is more."""
    customers = busy.keys() | reserved.keys()
    return sum(max(busy.get(who, 0), reserved.get(who, 0)) for who in customers)


def _needed_gpus(pool: Pool, peak_us: int) -> int:
    """Whole replicas for the peak and the headroom above it."""
    with_headroom = peak_us * (100 + pool.headroom_percent)
    replica_us = pool.tensor_parallel * GPU_US_PER_GPU_HOUR * 100
    replicas = -(-with_headroom // replica_us)
    return min(pool.gpus, replicas * pool.tensor_parallel)


def _divided(
    all_us: int, needed_us: int, busy: Mapping[str, int], reserved: Mapping[str, int]
) -> PoolHour:
    """One hour. Demand beyond the pool is cut in proportion: the GPUs cannot work more."""
    wanted = sum(busy.values())
    used = _cut(busy, all_us)
    free = all_us - sum(used.values())
    unused = {who: us - used.get(who, 0) for who, us in sorted(reserved.items())}
    kept = _cut({who: us for who, us in unused.items() if us > 0}, free)
    free -= sum(kept.values())
    stranded = min(free, all_us - needed_us)
    return PoolHour(
        busy=used,
        reserved_idle=kept,
        idle=free - stranded,
        stranded=stranded,
        beyond=max(wanted - all_us, 0),
    )


def _cut(amounts: Mapping[str, int], limit: int) -> dict[str, int]:
    """The amounts, in proportion where they exceed the limit together."""
    if sum(amounts.values()) <= limit:
        return {who: us for who, us in amounts.items() if us > 0}
    shares = split(limit, list(amounts.values()))
    return {who: us for who, us in zip(amounts, shares, strict=True) if us > 0}


def priced(totals: Totals, cost: PoolCost) -> Totals:
    """The pool's cost in minor units, divided by its hours; the parts sum to the cost exactly."""
    weights = [*totals.busy.values(), *totals.reserved_idle.values(), totals.idle, totals.stranded]
    shares = split(cost.minor, weights)
    used, kept = len(totals.busy), len(totals.busy) + len(totals.reserved_idle)
    return Totals(
        busy=dict(zip(totals.busy, shares[:used], strict=True)),
        reserved_idle=dict(zip(totals.reserved_idle, shares[used:kept], strict=True)),
        idle=shares[-2],
        stranded=shares[-1],
    )


def summed(parts: Iterable[Totals]) -> Totals:
    """Several pools together."""
    busy: dict[str, int] = defaultdict(int)
    reserved: dict[str, int] = defaultdict(int)
    idle = stranded = beyond = 0
    for part in parts:
        for customer, amount in part.busy.items():
            busy[customer] += amount
        for customer, amount in part.reserved_idle.items():
            reserved[customer] += amount
        idle, stranded = idle + part.idle, stranded + part.stranded
        beyond += part.beyond
    return Totals(
        dict(sorted(busy.items())), dict(sorted(reserved.items())), idle, stranded, beyond
    )
