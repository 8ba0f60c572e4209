"""From shares and assumptions to the arrays that are simulated."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.risk_assumptions import Assumptions, CustomerTerms
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.simulate_world import QUAD, World
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money, exact_decimal

CUSTOMERS_MAX = 100_000
"""Arrays of a hundred thousand customers and 120 months take 150 MB each; beyond that, pool."""

RAMP_MONTHS_LEAST = 1e-3
"""A departure at once is a ramp of a thousandth of a month: the line needs a slope."""

Doubles = npt.NDArray[np.float64]
Against = Literal["path", "plan"]


class Payer(msgspec.Struct, frozen=True):
    """One customer (a group under common control) and what it pays a month, in major units."""

    name: str
    per_month: Decimal


def payers_of(exposure: Exposure) -> list[Payer]:
    """Each group of a book with its mean month, in major units."""
    denominator = exposure.denominator
    months = MONTHS_A_YEAR if denominator.measure == "annual_rate" else denominator.months
    return [
        Payer(group.group, Money(group.minor, denominator.currency).decimal / Decimal(months))
        for group in exposure.groups
    ]


class Lever(msgspec.Struct, frozen=True, kw_only=True):
    """A change to one customer, or to all of them, in a what-if; nothing by default."""

    group: str = ""
    """Whose; empty: everybody's."""
    leaves_in_month: float | None = None
    usage_factor: float = 1.0
    price_factor: float = 1.0
    from_month: int = 0
    """First month, counted from 0, to which the factors apply."""
    elasticity: float = 0.0
    """Usage changes by the price factor to this power."""
    commitment_share: float | None = None
    """Least owed for a month as a share of what the customer is planned to pay."""
    commitment_months: int = 0
    voids_commitment: bool = False
    """A suspension by the seller: nothing is owed after it."""


class Book(msgspec.Struct, frozen=True):
    """What is simulated: the arrays, who they are, and what was planned without departures.

    Amounts in the arrays are in units of `scale` major units, so that float32 holds them well.
    """

    names: tuple[str, ...]
    world: World
    plan: Doubles
    """(N,) value of each customer over the horizon at expected usage, nobody leaving."""
    planned_by_month: Doubles
    against: Against
    scale: float
    months: int
    hazards: Doubles
    """(N,) a year."""

    @property
    def reference(self) -> Doubles:
        """(N,) what simulated values are taken from: the plan, or nothing for the own path."""
        return self.plan * (self.against == "plan")


def build(
    payers: Sequence[Payer],
    assumptions: Assumptions,
    *,
    levers: Sequence[Lever] = (),
    hazards: Doubles | None = None,
    against: Against = "path",
) -> Book:
    """The arrays of a book, largest customer first.

    Args:
        payers: in any order; names are unique.
        assumptions: see there.
        levers: applied in turn; the plan stays that of the book without them.
        hazards: (N,) a year, in place of the assumed ones.
        against: what losses are counted against; `path` is what the same scenario would have
            brought had nobody left, `plan` the expected value of a book that nobody leaves.

    Raises:
        UsageError: nobody pays, too many customers, or a name that nobody has.
    """
    ranked = sorted(payers, key=lambda payer: (-payer.per_month, payer.name))
    names = tuple(payer.name for payer in ranked)
    if not ranked or ranked[-1].per_month <= 0:
        raise UsageError("every simulated customer must pay something", field="revenue")
    if len(names) > CUSTOMERS_MAX:
        raise UsageError(
            f"more than {CUSTOMERS_MAX} customers", hint="pool the smallest", field="customers"
        )
    _known([*(one.group for one in assumptions.customer), *(one.group for one in levers)], names)
    scale = float(sum(payer.per_month for payer in ranked)) / len(ranked)
    amounts = np.array([float(payer.per_month) for payer in ranked]) / scale
    terms = [assumptions.terms(name) for name in names]
    yearly = hazards if hazards is not None else assumed_hazards(names, assumptions)
    book = _plain(names, amounts, terms, assumptions, yearly, scale, against)
    for lever in levers:
        book = _pulled(book, lever)
    return book


def assumed_hazards(names: Sequence[str], assumptions: Assumptions) -> Doubles:
    """Hazard a year of each customer, the largest first."""
    rates = assumptions.hazard_per_year
    return np.array(
        [
            own
            if (own := assumptions.terms(name).hazard_per_year) is not None
            else (rates.top if at == 0 else rates.rest)
            for at, name in enumerate(names)
        ]
    )


def equal_hazards(amounts: Doubles, hazards: Doubles) -> Doubles:
    """One hazard for all: the revenue-weighted mean, so that as much revenue departs on average."""
    whole = float(amounts.sum())
    if not whole:
        return hazards.copy()  # Nobody uses anything: no rate makes a difference.
    return np.full(hazards.size, float(amounts @ hazards) / whole)


def _plain(
    names: tuple[str, ...],
    amounts: Doubles,
    terms: Sequence[CustomerTerms],
    assumptions: Assumptions,
    yearly: Doubles,
    scale: float,
    against: Against,
) -> Book:
    horizon = assumptions.horizon_months
    padded = math.ceil(horizon / QUAD) * QUAD
    within = np.arange(padded) < horizon
    years = (np.arange(padded) + 0.5) / MONTHS_A_YEAR
    growth, capacity = assumptions.growth, assumptions.capacity
    price = (1 + assumptions.price.change_per_year) ** years
    cost = capacity.cost_share * capacity.avoidable_share
    sectors = sorted({one.sector for one in terms})
    currencies = ["", *sorted(assumptions.fx)]
    market = growth.market_volatility_per_year
    own = np.array(
        [_or(one.own_volatility_per_year, growth.own_volatility_per_year) for one in terms]
    )
    # Walks add variance by the month; usage is divided by it so that its expectation is the plan.
    raw = amounts[:, None] * np.exp(growth.drift_per_year * years) * within
    variance = own**2 + market**2 + growth.sector_volatility_per_year**2
    passed = (np.arange(padded) + 1) / MONTHS_A_YEAR
    usage = raw * np.exp(-0.5 * variance[:, None] * passed)
    floors = _floors(terms, horizon, padded) / scale
    departure = assumptions.departure
    ramps = np.array([_or(one.ramp_months, departure.ramp_months) for one in terms])
    world = World(
        stream=np.arange(len(names), dtype=np.uint32),
        usage=_f32(usage),
        price=_f32(np.broadcast_to(price, raw.shape)),
        floor=_f32(floors),
        refill=_f32(_refill(assumptions, padded)),
        serving_cost=_f32(np.full(len(names), cost)),
        own_volatility=_f32(_monthly_log2(own)),
        market_volatility=_f32(_monthly_log2(np.full(len(names), market))),
        sector=np.array([sectors.index(one.sector) for one in terms], np.int32),
        currency=np.array([currencies.index(one.currency) for one in terms], np.int32),
        hazard=_f32(yearly / MONTHS_A_YEAR),
        notice=_f32([_or(one.notice_months, departure.notice_months) for one in terms]),
        ramp=_f32(np.maximum(ramps, RAMP_MONTHS_LEAST)),
        kept=_f32([_or(one.kept_share, departure.kept_share) for one in terms]),
        sector_volatility=_f32(
            _monthly_log2(np.full(len(sectors), growth.sector_volatility_per_year))
        ),
        fx_volatility=_f32(
            _monthly_log2(np.array([0.0, *(assumptions.fx[c] for c in currencies[1:])]))
        ),
        frailty_shape=_shape(departure.frailty_variance),
        against_path=np.float32(1.0 if against == "path" else 0.0),
    )
    planned = np.maximum(raw * price, floors) - cost * raw
    return Book(
        names, world, planned.sum(axis=1), planned.sum(axis=0), against, scale, horizon, yearly
    )


def _floors(terms: Sequence[CustomerTerms], horizon: int, padded: int) -> Doubles:
    """Commitments by month, in major units."""
    floors = np.zeros((len(terms), padded))
    for at, one in enumerate(terms):
        months = min(one.commitment_months, horizon)
        floors[at, :months] = float(exact_decimal(one.commitment_per_month))
    return floors


def _pulled(book: Book, lever: Lever) -> Book:
    """The book with one lever pulled; its plan stays."""
    world = book.world
    rows = slice(None) if not lever.group else [book.names.index(lever.group)]
    usage, price, floor = world.usage.copy(), world.price.copy(), world.floor.copy()
    hazard, notice, ramp = world.hazard.copy(), world.notice.copy(), world.ramp.copy()
    kept = world.kept.copy()
    start = lever.from_month
    if lever.commitment_share is not None:
        months = min(lever.commitment_months, book.months)
        planned = book.plan[rows] / book.months * lever.commitment_share
        floor[rows, :months] = np.maximum(floor[rows, :months], _f32(planned)[:, None])
    if lever.voids_commitment:
        floor[rows, start:] = 0
    price[rows, start:] *= np.float32(lever.price_factor)
    factor = lever.usage_factor * lever.price_factor**lever.elasticity
    usage[rows, start:] *= np.float32(factor)
    if lever.leaves_in_month is not None:
        hazard[rows] = -1 - lever.leaves_in_month
        if lever.voids_commitment:
            notice[rows], ramp[rows], kept[rows] = 0, RAMP_MONTHS_LEAST, 0
    changed = world._replace(
        usage=usage, price=price, floor=floor, hazard=hazard, notice=notice, ramp=ramp, kept=kept
    )
    return msgspec.structs.replace(book, world=changed)


def _refill(assumptions: Assumptions, padded: int) -> Doubles:
    """Backfill of usage freed in month t arrives `delay` months later, if that is in time."""
    months = np.arange(padded)
    in_time = months + assumptions.backfill.delay_months < assumptions.horizon_months
    return np.where(in_time, assumptions.backfill.share, 0.0)


def _known(groups: Sequence[str], names: Sequence[str]) -> None:
    missing = sorted({group for group in groups if group} - set(names))
    if missing:
        raise UsageError(
            f"there is no customer {missing[0]!r} in this file",
            hint=f"the largest are {', '.join(names[:3])}",
        )


def _monthly_log2(yearly: Doubles) -> Doubles:
    return yearly / math.sqrt(MONTHS_A_YEAR) / math.log(2)


def _shape(variance: float) -> np.float32:
    return np.float32(1 / variance if variance > 0 else 0.0)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _f32(values: Doubles | Sequence[float]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
