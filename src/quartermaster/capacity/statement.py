"""The capacity statement: hours and money by pool and customer, with and without somebody.

One identity holds to the minor unit, whatever the demand: customers + idle + stranded = capacity
cost, where customers are charged for busy hours and idle holds reserved-idle hours too.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from quartermaster.capacity.account import PoolAccount, Totals, account, priced, summed
from quartermaster.capacity.cost import PoolCost, decimal, hourly_rates, pool_cost
from quartermaster.capacity.demand import HourTokens
from quartermaster.capacity.fleet import Fleet, Pool, pool_models
from quartermaster.capacity.placement import Rated, placed, rated_pools
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.errors import DataError, IntegrityError
from quartermaster.kernel.money import EXACT

HOURS_MAX = 87_672
"""Ten years: a longer span of hours is a mistyped year."""
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
"""Where cost per million tokens is shown; engines double their batch slots."""
BEYOND_MAX = 1_000
"""One part in a thousand of the hours: more demand than fits means a throughput table that is too
slow, because the tokens were metered, so they were served."""


class BatchCost(msgspec.Struct, frozen=True):
    """Cost of a million tokens on a pool that is always busy, in major units, four decimals."""

    batch: int
    prefill_per_million: str
    decode_per_million: str
    blended_per_million: str
    """At the pool's typical request."""
    extrapolated: bool
    """Outside the measured points."""


class PoolLine(msgspec.Struct, frozen=True):
    """One pool in the window."""

    account: PoolAccount
    hours: Totals
    cost: PoolCost
    money: Totals
    basis: str
    error: str
    batches: tuple[BatchCost, ...]


class CustomerLine(msgspec.Struct, frozen=True):
    """One customer in the window; money in minor units."""

    customer: str
    prefill_tokens: int
    decode_tokens: int
    busy_us: int
    reserved_idle_us: int
    cost_minor: int
    """Of its busy hours."""
    reserved_idle_minor: int
    revenue_minor: int | None

    @property
    def margin_minor(self) -> int | None:
        """Revenue minus what its use and its unused reservation cost; None: no revenue known."""
        if self.revenue_minor is None:
            return None
        return self.revenue_minor - self.cost_minor - self.reserved_idle_minor


class Remark(msgspec.Struct, frozen=True):
    """Something to know about a statement: in words, and for a face with words of its own."""

    words: str
    key: str
    places: dict[str, str]


class Statement(msgspec.Struct, frozen=True):
    """A window of a fleet."""

    fleet: Fleet
    first_hour: int
    hours: int
    pools: tuple[PoolLine, ...]
    customers: tuple[CustomerLine, ...]
    """The most costly first."""
    time: Totals
    money: Totals
    remarks: tuple[Remark, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be known about it, in words."""
        return tuple(remark.words for remark in self.remarks)

    @property
    def cost_minor(self) -> int:
        """What the capacity cost in the window."""
        return sum(line.cost.minor for line in self.pools)

    @property
    def customer_minor(self) -> int:
        """Cost of all busy hours."""
        return sum(self.money.busy.values())

    @property
    def reserved_idle_minor(self) -> int:
        """Cost of hours kept for somebody who did not use them."""
        return sum(self.money.reserved_idle.values())

    @property
    def gpu_us(self) -> int:
        """All GPU-microseconds of the window."""
        return sum(line.account.gpu_us for line in self.pools)


def window(rows: Sequence[HourTokens]) -> tuple[int, int]:
    """First hour, and how many there are from the first to the last with demand.

    Raises:
        DataError: no demand, or a span of hours that is a typing error.
    """
    if not rows:
        raise DataError("there is no demand", hint="no hour, no window to account for")
    first, last = min(row.hour for row in rows), max(row.hour for row in rows)
    count = (last - first) // US_PER_HOUR + 1
    if count > HOURS_MAX:
        raise DataError(f"the demand spans {count:,} hours", hint="look for a mistyped year")
    return first, count


def state(
    fleet: Fleet,
    rows: Sequence[HourTokens],
    *,
    span: tuple[int, int],
    revenue: Mapping[str, int] | None = None,
    unknown: Collection[str] = (),
) -> Statement:
    """The statement of a window.

    Args:
        fleet: what was built.
        rows: the demand.
        span: first hour and number of hours, see `window`; without a leaver it stays the same.
        revenue: minor units by customer in the window, where it is known.
        unknown: customers whose revenue, or a part of it, is in another currency: they have no
            margin here.

    Raises:
        DataError: demand that no pool serves, or a pool whose speed is not known.
        IntegrityError: money that does not add up; never expected.
    """
    first, count = span
    hours = range(first, first + count * US_PER_HOUR, US_PER_HOUR)
    pools = rated_pools(fleet)
    busy = placed(rows, pools, fleet.elsewhere)
    lines = tuple(_pool_line(rated, busy[rated.pool.id], hours, fleet.currency) for rated in pools)
    found = Statement(
        fleet=fleet,
        first_hour=first,
        hours=count,
        pools=lines,
        customers=(),
        time=summed(line.hours for line in lines),
        money=summed(line.money for line in lines),
        remarks=tuple(_remarks(lines, pools)),
    )
    if found.money.whole != found.cost_minor or found.time.whole != found.gpu_us:
        raise IntegrityError("customers + idle + stranded is not the cost of the capacity")
    customers = _customers(found, rows, revenue, unknown)
    unmatched = tuple(_unmatched(customers))
    return msgspec.structs.replace(found, customers=customers, remarks=found.remarks + unmatched)


def without_reservations(fleet: Fleet, customers: Sequence[str]) -> Fleet:
    """The fleet with nothing kept for these customers."""
    pools = tuple(
        msgspec.structs.replace(
            pool,
            reservations=tuple(r for r in pool.reservations if r.customer not in customers),
        )
        for pool in fleet.pools
    )
    return msgspec.structs.replace(fleet, pools=pools)


def _pool_line(
    rated: Rated, busy: Mapping[int, Mapping[str, int]], hours: range, currency: str
) -> PoolLine:
    pool = rated.pool
    accounted = account(pool, busy, hours)
    totals = accounted.totals()
    cost = pool_cost(pool, len(hours), currency)
    return PoolLine(
        account=accounted,
        hours=totals,
        cost=cost,
        money=priced(totals, cost),
        basis=rated.speed.basis,
        error=rated.error,
        batches=tuple(batch_costs(rated)),
    )


def batch_costs(rated: Rated) -> list[BatchCost]:
    """Cost per million tokens at doubling batches, and at the pool's own."""
    pool = rated.pool
    hourly = sum(hourly_rates(pool), Fraction(0))
    return [_batch_cost(rated, batch, hourly) for batch in sorted({*BATCHES, pool.batch})]


def _batch_cost(rated: Rated, batch: int, hourly: Fraction) -> BatchCost:
    pool = rated.pool
    context = pool.prompt_tokens + pool.output_tokens / 2
    # Microseconds a million tokens take, as integers: money never meets a float.
    prefill_us = round(rated.prefill_us(_MILLION, pool.prompt_tokens))
    decode_us = round(rated.decode_us(_MILLION, context, batch))
    tokens = pool.prompt_tokens + pool.output_tokens
    blended_us = Fraction(prefill_us * pool.prompt_tokens + decode_us * pool.output_tokens, tokens)
    return BatchCost(
        batch=batch,
        prefill_per_million=_per_million(prefill_us * hourly),
        decode_per_million=_per_million(decode_us * hourly),
        blended_per_million=_per_million(blended_us * hourly),
        extrapolated=rated.speed.extrapolated(pool.prompt_tokens, batch, context),
    )


_MILLION = 1_000_000
_SHOWN = Decimal("0.0001")


def _per_million(us_times_rate: Fraction) -> str:
    return str(decimal(us_times_rate / US_PER_HOUR).quantize(_SHOWN, context=EXACT))


def _customers(
    found: Statement,
    rows: Sequence[HourTokens],
    revenue: Mapping[str, int] | None,
    unknown: Collection[str],
) -> tuple[CustomerLine, ...]:
    tokens: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    served = pool_models(found.fleet.pools)
    for row in rows:
        if row.model in served:
            tokens[row.customer][0] += row.prefill_tokens
            tokens[row.customer][1] += row.decode_tokens
    paid = revenue or {}
    names = {*tokens, *paid, *found.time.reserved_idle}
    lines = [
        CustomerLine(
            customer=name,
            prefill_tokens=tokens[name][0] if name in tokens else 0,
            decode_tokens=tokens[name][1] if name in tokens else 0,
            busy_us=found.time.busy.get(name, 0),
            reserved_idle_us=found.time.reserved_idle.get(name, 0),
            cost_minor=found.money.busy.get(name, 0),
            reserved_idle_minor=found.money.reserved_idle.get(name, 0),
            revenue_minor=None if revenue is None or name in unknown else paid.get(name, 0),
        )
        for name in names
    ]
    return tuple(sorted(lines, key=lambda c: (-c.cost_minor - c.reserved_idle_minor, c.customer)))


def _unmatched(customers: Sequence[CustomerLine]) -> Iterator[Remark]:
    """Revenue and demand under different names make one customer look free and one worthless."""
    for line in customers:
        places = {"customer": line.customer}
        if line.revenue_minor and not (line.busy_us or line.reserved_idle_us):
            words = f"{line.customer}: revenue, but neither demand nor a reservation"
            yield Remark(words, "no_demand", places)
        elif line.revenue_minor == 0 and line.busy_us:
            yield Remark(f"{line.customer}: demand, but no revenue", "no_revenue", places)


def _remarks(lines: Sequence[PoolLine], pools: Sequence[Rated]) -> Iterator[Remark]:
    for line, rated in zip(lines, pools, strict=True):
        pool: Pool = rated.pool
        named = {"pool": pool.id}
        for tokens in rated.left_out:
            words = (
                f"pool {pool.id}: prefill of {tokens:,} tokens on {pool.gpu} x"
                f" {pool.tensor_parallel} contradicts smaller or larger ones; left out"
            )
            replica = f"{pool.gpu} x {pool.tensor_parallel}"
            yield Remark(words, "left_out", named | {"tokens": str(tokens), "replica": replica})
        context = pool.prompt_tokens + pool.output_tokens / 2
        if rated.speed.basis != "measured":
            yield Remark(f"pool {pool.id}: {rated.error}", "cold_start", named)
        elif rated.speed.extrapolated(pool.prompt_tokens, pool.batch, context):
            words = f"pool {pool.id}: its typical request or batch lies outside the measured points"
            yield Remark(words, "outside", named)
        if line.hours.beyond * BEYOND_MAX > line.account.gpu_us:
            part = decimal(Fraction(line.hours.beyond * 100, line.account.gpu_us))
            percent = str(part.quantize(Decimal("0.1")))
            words = (
                f"pool {pool.id}: by its points {percent} % more work was"
                " served than it has hours; the points are too slow, or the batch too small"
            )
            yield Remark(words, "beyond", named | {"percent": percent})
