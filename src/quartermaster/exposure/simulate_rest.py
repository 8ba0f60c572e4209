"""The conditional reduction: the largest customers one by one, the others in closed form.

Given the common factors (market, sectors, exchange rates, frailty) the other customers are
independent, so their sum is close to its conditional mean, which has a closed form, plus normal
noise of its conditional variance (the first-order granularity of the rest). Which customers may be
pooled: those without a floor and without a departure that is given.

Assumptions: many in the rest, none of which dominates it; the noise's relative size is that at the
factors' mean. The error in ES99 is measured in `bench/montecarlo.py`.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

from quartermaster.exposure.risk_book import Book
from quartermaster.exposure.simulate_world import Rest, World

TOP_SIMULATED = 32
"""Customers simulated one by one in the reduced engine: 20 times as fast as all of 1,000."""

GRID_POINTS = 65
"""Frailties at which the rest's noise is tabulated; between them it is interpolated."""

# Frailties above this quantile take the noise of the last grid point.
_GRID_QUANTILE = 0.99999
# Departure times at which the noise's integrals are evaluated: a twentieth of a month at 24.
_TIMES = 480

Doubles = npt.NDArray[np.float64]


class Reduced(msgspec.Struct, frozen=True):
    """A book split in two; `rows` are the simulated customers' places in it."""

    book: Book
    rest: Rest
    rows: npt.NDArray[np.int64]
    pooled: int


def no_rest(book: Book) -> Rest:
    """No class: every customer is simulated."""
    return _rest_of(book, [])


def reduce(
    book: Book,
    top: int = TOP_SIMULATED,
    keep: Collection[str] = (),
    known: dict[bytes, Rest] | None = None,
) -> Reduced:
    """Pool all customers but the `top` largest, those in `keep`, and those that must be simulated.

    Args:
        book: everybody.
        top: how many of the largest are simulated one by one.
        keep: who else. Worlds that are compared with each other must pool the same customers, so
            that the others' noise is the same in both: whoever is different in one of them.
        known: closed forms found before, to which new ones are added; most worlds of a what-if
            differ in one customer that is not pooled.
    """
    world = book.world
    simulate = (world.floor > 0).any(axis=1) | (world.hazard < 0)
    simulate[:top] = True
    simulate[[at for at, name in enumerate(book.names) if name in keep]] = True
    rows, pooled = np.flatnonzero(simulate), np.flatnonzero(~simulate)
    part = msgspec.structs.replace(
        book,
        names=tuple(book.names[i] for i in rows.tolist()),
        world=_subset(world, rows),
        plan=book.plan[rows],
        hazards=book.hazards[rows],
    )
    key = _digest(book, pooled)
    rest = None if known is None else known.get(key)
    if rest is None:
        rest = _rest_of(book, _classes(world, pooled))
        if known is not None:
            known[key] = rest
    return Reduced(part, rest, rows, pooled.size)


def _classes(world: World, pooled: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Pooled customers that are alike in everything but size."""
    classes: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i in pooled.tolist():
        key = (
            *(float(part[i]) for part in _alike(world)),
            int(world.sector[i]),
            int(world.currency[i]),
            world.price[i].tobytes(),
        )
        classes[key].append(i)
    return [np.array(members) for members in classes.values()]


def _digest(book: Book, pooled: npt.NDArray[np.int64]) -> bytes:
    """Of everything that the closed form of these customers hangs on."""
    world = book.world
    parts = [pooled, world.usage[pooled], world.price[pooled], world.refill]
    parts += [world.sector[pooled], world.currency[pooled]]
    parts += [part[pooled] for part in _alike(world)]
    parts += [np.array([world.frailty_shape, world.against_path])]
    digest = hashlib.blake2b()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.digest()


def _alike(world: World) -> tuple[npt.NDArray[np.float32], ...]:
    return (
        world.serving_cost,
        world.own_volatility,
        world.market_volatility,
        world.hazard,
        world.notice,
        world.ramp,
        world.kept,
    )


def _subset(world: World, rows: npt.NDArray[np.int64]) -> World:
    return world._replace(
        stream=world.stream[rows],
        usage=world.usage[rows],
        price=world.price[rows],
        floor=world.floor[rows],
        serving_cost=world.serving_cost[rows],
        own_volatility=world.own_volatility[rows],
        market_volatility=world.market_volatility[rows],
        sector=world.sector[rows],
        currency=world.currency[rows],
        hazard=world.hazard[rows],
        notice=world.notice[rows],
        ramp=world.ramp[rows],
        kept=world.kept[rows],
    )


def _rest_of(book: Book, groups: list[npt.NDArray[np.int64]]) -> Rest:
    world = book.world
    months = world.usage.shape[1]
    first = np.array([members[0] for members in groups], np.int64)
    grid = _frailties(float(world.frailty_shape))
    usage = np.zeros((len(groups), months), np.float64)
    noise = np.zeros((len(groups), grid.size), np.float64)
    for c, members in enumerate(groups):
        # Idiosyncratic walks average out: their mean factor goes back into usage.
        own = float(world.own_volatility[members[0]]) * math.log(2)
        mean = np.exp(0.5 * own**2 * np.arange(1, months + 1))
        usage[c] = world.usage[members].astype(np.float64).sum(axis=0) * mean
        sizes = world.usage[members].astype(np.float64).sum(axis=1)
        lumps = math.sqrt(float(sizes @ sizes)) / float(sizes.sum())
        noise[c] = lumps * _relative_noise(book, int(members[0]), usage[c], own, grid)
    return Rest(
        usage=usage.astype(np.float32),
        price=np.ascontiguousarray(world.price[first]),
        serving_cost=world.serving_cost[first],
        market_volatility=world.market_volatility[first],
        sector=world.sector[first],
        currency=world.currency[first],
        hazard=world.hazard[first],
        notice=world.notice[first],
        ramp=world.ramp[first],
        kept=world.kept[first],
        noise=noise.astype(np.float32),
        grid_step=np.float32(grid[1]),
    )


def _frailties(shape: float) -> Doubles:
    if shape <= 0:
        return np.array([0.0, 1.0, 2.0])
    top = float(gammaincinv(shape, _GRID_QUANTILE)) / shape
    return np.linspace(0.0, top, GRID_POINTS)


def _relative_noise(book: Book, i: int, usage: Doubles, own: float, grid: Doubles) -> Doubles:
    """Standard deviation of one customer's value over its value if it stays, for each frailty."""
    world = book.world
    t = np.arange(usage.size)
    margin = usage * (world.price[i].astype(np.float64) - float(world.serving_cost[i]))
    walks = np.exp(own**2 * (np.minimum(t[:, None], t[None, :]) + 1))
    edges = np.linspace(0.0, float(usage.size), _TIMES + 1)
    middles = np.append((edges[1:] + edges[:-1]) / 2, np.inf)
    lost = np.clip(
        (t + 0.5 - float(world.notice[i]) - middles[:, None]) / float(world.ramp[i]), 0, 1
    )
    leaves = (1 - float(world.kept[i])) * (1 - world.refill.astype(np.float64))
    stays = 1 - leaves * lost - float(world.against_path)
    # Of each departure time: the value, and its square given the walk; frailty only weighs them.
    values = stays @ margin
    squares = ((stays @ (walks * margin[:, None] * margin[None, :])) * stays).sum(axis=1)
    survival = np.exp(-float(world.hazard[i]) * np.outer(grid, edges))
    chances = np.hstack([survival[:, :-1] - survival[:, 1:], survival[:, -1:]])
    spread = np.maximum(chances @ squares - (chances @ values) ** 2, 0.0)
    found: Doubles = np.sqrt(spread) / float(margin.sum())
    return found
