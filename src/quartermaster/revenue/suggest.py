"""A range to promise, with a stated chance of a miss, and how such ranges would have done.

The range is set by how far the same forecast of the same span was off at every past origin: the
low end is missed with the chance asked for, the high end beaten with the other. Every past origin
is then asked what it would have suggested, knowing nothing later, and the answers are scored like
anybody's guidance.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple

import msgspec

from quartermaster.kernel.errors import UsageError
from quartermaster.revenue.floors import Floors
from quartermaster.revenue.judged import Coverage, held, scores, size
from quartermaster.revenue.origins import Origins, Past
from quartermaster.revenue.track_record import Chances, Errors, chances, errors
from quartermaster.stats.conformal import WINDOWS_MIN, Bound, upper_bound
from quartermaster.stats.forecast import ORIGIN_MIN

CHANCE_MIN, CHANCE_MAX = 0.01, 0.45
"""Rarer misses than one in a hundred no book has windows for; above 45 % on either side the ends
of the range would trade places."""


class Replayed(msgspec.Struct, frozen=True):
    """What would have been promised at past origins, against what came."""

    errors: Errors
    """Of the middle of the range, in parts of what came: -0.02 is promising 2 % less."""
    chances: Chances
    misses: Coverage
    """The share of misses with its block-bootstrap interval, to hold against the stated chance."""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A range for the sum of the next periods, in minor units."""

    steps: int
    forecast: int
    low: int
    high: int
    miss_chance: float
    beat_chance: float
    windows: int
    """Past windows of this span that the ends are taken from."""
    replayed: Replayed | None
    """None while no past origin had windows enough for the stated chance."""


def suggest(
    series: Mapping[str, Sequence[int]],
    *,
    steps: int,
    miss: float,
    beat: float,
    top: int,
    season: int = 12,
    seed: int = 0,
    floors: Floors | None = None,
) -> Suggestion:
    """Suggest guidance for the sum of the next `steps` periods of all customers.

    Args:
        series: minor units by customer, all of the same gapless periods, oldest first.
        steps: periods that the guidance is for: 3 is a quarter of months.
        miss: chance that less than the low end comes in.
        beat: chance that more than the high end comes in.
        top: customers forecast alone.
        season: periods of a season.
        seed: of the bootstrap around the share of misses.
        floors: what customers owe at least, by customer and period.

    Raises:
        UsageError: chances out of range, or too few past windows to state them.
    """
    if not (CHANCE_MIN <= miss <= CHANCE_MAX and CHANCE_MIN <= beat <= CHANCE_MAX):
        raise UsageError(f"chances of a miss and of a beat lie in {CHANCE_MIN} to {CHANCE_MAX}")
    origins = Origins(series, steps=steps, top=top, season=season, floors=floors)
    past = origins.past_sum([origins.window(at) for at in range(ORIGIN_MIN, origins.length)])
    off = scores(past, season, 0, steps)
    needed = _require_windows(len(off), min(miss, beat), steps)
    below = upper_bound([-error for error in off], miss=miss, delay=steps)
    above = upper_bound(off, miss=beat, delay=steps)
    said = sum(origins.window(origins.length).path())
    part = size(said, past.actual, season, steps)
    assert below.upper is not None
    assert above.upper is not None
    low, high = _range(said, below.upper, above.upper, part)
    ranges = _past_ranges(past, below, above, season, range(needed + steps - 1, len(off)))
    return Suggestion(
        steps=steps,
        forecast=said,
        low=low,
        high=high,
        miss_chance=miss,
        beat_chance=beat,
        windows=len(off),
        replayed=_replayed(ranges, miss, steps, seed) if ranges else None,
    )


def windows_needed(chance: float) -> int:
    """Past windows under which the chance has no order statistic of its own."""
    return max(WINDOWS_MIN, ceil(1 / chance - 1e-9) - 1)


def _require_windows(windows: int, chance: float, steps: int) -> int:
    """The windows that a chance needs, of those that there are."""
    needed = windows_needed(chance)
    if windows < needed:
        raise UsageError(
            f"a chance of {chance:.0%} needs {needed} past windows of {steps} periods,"
            f" there are {windows}",
            hint="ask for a larger chance or a shorter span, or bring a longer history",
        )
    return needed


class _Range(NamedTuple):
    """A past suggestion and what came."""

    low: int
    high: int
    came: int


def _range(said: int, below: float, above: float, part: float) -> tuple[int, int]:
    """Ends as minor units; where both errors point one way they may cross, and become a point."""
    low, high = round(said - below * part), round(said + above * part)
    middle = (low + high) // 2
    return (low, high) if low <= high else (middle, middle)


def _past_ranges(
    past: Past, below: Bound, above: Bound, season: int, windows: range
) -> list[_Range]:
    """What would have been suggested at past windows, from where both ends have a bound."""
    return [
        _past_range(past, at, below.past[at - below.first], above.past[at - above.first], season)
        for at in windows
        if at >= below.first
    ]


def _past_range(past: Past, at: int, below: float, above: float, season: int) -> _Range:
    origin, path = past.paths[at]
    said, steps = round(sum(path)), len(path)
    part = size(said, past.actual[:origin], season, steps)
    return _Range(*_range(said, below, above, part), sum(past.actual[origin : origin + steps]))


def _replayed(ranges: Sequence[_Range], miss: float, steps: int, seed: int) -> Replayed | None:
    judged = [found for found in ranges if found.came]
    stated = chances([(Fraction(str(miss)), found.came < found.low) for found in ranges])
    if not judged or stated is None:
        return None
    pairs = [(Fraction(f.low + f.high, 2 * f.came), Fraction(1)) for f in judged]
    missed = [(int(found.came < found.low), 1) for found in ranges]
    return Replayed(errors(pairs), stated, held(missed, block=steps, seed=seed))
