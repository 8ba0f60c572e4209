"""The rolling origin: no leakage, good where there is something to know, humble where not."""

from datetime import date

import numpy as np
import pytest

from quartermaster.exposure import backtest as module
from quartermaster.exposure.backtest import (
    MODEL,
    backtest,
    scored_origins,
    statements,
    training_rows,
)
from quartermaster.exposure.panel import Panel
from quartermaster.exposure.warning_features import WINDOW, FloatArray, Observations
from quartermaster.kernel.errors import DataError


def made_panel(seed: int, tenants: int = 120, weeks: int = 78, *, fading: bool = True) -> Panel:
    """Tenants with log-normal levels and weeks; some fade out over eight weeks, some at once."""
    draw = np.random.default_rng(seed)
    level = draw.lognormal(3, 1.5, (tenants, 1))
    weekly = level * draw.lognormal(0, 0.4, (tenants, weeks))
    for tenant in range(tenants if fading else 0):
        start = draw.integers(10, 2 * weeks)
        if start < weeks:
            weekly[tenant, start:] *= np.clip(1 - np.arange(weeks - start) / 8, 0, 1)
    daily = np.repeat(weekly, 7, axis=1) * draw.lognormal(0, 0.3, (tenants, weeks * 7))
    return Panel(tuple(f"t{n:03}" for n in range(tenants)), date(2023, 1, 2), daily)


def test_training_rows_end_before_the_origin() -> None:
    seen: list[tuple[int, int]] = []

    def spy(train: Observations, test: Observations) -> FloatArray:
        seen.append((int(train.origins.max()), int(test.origins.min())))
        return np.full(len(test.events), 0.5)

    statements(made_panel(1), {"spy": spy})
    assert len(seen) == len(scored_origins(78))
    assert all(last + WINDOW <= origin for last, origin in seen)


def test_what_comes_later_changes_nothing_said_before() -> None:
    panel = made_panel(2)
    changed = panel._replace(daily=panel.daily.copy())
    changed.daily[:, 60 * 7 :] *= np.random.default_rng(3).lognormal(0, 2, (120, 18 * 7))
    before, after = (statements(p, {MODEL: module.predict}) for p in (panel, changed))
    early = before[0].origins <= 60
    assert np.array_equal(before[1][MODEL][early], after[1][MODEL][after[0].origins <= 60])
    assert not np.array_equal(before[0].events, after[0].events)


def test_the_opening_is_left_out_once_enough_is_known() -> None:
    origins = np.arange(13, 60)
    column = np.zeros(len(origins))
    rows = Observations(origins, origins, column[:, None], column, column, column)
    assert training_rows(rows, 30).origins.tolist() == [13, 14, 15, 16, 17]
    assert training_rows(rows, 36).origins.tolist() == list(range(16, 24))


def test_a_fade_is_seen_coming() -> None:
    result = backtest(made_panel(4))
    model = result.scores[0]
    assert model.method == MODEL
    assert model.auc is not None
    assert model.auc > 0.65
    base = next(score for score in result.scores if score.method == "base rate")
    assert model.brier < base.brier
    assert model.log_loss < base.log_loss


def test_the_same_panel_scores_the_same() -> None:
    assert backtest(made_panel(5, 40)) == backtest(made_panel(5, 40))


def test_too_little_is_said() -> None:
    with pytest.raises(DataError, match="too few"):
        backtest(made_panel(6, 5, 38))
    with pytest.raises(DataError, match="both kinds"):
        backtest(made_panel(7, 5, 60, fading=False))


def test_scored_origins_follow_the_length() -> None:
    assert scored_origins(180) == list(range(47, 168, 4))
    assert scored_origins(48) == [27, 31, 35]
    assert scored_origins(38) == []
    assert scored_origins(48, phase=1) == [26, 30, 34]
