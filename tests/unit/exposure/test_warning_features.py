"""Features look back only, mean what they say, and outcomes are the definition."""

from datetime import date

import numpy as np
import numpy.typing as npt
import pytest

from quartermaster.exposure.panel import Panel
from quartermaster.exposure.warning_features import NAMES, eligible, observe, weeks_of


def panel_of(weekly: npt.NDArray[np.float64]) -> Panel:
    """A panel whose tenants use the same on each day of a week."""
    daily = np.repeat(weekly, 7, axis=1) / 7
    return Panel(tuple(f"t{n}" for n in range(len(weekly))), date(2024, 1, 1), daily)


def test_nothing_after_the_origin_is_seen() -> None:
    draw = np.random.default_rng(21)
    weekly = draw.gamma(1, 1, (6, 80))
    changed = weekly.copy()
    changed[:, 50:] = draw.gamma(1, 9, (6, 30))
    one, other = (observe(weeks_of(panel_of(w)), [50]) for w in (weekly, changed))
    assert np.array_equal(one.features, other.features)
    assert not np.array_equal(one.events, other.events) or not np.array_equal(
        one.losses, other.losses
    )


def test_features_are_free_of_the_unit() -> None:
    weekly = np.random.default_rng(22).gamma(1, 1, (6, 60))
    one, other = (observe(weeks_of(panel_of(w)), [40]) for w in (weekly, weekly * 1000))
    assert np.allclose(one.features, other.features)


def test_a_steady_tenant_by_hand() -> None:
    row = observe(weeks_of(panel_of(np.full((1, 60), 3.0))), [40]).features[0]
    by_name = dict(zip(NAMES, row, strict=True))
    for name in ("ratio_1", "ratio_2", "ratio_4", "before_13", "year", "always", "idle_days"):
        assert by_name[name] == pytest.approx(0, abs=1e-12)
    assert by_name["even_weeks"] == pytest.approx(np.log(13))
    assert by_name["peak_week"] == pytest.approx(1 / 13)
    assert by_name["active_weeks"] == 1
    assert by_name["tenure"] == pytest.approx(np.log1p(40))


@pytest.mark.parametrize(("ahead", "event"), [(0.49, 1.0), (0.51, 0.0), (2.0, 0.0)])
def test_the_event_is_less_than_half(ahead: float, event: float) -> None:
    weekly = np.ones((1, 40))
    weekly[0, 20:33] = ahead
    rows = observe(weeks_of(panel_of(weekly)), [20])
    assert rows.events[0] == event
    assert rows.losses[0] == pytest.approx(13 * max(0.0, 1 - ahead))


def test_the_future_that_is_not_there_is_not_zero() -> None:
    rows = observe(weeks_of(panel_of(np.ones((1, 40)))), [27, 28])
    assert rows.events[0] == 0
    assert np.isnan(rows.events[1])


def test_visitors_are_left_out() -> None:
    weekly = np.zeros((2, 40))
    weekly[0, 30] = 5
    weekly[1, [30, 35]] = 5
    assert eligible(weeks_of(panel_of(weekly)), 40).tolist() == [1]
