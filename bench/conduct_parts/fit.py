"""Fit the score's weights: logistic regression with imposed signs, families weighing the same.

The ridge is chosen inside training by leaving out one family of campaigns at a time, so that what
is measured on held-out families has no part in any choice.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import structs
from scipy.optimize import minimize

from quartermaster.conduct.features import NAMES, SIGNS, FloatArray
from quartermaster.conduct.model import STANDARD_MAX, Model

BoolArray = npt.NDArray[np.bool_]
RIDGES = (30.0, 100.0, 300.0, 1000.0)
EQUAL_WEIGHT = 0.5
"""What a weight is drawn towards: half a log-odd for each standard deviation, in its sign."""
TOTAL_WEIGHT = 100.0
"""Weight of each side; the ridges are in its units."""
SPREAD_MIN = 1e-3
ORDINARY_PARTS = 4
HIGH = 0.97


class LeftOut(NamedTuple):
    """Log-odds of rows whose families were left out of training."""

    log_odds: FloatArray
    harvest: BoolArray
    auroc: float


def family_weights(harvest: BoolArray, family: Sequence[str]) -> FloatArray:
    """Both sides weigh the same, and so do the families of a side."""
    names = np.array(family)
    weights = np.zeros(len(names))
    for side in (True, False):
        held = sorted(set(names[harvest == side]))
        for name in held:
            rows = names == name
            weights[rows] = TOTAL_WEIGHT / len(held) / rows.sum()
    return weights


def fit(rows: FloatArray, harvest: BoolArray, family: Sequence[str], ridge: float) -> Model:
    """The weights that fit the rows best, given the ridge."""
    weights = family_weights(harvest, family)
    total, rooted = weights.sum(), np.sqrt(rows)
    means = weights @ rooted / total
    spreads = np.sqrt(weights @ (rooted - means) ** 2 / total) + SPREAD_MIN
    standard = np.clip((rooted - means) / spreads, -STANDARD_MAX, STANDARD_MAX)
    side = np.where(harvest, 1.0, -1.0)
    prior = EQUAL_WEIGHT * SIGNS

    def loss(at: FloatArray) -> tuple[float, FloatArray]:
        margin = side * (standard @ at[1:] + at[0])
        pull = -side * weights / (1 + np.exp(np.clip(margin, -500, 500)))
        away = at[1:] - prior
        slope = np.concatenate(([pull.sum()], standard.T @ pull + ridge * away))
        return float(weights @ np.logaddexp(0, -margin) + ridge * (away**2).sum() / 2), slope

    bounds = [(None, None), *((0, None) if sign > 0 else (None, 0) for sign in SIGNS)]
    start = np.concatenate(([0.0], prior))
    at = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x.tolist()
    return Model(NAMES, tuple(means.tolist()), tuple(spreads.tolist()), tuple(at[1:]), at[0])


def nested(rows: FloatArray, harvest: BoolArray, family: Sequence[str]) -> Model:
    """Fit with the ridge that is best for families left out of training in turn, and its scale."""
    names = np.array(family)
    tried = {ridge: _left_out(rows, harvest, names, ridge) for ridge in RIDGES}
    ridge = max(RIDGES, key=lambda one: tried[one].auroc)
    left = tried[ridge]
    middle, high = np.quantile(left.log_odds[~left.harvest], [0.5, HIGH])
    scaled = structs.replace(
        fit(rows, harvest, family, ridge), centre=float(middle), scale=float(high - middle)
    )
    slope, offset = platt(scaled.score(left.log_odds), left.harvest)
    return structs.replace(scaled, slope=slope, offset=offset, made_by=f"ridge {ridge:g}")


def platt(scores: FloatArray, harvest: BoolArray) -> tuple[float, float]:
    """Slope and offset that turn scores into log-odds, both sides weighing the same."""
    side = np.where(harvest, 1.0, -1.0)
    weights = np.where(harvest, 0.5 / harvest.sum(), 0.5 / (~harvest).sum())

    def loss(at: FloatArray) -> float:
        return float(weights @ np.logaddexp(0, -side * (at[0] * scores + at[1])))

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x.tolist()
    return slope, offset


def _left_out(
    rows: FloatArray, harvest: BoolArray, names: npt.NDArray[np.str_], ridge: float
) -> LeftOut:
    odds, sides, areas = [], [], []
    ordinary = sorted(set(names[~harvest]))
    for place, name in enumerate(sorted(set(names[harvest]))):
        held = np.isin(names, [name, *ordinary[place % ORDINARY_PARTS :: ORDINARY_PARTS]])
        model = fit(rows[~held], harvest[~held], names[~held].tolist(), ridge)
        found, side = model.log_odds(rows[held]), harvest[held]
        areas.append(auroc(found[side], found[~side]))
        odds.append(found)
        sides.append(side)
    return LeftOut(np.concatenate(odds), np.concatenate(sides), float(np.mean(areas)))


def auroc(harvest: FloatArray, ordinary: FloatArray) -> float:
    """Chance that a harvest scores above an ordinary account-day; ties count half."""
    ordered = np.sort(ordinary)
    below = np.searchsorted(ordered, harvest, "left") + np.searchsorted(ordered, harvest, "right")
    return float(below.mean() / 2 / len(ordered))
