"""How wide: past forecasts against what came give today's interval, and how often it held before.

Errors are in parts of the forecast, so that those of a small business measure a larger one. They
are at least in parts of a quarter of the recent mean, so that a customer that fades to nothing
does not have errors of infinite size.
"""

import math
from collections.abc import Sequence

import msgspec

from quartermaster.revenue.origins import Past
from quartermaster.stats.bootstrap import block_rate
from quartermaster.stats.conformal import Bound, upper_bound

_SIZE_FLOOR_PART = 0.25


class Point(msgspec.Struct, frozen=True):
    """An amount ahead in minor units, with its interval.

    Bounds are None where too few past windows exist. An interval that is not measured stretches
    the longest measured one by the square root of time.
    """

    minor: int
    low: int | None
    high: int | None
    measured: bool


class Coverage(msgspec.Struct, frozen=True):
    """How often intervals of the past held, with the block-bootstrap interval of that share."""

    hits: int
    windows: int
    rate: float
    low: float
    high: float
    block: int
    seed: int


class Fan(msgspec.Struct, frozen=True, kw_only=True):
    """A forecast with its intervals: by step, and of the sum of all steps."""

    name: str
    points: tuple[Point, ...]
    total: Point
    """Its interval is measured on sums, not added up from steps."""
    coverage: Coverage | None
    """Of the intervals of single steps; None while too few windows lie behind."""
    pooled: int = 0
    """Customers in it, where it is the pooled tail."""
    topped_up: int = 0
    """What commitments add to the usage ahead, in `total`."""
    owed: int = 0
    """What the customer left out still owes under its commitments, in `total`."""

    def over(self, least: Sequence[int]) -> "Fan":
        """The fan of one customer that owes at least so much for each step.

        Exact: where an interval holds its usage, the interval cut off below at what is owed holds
        its revenue. That of the sum is cut off at the sum of what is owed, which is less.
        """
        points = tuple(_cut(point, owes) for point, owes in zip(self.points, least, strict=True))
        added = sum(point.minor for point in points) - self.total.minor
        moved = _moved(self.total, added)
        total = _raised(moved, sum(least))
        return msgspec.structs.replace(self, points=points, total=total, topped_up=added)

    def not_under(self, least: Sequence[int]) -> "Fan":
        """The fan of several customers that owe so much together: only its lower ends move."""
        points = tuple(_raised(point, owes) for point, owes in zip(self.points, least, strict=True))
        return msgspec.structs.replace(self, points=points, total=_raised(self.total, sum(least)))

    def beside(self, owes: Sequence[int]) -> "Fan":
        """The fan with an amount that is certain added to each step."""
        points = tuple(_moved(point, more) for point, more in zip(self.points, owes, strict=True))
        return msgspec.structs.replace(
            self, points=points, total=_moved(self.total, sum(owes)), owed=sum(owes)
        )


def _raised(point: Point, least: int) -> Point:
    if point.low is None or not least:
        return point
    return msgspec.structs.replace(point, low=max(point.low, min(least, point.minor)))


def _cut(point: Point, least: int) -> Point:
    if not least:
        return point
    if point.low is None or point.high is None:
        return msgspec.structs.replace(point, minor=max(point.minor, least))
    return msgspec.structs.replace(
        point,
        minor=max(point.minor, least),
        low=max(point.low, least),
        high=max(point.high, least),
    )


def _moved(point: Point, more: int) -> Point:
    if point.low is None or point.high is None:
        return msgspec.structs.replace(point, minor=point.minor + more)
    return msgspec.structs.replace(
        point, minor=point.minor + more, low=point.low + more, high=point.high + more
    )


class Judge(msgspec.Struct, frozen=True, kw_only=True):
    """What every fan of one forecast is judged by."""

    steps: int
    season: int
    miss: float
    seed: int

    def fan(self, name: str, path: Sequence[int], past: Past) -> Fan:
        """Today's path with intervals from how far its past was off."""
        bounds = [self._bound(past, step, 1) for step in range(self.steps)]
        measured = [step for step, bound in enumerate(bounds) if bound.upper is not None]
        points = []
        for step, minor in enumerate(path):
            near = max((known for known in measured if known <= step), default=None)
            upper = None if near is None else bounds[near].upper
            stretch = 1.0 if near is None else math.sqrt((step + 1) / (near + 1))
            points.append(self._point(minor, upper, stretch, near == step, past, 1))
        return Fan(
            name=name,
            points=tuple(points),
            total=self._sum(path, past, len(measured)),
            coverage=_coverage([bounds[step] for step in measured], self.steps, self.seed),
        )

    def _sum(self, path: Sequence[int], past: Past, measured: int) -> Point:
        for span in range(min(self.steps, max(measured, 1)), 0, -1):
            upper = self._bound(past, 0, span).upper
            if upper is not None:
                stretch = math.sqrt(self.steps / span)
                exact = span == self.steps
                return self._point(sum(path), upper, stretch, exact, past, self.steps)
        return self._point(sum(path), None, 1.0, False, past, self.steps)

    def _point(
        self, minor: int, upper: float | None, stretch: float, exact: bool, past: Past, span: int
    ) -> Point:
        if upper is None:
            return Point(minor, None, None, False)
        half = upper * stretch * size(minor, past.actual, self.season, span)
        low = round(minor - half)
        return Point(
            minor,
            max(low, 0) if min(past.actual) >= 0 else low,
            round(minor + half),
            exact,
        )

    def _bound(self, past: Past, step: int, span: int) -> Bound:
        errors = [abs(error) for error in scores(past, self.season, step, span)]
        return upper_bound(errors, miss=self.miss, delay=step + span)


def scores(past: Past, season: int, step: int, span: int) -> list[float]:
    """Errors of the sum of `span` steps from `step` on, in parts of the forecast, oldest first."""
    found = []
    for origin, path in past.paths:
        if origin + step + span > len(past.actual):
            break
        came = sum(past.actual[origin + step : origin + step + span])
        said = sum(path[step : step + span])
        found.append((came - said) / size(said, past.actual[:origin], season, span))
    return found


def size(said: float, known: Sequence[int], season: int, span: int) -> float:
    """What an error is a part of: the forecast, or a quarter of what was usual."""
    recent = known[-season:]
    usual = sum(abs(value) for value in recent) / len(recent)
    return max(abs(said), _SIZE_FLOOR_PART * usual * span, 1.0)


def held(windows: Sequence[tuple[int, int]], *, block: int, seed: int) -> Coverage:
    """The share of hits over windows of (hits, count), with its block-bootstrap interval.

    Raises:
        UsageError: no windows.
    """
    rate = block_rate(windows, block=block, seed=seed)
    return Coverage(rate.hits, rate.windows, rate.rate, rate.low, rate.high, rate.block, rate.seed)


def _coverage(bounds: Sequence[Bound], block: int, seed: int) -> Coverage | None:
    """Hits of bounds for several steps; those of one origin stay together."""
    by_origin: dict[int, list[bool]] = {}
    for bound in bounds:
        for at, hit in enumerate(bound.hits, start=bound.first):
            by_origin.setdefault(at, []).append(hit)
    windows = [(sum(by_origin[at]), len(by_origin[at])) for at in sorted(by_origin)]
    return held(windows, block=block, seed=seed) if windows else None
