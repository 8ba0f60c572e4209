"""What scores are worth, with intervals that know how few families there are."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.conduct_parts.fit import auroc
from quartermaster.conduct.features import FloatArray

RESAMPLES = 200
NEGATIVES_FOR = 10
"""A rate f is only spoken of with at least 10 / f ordinary account-days."""


class Scored(NamedTuple):
    """Scores of one side with what they were drawn from."""

    scores: FloatArray
    family: npt.NDArray[np.str_]
    source: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Scored":
        """Some of them."""
        return Scored(self.scores[rows], self.family[rows], self.source[rows])


def joined(left: Scored, right: Scored) -> Scored:
    """Both."""
    return Scored(*(np.concatenate(pair) for pair in zip(left, right, strict=True)))


class Estimate(NamedTuple):
    """A figure with its 90 % interval over families and sources."""

    value: float | None
    low: float = float("nan")
    high: float = float("nan")

    def __str__(self) -> str:
        if self.value is None:
            return "too few ordinary days"
        return f"{self.value:.3f} ({self.low:.2f} to {self.high:.2f})"


def line_at(ordinary: FloatArray, rate: float) -> float:
    """The score that `rate` of the ordinary account-days exceed."""
    return float(np.quantile(ordinary, 1 - rate, method="higher"))


def tpr_at(harvest: FloatArray, ordinary: FloatArray, rate: float) -> float:
    """Share of campaigns above the line that `rate` of ordinary account-days exceed."""
    return float((harvest > line_at(ordinary, rate)).mean())


def estimate(
    harvest: Scored, ordinary: Scored, figure: Callable[[FloatArray, FloatArray], float]
) -> Estimate:
    """A figure, and its interval when families are drawn again, and sources within them."""
    draw = np.random.default_rng(20261123)
    sides = [_nested_rows(side) for side in (harvest, ordinary)]
    values = [
        figure(
            harvest.scores[_resample(sides[0], draw)], ordinary.scores[_resample(sides[1], draw)]
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(values, [0.05, 0.95])
    return Estimate(figure(harvest.scores, ordinary.scores), float(low), float(high))


def auroc_of(harvest: Scored, ordinary: Scored) -> Estimate:
    """The area under the curve with its interval."""
    return estimate(harvest, ordinary, auroc)


def tpr_of(harvest: Scored, ordinary: Scored, rate: float) -> Estimate:
    """The true positive rate at a false positive rate; refused with too few ordinary days."""
    if len(ordinary.scores) < NEGATIVES_FOR / rate:
        return Estimate(None)
    return estimate(harvest, ordinary, lambda h, o: tpr_at(h, o, rate))


def by_family(scored: Scored, line: float) -> dict[str, float]:
    """Share of each family's account-days above a line."""
    names = sorted(set(scored.family.tolist()))
    return {name: float((scored.scores[scored.family == name] > line).mean()) for name in names}


def calibration_error(harvest: Scored, ordinary: Scored, bins: int = 10) -> float:
    """Expected distance between stated and found shares, sides and families weighing the same."""
    chance, truth, weight = [], [], []
    for side, label in ((harvest, 1.0), (ordinary, 0.0)):
        names, inverse, counts = np.unique(side.family, return_inverse=True, return_counts=True)
        chance.append(1 / (1 + np.exp(-np.clip(side.scores, -50, 50))))
        truth.append(np.full(len(side.scores), label))
        weight.append(0.5 / len(names) / counts[inverse])
    p, y, w = (np.concatenate(part) for part in (chance, truth, weight))
    order = np.argsort(p)
    place = np.minimum((np.cumsum(w[order]) * bins).astype(int), bins - 1)
    error = 0.0
    for at in range(bins):
        rows = order[place == at]
        if len(rows):
            error += abs(float(w[rows] @ (p[rows] - y[rows])))
    return error


def _nested_rows(side: Scored) -> list[list[npt.NDArray[np.intp]]]:
    out = []
    for name in sorted(set(side.family.tolist())):
        rows = np.flatnonzero(side.family == name)
        held = side.source[rows]
        out.append([rows[held == source] for source in np.unique(held)])
    return out


def _resample(
    families: Sequence[list[npt.NDArray[np.intp]]], draw: np.random.Generator
) -> npt.NDArray[np.intp]:
    out = []
    for at in draw.integers(len(families), size=len(families)):
        held = families[at]
        out += [held[pick] for pick in draw.integers(len(held), size=len(held))]
    return np.concatenate(out)
