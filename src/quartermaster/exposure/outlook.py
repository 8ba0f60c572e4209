"""Will this customer use less than half in a year? A ledger a customer, from one look at all usage.

The event is written so that meters can settle it: the last 13 weeks of the twelve months after the
day hold less than half of the daily use known on the day. The prior is counted on the seller's own
customers where there are enough years of them, and an expert's where not. Alarms of the detectors,
or their silence, enter with the counts that were measured on the same history.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.exposure.access_signals import Signal
from quartermaster.exposure.departure_prior import Believed, PooledSegment, Prior, believe
from quartermaster.exposure.evidence import ALARM_WINDOW_DAYS, AlarmCounts, Evidence
from quartermaster.exposure.evidence_ledger import Ledger, Rule, ledger
from quartermaster.exposure.panel import Panel
from quartermaster.exposure.warning import (
    BANK_DAYS_MIN,
    Change,
    TenantWarning,
    Warnings,
    changes_of,
    warn,
)
from quartermaster.exposure.warning_features import DROP, WINDOW, Weeks, eligible, weeks_of
from quartermaster.stats import detectors
from quartermaster.stats.beta_prior import MONTHS_A_YEAR, Nodes

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

HORIZON_DAYS = 365
REFERENCE_DAYS = 91
"""The quarter that a statement compares with, and the one that settles it."""
KNOWN_DAYS_MIN = 7
"""With less than a week there is no daily use to compare with."""
WEEKS_A_YEAR = 52
CUSTOMER_YEARS_MIN = 30.0
"""With fewer own customer-years the expert's prior is the better guess: 0 of 30 still leaves 10 %
within the bound."""
SEGMENTS = ("small", "medium", "large")
"""Thirds by use: large customers leave more rarely, and each third borrows from the others."""
UNDER_WAY = detectors.RAMP_DAYS / (HORIZON_DAYS + detectors.RAMP_DAYS)
"""Share of departures within a year that have begun at the look: of fades that take as long as the
ones the detectors are set on, and that begin on any day alike."""
CHANGE_SHOWN = 0.8
"""Steady series show changes of a few per cent too; less than a fifth is no event for a reader."""
TIMELINE_DAYS = 364
"""A year of days is read on one screen; older days are in the usage table."""


class CustomerOutlook(NamedTuple):
    """What is said of one customer on the day of the look, and every step to it."""

    customer: str
    usage_a_day: float
    """Over the reference days, or since the first use."""
    known_days: int
    ledger: Ledger
    believed: Believed
    signals: tuple[Signal, ...]
    """In the order of the ledger's lines."""
    usage: TenantWarning | None
    """What usage alone says; None where there is less than a week of it."""


class Timeline(NamedTuple):
    """Days of use with what the detectors made of them; the last day is the one of the look."""

    first_day: date
    usage: FloatArray
    scores: FloatArray
    """Detectors x days; NaN before a detector is warm."""
    alarms: BoolArray
    changes: tuple[Change, ...]
    """Of the level, within these days."""


class Outlook(NamedTuple):
    """One look at all customers."""

    on: date
    customers: tuple[CustomerOutlook, ...]
    warnings: Warnings | None
    bank: detectors.Bank | None
    counts: AlarmCounts | None
    daily: Panel
    weeks: Weeks | None
    scores: FloatArray | None
    """Of the bank: detectors x customers x days."""

    def timeline(self, customer: str) -> Timeline:
        """The newest year of one customer."""
        place = self.daily.tenants.index(customer)
        usage = self.daily.daily[place, -TIMELINE_DAYS:]
        scores = np.full((len(detectors.NAMES), len(usage)), np.nan)
        alarms = np.zeros(scores.shape, dtype=np.bool_)
        if self.bank is not None and self.scores is not None:
            scores = self.scores[:, place, -TIMELINE_DAYS:]
            up = detectors.over(self.scores[:, [place], -TIMELINE_DAYS:], self.bank.thresholds)
            alarms = np.asarray(up[:, 0])
        first = self.on - timedelta(days=len(usage) - 1)
        changes = () if self.weeks is None else changes_of(self.daily, self.weeks, place)
        recent = tuple(
            change
            for change in changes
            if change.week_from >= first and not CHANGE_SHOWN <= change.ratio <= 1 / CHANGE_SHOWN
        )
        return Timeline(first, usage, scores, alarms, recent)


def look(panel: Panel, signals: Mapping[str, Sequence[Signal]]) -> Outlook:
    """Everything that can be said on the last day of the panel.

    Args:
        panel: use by customer and day; the last day is over.
        signals: findings beside usage, by customer.
    """
    on, weeks = panel.last_day, weeks_of(panel) if panel.weeks else None
    bank = detectors.calibrate(panel.daily) if panel.daily.shape[1] >= BANK_DAYS_MIN else None
    warnings = None if weeks is None else warn(panel, bank)
    scores = None if bank is None else bank.scores(panel.daily)
    counts = None
    watched = np.zeros(len(panel.tenants), dtype=np.bool_)
    if bank is not None and scores is not None:
        counts = alarm_counts(bank, panel.daily, scores)
        # Series that the detectors can see on the last day.
        watched = np.asarray(np.isfinite(scores[:, :, -1]).any(axis=0))
    by_tenant = {one.tenant: one for one in warnings.tenants} if warnings is not None else {}
    priors = _Priors(panel, weeks)
    found = []
    for place, customer in enumerate(panel.tenants):
        known = _known_days(panel.daily[place])
        usage_a_day = float(panel.daily[place, -min(max(known, 1), REFERENCE_DAYS) :].mean())
        if known < KNOWN_DAYS_MIN or usage_a_day <= 0:
            continue
        usage = by_tenant.get(customer)
        heard = [*_of_detectors(usage, counts, watched=bool(watched[place]), on=on)]
        pieces = sorted([*heard, *_given(signals.get(customer, ()))], key=lambda one: one[0].day)
        believed, steps = priors.ledger(place, [piece for piece, _ in pieces], on)
        told = tuple(signal for piece, signal in pieces if piece.counts_on(on))
        found.append(CustomerOutlook(customer, usage_a_day, known, steps, believed, told, usage))
    return Outlook(on, tuple(found), warnings, bank, counts, panel, weeks, scores)


def alarm_counts(bank: detectors.Bank, daily: FloatArray, scores: FloatArray) -> AlarmCounts | None:
    """What the bank does on this history: ramps found within the window, and its false alarms.

    None where no series has room for a ramp, so that nothing was measured.

    Args:
        bank: set on this history.
        daily: series x days.
        scores: what the bank makes of them.
    """
    found = tried = 0
    for start in detectors.ramp_starts(daily):
        # One series falls at a time, among the others as they were.
        fallen = bank.scores(detectors.inject(daily, start, detectors.RAMP_DAYS), daily)
        warm = np.isfinite(fallen[0, :, start])
        window = fallen[:, :, start : start + int(ALARM_WINDOW_DAYS)]
        up = detectors.any_of(detectors.over(window, bank.thresholds))
        found += int(np.count_nonzero(up.any(axis=1) & warm))
        tried += int(warm.sum())
    # On the days that the thresholds are set on, so that it is the rate of the bank.
    counted = scores[:, :, -detectors.counted_days(daily.shape[1]) :]
    years = float(np.isfinite(counted[0]).sum()) / 365.25
    if not tried or years <= 0:
        return None
    false = detectors.episodes(detectors.any_of(detectors.over(counted, bank.thresholds)))
    return AlarmCounts(
        found=found, tried=tried, false_alarms=false, series_years=years, under_way=UNDER_WAY
    )


def halved(usage_a_day: float, later: FloatArray) -> bool:
    """Whether the event came: `later` are the days that settle it."""
    return float(later.mean()) < DROP * usage_a_day


def _known_days(days: FloatArray) -> int:
    used = np.flatnonzero(days > 0)
    return len(days) - int(used[0]) if len(used) else 0


def _of_detectors(
    usage: TenantWarning | None, counts: AlarmCounts | None, *, watched: bool, on: date
) -> list[tuple[Evidence, Signal]]:
    """An alarm that is up, or the silence of detectors that can see the series."""
    if counts is None or usage is None or not (usage.alarms or watched):
        return []
    kind = "usage_alarm" if usage.alarms else "usage_quiet"
    since = min((one.since for one in usage.alarms), default=on)
    figures: dict[str, float | str] = {
        "detectors": ", ".join(one.detector for one in usage.alarms),
        "since": since.isoformat(),
        "found": counts.found,
        "tried": counts.tried,
        "false_alarms_a_year": counts.false_alarms / counts.series_years,
    }
    # It still stands today, so it is known today: an alarm does not grow stale while it is up.
    signal = Signal(kind=kind, on=on, source="meters", figures=figures)
    return [(_evidence(signal, counts), signal)]


def _given(signals: Sequence[Signal]) -> list[tuple[Evidence, Signal]]:
    return [(_evidence(signal, None), signal) for signal in signals]


def _evidence(signal: Signal, counts: AlarmCounts | None) -> Evidence:
    piece = Evidence(
        kind=signal.kind, on=signal.on.isoformat(), fact="", source=signal.source, alarm=counts
    )
    return msgspec.structs.replace(piece, fact=piece.known_kind.words)


class _Priors:
    """What is believed of a customer before its evidence, counted on this panel where it can be.

    Most customers have the same evidence, so that a ledger is worked out once for all of them.
    """

    def __init__(self, panel: Panel, weeks: Weeks | None) -> None:
        self._thirds = _thirds(panel.daily[:, -REFERENCE_DAYS:].sum(axis=1))
        self._counted = {} if weeks is None else _counted(weeks)
        years = sum(one.customer_years for one in self._counted.values())
        self._enough = years >= CUSTOMER_YEARS_MIN
        self._known: dict[str, tuple[Believed, Nodes]] = {}
        self._ledgers: dict[tuple[str, tuple[Evidence, ...]], Ledger] = {}

    def ledger(self, place: int, pieces: Sequence[Evidence], on: date) -> tuple[Believed, Ledger]:
        """The belief of the customer's third, or the expert's, and what the pieces make of it."""
        name = SEGMENTS[self._thirds[place]] if self._enough else ""
        if name not in self._known:
            segments = tuple(self._counted.values())
            prior = Prior(by="pooled", segments=segments, segment=name) if name else Prior()
            believed = believe(prior)
            self._known[name] = believed, believed.belief.nodes(MONTHS_A_YEAR)
        believed, nodes = self._known[name]
        key = (name, tuple(pieces))
        if key not in self._ledgers:
            live = [piece for piece in pieces if piece.counts_on(on)]
            stale = [piece for piece in pieces if not piece.counts_on(on)]
            self._ledgers[key] = ledger(nodes, live, Rule(), stale)
        return believed, self._ledgers[key]


def _counted(weeks: Weeks) -> dict[str, PooledSegment]:
    """Customer-years and losses by third, at origins a year apart, so that no year counts twice."""
    last = weeks.totals.shape[1]
    years, losses = np.zeros(len(SEGMENTS)), np.zeros(len(SEGMENTS))
    for origin in range(last - WEEKS_A_YEAR, WINDOW - 1, -WEEKS_A_YEAR):
        rows = eligible(weeks, origin)
        before = weeks.totals[rows, origin - WINDOW : origin].sum(axis=1)
        end = origin + WEEKS_A_YEAR
        after = weeks.totals[rows, end - WINDOW : end].sum(axis=1)
        third = _thirds(before)
        years += np.bincount(third, minlength=len(SEGMENTS))
        losses += np.bincount(third, weights=after < DROP * before, minlength=len(SEGMENTS))
    return {
        name: PooledSegment(name=name, customer_years=float(y), losses=float(k))
        for name, y, k in zip(SEGMENTS, years, losses, strict=True)
        if y > 0
    }


def _thirds(sizes: FloatArray) -> npt.NDArray[np.int64]:
    """0 to 2 by rank of size; ties keep their order."""
    ranks = np.argsort(np.argsort(sizes, kind="stable"), kind="stable")
    return np.asarray(ranks * len(SEGMENTS) // max(len(sizes), 1), dtype=np.int64)
