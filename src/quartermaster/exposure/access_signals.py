"""What access to models says of a customer: its mix, its workloads, its bursts. Facts, no ratios.

Each signal is a finding with its figures; what it is worth stands in `evidence_kinds`. Thresholds
are judgements that keep a finding rare where nothing happens; the figures are shown beside it, so
that a reader can judge again.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

NOW_DAYS = 28
"""What counts as now: four weeks, so that a month end or a holiday decides nothing."""
BEFORE_DAYS = 84
"""What it is compared with: the twelve weeks before."""
MIX_SHIFT_MIN = 0.25
"""A quarter of all tokens moved: smaller moves are a new feature, not a new habit."""
MIX_NOW_MIN = 0.5
"""Only where the cheapest model now carries most of the use."""
WORKLOAD_SHARE_MIN = 0.05
"""A workload under a twentieth of the use is a trial; that it ends says nothing."""
EMPTIED_BELOW = 0.05
"""A workload at a twentieth of what it was is empty but for stray calls."""
EMPTIED_MIN = 2
"""One emptied workload is a finished project; two are one after another."""
BURST_FACTOR = 3.0
"""A burst is three times the median day: batch jobs double a day, evaluations multiply it."""
BURST_DAYS_MAX = 14
"""More days than two weeks of it are a new level."""
DECLINE_BELOW = 0.75
"""A quarter less than before the burst; ordinary months vary by less."""
QUIET_AFTER_DAYS = 14
"""A burst of the last two weeks has no after yet."""

Figure = float | str


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One finding: a kind of `evidence_kinds`, when it was known, its figures, and from where."""

    kind: str
    on: date
    source: str
    figures: dict[str, Figure] = {}


class Access(NamedTuple):
    """How one customer uses models, by day up to `last_day`: every array is of the same days."""

    last_day: date
    by_model: Mapping[str, FloatArray]
    by_workload: Mapping[str, FloatArray]
    prices: Mapping[str, float]
    """What a million tokens of a model cost this customer; models without a price are left out."""


def access_signals(access: Access, source: str) -> Iterator[Signal]:
    """Every finding about the newest days; none where the history is too short."""
    for found in (_cheapest_model(access), _emptied(access), _evaluation(access)):
        if found is not None:
            kind, figures = found
            yield Signal(kind=kind, on=access.last_day, source=source, figures=figures)


def _cheapest_model(access: Access) -> tuple[str, dict[str, Figure]] | None:
    priced = {name: days for name, days in access.by_model.items() if name in access.prices}
    if len(priced) < 2 or _days(priced) < NOW_DAYS + BEFORE_DAYS:
        return None
    total = np.sum(list(priced.values()), axis=0)
    now, before = total[-NOW_DAYS:].sum(), _before(total).sum()
    if not (now > 0 and before > 0):
        return None
    used = [name for name, days in priced.items() if days[-NOW_DAYS - BEFORE_DAYS :].sum() > 0]
    model = min(used, key=lambda name: (access.prices[name], name))
    if access.prices[model] >= max(access.prices[name] for name in used):
        return None
    share = float(priced[model][-NOW_DAYS:].sum() / now)
    share_before = float(_before(priced[model]).sum() / before)
    if share < MIX_NOW_MIN or share - share_before < MIX_SHIFT_MIN:
        return None
    return "cheapest_model", {"model": model, "share": share, "share_before": share_before}


def _emptied(access: Access) -> tuple[str, dict[str, Figure]] | None:
    loads = access.by_workload
    if len(loads) <= EMPTIED_MIN or _days(loads) < NOW_DAYS + 2 * BEFORE_DAYS:
        return None
    # The reference ends before the emptying could have begun: it may take all of the last quarter.
    once = {name: days[-NOW_DAYS - 2 * BEFORE_DAYS :][:BEFORE_DAYS] for name, days in loads.items()}
    whole = sum(float(days.sum()) for days in once.values())
    real = [n for n, days in once.items() if whole and days.sum() / whole >= WORKLOAD_SHARE_MIN]
    empty = [
        name for name in real if loads[name][-NOW_DAYS:].mean() < EMPTIED_BELOW * once[name].mean()
    ]
    if len(empty) < EMPTIED_MIN or len(empty) == len(real):
        return None
    figures: dict[str, Figure] = {"emptied": float(len(empty)), "workloads": float(len(real))}
    return "workload_emptied", figures | {"names": ", ".join(sorted(empty))}


def _evaluation(access: Access) -> tuple[str, dict[str, Figure]] | None:
    if not access.by_workload or _days(access.by_workload) < NOW_DAYS + 2 * BEFORE_DAYS:
        return None
    total = np.sum(list(access.by_workload.values()), axis=0)
    recent = total[-NOW_DAYS - BEFORE_DAYS :]
    usual = float(np.median(total[-NOW_DAYS - 2 * BEFORE_DAYS :][:BEFORE_DAYS]))
    if usual <= 0:
        return None
    bursts = np.flatnonzero(recent >= BURST_FACTOR * usual)
    bursts = bursts[bursts < len(recent) - QUIET_AFTER_DAYS]
    if not 0 < len(bursts) <= BURST_DAYS_MAX:
        return None
    after = recent[max(int(bursts[-1]) + 1, len(recent) - NOW_DAYS) :]
    left = float(np.median(after)) / usual
    if left >= DECLINE_BELOW:
        return None
    peak = int(bursts[np.argmax(recent[bursts])])
    day = access.last_day - timedelta(days=len(recent) - 1 - peak)
    return "evaluation_then_decline", {
        "day": day.isoformat(),
        "times": float(recent[peak]) / usual,
        "left": left,
    }


def _days(series: Mapping[str, FloatArray]) -> int:
    return min(len(days) for days in series.values())


def _before(days: FloatArray) -> FloatArray:
    return days[-NOW_DAYS - BEFORE_DAYS : -NOW_DAYS]
