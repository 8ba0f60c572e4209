"""The compiled loops over what customers share: walks, exchange rates, frailty, and their moves.

Everything random is a function of (seed, scenario, factor, month); see `simulate_kernel`.
Logarithms are to base two throughout, which saves a multiplication a cell.
"""

import numpy as np

from quartermaster.exposure.simulate_world import LANES, QUAD, Factors
from quartermaster.stats.random_stream import (
    Compiled,
    compiled,
    draw_normals,
    draw_words,
    exp2_fast,
    inlined,
    normal_pair,
    philox,
)

KINDS_HELD_MAX = 32
"""Kinds of customers whose moves are kept through a pass: at 24 months they take 1.5 MB a thread.
With more, two kinds may share a slot and are computed again in turn."""

# The last word of the counter says what a number is for.
USAGE, LEAVING, MARKET, SECTOR = np.uint32(0), np.uint32(1), np.uint32(2), np.uint32(3)
FX, FRAILTY, REST = np.uint32(4), np.uint32(5), np.uint32(6)

# Marsaglia and Tsang accept 95 % of proposals and more; sixteen refusals in a row are 1 in 10**20.
_PROPOSALS_MAX = 16
# A frailty of zero becomes one at which nobody leaves within any horizon.
_TINY = np.float32(1e-12)


@inlined
def new_factors(world: Compiled, kinds: Compiled) -> Compiled:
    """Arrays of a pass; what has no volatility stays as it is here."""
    months = world.usage.shape[1]
    slots = min(kinds.sector.size, KINDS_HELD_MAX)
    return Factors(
        np.zeros((months, LANES), np.float32),
        np.zeros((world.sector_volatility.size, months, LANES), np.float32),
        np.ones((world.fx_volatility.size, months, LANES), np.float32),
        np.empty(LANES, np.float32),
        np.empty(LANES, np.float32),
        np.empty(slots, np.int32),
        np.empty((slots, months, LANES), np.float32),
        np.empty((slots, months, LANES), np.float32),
    )


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
        a, b, e, f = philox(scenario, np.uint32(proposal), np.uint32(0), FRAILTY, key[0], key[1])
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


@compiled
def _walk(
    ids: Compiled,
    which: Compiled,
    purpose: Compiled,
    volatility: Compiled,
    key: Compiled,
    scratch: Compiled,
    out: Compiled,
) -> None:
    """Random walk of one common factor, months by lanes."""
    for t in range(out.shape[0]):
        row = t % QUAD
        if row == 0:
            draw_words(ids, which, t // QUAD, purpose, key, scratch.words)
            draw_normals(scratch.words, scratch.draws)
        for lane in range(LANES):
            step = volatility * scratch.draws[row, lane]
            out[t, lane] = step + out[t - 1, lane] if t else step


@compiled
def draw_factors(
    ids: Compiled, world: Compiled, key: Compiled, factors: Compiled, scratch: Compiled
) -> None:
    """Draw everything that customers share."""
    market, sectors, fx = factors.market, factors.sectors, factors.fx
    _walk(ids, np.uint32(0), MARKET, np.float32(1.0), key, scratch, market)
    for s in range(sectors.shape[0]):
        if world.sector_volatility[s] > 0:
            _walk(ids, np.uint32(s), SECTOR, world.sector_volatility[s], key, scratch, sectors[s])
    for c in range(fx.shape[0]):
        volatility = world.fx_volatility[c]
        if volatility > 0:
            _walk(ids, np.uint32(c), FX, volatility, key, scratch, fx[c])
            # A rate without trend: half the variance of the natural logarithm, in log2.
            drift = np.float32(0.5 * np.log(2.0)) * volatility * volatility
            for t in range(market.shape[0]):
                for lane in range(LANES):
                    fx[c, t, lane] = exp2_fast(fx[c, t, lane] - drift * np.float32(t + 1))
    for lane in range(LANES):
        factors.frailty[lane] = max(_frailty(ids[lane], world.frailty_shape, key), _TINY)
        factors.patience[lane] = np.float32(1.0) / factors.frailty[lane]
    factors.held[:] = -1


@compiled
def _move(kind: Compiled, slot: Compiled, kinds: Compiled, factors: Compiled) -> None:
    """What the factors do to a kind, into its slot."""
    beta, cost = kinds.market_volatility[kind], kinds.serving_cost[kind]
    sector, fx = factors.sectors[kinds.sector[kind]], factors.fx[kinds.currency[kind]]
    moves, margins = factors.moves[slot], factors.margins[slot]
    for t in range(moves.shape[0]):
        price = kinds.price[kind, t]
        for lane in range(LANES):
            moved = exp2_fast(beta * factors.market[t, lane] + sector[t, lane])
            moves[t, lane] = moved
            margins[t, lane] = moved * (price * fx[t, lane] - cost)
    factors.held[slot] = kind


@inlined
def hold_kind(kind: Compiled, kinds: Compiled, factors: Compiled) -> Compiled:
    """The slot that holds the moves of a kind, after computing them if it held another's."""
    slot = kind % factors.held.size
    if factors.held[slot] != kind:
        _move(kind, slot, kinds, factors)
    return slot
