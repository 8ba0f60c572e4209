"""Revenue ahead: each large customer alone, the others pooled, their sum, and the sum without one.

At every past origin the customers to name are chosen, forecast, and reconciled from what was known
then. How far those forecasts were off gives today's intervals, and whether the intervals of the
past held gives the coverage that is shown with them. Amounts are integer minor units, and every
total is exactly the sum of its parts.

A customer that owes a least amount brings that at least, until its contract ends: each customer's
floor is held against that customer's own forecast, also in the pooled tail, so that one that grows
does not pay for one that shrinks.

"Without X" is the day X has gone, all at once, with nothing sold in its place; what X still owes
under its commitments is in it, and named.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.revenue.floors import Floors
from quartermaster.revenue.judged import Fan, Judge
from quartermaster.revenue.origins import Origins, Window
from quartermaster.stats.forecast import ORIGIN_MIN

LEVEL = 0.8
"""Of the intervals: one in five misses. At 95 % two years of months hold one miss to learn from."""
STEPS_MAX = 60
"""Five years of months; no error measured in a book reaches further."""
TOP = 10
"""Customers forecast alone: whom a board knows by name. The tail is steadier pooled."""
TOP_MAX = 100
"""Each costs a pass over its months; beyond a hundred the pooled tail says as much."""
MONTHS_A_YEAR = 12
OTHERS = "all others"
METHOD = (
    "median of damped trend, theta and naive, weighed against the recent mean by past errors;"
    " reconciled by minimum trace with a diagonal"
)


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Everything ahead, of one seller in one currency."""

    level: float
    steps: int
    origins: int
    """Past origins at which the same forecast was made and judged."""
    whole: Fan
    without: Fan | None
    parts: tuple[Fan, ...]
    """Named customers, largest first, then the pooled others; points sum to `whole` exactly.

    Their intervals come from each one's own forecasts before reconciliation."""
    method: str = METHOD


def forecast(
    series: Mapping[str, Sequence[int]],
    *,
    steps: int,
    without: str = "",
    top: int = TOP,
    season: int = MONTHS_A_YEAR,
    level: float = LEVEL,
    seed: int = 0,
    floors: Floors | None = None,
) -> Forecast:
    """Forecast the book.

    Args:
        series: minor units by customer, all of the same gapless periods, oldest first.
        steps: periods ahead.
        without: a customer to leave out beside the full forecast; it is always named.
        top: customers forecast alone, by revenue of the last season.
        season: periods of a season: 12 for months, 7 for days.
        level: of the intervals.
        seed: of the bootstrap around the measured coverage.
        floors: what customers owe at least, by customer and period.

    Raises:
        NotFoundError: the customer to leave out, or one with a floor, is not there.
        UsageError: no or uneven series, too few periods, or a limit.
    """
    floors = floors or {}
    _check(series, steps, without, top, level)
    for name in floors:
        _known(name, series)
    origins = Origins(series, steps=steps, top=top, season=season, named=without, floors=floors)
    windows = [origins.window(origin) for origin in range(ORIGIN_MIN, origins.length)]
    today = origins.window(origins.length)
    judge = Judge(steps=steps, season=season, miss=1 - level, seed=seed)
    parts = tuple(_parts(origins, today, judge))
    least = [sum(step) for step in zip(*today.least, strict=True)]
    whole = judge.fan("", today.path(), origins.past_sum(windows)).not_under(least)
    others = None
    if without:
        others = judge.fan(without, today.path(without), origins.past_sum(windows, without))
        others = others.beside(today.owed_by(without))
    return Forecast(
        level=level,
        steps=steps,
        origins=len(windows),
        whole=msgspec.structs.replace(whole, topped_up=sum(fan.topped_up for fan in parts)),
        without=others,
        parts=parts,
    )


def _parts(origins: Origins, today: Window, judge: Judge) -> Iterator[Fan]:
    for name, path, least in zip(today.names, today.free, today.least, strict=False):
        yield judge.fan(name, path, origins.past_part(name)).over(least)
    if today.others:
        past = origins.past_part(frozenset(today.names))
        fan = judge.fan(OTHERS, today.parts[-1], past)
        added = sum(today.parts[-1]) - sum(today.free[-1])
        fan = fan.not_under(today.least[-1])
        yield msgspec.structs.replace(fan, pooled=today.others, topped_up=added)


def _check(
    series: Mapping[str, Sequence[int]], steps: int, without: str, top: int, level: float
) -> None:
    lengths = {len(values) for values in series.values()}
    if len(lengths) != 1:
        raise UsageError("a forecast needs customers, all with the same periods")
    if min(lengths) < ORIGIN_MIN:
        raise UsageError(
            f"a forecast needs {ORIGIN_MIN} periods, there are {min(lengths)}",
            hint="with fewer, a trend is two points and their noise",
        )
    if not 1 <= steps <= STEPS_MAX or not 1 <= top <= TOP_MAX:
        raise UsageError(f"a forecast reaches 1 to {STEPS_MAX} periods, 1 to {TOP_MAX} customers")
    if not 0 < level < 1:
        raise UsageError("the level of an interval lies between 0 and 1")
    if without:
        _known(without, series)


def _known(customer: str, series: Mapping[str, Sequence[int]]) -> None:
    if customer not in series:
        near = sorted(series, key=lambda name: (customer.casefold() not in name.casefold(), name))
        raise NotFoundError(
            f"there is no customer {customer!r}", hint=f"there is {', '.join(near[:3])}"
        )
