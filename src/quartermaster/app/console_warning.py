"""The warning and reliability pages' port: the clerk's look and the journal, or the sample's.

A real page never computes a look: what it shows is what the clerk saw. The sample's look is
made when somebody first asks, on a thread, and so is what the sample would have stated before.
"""

import importlib.util
import threading
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from quartermaster.app import clerk_warning
from quartermaster.app.console_book import ShownBook, live_shown, sample_shown
from quartermaster.app.console_fan import closed_rows
from quartermaster.app.rooms import Rooms
from quartermaster.console import ports_warning as ports
from quartermaster.console.ports import Bilingual
from quartermaster.exposure.daily_statements import (
    EVENTS,
    EventScores,
    Past,
    event_scores,
    past_of,
    settle,
)
from quartermaster.exposure.rollup import measure
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import ProbabilitiesStated, StatementsResolved
from quartermaster.stats.likelihood_scores import STATEMENTS_MIN, Scores

if TYPE_CHECKING:
    from quartermaster.app.warning_use import Known
    from quartermaster.exposure.departure_statements import Record

NEEDED = ("numpy", "scipy")
"""What a look computes with; the extra `risk` brings them."""
SAMPLE_STATES_EVERY_DAYS = 91
"""The sample states once a quarter, so that its statements do not overlap."""
SAMPLE_STATEMENTS = 6
"""A year and a half back: before that the sample has no history to state from."""
STATEMENT_LINES_MAX = 5_000
"""Rows of the table of single statements, newest first; the journal holds all of them."""


class RealWarning:
    """The port over what the clerk saw last and what the journal holds."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lock = threading.Lock()
        self._known: tuple[object, ports.ReliabilityFacts, Record | None] | None = None

    def warning(self, now: Instant, *, wait: bool = False) -> ports.WarningFacts:
        """The clerk's last look beside the revenue that it last rated."""
        del now, wait  # the look says up to when it knows, and is there or not
        look = clerk_warning.read(self._rooms.var)
        return facts_of(look, live_shown(self._rooms.var), sample=False, missing=_missing(look))

    def reliability(self, now: Instant, *, wait: bool = False) -> ports.ReliabilityFacts:
        """Every statement of the journal, scored: once a look, and by one reader at a time.

        Statements of 200 customers on 730 days are read in 1.6 s and take 0.2 GB while they are;
        stated every week, that is fourteen years.
        """
        del now, wait
        return self._read()[1]

    def record(self, *, wait: bool = False) -> "Record | None":
        """What was stated of the next twelve months; None while nothing was."""
        del wait
        return self._read()[2]

    def _read(self) -> "tuple[object, ports.ReliabilityFacts, Record | None]":
        with self._lock:
            stamp = clerk_warning.stamp(self._rooms.var)
            if stamp is None or self._known is None or self._known[0] != stamp:
                self._known = stamp, *self._scored()
            return self._known

    def _scored(self) -> "tuple[ports.ReliabilityFacts, Record | None]":
        past, names = journal_past(self._rooms)
        origin = Bilingual(
            de="jede Woche im Journal festgehalten", en="recorded in the journal every week"
        )
        facts = record_of(past, names, sample=False, missing=None, origin=origin)
        return facts, year_record(past)


class SampleWarning:
    """The port over the sample, computed once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen, self._done = threading.Event(), threading.Event()
        self._loader: threading.Thread | None = None
        self._warning = facts_of(None, None, sample=True, missing="loading")
        self._record: Record | None = None
        self._reliability = record_of(
            [], {}, sample=True, missing="loading", origin=Bilingual("", "")
        )

    def warning(self, now: Instant, *, wait: bool = False) -> ports.WarningFacts:
        """The sample's last day."""
        del now
        self._load(self._seen if wait else None)
        return self._warning

    def reliability(self, now: Instant, *, wait: bool = False) -> ports.ReliabilityFacts:
        """What the sample would have stated, and what then came in the sample."""
        del now
        self._load(self._done if wait else None)
        return self._reliability

    def record(self, *, wait: bool = False) -> "Record | None":
        """What the sample would have stated of the next twelve months; None until it is known."""
        self._load(self._done if wait else None)
        return self._record

    def _load(self, until: threading.Event | None) -> None:
        with self._lock:
            if self._loader is None:
                self._loader = threading.Thread(target=self._compute, daemon=True)
                self._loader.start()
        if until is not None:
            until.wait()

    def _compute(self) -> None:
        try:
            missing = _missing(None)
            if missing == "not_installed":
                self._warning = facts_of(None, None, sample=True, missing=missing)
                self._reliability = record_of(
                    [], {}, sample=True, missing=missing, origin=Bilingual("", "")
                )
                return
            known, self._warning = sample_warning()
            self._seen.set()
            past = sample_past(known)
            self._record = year_record(past)
            self._reliability = sample_reliability(past)
        finally:
            self._seen.set()
            self._done.set()


def facts_of(
    look: ports.WarningLook | None,
    shown: ShownBook | None,
    *,
    sample: bool,
    missing: ports.WarningMissing | None,
) -> ports.WarningFacts:
    """The look beside the revenue of the months that are over: alarms first, then what is lost."""
    if look is None:
        return ports.WarningFacts(sample=sample, look=None, missing=missing)
    if shown is None:
        at_stake = _ranked([_at_stake(one, None) for one in look.customers])
        return ports.WarningFacts(sample=sample, look=look, missing=None, customers=at_stake)
    closed = closed_rows(shown.rows, shown.open_from)
    exposure = measure(
        closed or shown.rows, scope=shown.denominator.en, scope_de=shown.denominator.de
    )
    owed = {group.group: group.minor for group in exposure.groups}
    return ports.WarningFacts(
        sample=sample,
        look=look,
        missing=None,
        customers=_ranked([_at_stake(one, owed.get(one.customer)) for one in look.customers]),
        currency=exposure.denominator.currency,
        first=exposure.denominator.first,
        last=exposure.denominator.last,
        still_open=not closed,
        denominator=shown.denominator,
        origin=shown.origin,
    )


def journal_past(rooms: Rooms) -> tuple[list[Past], dict[str, str]]:
    """Every statement of the journal with what came, and the names of the groups."""
    stated = [
        entry.fact
        for entry in rooms.book.keyed(clerk_warning.STATED)
        if isinstance(entry.fact, ProbabilitiesStated)
    ]
    resolved = [
        entry.fact
        for entry in rooms.book.keyed(clerk_warning.RESOLVED)
        if isinstance(entry.fact, StatementsResolved)
    ]
    names = {group.id: group.name for group in rooms.book.view().groups.values()}
    return past_of(stated, resolved), names


def record_of(
    past: Sequence[Past],
    names: dict[str, str],
    *,
    sample: bool,
    missing: ports.WarningMissing | None,
    origin: Bilingual,
) -> ports.ReliabilityFacts:
    """Scores of every event, and the newest statements one by one."""
    newest = list(past)[-STATEMENT_LINES_MAX:][::-1]
    return ports.ReliabilityFacts(
        sample=sample,
        missing=missing,
        records=tuple(_record(found) for found in event_scores(past)),
        statements=tuple(
            ports.StatementLine(
                event=one.event,
                on=one.on,
                customer=one.said.customer,
                name=names.get(one.said.customer, one.said.customer),
                probability=one.said.probability,
                low=one.said.low,
                high=one.said.high,
                due=one.due,
                came=one.came,
            )
            for one in newest
        ),
        origin=origin,
    )


def year_record(past: Sequence[Past]) -> "Record | None":
    """The statements of the next twelve months that do not overlap, as a board reads them.

    None where nothing was stated, or where the packages that state are not installed.
    """
    found = event_scores([one for one in past if one.event == EVENTS[0]])[0]
    if not found.statements or _missing(None) == "not_installed":
        return None
    from quartermaster.exposure.departure_statements import Record

    return Record(found.statements, found.open, found.apart_customers, found.apart)


def sample_warning() -> tuple["Known", ports.WarningFacts]:
    """The sample's use, and the look at its last day."""
    from quartermaster.app import warning_look, warning_use

    known = warning_use.sample_use()
    found = warning_look.outlook_of(known.groups, known.first_day, known.last_day)
    look = warning_look.shown(found, known.groups)
    return known, facts_of(look, sample_shown(), sample=True, missing=None)


def sample_past(known: "Known") -> list[Past]:
    """What would have been stated in the quarters before, and what then came in the sample."""
    from quartermaster.app import warning_look, warning_use

    stated: list[ProbabilitiesStated] = []
    for back in range(SAMPLE_STATEMENTS, 0, -1):
        on = known.last_day - timedelta(days=back * SAMPLE_STATES_EVERY_DAYS)
        then = warning_use.known_until(known, on)
        found = warning_look.outlook_of(then.groups, then.first_day, then.last_day)
        stated += warning_look.stated(found, {})
    resolved = _settled(stated, warning_use.usage_by_day(known), known.last_day)
    return past_of(stated, resolved)


def sample_reliability(past: Sequence[Past]) -> ports.ReliabilityFacts:
    """The record of the sample's statements."""
    origin = Bilingual(
        de="nachträglich an erfundener Nutzung: was am Ende jedes Quartals gesagt worden wäre",
        en="made afterwards on invented usage: what would have been stated each quarter",
    )
    return record_of(past, {}, sample=True, missing=None, origin=origin)


def _settled(
    stated: Iterable[ProbabilitiesStated], usage: dict[str, dict[date, float]], last_day: date
) -> list[StatementsResolved]:
    outcomes = (settle(one, usage, last_day) for one in stated)
    return [one for one in outcomes if one is not None]


def _missing(look: ports.WarningLook | None) -> ports.WarningMissing | None:
    if look is not None:
        return None
    absent = any(importlib.util.find_spec(name) is None for name in NEEDED)
    return "not_installed" if absent else "not_yet"


def _at_stake(look: ports.CustomerLook, minor: int | None) -> ports.AtStake:
    stated = look.ledger.stated
    return ports.AtStake(
        look=look,
        minor=minor,
        expected_minor=_part(stated.probability, minor),
        expected_low_minor=_part(stated.low, minor),
        expected_high_minor=_part(stated.high, minor),
    )


def _part(probability: float, minor: int | None) -> int | None:
    return None if minor is None else int((Decimal(str(probability)) * minor).to_integral_value())


def _ranked(customers: Sequence[ports.AtStake]) -> tuple[ports.AtStake, ...]:
    """Alarms first, then the largest expected loss; without revenue, by use."""

    def place(one: ports.AtStake) -> tuple[bool, int, float, str]:
        lost = -1 if one.expected_minor is None else one.expected_minor
        use = one.look.ledger.stated.probability * one.look.usage_a_day
        return (not one.alarm, -lost, -use, one.look.customer)

    return tuple(sorted(customers, key=place))


def _record(found: EventScores) -> ports.EventRecord:
    return ports.EventRecord(
        event=found.event,
        stated=found.statements,
        days=found.days,
        first_on=found.first_on,
        last_on=found.last_on,
        open=found.open,
        next_due=found.next_due,
        scored=_scored(found.scored, found.scored_customers, found.scored_days),
        apart=_scored(found.apart, found.apart_customers, found.apart_days),
        enough=found.apart is not None and found.apart.enough,
        statements_min=STATEMENTS_MIN,
    )


def _scored(found: Scores | None, customers: int, days: int) -> ports.Scored | None:
    if found is None:
        return None
    return ports.Scored(
        statements=found.statements,
        came=found.events,
        customers=customers,
        days=days,
        brier=found.brier,
        log_score=found.log_score,
        brier_base_rate=found.brier_base_rate,
        brier_if_calibrated=found.brier_if_calibrated,
        brier_if_calibrated_sd=found.brier_if_calibrated_sd,
        calibration_error=found.calibration_error,
        stated=found.stated,
        low=found.came.low,
        high=found.came.high,
        beyond_chance=found.beyond_chance,
        bins=tuple(
            ports.ReliabilityBin(
                one.statements, one.stated, one.came.share, one.came.low, one.came.high
            )
            for one in found.bins
        ),
    )
