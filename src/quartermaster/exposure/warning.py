"""Who is leaving? Probability, alarms, date of the change and reasons, for every tenant of a panel.

The probability is that the next thirteen weeks hold less than half of the last thirteen, learnt
from all tenants of the same panel (see `backtest` for how good such statements were there). The
alarms come from a bank held to half a false alarm a series-year on the panel's own history.
"""

import math
from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.exposure.backtest import learn, training_rows
from quartermaster.exposure.panel import DAYS_A_WEEK, Panel
from quartermaster.exposure.warning_features import (
    CUSHION,
    WINDOW,
    Observations,
    Weeks,
    eligible,
    observe,
    weeks_of,
)
from quartermaster.exposure.warning_words import Reason, reasons
from quartermaster.stats import detectors
from quartermaster.stats.changepoint import changepoints
from quartermaster.stats.hazard import Hazard

BANK_DAYS_MIN = detectors.WARM_DAYS + 182
"""Half a year of warm history: with less, thresholds would rest on a handful of alarms."""
TRAIN_ROWS_MIN = 100
"""Fewer past rows cannot carry twelve coefficients, however much they are shrunken."""
DATED_WEEKS = 104
"""Changes are dated within two years; older ones explain nothing today."""
SCHEMA = "quartermaster.warnings/1"


class Alarm(msgspec.Struct, frozen=True):
    """One detector in alarm."""

    detector: str
    since: date
    score: float
    """Spreads below the median of the series' own history, on the last day of the alarm."""
    threshold: float


class Change(msgspec.Struct, frozen=True):
    """The newest change of level."""

    week_from: date
    """First day of the first week of the new level."""
    ratio: float
    """Mean of a week since, over that of the level before."""


class TenantWarning(msgspec.Struct, frozen=True):
    """What is known of one tenant."""

    tenant: str
    usage_13_weeks: float
    share: float
    """Of all usage of the panel in the same thirteen weeks."""
    probability: float | None
    alarms: tuple[Alarm, ...]
    change: Change | None
    reasons: tuple[Reason, ...]
    note: str = ""


class Warnings(msgspec.Struct, frozen=True):
    """Every tenant of a panel with use in the last thirteen weeks, most expected loss first."""

    as_of: date
    tenants: tuple[TenantWarning, ...]
    learnt_rows: int
    base_rate: float | None
    """Share of past rows in which usage fell below half."""
    false_alarms_per_year: float | None
    """Of the bank, on the history that it was set on."""
    notes: tuple[str, ...]


def warnings_json(found: Warnings) -> dict[str, Any]:
    """Plain values for programs; a change from nothing has no ratio."""
    document: dict[str, Any] = msgspec.to_builtins(found)
    for tenant in document["tenants"]:
        change = tenant["change"]
        if change is not None and not math.isfinite(change["ratio"]):
            change["ratio"] = None
    return {"schema": SCHEMA, **document}


def warn(panel: Panel, bank: detectors.Bank | None = None) -> Warnings:
    """Look at every tenant at the end of the panel.

    Args:
        panel: what everybody used.
        bank: set on this panel's history; it is set here where none is given.
    """
    weeks = weeks_of(panel)
    notes: list[str] = []
    past = observe(weeks, list(range(WINDOW, panel.weeks - WINDOW + 1))) if _long(panel) else None
    train = None if past is None else training_rows(past, panel.weeks)
    model: Hazard | None = None
    if train is None or len(train.events) < TRAIN_ROWS_MIN or len(np.unique(train.events)) < 2:
        notes.append("no probability: too little history to learn from")
    else:
        model = learn(train)
    alarms: dict[int, tuple[Alarm, ...]] = {}
    rate: float | None = None
    if panel.daily.shape[1] < BANK_DAYS_MIN:
        notes.append(f"no alarms: they need {BANK_DAYS_MIN} days of history")
    else:
        rate, alarms = _alarms(panel, bank or detectors.calibrate(panel.daily))
    return Warnings(
        as_of=panel.last_day,
        tenants=_tenants(panel, weeks, model, alarms),
        learnt_rows=0 if train is None else len(train.events),
        base_rate=None if model is None or train is None else float(train.events.mean()),
        false_alarms_per_year=rate,
        notes=tuple(notes),
    )


def _long(panel: Panel) -> bool:
    return panel.weeks >= 2 * WINDOW


def _tenants(
    panel: Panel, weeks: Weeks, model: Hazard | None, alarms: dict[int, tuple[Alarm, ...]]
) -> tuple[TenantWarning, ...]:
    now = panel.weeks
    trailing = weeks.totals[:, max(0, now - WINDOW) :].sum(axis=1)
    whole = trailing.sum()
    said: dict[int, tuple[float, tuple[Reason, ...]]] = {}
    if model is not None and len(eligible(weeks, now)):
        rows = observe(weeks, [now])
        said = _said(model, rows)
    found = []
    for place in np.flatnonzero(trailing > 0):
        probability, why = said.get(int(place), (None, ()))
        no_trend = model is not None and probability is None
        found.append(
            TenantWarning(
                tenant=panel.tenants[place],
                usage_13_weeks=float(trailing[place]),
                share=float(trailing[place] / whole),
                probability=probability,
                alarms=alarms.get(int(place), ()),
                change=next(iter(changes_of(panel, weeks, int(place))[::-1]), None),
                reasons=why,
                note="active in one week of thirteen: no trend to judge" if no_trend else "",
            )
        )
    return tuple(
        sorted(found, key=lambda w: (-(w.probability or 0.0) * w.usage_13_weeks, w.tenant))
    )


def _said(model: Hazard, rows: Observations) -> dict[int, tuple[float, tuple[Reason, ...]]]:
    chances = model.probability(rows.features)
    effects = model.contributions(rows.features)
    return {
        int(tenant): (float(chances[at]), reasons(rows.features[at], effects[at]))
        for at, tenant in enumerate(rows.tenants)
    }


def _alarms(panel: Panel, bank: detectors.Bank) -> tuple[float, dict[int, tuple[Alarm, ...]]]:
    """The bank's rate, and by tenant the alarms that were up in the last four weeks."""
    scores = bank.scores(panel.daily)
    up = detectors.over(scores, bank.thresholds)
    found: dict[int, tuple[Alarm, ...]] = {}
    for place in np.flatnonzero(up[:, :, -detectors.QUIET_DAYS :].any(axis=(0, 2))):
        found[int(place)] = tuple(
            Alarm(
                detector=name,
                since=panel.first_day + timedelta(days=_episode_start(days)),
                score=float(scores[at, place, days[-1]]),
                threshold=float(bank.thresholds[at]),
            )
            for at, name in enumerate(detectors.NAMES)
            for days in [np.flatnonzero(up[at, place]).astype(np.int64)]
            if len(days) and days[-1] >= panel.daily.shape[1] - detectors.QUIET_DAYS
        )
    return bank.rate, found


def _episode_start(days: npt.NDArray[np.int64]) -> int:
    breaks = np.flatnonzero(np.diff(days) > detectors.QUIET_DAYS)
    return int(days[breaks[-1] + 1] if len(breaks) else days[0])


def changes_of(panel: Panel, weeks: Weeks, place: int) -> tuple[Change, ...]:
    """Changes of the weekly level on a log scale in the last `DATED_WEEKS`, oldest first."""
    totals = weeks.totals[place, weeks.begun[place] :][-DATED_WEEKS:]
    if not totals.any():
        return ()
    found = [0, *changepoints(np.log(totals + CUSHION * totals.mean())), len(totals)]
    changes = []
    for start, at, end in zip(found, found[1:], found[2:], strict=False):
        before = totals[start:at].mean()
        changes.append(
            Change(
                week_from=panel.last_day - timedelta(days=DAYS_A_WEEK * (len(totals) - at) - 1),
                ratio=float(totals[at:end].mean() / before) if before > 0 else float("inf"),
            )
        )
    return tuple(changes)
