"""The budget office: what counts as spent, what survives a restart, when a lease ends."""

import os
import time
from pathlib import Path

import msgspec
import pytest
from tests.unit.usage import sealed_logs

from quartermaster.app import clerk, clerk_budget
from quartermaster.app.clerk_budget import BudgetOffice, leases_folder
from quartermaster.app.first_start import FIRST_CONTRACT, FIRST_CUSTOMER, prepare
from quartermaster.app.rooms import Rooms, open_usage
from quartermaster.billing.pricebook import starter
from quartermaster.commands.actor import OPERATOR
from quartermaster.commands.budget import Terms, set_budget, top_up
from quartermaster.commands.budget_shown import read_states
from quartermaster.config import Settings
from quartermaster.kernel.budget import epochs, nanos_of, rates_of
from quartermaster.kernel.errors import IntegrityError, UnavailableError
from quartermaster.kernel.events import BudgetCrossed, HourlyUsage, KeyIssued, KeyRotated
from quartermaster.kernel.lease import Ask, AskedLease, Grant, read_grant, write_ask

LOG = "gateway-0"
NAME = f"group:{FIRST_CUSTOMER}"


class Office(BudgetOffice):
    """The office, looked at step by step, and what it told."""

    def __init__(self, rooms: Rooms) -> None:
        self.told: list[BudgetCrossed] = []
        super().__init__(rooms.var, rooms.book, open_usage(rooms.var), rooms.now, self.told.append)
        self.restore()


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    found = Rooms(Settings(var=str(tmp_path)))
    prepare(found)
    return found


def use(rooms: Rooms, *numbers: int) -> int:
    """Requests in one sealed and shipped segment; what they cost, in nanos."""
    seal(rooms, *numbers)
    clerk.ship(rooms)
    rates = rates_of([starter()], "toy")
    assert rates is not None
    requests = sealed_logs.requests(*numbers, at=rooms.now())
    return sum(nanos_of(rates.picos(closed.counts)) for _, closed in requests)


def seal(rooms: Rooms, *numbers: int) -> None:
    requests = [
        (
            msgspec.structs.replace(
                opened,
                customer=FIRST_CUSTOMER,
                contract=FIRST_CONTRACT,
                contract_version=1,
                price_book="starter",
                model="toy",
            ),
            closed,
        )
        for opened, closed in sealed_logs.requests(*numbers, at=rooms.now())
    ]
    sealed_logs.write_segment(rooms.var / "wal" / LOG, requests)


def budget(rooms: Rooms, minor: int) -> str:
    """A monthly budget of so many cents; its period."""
    terms = Terms(amount_minor=minor)
    found = set_budget(rooms.book, OPERATOR, "group", FIRST_CUSTOMER, terms, rooms.now())
    return epochs(found.budget, rooms.now())[0].id


def ask(
    rooms: Rooms, office: Office, epoch: str, want: int, *, life: str = "a", first: int = 1
) -> int:
    """A worker asks; the limit that it is granted."""
    lease = AskedLease(NAME, epoch, first, 0, 0, 0, want, 0)
    write_ask(leases_folder(rooms.var), LOG, Ask(life, first, 1, (lease,)))
    office.follow_book()
    office.grant()
    return limits(grant_of(rooms), epoch)


def grant_of(rooms: Rooms) -> Grant:
    return read_grant(leases_folder(rooms.var) / f"{LOG}.grant")


def limits(grant: Grant, epoch: str) -> int:
    return sum(lease.limit for lease in grant.now.leases if lease.epoch == epoch)


def test_what_was_used_in_the_month_counts_and_is_shown(rooms: Rooms) -> None:
    spent = use(rooms, 1, 2)
    epoch = budget(rooms, 10_000)
    office = Office(rooms)
    spent += use(rooms, 3)
    office.shipped()
    office.follow_book()
    office.look_around()
    (state, *_) = [one for one in read_states(rooms.var).states if one.epoch == epoch]
    assert spent > 0
    assert (state.settled, state.leased) == (spent, 0)


@pytest.mark.parametrize("reading", ["hourly", "hourly_of_segments"])
def test_what_could_not_be_read_counts_when_it_can_be(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch, reading: str
) -> None:
    """A budget that was new, or usage that was, waited for the next fact or the next segment."""
    spent = use(rooms, 1, 2)
    office = Office(rooms)
    if reading == "hourly_of_segments":
        budget(rooms, 10_000)
        office.follow_book()
        spent += use(rooms, 3)
        office.shipped()
    epoch = budget(rooms, 20_000)

    def refuse(*_: object, **__: object) -> list[HourlyUsage]:
        raise UnavailableError("the table cannot be read")

    with monkeypatch.context() as patched:
        patched.setattr(clerk_budget, reading, refuse)
        with pytest.raises(UnavailableError):
            office.follow_book()
    office.follow_book()
    office.look_around()
    assert [one.settled for one in read_states(rooms.var).states if one.epoch == epoch] == [spent]


def test_what_a_rotated_key_s_successor_used_counts(rooms: Rooms) -> None:
    """Before and after the office starts, the same."""
    (used_by,) = {opened.key_id for opened, _ in sealed_logs.requests(1, at=rooms.now())}
    before = "key_before"
    for key_id in (before, used_by):
        fact = KeyIssued(
            key_id=key_id, key_hash=key_id, customer=FIRST_CUSTOMER, contract=FIRST_CONTRACT
        )
        rooms.book.append(fact, actor=OPERATOR, now=rooms.now())
    rotated = KeyRotated(key_id=before, successor=used_by, ends_at=rooms.now())
    rooms.book.append(rotated, actor=OPERATOR, now=rooms.now())
    terms = Terms(amount_minor=10_000)
    set_budget(rooms.book, OPERATOR, "key", before, terms, rooms.now())
    first = Office(rooms)
    spent = use(rooms, 1, 2)
    first.shipped()
    for office in (first, Office(rooms)):
        office.follow_book()
        office.look_around()
        assert {one.settled for one in read_states(rooms.var).states} == {spent, 0}


def test_alerts_are_told_once_whoever_looks(rooms: Rooms) -> None:
    assert 5_000_000 < use(rooms, 30_000) < 8_000_000
    budget(rooms, 1)
    told = []
    for _ in range(2):
        office = Office(rooms)
        for _ in range(2):
            office.follow_book()
            office.look_around()
        told += [one.percent for one in office.told]
    assert told == [50]
    crossed = rooms.book.view().crossed["group", FIRST_CUSTOMER]
    assert [one.percent for one in crossed] == [50]


def test_a_restarted_office_knows_what_it_granted(rooms: Rooms) -> None:
    epoch = budget(rooms, 10_000)
    limit = ask(rooms, Office(rooms), epoch, 80_000_000_000)
    assert 0 < limit <= 100_000_000_000
    office = Office(rooms)
    office.look_around()
    assert {one.leased for one in read_states(rooms.var).states if one.epoch == epoch} == {limit}
    path = leases_folder(rooms.var) / f"{LOG}.grant"
    path.write_bytes(b"{")
    with pytest.raises(IntegrityError, match="cannot be read"):
        Office(rooms)


def test_an_office_that_cannot_know_what_it_granted_grants_nothing_until_it_can(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerk_budget, "REST_EVERY_S", 0.01)
    epoch = budget(rooms, 10_000)
    ask(rooms, Office(rooms), epoch, 80_000_000_000)
    path = leases_folder(rooms.var) / f"{LOG}.grant"
    whole = path.read_bytes()
    path.write_bytes(b"{")
    office = BudgetOffice(rooms.var, rooms.book, open_usage(rooms.var), rooms.now, print)
    office.start()
    try:
        assert "cannot be read" in office.trouble
        time.sleep(0.05)
        office.check()
        assert path.read_bytes() == b"{", "nothing is granted"
        path.write_bytes(whole)
        until = time.monotonic() + 5
        while office.trouble and time.monotonic() < until:
            time.sleep(0.01)
        assert not office.trouble
    finally:
        office.stop()


def test_an_ask_that_was_torn_by_a_power_loss_stops_nobody(rooms: Rooms) -> None:
    epoch = budget(rooms, 10_000)
    office = Office(rooms)
    torn = leases_folder(rooms.var) / "gateway-1.ask"
    torn.write_bytes(b"")
    assert ask(rooms, office, epoch, 80_000_000_000) > 0
    # The worker's next life asks again under its name.
    lease = AskedLease(NAME, epoch, 1, 0, 0, 0, 5_000_000_000, 0)
    write_ask(leases_folder(rooms.var), "gateway-1", Ask("b", 1, 1, (lease,)))
    office.grant()
    assert limits(read_grant(leases_folder(rooms.var) / "gateway-1.grant"), epoch) > 0


def test_a_dead_worker_s_lease_ends_with_its_log(rooms: Rooms) -> None:
    epoch = budget(rooms, 10_000)
    office = Office(rooms)
    limit = ask(rooms, office, epoch, 80_000_000_000)
    seal(rooms, 1)
    status = rooms.var / "status" / f"{LOG}.json"
    status.parent.mkdir(exist_ok=True)
    status.write_bytes(b"{}")
    office.look_around()
    assert (leases_folder(rooms.var) / f"{LOG}.grant").exists()  # it may live
    os.utime(status, (time.time() - 60,) * 2)
    office.look_around()
    assert (leases_folder(rooms.var) / f"{LOG}.grant").exists()  # its log is not in the table
    clerk.ship(rooms)
    office.look_around()
    assert (leases_folder(rooms.var) / f"{LOG}.grant").exists()  # not taken off its lease
    assert leased(rooms, epoch) == limit
    office.shipped()
    office.follow_book()
    office.look_around()
    assert not list(leases_folder(rooms.var).glob("gateway*"))
    office.look_around()
    assert leased(rooms, epoch) == 0


def test_a_clock_that_went_back_keeps_no_dead_worker_s_lease(rooms: Rooms) -> None:
    epoch = budget(rooms, 10_000)
    office = Office(rooms)
    assert ask(rooms, office, epoch, 80_000_000_000) > 0
    status = rooms.var / "status" / f"{LOG}.json"
    status.parent.mkdir(exist_ok=True)
    status.write_bytes(b"{}")
    os.utime(status, (time.time() + 86_400,) * 2)
    office.look_around()
    office.look_around()
    assert leased(rooms, epoch) == 0


def leased(rooms: Rooms, epoch: str) -> int:
    return sum(one.leased for one in read_states(rooms.var).states if one.epoch == epoch)


def test_an_earlier_life_holds_its_lease_until_its_segments_are_shipped(rooms: Rooms) -> None:
    epoch = budget(rooms, 10_000)
    office = Office(rooms)
    limit = ask(rooms, office, epoch, 80_000_000_000)
    seal(rooms, 1)
    again = ask(rooms, office, epoch, 80_000_000_000, life="b", first=2)
    assert limit + again <= 100_000_000_000
    assert [life.life for life in grant_of(rooms).earlier] == ["a"]
    clerk.ship(rooms)
    office.shipped()
    office.follow_book()
    office.grant()
    assert grant_of(rooms).earlier == ()


def test_a_payment_can_be_leased_at_once(rooms: Rooms) -> None:
    terms = Terms(prepaid=True)
    found = set_budget(rooms.book, OPERATOR, "group", FIRST_CUSTOMER, terms, rooms.now())
    epoch = epochs(found.budget, rooms.now())[0].id
    office = Office(rooms)
    assert ask(rooms, office, epoch, 5_000) == 0
    top_up(rooms.book, OPERATOR, "group", FIRST_CUSTOMER, 100, rooms.now(), payment="p")
    office.follow_book()
    office.grant()
    assert limits(grant_of(rooms), epoch) >= 5_000
