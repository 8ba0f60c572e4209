"""The clerk's daily look at all customers: stated in the journal once a week, settled when due.

The journal holds what was stated and what came; the file beside the views holds what the console
shows until the next look. Each step can be interrupted and repeated: facts have a key a day.
Statements of neighbouring days see the same future, and the journal keeps them for good: of a
thousand customers a week adds half a megabyte, where a day would add as much every day.
"""

import logging
import os
import threading
from collections.abc import Callable, Set
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import msgspec

from quartermaster.app import live
from quartermaster.app.rooms import Rooms, open_usage
from quartermaster.commands.actor import CLERK
from quartermaster.commands.case_read import all_cases
from quartermaster.conduct.cases_table import ENDED
from quartermaster.console.ports_warning import WarningLook
from quartermaster.kernel.case import CaseState
from quartermaster.kernel.clock import US_PER_S, Instant, as_datetime
from quartermaster.kernel.errors import Fault, IntegrityError, QuartermasterError
from quartermaster.kernel.events import (
    ConductAlarmed,
    ProbabilitiesStated,
    StatedEvent,
    StatementsResolved,
)

log = logging.getLogger(__name__)

SETTLES_S = 15 * 60
"""A day is looked at a quarter of an hour after it is over: requests that ran over midnight have
closed and their segments are shipped by then."""
DAYS_A_WEEK = 7
LOOK_EVERY_S = 60.0
"""How often the clerk asks whether a day is due."""
ALARMED = "conduct:alarmed:"
"""Beginning of the keys of conduct's alarms; account and day follow."""
STATED, RESOLVED = "stated:", "resolved:"
"""Beginnings of the keys of the journal's facts; event and day follow."""


def view_path(var: Path) -> Path:
    """Where the newest look is kept."""
    return var / "views" / "warning.msgpack"


def read(var: Path) -> WarningLook | None:
    """The newest look, or None before the first.

    Raises:
        IntegrityError: the file is not what the clerk writes.
    """
    try:
        return msgspec.msgpack.decode(view_path(var).read_bytes(), type=WarningLook)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise IntegrityError(
            f"{view_path(var)} cannot be read: {error}",
            hint="remove it: the clerk makes it again from the usage table",
        ) from error


def stamp(var: Path) -> tuple[int, int, int] | None:
    """What tells one look from the next without reading it, or None before the first.

    Statements are recorded before their look is written, so it tells the journal's apart too.
    """
    try:
        found = view_path(var).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def due_day(now: Instant) -> date:
    """The last UTC day that is over and counted."""
    return as_datetime(Instant(now - SETTLES_S * US_PER_S)).date() - timedelta(days=1)


def look(rooms: Rooms) -> WarningLook | None:
    """Look at the last day, settle what is due, state it where the week has none, write the view.

    Returns:
        What was seen, or None where it was seen before or where nobody has used anything yet.

    Raises:
        DataError: more customers and days than can be looked at.
    """
    day = due_day(rooms.now())
    seen = _kept(rooms.var)
    if seen is not None and seen.on >= day:
        return None
    # numpy and scipy come with these: a clerk without the extra does everything else.
    from quartermaster.app import warning_look, warning_use
    from quartermaster.usage.cut import current_cut
    from quartermaster.usage.daily import daily

    table = open_usage(rooms.var)
    cut = current_cut(table)
    first = day - timedelta(days=warning_use.HISTORY_DAYS - 1)
    rows = daily(table, cut, first=first, last=day)
    rated = live.read(rooms.var)
    known = warning_use.real_use(
        rows,
        rooms.book.view(),
        () if rated is None else rated.revenue,
        last_day=day,
        now=rooms.now(),
        alarms=alarmed(rooms),
    )
    if known is None:
        return None
    _settle(rooms, partial(warning_use.usage_by_day, known), day)
    found = warning_look.outlook_of(known.groups, known.first_day, known.last_day)
    for fact in warning_look.stated(found, cut):
        if not _stated_this_week(rooms, fact.event, day):
            _record(rooms, f"{STATED}{fact.event}:{fact.on}", fact)
    result = warning_look.shown(found, known.groups)
    _write(rooms.var, result)
    return result


def alarmed(rooms: Rooms) -> list[ConductAlarmed]:
    """Alarms of the daily analysis of conduct that no person has cleared."""
    done = cleared(rooms)
    return [
        entry.fact
        for entry in rooms.book.keyed(ALARMED)
        if isinstance(entry.fact, ConductAlarmed) and entry.at > done.get(entry.fact.group, 0)
    ]


def cleared(rooms: Rooms, states: Set[CaseState] = ENDED) -> dict[str, int]:
    """When the last case of a group was closed without a finding, or its customer reinstated."""
    found: dict[str, int] = {}
    for case in all_cases(rooms.book):
        if case.state in states and case.ended_at is not None:
            found[case.group] = max(found.get(case.group, 0), case.ended_at)
    return found


class DailyLook:
    """A look beside the clerk's other work: it computes for seconds, and shipping goes on.

    Args:
        rooms: settings and stores.
        do: the look; it looks at every day that is due and was not looked at.
        what: what there is none of where it cannot be done.
        refusals: what another try may mend.
    """

    def __init__(
        self,
        rooms: Rooms,
        do: Callable[[Rooms], object] = look,
        what: str = "early warning",
        refusals: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._rooms = rooms
        self._do, self._refusals = do, refusals
        self.what = what
        self.trouble = ""
        """Why the day that is due could not be looked at; empty where it could."""
        self._thread: threading.Thread | None = None
        self._failed: list[BaseException] = []
        self._done: date | None = None
        self._said: date | None = None

    @property
    def running(self) -> bool:
        """Whether a look is under way."""
        return self._thread is not None and self._thread.is_alive()

    def poll(self) -> None:
        """Begin a look where a day is due and none runs; a defect in the last one is raised here.

        What cannot be looked at is said once a day and tried again at every call.
        """
        if self._failed:
            raise self._failed.pop()
        day = due_day(self._rooms.now())
        if day != self._done and not self.running:
            # A clerk that is asked to stop does not wait: the next one begins again.
            self._thread = threading.Thread(target=self._look, args=(day,), daemon=True)
            self._thread.start()

    def _look(self, day: date) -> None:
        try:
            self._do(self._rooms)
        except ModuleNotFoundError as error:
            self._say(day, f"{error.name} is not installed: pip install 'quartermaster-ai[risk]'")
        except QuartermasterError as error:
            self._say(day, f"{error.message} ({error.hint})")
            self.trouble = error.message if error.fault is Fault.US else ""
        except self._refusals as error:
            # A full disk, or a table that cannot be read: nothing was recorded, and the next look
            # begins again.
            self._say(day, str(error))
            self.trouble = str(error)
        except BaseException as error:  # noqa: BLE001 - raised again in the clerk's own thread
            self._failed.append(error)
        else:
            self._done, self.trouble = day, ""

    def _say(self, day: date, reason: str) -> None:
        if self._said != day:
            log.warning("no %s for %s: %s", self.what, day, reason)
            self._said = day


def _stated_this_week(rooms: Rooms, event: StatedEvent, day: date) -> bool:
    """Whether the event was stated of a day since the last Sunday that is over.

    So it is stated of Sundays; of a later day only where nothing was known before, or where the
    clerk did not run.
    """
    sunday = day - timedelta(days=day.isoweekday() % DAYS_A_WEEK)
    days = [sunday + timedelta(days=after) for after in range((day - sunday).days + 1)]
    with rooms.book.reading() as unit:
        return any(unit.journal.keyed_entries(f"{STATED}{event}:{one}") for one in days)


def _kept(var: Path) -> WarningLook | None:
    """The newest look; one that cannot be read is made again."""
    try:
        return read(var)
    except IntegrityError:
        return None


def _settle(
    rooms: Rooms, usage_by_day: Callable[[], dict[str, dict[date, float]]], day: date
) -> None:
    """Record what came of every day of statements whose time has passed."""
    from quartermaster.exposure.daily_statements import due, settle

    settled = _settled(rooms)
    waiting = [
        fact
        for fact in (entry.fact for entry in rooms.book.keyed(STATED))
        if isinstance(fact, ProbabilitiesStated)
        and (fact.event, fact.on) not in settled
        and due(fact.event, date.fromisoformat(fact.on)) <= day
    ]
    # A year of days of everybody is large, and on most days nothing is due.
    usage = usage_by_day() if waiting else {}
    for fact in waiting:
        outcome = settle(fact, usage, day)
        assert outcome is not None, "chosen for being due"
        _record(rooms, f"{RESOLVED}{fact.event}:{fact.on}", outcome)


def _settled(rooms: Rooms) -> set[tuple[StatedEvent, str]]:
    return {
        (entry.fact.event, entry.fact.on)
        for entry in rooms.book.keyed(RESOLVED)
        if isinstance(entry.fact, StatementsResolved)
    }


def _record(rooms: Rooms, key: str, fact: ProbabilitiesStated | StatementsResolved) -> None:
    """Write the fact where the day has none: what was stated stays, whatever came in later."""
    with rooms.book.writing() as unit:
        if not unit.journal.keyed(key):
            unit.journal.append(fact, actor=CLERK, now=rooms.now(), key=key)


def _write(var: Path, found: WarningLook) -> None:
    path = view_path(var)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_bytes(msgspec.msgpack.encode(found))
    beside.replace(path)
