"""The same forecast made at every past origin, from what was known then.

Which customers are named is chosen again at each origin: today's list, applied to the past, would
know who was going to grow.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from quartermaster.revenue.floors import Floors, bound, owed
from quartermaster.stats.forecast import ORIGIN_MIN, paths
from quartermaster.stats.reconcile import reconciled

ERRORS_KEPT = 12
"""One-step errors that weigh a part against the total: older ones are of another business."""


class Window(NamedTuple):
    """The reconciled forecast made at one origin, in minor units."""

    origin: int
    names: tuple[str, ...]
    others: int
    """Customers that are pooled."""
    free: list[list[int]]
    """One path a named customer in the order of `names`, then the others where there are any, as
    usage goes."""
    parts: list[list[int]]
    """The same with what is owed at least."""
    least: list[list[int]]
    """What is owed at least of each of `parts`."""

    def path(self, without: str = "") -> list[int]:
        """The sum of the parts, step by step, with or without all of one named customer."""
        gone = self.names.index(without) if without else -1
        kept = [part for at, part in enumerate(self.parts) if at != gone]
        return [sum(step) for step in zip(*kept, strict=True)] if kept else [0] * self.steps

    def owed_by(self, name: str) -> list[int]:
        """What one named customer owes at least, step by step."""
        return self.least[self.names.index(name)]

    @property
    def steps(self) -> int:
        """Steps ahead."""
        return len(self.parts[0])


class Past(NamedTuple):
    """What was forecast at each past origin, and the series that came."""

    paths: list[tuple[int, Sequence[float]]]
    actual: Sequence[int]


class Origins:
    """Base forecasts of every series that was ever named, and of the tails left beside them."""

    def __init__(
        self,
        series: Mapping[str, Sequence[int]],
        *,
        steps: int,
        top: int,
        season: int,
        named: str = "",
        floors: Floors | None = None,
    ) -> None:
        self._series, self._floors = series, floors or {}
        self._steps, self._top, self._season, self._named = steps, top, season, named
        self.total = [sum(step) for step in zip(*series.values(), strict=True)]
        self.length = len(self.total)
        self._base: dict[frozenset[str] | str, tuple[Sequence[int], list[list[float]]]] = {}

    def chosen(self, origin: int) -> tuple[str, ...]:
        """Who is named: the largest of the season before the origin, and whoever must be."""
        first = max(0, origin - self._season)
        sizes = {name: sum(values[first:origin]) for name, values in self._series.items()}
        ranked = sorted(sizes, key=lambda name: (-sizes[name], name))
        kept = [name for name in ranked[: self._top] if sizes[name] > 0]
        if self._named and self._named not in kept:
            kept.append(self._named)
        return tuple(kept)

    def window(self, origin: int) -> Window:
        """The forecast made at one origin."""
        names = self.chosen(origin)
        keys: list[frozenset[str] | str] = list(names)
        others = len(self._series) - len(names)
        if others:
            keys.append(frozenset(names))
        bases = [self._path(key, origin) for key in keys]
        total = self._path("", origin)
        variances = [self._variance(key, origin) for key in keys]
        total_variance = self._variance("", origin)
        free: list[list[int]] = [[] for _ in keys]
        for step in range(self._steps):
            moved = reconciled(
                total[step], [base[step] for base in bases], total_variance, variances
            )
            for key, part, value in zip(keys, free, moved, strict=True):
                part.append(max(round(value), 0) if self._never_negative(key) else round(value))
        least = [self._owed(name, origin) for name in names]
        parts = [bound(part, owes) for part, owes in zip(free, least, strict=False)]
        if others:
            topped_up, owes = self._tail(frozenset(names), origin)
            least.append(owes)
            parts.append([a + b for a, b in zip(free[-1], topped_up, strict=True)])
        return Window(origin, names, others, free, parts, least)

    def _owed(self, name: str, origin: int) -> list[int]:
        floors = self._floors.get(name, ())
        return owed(floors, origin, self._steps, today=origin == self.length)

    def _tail(self, named: frozenset[str], origin: int) -> tuple[list[int], list[int]]:
        """What floors add to the pooled customers, each on its own path, and what these owe."""
        added, least = [0] * self._steps, [0] * self._steps
        for name in self._floors:
            owes = [] if name in named else self._owed(name, origin)
            if not any(owes):
                continue
            path = self._path(name, origin)
            for step, minor in enumerate(owes):
                added[step] += max(minor - max(round(path[step]), 0), 0)
                least[step] += minor
        return added, least

    def past_sum(self, windows: Sequence[Window], without: str = "") -> Past:
        """Reconciled sums of past windows against what came, with or without one customer."""
        actual: Sequence[int] = self.total
        if without:
            pairs = zip(self.total, self._series[without], strict=True)
            actual = [total - gone for total, gone in pairs]
        return Past([(window.origin, window.path(without)) for window in windows], actual)

    def past_part(self, part: str | frozenset[str]) -> Past:
        """Base forecasts of one customer, or of everyone but the named, against what came.

        Nothing counts before there was something: that nobody who was not there came back is no
        merit, and that somebody came at all no forecast can know.
        """
        actual, found = self._known(part)
        began = next((at for at, value in enumerate(actual) if value), self.length)
        past = zip(range(ORIGIN_MIN, self.length), found, strict=False)
        return Past([window for window in past if window[0] >= began + ORIGIN_MIN], actual)

    def _known(self, key: frozenset[str] | str) -> tuple[Sequence[int], list[list[float]]]:
        """A series and its base paths: a customer, all (no name), or a tail (by whom it lacks)."""
        if key not in self._base:
            values: Sequence[int] = self.total
            if isinstance(key, frozenset):
                named = [self._series[name] for name in key]
                lost = [sum(step) for step in zip(*named, strict=True)] or [0] * self.length
                values = [total - gone for total, gone in zip(self.total, lost, strict=True)]
            elif key:
                values = self._series[key]
            found = paths(
                [float(value) for value in values], horizon=self._steps, season=self._season
            )
            self._base[key] = (values, found)
        return self._base[key]

    def _path(self, key: frozenset[str] | str, origin: int) -> list[float]:
        return self._known(key)[1][origin - ORIGIN_MIN]

    def _never_negative(self, key: frozenset[str] | str) -> bool:
        return min(self._known(key)[0]) >= 0

    def _variance(self, key: frozenset[str] | str, origin: int) -> float:
        """Mean squared one-step error of what was known before the origin; 0 before any."""
        values, found = self._known(key)
        first = max(ORIGIN_MIN, origin - ERRORS_KEPT)
        errors = [values[at] - found[at - ORIGIN_MIN][0] for at in range(first, origin)]
        return sum(error * error for error in errors) / len(errors) if errors else 0.0
