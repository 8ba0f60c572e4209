"""Usage that is shipped while an invoice is drafted is in the next one: not lost, not twice."""

from pathlib import Path

import msgspec
import pytest
from tests.unit.usage import sealed_logs, usage_facts

from quartermaster.app.first_start import FIRST_CONTRACT, prepare
from quartermaster.app.rooms import Rooms
from quartermaster.app.usage_at_cut import reader
from quartermaster.billing.invoice import Invoice
from quartermaster.commands import contract as contracts
from quartermaster.commands import invoice as invoices
from quartermaster.commands.actor import CLERK
from quartermaster.config import Settings
from quartermaster.kernel.clock import Instant, Period, month_of
from quartermaster.kernel.contract import Commitment, Contract
from quartermaster.kernel.errors import ConflictError
from quartermaster.kernel.events import Closed, Cut, Opened
from quartermaster.kernel.units import Counts
from quartermaster.usage import cut as usage_cut
from quartermaster.usage.query import hourly
from quartermaster.usage.table import UsageTable


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    found = Rooms(Settings(var=str(tmp_path)))
    prepare(found)
    # Nothing here loses power: a busy disk need not be waited for.
    found.__dict__["usage"] = sealed_logs.new_table(tmp_path / "usage")
    return found


def used(rooms: Rooms, number: int, *, tokens: int = 50_000_000) -> tuple[Opened, Closed]:
    at = rooms.now()
    opened = usage_facts.opened(number, at=at, customer="first", model="toy")
    signed = rooms.book.view().contracts[FIRST_CONTRACT][0]
    about = {"contract": FIRST_CONTRACT, "customer": signed.customer}
    closed = usage_facts.closed(at=at + 9)
    return (
        msgspec.structs.replace(opened, **about),
        msgspec.structs.replace(closed, counts=Counts(input=tokens)),
    )


def shipped(rooms: Rooms, *requests: tuple[Opened, Closed]) -> None:
    sealed_logs.write_segment(rooms.var / "wal" / "gateway-0", requests)
    for fact in sealed_logs.ship(rooms.var / "wal", rooms.usage):
        rooms.book.append(fact, actor=CLERK, now=rooms.now())


def period(rooms: Rooms) -> str:
    return month_of(rooms.now(), rooms.book.view().contracts[FIRST_CONTRACT][0].time_zone).label


def drafted(rooms: Rooms, read: invoices.ReadUsage | None = None) -> Invoice:
    return invoices.draft(
        rooms.book,
        rooms.actor,
        contract=FIRST_CONTRACT,
        period=period(rooms),
        read=read or reader(rooms),
        now=rooms.now(),
    )


def at_cut(rooms: Rooms, cut: Cut) -> Invoice:
    """The draft of a cut, computed afresh from the table as it is now."""
    view = rooms.book.view()
    agreed, month = invoices.contract_of(view, FIRST_CONTRACT, period(rooms))
    rows = hourly(rooms.usage, cut)
    return invoices.compute(view, agreed, month, cut, rows, until=rooms.now())


def booked(rooms: Rooms) -> int:
    rooms.book.verify()
    with rooms.book.reading() as unit:
        return sum(unit.ledger.accrued().values())


def test_a_segment_between_the_cut_and_the_rows_is_in_neither(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped(rooms, used(rooms, 1))
    real = usage_cut.current_cut

    def then_ship(table: UsageTable) -> Cut:
        found = real(table)
        shipped(rooms, used(rooms, 2))
        monkeypatch.setattr(usage_cut, "current_cut", real)
        return found

    monkeypatch.setattr(usage_cut, "current_cut", then_ship)
    first = drafted(rooms)
    assert first.cut == {"gateway-0": 1}
    assert first == at_cut(rooms, first.cut)
    assert booked(rooms) == first.total_minor > 0
    second = drafted(rooms)
    assert (second.cut, second.total_minor) == ({"gateway-0": 2}, 2 * first.total_minor)
    assert booked(rooms) == second.total_minor


def test_a_segment_between_the_rows_and_the_record_is_in_the_next_draft(rooms: Rooms) -> None:
    shipped(rooms, used(rooms, 1))
    read = reader(rooms)

    def then_ship(contract: Contract, span: Period) -> invoices.UsageAtCut:
        found = read(contract, span)
        shipped(rooms, used(rooms, 2))
        return found

    first = drafted(rooms, then_ship)
    assert (first.cut, first) == ({"gateway-0": 1}, at_cut(rooms, first.cut))
    assert booked(rooms) == first.total_minor
    assert drafted(rooms).total_minor == booked(rooms) == 2 * first.total_minor


def test_a_draft_that_another_one_overtook_reads_again(rooms: Rooms) -> None:
    shipped(rooms, used(rooms, 1))
    read, overtaken = reader(rooms), list[Invoice]()

    def then_overtaken(contract: Contract, span: Period) -> invoices.UsageAtCut:
        found = read(contract, span)
        if not overtaken:
            shipped(rooms, used(rooms, 2))
            overtaken.append(drafted(rooms))
        return found

    assert drafted(rooms, then_overtaken) == overtaken[0]
    assert booked(rooms) == overtaken[0].total_minor


def test_terms_that_need_more_usage_than_was_read_make_it_read_again(rooms: Rooms) -> None:
    """A term signed meanwhile began months ago; without its usage all of its floor were owed."""
    shipped(rooms, used(rooms, 1))
    signed = rooms.book.view().contracts[FIRST_CONTRACT][-1]
    end = month_of(rooms.now(), signed.time_zone).end
    start = signed.valid_from + 3_600_000_000
    floor = Commitment(900_000, start, end, "term")
    later = msgspec.structs.replace(signed, version=2, valid_from=start, commitments=(floor,))
    read, spans = reader(rooms), list[Period]()

    def then_signed(contract: Contract, span: Period) -> invoices.UsageAtCut:
        # What a reader with no more than the month would have had.
        found = read(contract, span)
        if not spans:
            contracts.sign(rooms.book, rooms.actor, later, Instant(start))
            narrow = msgspec.structs.replace(span, start=max(span.start, start + 1))
            found = msgspec.structs.replace(found, span=narrow)
        spans.append(span)
        return found

    found = drafted(rooms, then_signed)
    assert len(spans) == 2
    assert found == at_cut(rooms, found.cut)
    assert booked(rooms) == found.total_minor


def test_what_never_stands_still_is_refused_and_nothing_is_booked(rooms: Rooms) -> None:
    def too_little(_: Contract, span: Period) -> invoices.UsageAtCut:
        return invoices.UsageAtCut({}, msgspec.structs.replace(span, end=span.end - 1), ())

    with pytest.raises(ConflictError, match="while its usage was read"):
        drafted(rooms, too_little)
    assert booked(rooms) == 0
