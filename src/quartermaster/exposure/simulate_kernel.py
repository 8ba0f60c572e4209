"""The compiled inner loop: customers one by one, a pass of scenarios at a time.

Everything random is a function of (seed, scenario, customer or factor, month), so a scenario is
the same whether it is run first, last, alone, or beside others, by any number of threads.
Scenarios lie along the vector lanes: what differs between customers is a scalar here, and random
numbers never leave registers and the nearest caches. Logarithms are to base two throughout, which
saves a multiplication a cell.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.stats.random_stream import (
    Compiled,
    cached,
    compiled,
    exp2_fast,
    inlined,
    log_fast,
    normal_pair,
    philox,
    uniform,
)

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint32]

LANES = 128
"""Scenarios a pass: enough to hide a loop's beginning, and 24 months of factors fit the second
cache; 64 was 5 % slower, 256 no faster."""

QUAD = 4
"""Months a random draw serves: Philox gives four words. Horizons are padded to a multiple."""

# The last word of the counter says what a number is for.
_USAGE, _LEAVING, _MARKET, _SECTOR, _FX, _FRAILTY, _REST = range(7)

# Marsaglia and Tsang accept 95 % of proposals and more; sixteen refusals in a row are 1 in 10**20.
_PROPOSALS_MAX = 16
# A frailty of zero becomes one at which nobody leaves within any horizon.
_TINY = np.float32(1e-12)
# Departures that are that rare within the horizon are linear in their hazard.
_RARE = 1e-6
# A line that far below zero stays there: nobody leaves.
_NEVER = np.float32(-1e12)


class World(NamedTuple):
    """What is simulated customer by customer: N customers, T months (a multiple of four).

    Amounts are in any one unit. `stream` numbers a customer's random numbers, so that a customer
    keeps them in every what-if and in the reduced engine. Volatilities are a month, of log2.
    """

    stream: Words
    usage: Floats
    """(N, T) expected usage, valued at today's price."""
    price: Floats
    """(N, T) price over today's."""
    floor: Floats
    """(N, T) least that is owed for a month, in the customer's currency at today's rate."""
    refill: Floats
    """(T,) share of usage freed in a month that is sold again within the horizon."""
    serving_cost: Floats
    """(N,) cost that ends with usage, over usage at today's price."""
    own_volatility: Floats
    market_volatility: Floats
    sector: npt.NDArray[np.int32]
    currency: npt.NDArray[np.int32]
    hazard: Floats
    """(N,) departures a month; below zero: departs in month -1 - hazard."""
    notice: Floats
    ramp: Floats
    kept: Floats
    sector_volatility: Floats
    fx_volatility: Floats
    """(C,) 0 for the reporting currency."""
    frailty_shape: np.float32
    """1 / variance of the common factor of all hazards; 0 where it is fixed at one."""
    against_path: np.float32
    """1: values are less what the same path would have brought had nobody left; 0: as they are."""


class Factors(NamedTuple):
    """What customers share in a pass of scenarios; the last axis is the lane."""

    market: Floats
    """(T, LANES) random walk of unit volatility."""
    sectors: Floats
    """(S, T, LANES)"""
    fx: Floats
    """(C, T, LANES) exchange rate over today's."""
    frailty: Floats


class Rest(NamedTuple):
    """Customers that are not simulated one by one: C classes of alike customers, given factors."""

    usage: Floats
    """(C, T) sum over the class."""
    price: Floats
    serving_cost: Floats
    market_volatility: Floats
    sector: npt.NDArray[np.int32]
    currency: npt.NDArray[np.int32]
    hazard: Floats
    notice: Floats
    ramp: Floats
    kept: Floats
    noise: Floats
    """(C, G) standard deviation of a class's value given frailty, over its value if none left."""
    grid_step: np.float32
    """`noise` is tabulated at frailties 0, step, 2 step, ..."""


@inlined
def _frailty(scenario: Compiled, shape: Compiled, key: Compiled) -> Compiled:
    """A gamma variate of mean one (Marsaglia and Tsang 2000), by rejection on the counter."""
    if shape <= 0:
        return np.float32(1.0)
    boost = shape < 1
    d = np.float64(shape) + (1.0 if boost else 0.0) - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    value = d
    for proposal in range(_PROPOSALS_MAX):
        a, b, e, f = philox(
            scenario, np.uint32(proposal), np.uint32(0), np.uint32(_FRAILTY), key[0], key[1]
        )
        x = np.float64(normal_pair(a, b)[0])
        v = 1.0 + c * x
        if v <= 0:
            continue
        v = v * v * v
        if np.log((np.float64(e) + 0.5) * 2.0**-32) < 0.5 * x * x + d - d * v + d * np.log(v):
            value = d * v
            if boost:
                value *= ((np.float64(f) + 0.5) * 2.0**-32) ** (1.0 / shape)
            break
    return np.float32(value / shape)


@inlined
def _draws(
    ids: Compiled,
    which: Compiled,
    quad: Compiled,
    purpose: Compiled,
    volatility: Compiled,
    key: Compiled,
    out: Compiled,
) -> None:
    """Four months of normals for every lane."""
    for lane in range(LANES):
        a, b, c, d = philox(
            ids[lane], np.uint32(which), np.uint32(quad), np.uint32(purpose), key[0], key[1]
        )
        z0, z1 = normal_pair(a, b)
        z2, z3 = normal_pair(c, d)
        out[0, lane] = volatility * z0
        out[1, lane] = volatility * z1
        out[2, lane] = volatility * z2
        out[3, lane] = volatility * z3


@compiled
def _walk(
    ids: Compiled,
    which: Compiled,
    purpose: Compiled,
    volatility: Compiled,
    key: Compiled,
    out: Compiled,
) -> None:
    """Random walk of one common factor, months by lanes."""
    for quad in range(out.shape[0] // QUAD):
        _draws(ids, which, quad, purpose, volatility, key, out[QUAD * quad : QUAD * quad + QUAD])
    for t in range(1, out.shape[0]):
        for lane in range(LANES):
            out[t, lane] += out[t - 1, lane]


@compiled
def _factors(ids: Compiled, world: Compiled, key: Compiled, factors: Compiled) -> None:
    """Draw everything that customers share."""
    market, sectors, fx, frailty = factors
    _walk(ids, 0, _MARKET, np.float32(1.0), key, market)
    for s in range(sectors.shape[0]):
        if world.sector_volatility[s] > 0:
            _walk(ids, s, _SECTOR, world.sector_volatility[s], key, sectors[s])
    for c in range(fx.shape[0]):
        volatility = world.fx_volatility[c]
        if volatility > 0:
            _walk(ids, c, _FX, volatility, key, fx[c])
            # A rate without trend: half the variance of the natural logarithm, in log2.
            drift = np.float32(0.5 * np.log(2.0)) * volatility * volatility
            for t in range(market.shape[0]):
                for lane in range(LANES):
                    fx[c, t, lane] = exp2_fast(fx[c, t, lane] - drift * np.float32(t + 1))
    for lane in range(LANES):
        frailty[lane] = max(_frailty(ids[lane], world.frailty_shape, key), _TINY)


@inlined
def _exits(ids: Compiled, group: Compiled, key: Compiled, out: Compiled) -> None:
    """Standard exponentials of four customers: their cumulative hazard at departure."""
    for lane in range(LANES):
        a, b, c, d = philox(
            ids[lane], np.uint32(group), np.uint32(0), np.uint32(_LEAVING), key[0], key[1]
        )
        out[0, lane] = -log_fast(uniform(a))
        out[1, lane] = -log_fast(uniform(b))
        out[2, lane] = -log_fast(uniform(c))
        out[3, lane] = -log_fast(uniform(d))


@inlined
def _month(
    x: Compiled,
    gone: Compiled,
    leaves: Compiled,
    fx: Compiled,
    usage: Compiled,
    price: Compiled,
    floor: Compiled,
    refill: Compiled,
    cost: Compiled,
    path: Compiled,
) -> Compiled:
    """What one customer brings in one month: see docs/concepts/revenue-at-risk.md."""
    used = usage * exp2_fast(x)
    lost = used * min(max(gone, np.float32(0.0)), leaves)
    still = used - lost
    margin = price * fx - cost
    topped_up = max(floor - still * price, np.float32(0.0))
    value = (still + refill * lost) * margin + topped_up * fx
    # Had it not left: the same usage at the same price under the same floor.
    unaffected = used * margin + max(floor - used * price, np.float32(0.0)) * fx
    return value - path * unaffected


@inlined
def _departure(
    world: Compiled, i: Compiled, exits: Compiled, mine: Compiled, frailty: Compiled, gone: Compiled
) -> Compiled:
    """Lost share at month 0 on a line that rises by the returned speed, before it is clamped."""
    leaves = np.float32(1.0) - world.kept[i]
    speed = leaves / world.ramp[i]
    hazard, notice = world.hazard[i], world.notice[i]
    if hazard < 0:
        for lane in range(LANES):
            gone[lane] = (np.float32(1.0) + hazard - notice) * speed
        return speed
    if hazard == 0:
        gone[:] = _NEVER
        return speed
    mean = np.float32(1.0) / hazard
    for lane in range(LANES):
        gone[lane] = -(exits[mine, lane] * mean / frailty[lane] + notice) * speed
    return speed


@compiled
def _customers(
    ids: Compiled,
    world: Compiled,
    plan: Compiled,
    key: Compiled,
    factors: Compiled,
    weights: Compiled,
    total: Compiled,
    by_customer: Compiled,
    by_month: Compiled,
) -> None:
    """Add every simulated customer's value to `total`, and to the sums that were asked for."""
    market, sectors, fx, frailty = factors
    customers, months = world.usage.shape
    exits = np.empty((QUAD, LANES), np.float32)
    draws = np.empty((QUAD, LANES), np.float32)
    walk = np.empty(LANES, np.float32)
    gone = np.empty(LANES, np.float32)
    value = np.empty(LANES, np.float32)
    before = np.empty(LANES, np.float32)
    group = np.int64(-1)
    for i in range(customers):
        stream = world.stream[i]
        if np.int64(stream // QUAD) != group:
            group = np.int64(stream // QUAD)
            _exits(ids, group, key, exits)
        speed = _departure(world, i, exits, stream % QUAD, frailty, gone)
        walk[:] = 0
        value[:] = 0
        beta, leaves = world.market_volatility[i], np.float32(1.0) - world.kept[i]
        s, c, cost = world.sector[i], world.currency[i], world.serving_cost[i]
        path = world.against_path
        for t in range(months):
            row = t % QUAD
            if row == 0:
                _draws(ids, stream, t // QUAD, _USAGE, world.own_volatility[i], key, draws)
            u, p, f, r = world.usage[i, t], world.price[i, t], world.floor[i, t], world.refill[t]
            g = (np.float32(t) + np.float32(0.5)) * speed
            if by_month.shape[0]:
                before[:] = value
            for lane in range(LANES):
                x = walk[lane] + draws[row, lane]
                walk[lane] = x
                x += beta * market[t, lane] + sectors[s, t, lane]
                value[lane] += _month(
                    x, gone[lane] + g, leaves, fx[c, t, lane], u, p, f, r, cost, path
                )
            if by_month.shape[0]:
                for lane in range(LANES):
                    by_month[t, lane] += value[lane] - before[lane]
        for lane in range(LANES):
            total[lane] += np.float64(value[lane])
        if by_customer.shape[0]:
            for lane in range(LANES):
                loss = plan[i] - np.float64(value[lane])
                by_customer[i, 0] += weights[lane] * loss
                by_customer[i, 1] += weights[lane] * loss * loss


@inlined
def _leave_alike(rest: Compiled, c: Compiled) -> Compiled:
    """Whether a class leaves as the one before it does."""
    return (
        rest.hazard[c] == rest.hazard[c - 1]
        and rest.notice[c] == rest.notice[c - 1]
        and rest.ramp[c] == rest.ramp[c - 1]
    )


@compiled
def _rest(
    ids: Compiled,
    world: Compiled,
    rest: Compiled,
    key: Compiled,
    factors: Compiled,
    total: Compiled,
) -> None:
    """Add the other customers: their mean given the factors, and normal noise of its size."""
    market, sectors, fx, frailty = factors
    months = market.shape[0]
    variance = np.zeros(LANES, np.float32)
    value = np.empty(LANES, np.float32)
    unaffected = np.empty(LANES, np.float32)
    lines = np.empty((months, LANES), np.float32)
    for c in range(rest.usage.shape[0]):
        beta, s, currency = rest.market_volatility[c], rest.sector[c], rest.currency[c]
        leaves, cost = np.float32(1.0) - rest.kept[c], rest.serving_cost[c]
        if c == 0 or not _leave_alike(rest, c):
            _lost_shares(rest, c, frailty, lines)
        value[:] = 0
        unaffected[:] = 0
        for t in range(months):
            u, p, r = rest.usage[c, t], rest.price[c, t], np.float32(1.0) - world.refill[t]
            for lane in range(LANES):
                used = u * exp2_fast(beta * market[t, lane] + sectors[s, t, lane])
                whole = used * (p * fx[currency, t, lane] - cost)
                unaffected[lane] += whole
                value[lane] += whole * (np.float32(1.0) - leaves * r * lines[t, lane])
        top = rest.noise.shape[1] - 2
        for lane in range(LANES):
            total[lane] += np.float64(value[lane] - world.against_path * unaffected[lane])
            place = frailty[lane] / rest.grid_step
            low = min(np.int64(place), np.int64(top))
            part = min(place - np.float32(low), np.float32(1.0))
            spread = rest.noise[c, low] + part * (rest.noise[c, low + 1] - rest.noise[c, low])
            variance[lane] += (spread * unaffected[lane]) ** 2
    for lane in range(LANES):
        a, b, _, _ = philox(ids[lane], np.uint32(0), np.uint32(0), np.uint32(_REST), key[0], key[1])
        total[lane] += np.float64(np.sqrt(variance[lane]) * normal_pair(a, b)[0])


@compiled
def _lost_shares(rest: Compiled, c: Compiled, frailty: Compiled, out: Compiled) -> None:
    """Expected share of usage gone in each month given frailty, for departures at random times.

    The chance to have left, averaged over a ramp: (A(t) - A(t - ramp)) / ramp, where A(x) is the
    integral of 1 - exp(-h u) from 0 to x, that is x - (1 - exp(-h x)) / h, and 0 before 0.
    """
    ramp, notice = np.float64(rest.ramp[c]), np.float64(rest.notice[c])
    for lane in range(LANES):
        hazard = np.float64(rest.hazard[c]) * np.float64(frailty[lane])
        if hazard * out.shape[0] < _RARE:
            # Second order: below it the difference loses its digits.
            for t in range(out.shape[0]):
                late = max(t + 0.5 - notice, 0.0)
                later = max(t + 0.5 - notice - ramp, 0.0)
                out[t, lane] = np.float32(0.5 * hazard * (late * late - later * later) / ramp)
            continue
        # exp(-h x) is computed in the first month after 0 and goes on by one factor a month.
        step, scale = np.exp(-hazard), 1.0 / hazard
        stays = later_stays = 1.0
        for t in range(out.shape[0]):
            late, later = t + 0.5 - notice, t + 0.5 - notice - ramp
            line = before = 0.0
            if late > 0:
                stays = np.exp(-hazard * late) if late <= 1 else stays * step
                line = late - (1.0 - stays) * scale
            if later > 0:
                later_stays = np.exp(-hazard * later) if later <= 1 else later_stays * step
                before = later - (1.0 - later_stays) * scale
            out[t, lane] = np.float32((line - before) / ramp)


@cached
def simulate_passes(
    ids: Words,
    weights: Doubles,
    world: World,
    rest: Rest,
    plan: Doubles,
    key: tuple[np.uint32, np.uint32],
    total: Doubles,
    by_customer: Doubles,
    by_month: Floats,
) -> None:
    """Run passes of `LANES` scenarios.

    Args:
        ids: numbers of the scenarios; their count is a multiple of `LANES`.
        weights: of each scenario in `by_customer`.
        world: customers that are simulated one by one.
        rest: customers in closed form; no class for the full engine.
        plan: (N,) value planned for each simulated customer.
        key: the two words of the seed.
        total: (ids,) gets the value of each scenario.
        by_customer: (N, 2) gets weighted sums of losses and of their squares; or (0, 2).
        by_month: (T, ids) gets the value of each month; or (0, 0).
    """
    months = world.usage.shape[1]
    factors = Factors(
        np.zeros((months, LANES), np.float32),
        np.zeros((world.sector_volatility.size, months, LANES), np.float32),
        np.ones((world.fx_volatility.size, months, LANES), np.float32),
        np.empty(LANES, np.float32),
    )
    for first in range(0, ids.size, LANES):
        last = first + LANES
        part = ids[first:last]
        _factors(part, world, key, factors)
        _customers(
            part,
            world,
            plan,
            key,
            factors,
            weights[first:last],
            total[first:last],
            by_customer,
            by_month[:, first:last],
        )
        if rest.usage.shape[0]:
            _rest(part, world, rest, key, factors, total[first:last])
