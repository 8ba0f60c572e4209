"""Rolling-origin backtest of the departure probability: what would have been said, and what came.

At each origin the model learns only from rows whose whole horizon lies before it. One configuration
serves every panel: the features of `warning_features`, a row for every week of the past, and the
ridges and folds of `stats.hazard`. Nothing else is set by hand or by panel.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from quartermaster.exposure.backtest_baselines import BASELINES
from quartermaster.exposure.panel import Panel
from quartermaster.exposure.warning_features import (
    PAIRED,
    WINDOW,
    FloatArray,
    Observations,
    observe,
    stacked,
    weeks_of,
)
from quartermaster.kernel.errors import DataError
from quartermaster.stats import scoring
from quartermaster.stats.hazard import Hazard, fit

STEP_WEEKS = 4
"""Statements are scored every four weeks, counted back from the newest origin with an outcome."""
WARM_WEEKS_MIN, WARM_WEEKS_MAX = 26, 44
"""Half of the history is only learnt from: no less than a first window and its outcome, and no
more than ten months, after which waiting buys little."""
ROW_WEIGHT = 0.25
"""Weekly rows of a tenant overlap and repeat each other: four count as one."""
OPENING_WEEKS = 16
"""At earlier origins the file hardly looks back beyond the trailing window itself: every tenant
looks new. One panel of four (CDNOW) was miscalibrated for long by these rows."""
LATER_ORIGINS_MIN = 8
"""Weekly origins after the opening that must be known before its rows are left out."""
SEED = 20_240_731
"""Of the draws behind the calibration bar."""
MODEL = "pooled hazard"
SCHEMA = "quartermaster.backtest/1"


class Score(msgspec.Struct, frozen=True):
    """How good one method's probabilities were."""

    method: str
    brier: float
    log_loss: float
    ece: float
    auc: float | None
    revenue_auc: float | None
    captured: float
    gap_closed: float | None


class Backtest(msgspec.Struct, frozen=True):
    """What a rolling-origin backtest measured on one panel."""

    tenants: int
    weeks: int
    origins: int
    rows: int
    event_share: float
    captured_by_size: float
    captured_by_oracle: float
    ece_calibrated_p95: float
    """95th percentile of the ECE of a perfectly calibrated forecaster on the same rows."""
    scores: tuple[Score, ...]
    """The model first, then the baselines."""
    reliability: tuple[tuple[float, float, int], ...]
    """Of the model: mean stated, share that came, statements."""


def backtest_json(result: Backtest) -> dict[str, Any]:
    """Plain values for programs."""
    return {"schema": SCHEMA, **msgspec.to_builtins(result)}


Predict = Callable[[Observations, Observations], FloatArray]


def learn(rows: Observations) -> Hazard:
    """The committed model, fitted to rows with outcomes."""
    return fit(rows.features, rows.events, rows.tenants, weight=ROW_WEIGHT, paired=PAIRED)


def predict(train: Observations, test: Observations) -> FloatArray:
    """The committed model's probabilities."""
    return learn(train).probability(test.features)


def training_rows(observations: Observations, origin: int) -> Observations:
    """Rows whose whole horizon lies before the origin, without the opening where that is left."""
    known = observations.origins + WINDOW <= origin
    later = known & (observations.origins >= OPENING_WEEKS)
    enough = len(np.unique(observations.origins[later])) >= LATER_ORIGINS_MIN
    return observations.rows(later if enough else known)


def scored_origins(weeks: int, phase: int = 0) -> list[int]:
    """Origins that are scored, oldest first.

    Args:
        weeks: of the panel.
        phase: weeks to count back from the newest origin, to see how much the calendar matters.
    """
    warm = max(WARM_WEEKS_MIN, min(WARM_WEEKS_MAX, weeks // 2))
    return list(range(weeks - WINDOW - phase, warm - 1, -STEP_WEEKS))[::-1]


def statements(
    panel: Panel, methods: dict[str, Predict], phase: int = 0
) -> tuple[Observations, dict[str, FloatArray]]:
    """What each method would have said at each scored origin, beside what came.

    Raises:
        DataError: too short for a single scored origin, or no outcome of both kinds to learn from.
    """
    origins = scored_origins(panel.weeks, phase)
    if not origins:
        raise DataError(
            f"{panel.weeks} whole weeks of usage are too few to score anything",
            hint=f"at least {WARM_WEEKS_MIN + WINDOW} are needed",
        )
    weeks = weeks_of(panel)
    past = observe(weeks, list(range(WINDOW, panel.weeks - WINDOW + 1)))
    tests: list[Observations] = []
    said: dict[str, list[FloatArray]] = {name: [] for name in methods}
    for origin in origins:
        train = training_rows(past, origin)
        test = past.rows(past.origins == origin)
        if not len(test.events) or len(np.unique(train.events)) < 2:
            continue
        tests.append(test)
        for name, method in methods.items():
            said[name].append(method(train, test))
    if not tests:
        raise DataError(
            "there are no outcomes of both kinds to learn from",
            hint="tenants count once they are active in two of thirteen weeks",
        )
    return stacked(tests), {name: np.concatenate(parts) for name, parts in said.items()}


def backtest(panel: Panel, *, extra: dict[str, Predict] | None = None, phase: int = 0) -> Backtest:
    """Score the model and the baselines on one panel.

    Args:
        panel: the usage.
        extra: further methods to score.
        phase: see `scored_origins`.

    Raises:
        DataError: see `statements`.
    """
    methods = {MODEL: predict, **BASELINES, **(extra or {})}
    rows, said = statements(panel, methods, phase)
    return Backtest(
        tenants=len(panel.tenants),
        weeks=panel.weeks,
        origins=len(np.unique(rows.origins)),
        rows=len(rows.events),
        event_share=float(rows.events.mean()),
        captured_by_size=scoring.captured(rows.sizes, rows.losses, rows.origins),
        captured_by_oracle=scoring.captured(rows.losses, rows.losses, rows.origins),
        ece_calibrated_p95=scoring.ece_calibrated(
            said[MODEL], rows.tenants, rows.origins, horizon=WINDOW, seed=SEED
        ),
        scores=tuple(score(name, rows, said[name]) for name in methods),
        reliability=tuple(scoring.reliability(rows.events, said[MODEL])),
    )


def score(method: str, rows: Observations, said: FloatArray) -> Score:
    """All scores of one method; at each origin customers are ranked by probability times size."""
    ranked = said * rows.sizes
    return Score(
        method=method,
        brier=scoring.brier(rows.events, said),
        log_loss=scoring.log_loss(rows.events, said),
        ece=scoring.ece(rows.events, said),
        auc=scoring.auc(rows.events, said),
        revenue_auc=scoring.auc(rows.events, said, rows.sizes),
        captured=scoring.captured(ranked, rows.losses, rows.origins),
        gap_closed=scoring.gap_closed(ranked, rows.sizes, rows.losses, rows.origins),
    )
