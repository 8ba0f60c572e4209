"""The compiled inner loop: customers one by one, a pass of scenarios at a time.

Everything random is a function of (seed, scenario, customer or factor, month), so a scenario is
the same whether it is run first, last, alone, or beside others, by any number of threads.
Scenarios lie along the vector lanes: what differs between customers is a scalar here, and random
numbers never leave registers and the nearest caches. What the common factors do to a kind of
customers is computed once a pass, so that a month of a customer without a commitment costs its
normal, one power of two and a handful of multiplications.
"""

import numpy as np

from quartermaster.exposure.simulate_factors import (
    LEAVING,
    USAGE,
    draw_factors,
    hold_kind,
    new_factors,
)
from quartermaster.exposure.simulate_pooled import add_rest
from quartermaster.exposure.simulate_world import (
    LANES,
    QUAD,
    SUMS,
    Doubles,
    Floats,
    Kinds,
    Rest,
    Scratch,
    Words,
    World,
)
from quartermaster.stats.random_stream import (
    Compiled,
    cached,
    compiled,
    draw_exponentials,
    draw_normals,
    draw_words,
    exp2_fast,
    inlined,
)

# A line that far below zero stays there: nobody leaves.
_NEVER = np.float32(-1e12)


@inlined
def _departure(
    world: Compiled,
    i: Compiled,
    exits: Compiled,
    mine: Compiled,
    patience: Compiled,
    gone: Compiled,
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
        gone[lane] = -(exits[mine, lane] * mean * patience[lane] + notice) * speed
    return speed


@inlined
def _clamped(gone: Compiled, g: Compiled, leaves: Compiled) -> Compiled:
    return min(max(gone + g, np.float32(0.0)), leaves)


@inlined
def _free(
    world: Compiled,
    i: Compiled,
    first: Compiled,
    speed: Compiled,
    margins: Compiled,
    scratch: Compiled,
) -> None:
    """Add four months of a customer that owes nothing but its usage.

    Its value is used * margin * (1 - (1 - refill) * lost), less used * margin if it is taken
    from its own path.
    """
    walk, gone, value = scratch.walk, scratch.gone, scratch.value
    z0, z1, z2, z3 = scratch.draws[0], scratch.draws[1], scratch.draws[2], scratch.draws[3]
    m0, m1, m2, m3 = margins[first], margins[first + 1], margins[first + 2], margins[first + 3]
    one = np.float32(1.0)
    volatility, leaves = world.own_volatility[i], one - world.kept[i]
    stays = one - world.against_path
    u0, u1 = world.usage[i, first], world.usage[i, first + 1]
    u2, u3 = world.usage[i, first + 2], world.usage[i, first + 3]
    r0, r1 = u0 * (one - world.refill[first]), u1 * (one - world.refill[first + 1])
    r2, r3 = u2 * (one - world.refill[first + 2]), u3 * (one - world.refill[first + 3])
    u0, u1, u2, u3 = u0 * stays, u1 * stays, u2 * stays, u3 * stays
    g0 = (np.float32(first) + np.float32(0.5)) * speed
    g1, g2, g3 = g0 + speed, g0 + np.float32(2.0) * speed, g0 + np.float32(3.0) * speed
    for lane in range(LANES):
        x0 = walk[lane] + volatility * z0[lane]
        x1 = x0 + volatility * z1[lane]
        x2 = x1 + volatility * z2[lane]
        x3 = x2 + volatility * z3[lane]
        walk[lane] = x3
        line = gone[lane]
        early = (exp2_fast(x0) * m0[lane]) * (u0 - r0 * _clamped(line, g0, leaves))
        early += (exp2_fast(x1) * m1[lane]) * (u1 - r1 * _clamped(line, g1, leaves))
        late = (exp2_fast(x2) * m2[lane]) * (u2 - r2 * _clamped(line, g2, leaves))
        late += (exp2_fast(x3) * m3[lane]) * (u3 - r3 * _clamped(line, g3, leaves))
        value[lane] += early + late


@inlined
def _bound(
    world: Compiled,
    i: Compiled,
    first: Compiled,
    speed: Compiled,
    moves: Compiled,
    fx: Compiled,
    scratch: Compiled,
    by_month: Compiled,
) -> None:
    """Add four months of a customer with a commitment: see docs/concepts/revenue-at-risk.md."""
    walk, gone, value = scratch.walk, scratch.gone, scratch.value
    zero, path = np.float32(0.0), world.against_path
    volatility, leaves = world.own_volatility[i], np.float32(1.0) - world.kept[i]
    cost = world.serving_cost[i]
    for row in range(QUAD):
        t = first + row
        usage, price, floor = world.usage[i, t], world.price[i, t], world.floor[i, t]
        refill, g = world.refill[t], (np.float32(t) + np.float32(0.5)) * speed
        draws, moved, rate = scratch.draws[row], moves[t], fx[t]
        for lane in range(LANES):
            x = walk[lane] + volatility * draws[lane]
            walk[lane] = x
            used = usage * exp2_fast(x) * moved[lane]
            lost = used * _clamped(gone[lane], g, leaves)
            still = used - lost
            margin = price * rate[lane] - cost
            topped_up = max(floor - still * price, zero)
            brought = (still + refill * lost) * margin + topped_up * rate[lane]
            # Had it not left: the same usage at the same price under the same floor.
            unaffected = used * margin + max(floor - used * price, zero) * rate[lane]
            draws[lane] = brought - path * unaffected
            value[lane] += draws[lane]
        if by_month.shape[0]:
            for lane in range(LANES):
                by_month[t, lane] += draws[lane]


@inlined
def _add_loss(
    value: Compiled, planned: Compiled, weights: Compiled, sums: Compiled, into: Compiled
) -> None:
    """Weighted sums of one customer's losses and their squares."""
    losses, squares = sums[0], sums[1]
    sums[:] = 0
    for first in range(0, LANES, SUMS):
        for at in range(SUMS):
            loss = planned - np.float64(value[first + at])
            weighted = weights[first + at] * loss
            losses[at] += weighted
            squares[at] += weighted * loss
    for at in range(SUMS):
        into[0] += losses[at]
        into[1] += squares[at]


@compiled
def _customers(
    ids: Compiled,
    world: Compiled,
    kinds: Compiled,
    plan: Compiled,
    key: Compiled,
    factors: Compiled,
    scratch: Compiled,
    weights: Compiled,
    total: Compiled,
    by_customer: Compiled,
    by_month: Compiled,
) -> None:
    """Add every simulated customer's value to `total`, and to the sums that were asked for."""
    customers, months = world.usage.shape
    group = np.int64(-1)
    for i in range(customers):
        stream = world.stream[i]
        if np.int64(stream // QUAD) != group:
            group = np.int64(stream // QUAD)
            draw_words(ids, group, 0, LEAVING, key, scratch.words)
            draw_exponentials(scratch.words, scratch.exits)
        speed = _departure(world, i, scratch.exits, stream % QUAD, factors.patience, scratch.gone)
        scratch.walk[:] = 0
        scratch.value[:] = 0
        slot = hold_kind(kinds.of_customer[i], kinds, factors)
        moves, margins = factors.moves[slot], factors.margins[slot]
        fx = factors.fx[world.currency[i]]
        bound = kinds.floored[i] or by_month.shape[0] > 0
        for first in range(0, months, QUAD):
            draw_words(ids, stream, first // QUAD, USAGE, key, scratch.words)
            draw_normals(scratch.words, scratch.draws)
            if bound:
                _bound(world, i, first, speed, moves, fx, scratch, by_month)
            else:
                _free(world, i, first, speed, margins, scratch)
        for lane in range(LANES):
            total[lane] += np.float64(scratch.value[lane])
        if by_customer.shape[0]:
            _add_loss(scratch.value, plan[i], weights, scratch.sums, by_customer[i])


@cached
def simulate_passes(
    ids: Words,
    weights: Doubles,
    world: World,
    rest: Rest,
    kinds: Kinds,
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
        kinds: of both, see `kinds_of`.
        plan: (N,) value planned for each simulated customer.
        key: the two words of the seed.
        total: (ids,) gets the value of each scenario.
        by_customer: (N, 2) gets weighted sums of losses and of their squares; or (0, 2).
        by_month: (T, ids) gets the value of each month; or (0, 0).
    """
    factors = new_factors(world, kinds)
    scratch = Scratch(
        np.empty((QUAD, LANES), np.uint32),
        np.empty((QUAD, LANES), np.float32),
        np.empty((QUAD, LANES), np.float32),
        np.empty(LANES, np.float32),
        np.empty(LANES, np.float32),
        np.empty(LANES, np.float32),
        np.empty((2, SUMS)),
    )
    for start in range(0, ids.size, LANES):
        end = start + LANES
        part, into = ids[start:end], total[start:end]
        draw_factors(part, world, key, factors, scratch)
        _customers(
            part,
            world,
            kinds,
            plan,
            key,
            factors,
            scratch,
            weights[start:end],
            into,
            by_customer,
            by_month[:, start:end],
        )
        if rest.usage.shape[0]:
            add_rest(part, world, rest, kinds, key, factors, into)
