"""One piece of evidence: a dated, sourced fact of a kind, and the likelihood ratio it carries."""

import calendar
import re
from datetime import date
from typing import NamedTuple

import msgspec

from quartermaster.exposure.evidence_kinds import KIND_BY_ID, Kind
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.kernel.errors import UsageError
from quartermaster.stats.likelihood import Ratio, diluted, from_interval, of_alarm, of_test

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", re.ASCII)
ALARM_WINDOW_DAYS = 35.0
"""Median delay at which the detectors found a departure over 84 days on daily sales."""


class AlarmCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was measured of a detector on the seller's own history."""

    found: float
    tried: float
    false_alarms: float
    series_years: float
    window_days: float = ALARM_WINDOW_DAYS
    under_way: float = 1.0
    """Chance that a departure within the horizon already shows in usage."""


class ConductCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was measured of a conduct test, and what its finding says about leaving."""

    true_positives: float
    positives: float
    false_positives: float
    negatives: float
    relevance: float
    """Share of customers that leave which showed such conduct before."""


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fact, when it was known, and from whom. Overrides carry their reason in `why`."""

    kind: str
    on: str
    """Day `2020-08-06`, or month `2020-08`, which counts from its last day."""
    fact: str
    source: str
    low: float | None = None
    high: float | None = None
    why: str = ""
    alarm: AlarmCounts | None = None
    conduct: ConductCounts | None = None

    @property
    def known_kind(self) -> Kind:
        """Its kind.

        Raises:
            UsageError: no such kind.
        """
        if self.kind not in KIND_BY_ID:
            known = ", ".join(KIND_BY_ID)
            raise UsageError(f"the kind {self.kind!r} is unknown", hint=f"known: {known}")
        return KIND_BY_ID[self.kind]

    @property
    def day(self) -> date:
        """When it was known at the latest."""
        return day_of(self.on)

    def counts_on(self, day: date) -> bool:
        """Whether it is known and not yet stale on that day."""
        return self.day <= day < months_later(self.day, self.known_kind.lasts_months)


class Weighed(NamedTuple):
    """A likelihood ratio and where it comes from."""

    ratio: Ratio
    origin: str
    why: str


def weigh(evidence: Evidence) -> Weighed:
    """The likelihood ratio of a piece: from its counts, its override, or its kind.

    Raises:
        UsageError: an unknown kind, an override without a reason, or counts that do not fit.
    """
    kind = evidence.known_kind
    given = [
        name
        for name, value in (
            ("low and high", evidence.low if evidence.low is not None else evidence.high),
            ("alarm", evidence.alarm),
            ("conduct", evidence.conduct),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are two ways to the same ratio; keep one")
    if evidence.alarm is not None:
        return Weighed(_of_alarm(evidence.alarm, kind), "counted", evidence.why or kind.why)
    if evidence.conduct is not None:
        return Weighed(_of_conduct(evidence.conduct, kind), "counted", evidence.why or kind.why)
    if evidence.low is None and evidence.high is None:
        origin = "default" if kind.origin == "counted" else kind.origin
        return Weighed(from_interval(kind.low, kind.high), origin, kind.why)
    if evidence.low is None or evidence.high is None or not evidence.why:
        raise UsageError("an overriding ratio needs low, high and why")
    return Weighed(from_interval(evidence.low, evidence.high), "override", evidence.why)


def _of_alarm(counts: AlarmCounts, kind: Kind) -> Ratio:
    if kind.id not in ("usage_alarm", "usage_quiet"):
        raise UsageError(f"counts of an alarm do not belong to {kind.id!r}")
    silent = kind.id == "usage_quiet"
    if silent and counts.under_way == 1.0:
        raise UsageError(
            "usage_quiet needs under_way below 1",
            hint="silence says nothing of departures that have not begun",
        )
    return of_alarm(
        counts.found,
        counts.tried,
        counts.false_alarms,
        counts.series_years,
        counts.window_days,
        under_way=counts.under_way,
        silent=silent,
    )


def _of_conduct(counts: ConductCounts, kind: Kind) -> Ratio:
    if kind.id != "conduct_suspicion":
        raise UsageError(f"counts of a conduct test do not belong to {kind.id!r}")
    test = of_test(
        counts.true_positives, counts.positives, counts.false_positives, counts.negatives
    )
    return diluted(test, counts.relevance)


def day_of(text: str) -> date:
    """A day, or the last day of a month.

    Raises:
        UsageError: neither.
    """
    match = _DAY.fullmatch(text)
    try:
        first = date.fromisoformat(text if match and match[1] else f"{text}-01")
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is not a date", hint="such as 2020-08-06") from error
    if match and match[1]:
        return first
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def months_later(day: date, months: int) -> date:
    """The same day so many months on; the month's last where it has fewer days.

    Raises:
        UsageError: beyond the calendar.
    """
    number = day.year * MONTHS_A_YEAR + day.month - 1 + months
    year, month = divmod(number, MONTHS_A_YEAR)
    if not date.min.year <= year <= date.max.year:
        raise UsageError(f"{months} months from {day} are beyond the calendar")
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
