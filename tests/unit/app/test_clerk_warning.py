"""The clerk's daily look: stated once a week, settled when due, whatever happens in between."""

import logging
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from tests.unit.usage import sealed_logs

from quartermaster.app import clerk, clerk_warning
from quartermaster.app.console_warning import RealWarning
from quartermaster.app.first_start import FIRST_CONTRACT, FIRST_CUSTOMER, prepare
from quartermaster.app.rooms import Rooms
from quartermaster.config import Settings
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.events import Opened, ProbabilitiesStated, StatementsResolved

DAY_US = 24 * US_PER_HOUR
START = 1_794_700_800_000_000  # 2026-11-15, midnight UTC
LOG = "gateway-0"


class ClockedRooms(Rooms):
    """Rooms whose clock the test sets."""

    instant = Instant(START)

    def now(self) -> Instant:
        return self.instant

    def go_to_day(self, day: int, hours: float = 1) -> None:
        self.instant = Instant(START + day * DAY_US + int(hours * US_PER_HOUR))


@pytest.fixture
def rooms(tmp_path: Path) -> ClockedRooms:
    found = ClockedRooms(Settings(var=str(tmp_path)))
    prepare(found)
    return found


def use(rooms: Rooms, first_day: int, last_day: int, *, more: int = 1) -> None:
    """One request at noon of each of these days, of ten tokens times its number."""
    requests = [
        (_of_first_customer(opened), closed)
        for day in range(first_day, last_day + 1)
        for opened, closed in sealed_logs.requests(
            day + more, at=START + day * DAY_US + DAY_US // 2
        )
    ]
    sealed_logs.write_segment(rooms.var / "wal" / LOG, requests)
    clerk.ship(rooms)


def _of_first_customer(opened: Opened) -> Opened:
    fields = {name: getattr(opened, name) for name in Opened.__struct_fields__}
    fields |= {"customer": FIRST_CUSTOMER, "contract": FIRST_CONTRACT, "contract_version": 1}
    fields |= {"price_book": "starter", "model": "toy"}
    return Opened(**fields)


def stated(rooms: Rooms) -> list[ProbabilitiesStated]:
    facts = [entry.fact for entry in rooms.book.keyed(clerk_warning.STATED)]
    return [fact for fact in facts if isinstance(fact, ProbabilitiesStated)]


def resolved(rooms: Rooms) -> list[StatementsResolved]:
    facts = [entry.fact for entry in rooms.book.keyed(clerk_warning.RESOLVED)]
    return [fact for fact in facts if isinstance(fact, StatementsResolved)]


def test_a_week_is_stated_once(rooms: ClockedRooms) -> None:
    use(rooms, 0, 9)
    rooms.go_to_day(10, hours=0.1)
    assert clerk_warning.due_day(rooms.now()) == date(2026, 11, 23)  # its last requests still run
    rooms.go_to_day(10)
    seen = clerk_warning.look(rooms)
    assert seen is not None
    assert (seen.on, [one.name for one in seen.customers]) == (
        date(2026, 11, 24),
        ["First customer"],
    )
    assert clerk_warning.read(rooms.var) == seen
    (fact,) = stated(rooms)
    assert (fact.event, fact.on, fact.cut) == ("halved_in_a_year", "2026-11-24", {LOG: 1})
    (said,) = fact.customers
    assert said.customer == FIRST_CUSTOMER
    assert said.probability == round(seen.customers[0].ledger.stated.probability, 6)
    assert clerk_warning.look(rooms) is None
    # Without its file the day is looked at again, with more usage now; what was stated stays.
    clerk_warning.view_path(rooms.var).unlink()
    use(rooms, 9, 9)
    assert clerk_warning.look(rooms) is not None
    assert stated(rooms) == [fact]
    # Every day is looked at; stated are the first one, Sundays, and the next after a Sunday missed.
    for day in (11, 14, 15, 16, 21, 24, 25, 29):
        rooms.go_to_day(day)
        assert clerk_warning.look(rooms) is not None
    days = [date.fromisoformat(one.on) for one in stated(rooms)]
    assert days == [date(2026, 11, 24), date(2026, 11, 29), date(2026, 12, 8), date(2026, 12, 13)]
    assert [one.isoweekday() for one in days] == [2, 7, 2, 7]
    rooms.book.verify()


def test_a_damaged_view_is_made_again(rooms: ClockedRooms) -> None:
    use(rooms, 0, 9)
    rooms.go_to_day(10)
    seen = clerk_warning.look(rooms)
    clerk_warning.view_path(rooms.var).write_bytes(b"torn")
    assert clerk_warning.look(rooms) == seen


def test_a_contract_that_can_end_is_told(rooms: ClockedRooms) -> None:
    use(rooms, 0, 9)
    rooms.go_to_day(10)
    seen = clerk_warning.look(rooms)
    assert seen is not None
    (notice,) = seen.customers[0].notices
    assert (notice.contract, notice.state) == (FIRST_CONTRACT, "any_day")


def test_statements_are_settled_when_their_whole_time_has_passed(rooms: ClockedRooms) -> None:
    use(rooms, 0, 9)
    rooms.go_to_day(10)
    clerk_warning.look(rooms)
    use(rooms, 100, 100)
    rooms.go_to_day(10 + 364)
    clerk_warning.look(rooms)
    assert resolved(rooms) == []
    rooms.go_to_day(10 + 365)
    clerk_warning.look(rooms)
    (outcome,) = resolved(rooms)
    assert (outcome.on, outcome.resolved_on) == ("2026-11-24", "2027-11-24")
    assert (outcome.came, outcome.stayed) == ((FIRST_CUSTOMER,), ())
    rooms.go_to_day(10 + 366)
    clerk_warning.look(rooms)
    assert resolved(rooms) == [outcome]


def test_who_stays_is_settled_as_having_stayed(rooms: ClockedRooms) -> None:
    use(rooms, 0, 9)
    rooms.go_to_day(10)
    clerk_warning.look(rooms)
    use(rooms, 10 + 365 - 91, 10 + 364)
    rooms.go_to_day(10 + 365)
    clerk_warning.look(rooms)
    (outcome,) = resolved(rooms)
    assert (outcome.came, outcome.stayed) == ((), (FIRST_CUSTOMER,))


def test_nobody_used_anything_yet(rooms: ClockedRooms) -> None:
    rooms.go_to_day(10)
    assert clerk_warning.look(rooms) is None
    assert clerk_warning.read(rooms.var) is None
    assert stated(rooms) == []


def polled(daily: clerk_warning.DailyLook) -> None:
    """One poll, and the end of what it began."""
    daily.poll()
    until = time.monotonic() + 20
    while daily.running:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_the_look_runs_beside_the_clerk(
    rooms: ClockedRooms, caplog: pytest.LogCaptureFixture
) -> None:
    use(rooms, 0, 9)
    rooms.go_to_day(10)
    look: list[Callable[[Rooms], object]] = [clerk_warning.look]
    daily = clerk_warning.DailyLook(rooms, lambda found: look[0](found))
    polled(daily)
    assert len(stated(rooms)) == 1

    looked: list[int] = []
    error: list[Exception] = [DataError("too much", hint="use less")]

    def fail(_: Rooms) -> None:
        looked.append(1)
        raise error[0]

    look[0] = fail
    polled(daily)
    assert looked == []  # the day is done
    rooms.go_to_day(11)
    with caplog.at_level(logging.WARNING):
        polled(daily)
        polled(daily)
    assert len(looked) == 2
    assert [record.message for record in caplog.records] == [
        "no early warning for 2026-11-25: too much (use less)"
    ]
    error[0] = ZeroDivisionError("a defect")
    polled(daily)
    with pytest.raises(ZeroDivisionError):
        daily.poll()


def test_the_console_shows_the_look_beside_what_is_owed(rooms: ClockedRooms) -> None:
    port = RealWarning(rooms)
    assert port.warning(rooms.now()).missing == "not_yet"
    assert port.reliability(rooms.now()).records[0].stated == 0
    use(rooms, 0, 9, more=10_000)
    rooms.go_to_day(10)
    clerk.recompute(rooms)
    clerk_warning.look(rooms)
    facts = port.warning(rooms.now())
    assert (facts.sample, facts.missing, facts.currency) == (False, None, "USD")
    (customer,) = facts.customers
    assert (customer.look.customer, customer.look.name) == (FIRST_CUSTOMER, "First customer")
    owed = clerk.recompute(rooms).revenue
    assert customer.minor == sum(row.minor for row in owed) > 0
    record = port.reliability(rooms.now())
    year, quarter = record.records
    assert (year.stated, year.open, year.scored, quarter.stated) == (1, 1, None, 0)
    assert year.next_due == date(2027, 11, 24)
    (line,) = record.statements
    assert (line.name, line.came) == ("First customer", None)


def test_the_record_is_read_once_a_look(rooms: ClockedRooms) -> None:
    port = RealWarning(rooms)
    use(rooms, 0, 9)
    for days, day in ((1, 10), (1, 11), (2, 15)):
        rooms.go_to_day(day)
        clerk_warning.look(rooms)
        record = port.reliability(rooms.now())
        assert record.records[0].days == days
        assert port.reliability(rooms.now()) is record
