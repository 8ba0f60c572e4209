"""What the compiled loops read and write: the arrays of a world, and scratch of a pass.

Scenarios lie along the vector lanes, so every array of scratch ends in `LANES`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int32]

LANES = 512
"""Scenarios a pass: enough to hide a loop's beginning, while what a customer needs stays in the
second cache; 256 was 3 % slower, 128 8 %."""

QUAD = 4
"""Months a random draw serves: Philox gives four words. Horizons are padded to a multiple."""

SUMS = 64
"""Partial sums over the scenarios of a pass, added up at its end: a single one would wait for
itself at every addition."""


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
    sector: Places
    currency: Places
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


class Rest(NamedTuple):
    """Customers that are not simulated one by one: C classes of alike customers, given factors."""

    usage: Floats
    """(C, T) sum over the class."""
    price: Floats
    serving_cost: Floats
    market_volatility: Floats
    sector: Places
    currency: Places
    hazard: Floats
    notice: Floats
    ramp: Floats
    kept: Floats
    noise: Floats
    """(C, G) standard deviation of a class's value given frailty, over its value if none left."""
    grid_step: np.float32
    """`noise` is tabulated at frailties 0, step, 2 step, ..."""


class Kinds(NamedTuple):
    """Customers that the factors move alike: K kinds, computed once a pass and not once each."""

    of_customer: Places
    of_class: Places
    """Of the classes of the rest."""
    market_volatility: Floats
    sector: Places
    currency: Places
    price: Floats
    """(K, T)"""
    serving_cost: Floats
    floored: npt.NDArray[np.bool_]
    """(N,) whether a customer owes a least amount in some month."""


class Factors(NamedTuple):
    """What customers share in a pass of scenarios."""

    market: Floats
    """(T, LANES) random walk of unit volatility."""
    sectors: Floats
    """(S, T, LANES)"""
    fx: Floats
    """(C, T, LANES) exchange rate over today's."""
    frailty: Floats
    patience: Floats
    """1 / frailty"""
    held: Places
    """(H,) which kind's moves a slot holds, -1 for none."""
    moves: Floats
    """(H, T, LANES) factor on usage."""
    margins: Floats
    """(H, T, LANES) factor on usage times what a unit of it brings less its serving cost."""


class Scratch(NamedTuple):
    """What one customer needs in a pass of scenarios."""

    words: Words
    draws: Floats
    """(QUAD, LANES)"""
    exits: Floats
    """(QUAD, LANES) cumulative hazard at departure of four customers."""
    walk: Floats
    gone: Floats
    value: Floats
    sums: Doubles
    """(2, SUMS)"""


def kinds_of(world: World, rest: Rest) -> Kinds:
    """Number the kinds among customers and classes, in the order in which they appear."""
    places: dict[tuple[object, ...], int] = {}
    firsts: list[tuple[World | Rest, int]] = []
    numbered: list[list[int]] = []
    for part in (world, rest):
        volatility, cost = part.market_volatility.tolist(), part.serving_cost.tolist()
        sector, currency = part.sector.tolist(), part.currency.tolist()
        found = []
        for i, prices in enumerate(part.price):
            key = (volatility[i], cost[i], sector[i], currency[i], prices.tobytes())
            if key not in places:
                places[key] = len(places)
                firsts.append((part, i))
            found.append(places[key])
        numbered.append(found)
    return Kinds(
        of_customer=np.array(numbered[0], np.int32),
        of_class=np.array(numbered[1], np.int32),
        market_volatility=np.array([p.market_volatility[i] for p, i in firsts], np.float32),
        sector=np.array([p.sector[i] for p, i in firsts], np.int32),
        currency=np.array([p.currency[i] for p, i in firsts], np.int32),
        price=np.array([p.price[i] for p, i in firsts], np.float32),
        serving_cost=np.array([p.serving_cost[i] for p, i in firsts], np.float32),
        floored=np.asarray((world.floor > 0).any(axis=1)),
    )
