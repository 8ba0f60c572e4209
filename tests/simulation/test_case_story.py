"""The whole story of the scenario, from the first harvest to reinstatement, through the commands.

The evidence is that of the planted campaign. That it is what the daily analysis says of it is the
long form of the test; it takes half a minute.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from quartermaster.app import case_desk, case_files, case_stake, live
from quartermaster.app.case_files import Exemplars
from quartermaster.app.case_sample import sample_evidence
from quartermaster.app.rooms import Rooms
from quartermaster.book.unit import Unit
from quartermaster.commands import case as cases
from quartermaster.commands import case_read as reading
from quartermaster.commands import contract as contracts
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import CLERK, OPERATOR, Actor
from quartermaster.commands.customer import add_customer, add_group
from quartermaster.commands.publish import refresh
from quartermaster.conduct.case_file import CaseFile, sha256
from quartermaster.conduct.cases import Case
from quartermaster.config import Settings
from quartermaster.console.board_page import page_of
from quartermaster.console.case_report import view_of
from quartermaster.kernel.case import (
    Answered,
    AppealDecided,
    CaseStatement,
    FileMade,
    Move,
    MoveAsked,
    Noted,
)
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime, as_instant
from quartermaster.kernel.contract import Contract, Customer, Group
from quartermaster.kernel.errors import ConflictError, NotAllowedError
from quartermaster.kernel.events import ConductAlarmed, UserAdded
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.snapshot import decode
from quartermaster.sim.campaign import CUSTOMER, harvest_begins
from tools import sample_case

GROUP, ENTITIES = "bytedance", ("tiktok", "bytedance-ltd")
ADA, BOB, CY = (
    Actor(f"usr_{name}", (role,)) for name, role in (("a", "trust"), ("b", "admin"), ("c", "trust"))
)
BUYER = Actor("usr_buyer", ("customer",), "tiktok")
A_MONTH_MINOR = 2_000_000_000


class StoryRooms(Rooms):
    """The rooms of December 2023."""

    at = as_instant(datetime(2023, 12, 1, tzinfo=UTC))

    def now(self) -> Instant:
        return self.at

    def day(self, month: int, day: int) -> Instant:
        self.at = as_instant(datetime(2023, month, day, 9, tzinfo=UTC))
        return self.at


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[StoryRooms]:
    rooms = StoryRooms(Settings(var=str(tmp_path)))
    book, now = rooms.book, rooms.now()
    add_group(book, OPERATOR, Group(GROUP, CUSTOMER), now)
    for entity in ENTITIES:
        add_customer(book, OPERATOR, Customer(entity, entity.title(), GROUP), now)
    prices = PriceBook("list", 1, "USD", 0, (Price("m", "input", "0.15"),))
    price_books.publish(book, OPERATOR, prices, now)
    signed = Contract("tiktok-2023", 1, "tiktok", "list", "USD", "UTC", 0)
    contracts.sign(book, OPERATOR, signed, now)
    for actor in (ADA, BOB, CY, BUYER):
        fact = UserAdded(user=actor.id, name=actor.id, roles=actor.roles, customer=actor.customer)
        book.append(fact, actor=OPERATOR, now=now)
    revenue = (
        _month("tiktok-2023", GROUP, A_MONTH_MINOR),
        _month("other", "rest", 3 * A_MONTH_MINOR),
    )
    live.write(tmp_path, live.LiveBook({}, now, revenue))
    yield rooms
    book.close()


def _month(contract: str, group: str, minor: int, month: str = "2023-11") -> live.MonthRevenue:
    return live.MonthRevenue(
        contract, ENTITIES[0] if group == GROUP else group, "TikTok", group, group, month,
        "UTC", "USD", Decimal(minor) / 100, minor, 1, 1, 0,
    )  # fmt: skip


def test_the_evidence_rises_with_the_harvest_and_not_before() -> None:
    evidence = sample_evidence()
    begins = harvest_begins().isoformat()
    assert evidence.alpha is not None
    line = 1 / evidence.alpha
    before = [one.evidence for one in evidence.days if one.day < begins and one.evidence]
    assert max(before) < 10
    reached = next(one.day for one in evidence.days if (one.evidence or 0) >= line)
    assert begins < reached <= (harvest_begins() + timedelta(days=10)).isoformat()


@pytest.mark.long
def test_the_evidence_is_what_the_daily_analysis_says_of_the_campaign() -> None:
    assert sample_case.FILE.read_bytes() == sample_case.made()


def test_from_the_first_alarm_to_reinstatement(rooms: StoryRooms, tmp_path: Path) -> None:
    case = _alarmed(rooms)
    assert case.stake is not None
    assert case.stake.share == pytest.approx(0.25)
    assert case.stake.harvested_minor > 100_000_000

    # A large customer: whatever is held against it is signed by two.
    _step(rooms, case, "inform", ADA, rooms.day(12, 2))
    with pytest.raises(ConflictError, match="leaves out steps"):
        _step(rooms, case, "suspend", ADA, rooms.day(12, 3))
    said = CaseStatement(text="to a very limited extent", said_by=CUSTOMER, high=0.02)
    answered = Answered(text="Only for early work on our own model.", statement=said)
    cases.answer(rooms.book, BUYER, BUYER.customer, case.id, answered, rooms.day(12, 11))
    _step(rooms, case, "suspend", ADA, rooms.day(12, 14), urgent=True)
    assert _standing(rooms, tmp_path) == {}
    with pytest.raises(NotAllowedError):
        _sign(rooms, case, ADA)
    rooms.day(12, 15)
    _sign(rooms, case, BOB)
    assert _standing(rooms, tmp_path) == {GROUP: "suspended"}
    _step(rooms, case, "investigate", ADA, rooms.day(12, 16))
    _standing(rooms, tmp_path)
    assert decode((tmp_path / "snapshot.json").read_bytes()).investigated == (GROUP,)

    file = _file(rooms, case)
    (checked, *_) = [one for one in file.case.statements if one.statement.high == 0.02]
    assert checked.verdict == "contradicted"
    assert checked.share.low > 0.3

    cases.appeal(
        rooms.book, BUYER, BUYER.customer, case.id, "It has ended.", rooms.day(12, 18),
        case_desk.rules(rooms, GROUP),
    )  # fmt: skip
    granted = AppealDecided(granted=True, reason="The use has ended, and the extent is settled.")
    held = case_desk.rules(rooms, GROUP)
    with pytest.raises(NotAllowedError, match="took part"):
        cases.decide(rooms.book, BOB, case.id, granted, rooms.day(12, 25), held)
    done = cases.decide(rooms.book, CY, case.id, granted, rooms.day(12, 25), held)
    assert done.state == "reinstated"
    assert _standing(rooms, tmp_path) == {}

    # Ten days of a thirtieth of $20M, a quarter of it.
    (credit,) = done.credits
    assert credit.minor == pytest.approx(10 * A_MONTH_MINOR / 30 / 4, rel=1e-6)
    with rooms.book.reading() as unit:
        assert unit.ledger.balances()["credit_balance:tiktok", "USD"] == -credit.minor
    assert rooms.book.verify().seq == done.history[-1].seq + 2  # its standing, its investigation


def test_days_in_which_nothing_was_served_make_no_day_cheaper(
    rooms: StoryRooms, tmp_path: Path
) -> None:
    case = _alarmed(rooms)
    _step(rooms, case, "suspend", ADA, rooms.day(12, 4), urgent=True)
    _sign(rooms, case, BOB)
    # Three days and nine hours were served in December, and none of January.
    served = 300_000_000
    revenue = (
        _month("tiktok-2023", GROUP, A_MONTH_MINOR),
        _month("tiktok-2023", GROUP, served, "2023-12"),
    )
    live.write(tmp_path, live.LiveBook({}, rooms.day(12, 29), revenue))
    (due,) = case_desk.rules(rooms, GROUP).dues
    assert due.revenue_a_day_minor == served * 24 // (3 * 24 + 9)
    held = case_stake.stake(rooms, GROUP, sample_evidence())
    assert held is not None
    assert held.revenue_a_year_minor > 11 * A_MONTH_MINOR


def test_three_days_of_a_month_are_no_month(rooms: StoryRooms, tmp_path: Path) -> None:
    rooms.day(12, 4)
    revenue = (_month("tiktok-2023", GROUP, A_MONTH_MINOR, "2023-12"),)
    live.write(tmp_path, live.LiveBook({}, rooms.now(), revenue))
    held = case_stake.stake(rooms, GROUP, sample_evidence())
    assert held is not None
    # Small customers may be suspended by themselves: nobody is small for being new.
    assert held.revenue_a_year_minor > 100 * A_MONTH_MINOR


def test_the_case_file_is_a_page_in_both_languages_and_the_journal_remembers_it(
    rooms: StoryRooms,
) -> None:
    case = _alarmed(rooms)
    file = _file(rooms, case)
    digest = case_files.recorded(rooms, ADA, file, rooms.now())
    last = reading.read(rooms.book, case.id).history[-1].event
    assert isinstance(last, FileMade)
    assert last.sha256 == digest == sha256(file)
    stored = {entry.seq: entry.sha256 for entry in rooms.book.entries()}
    assert stored[file.head_seq] == file.head_sha256
    assert all(stored[one.seq] == one.sha256 for one in file.entries)
    for lang, words in (("de", "Was dagegen spricht"), ("en", "What speaks against it")):
        page = page_of(view_of(file, lang))  # type: ignore[arg-type]
        assert words in page
        assert digest in page
        assert "<script" not in page


def test_a_file_made_while_somebody_steps_holds_an_entry_for_each_step(
    rooms: StoryRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, reads = _alarmed(rooms), rooms.book.reading

    @contextmanager
    def busy() -> Iterator[Unit]:
        with reads() as unit:
            yield unit
        cases.tell(rooms.book, ADA, case.id, Noted("meanwhile"), rooms.now())

    monkeypatch.setattr(rooms.book, "reading", busy)
    file = _file(rooms, case)
    assert [one.seq for one in file.entries] == [one.journal_seq for one in file.case.steps]
    assert file.head_seq == file.entries[-1].seq


def test_requests_are_shown_redacted_and_only_where_a_contract_lets_them_be_kept(
    rooms: StoryRooms,
) -> None:
    case = _alarmed(rooms)
    text = 'Write to anna@example.org about "our plan" for Kestrel in 2023.'
    today = as_datetime(rooms.now()).date()
    asked = Exemplars(today.isoformat(), (text,))
    hidden = case_files.case_file(rooms, case.id, rooms.now(), exemplars=asked)
    assert (hidden.exemplars, hidden.content) == ((), "not_permitted")
    (signed,) = rooms.book.view().contracts["tiktok-2023"]
    kept = msgspec.structs.replace(
        signed, version=2, valid_from=US_PER_HOUR, retain_content=True, retention_days=30
    )
    contracts.sign(rooms.book, OPERATOR, kept, rooms.now())
    shown = case_files.case_file(rooms, case.id, rooms.now(), exemplars=asked)
    assert shown.exemplars == ("Write to [address] about [quotation] for [name] in #.",)
    # For thirty days and no longer, whoever still has the text.
    for days, content in ((30, ""), (31, "too_old")):
        old = Exemplars((today - timedelta(days)).isoformat(), (text,))
        file = case_files.case_file(rooms, case.id, rooms.now(), exemplars=old)
        assert (len(file.exemplars), file.content) == (0 if content else 1, content)
    # Of the same group, and its contract says no.
    other = Contract("limited", 1, "bytedance-ltd", "list", "USD", "UTC", 0)
    contracts.sign(rooms.book, OPERATOR, other, rooms.now())
    for account, expected in (("bytedance-ltd", 0), ("another name", 0), ("tiktok", 1)):
        file = case_files.case_file(rooms, case.id, rooms.now(), exemplars=asked, account=account)
        assert len(file.exemplars) == expected, account


def _alarmed(rooms: StoryRooms) -> Case:
    """The daily analysis alarms, and the clerk opens the case."""
    alarm = ConductAlarmed(
        group=GROUP, account="tiktok", on="2023-12-01", evidence=sample_evidence()
    )
    key = f"conduct:alarmed:{alarm.account}:{alarm.on}"
    rooms.book.append(alarm, actor=CLERK, now=rooms.day(12, 2), key=key)
    (case,) = case_desk.tend(rooms)
    assert (case.state, case.opened_by) == ("observing", "clerk")
    return case


def _step(
    rooms: StoryRooms, case: Case, name: Move, actor: Actor, now: Instant, *, urgent: bool = False
) -> None:
    asked = MoveAsked(move=name, reason=f"to {name}", urgent=urgent)
    cases.move(rooms.book, actor, case.id, asked, now, case_desk.rules(rooms, GROUP))


def _sign(rooms: StoryRooms, case: Case, actor: Actor) -> None:
    proposal = len(reading.read(rooms.book, case.id).history)
    held = case_desk.rules(rooms, GROUP)
    cases.sign(rooms.book, actor, case.id, proposal, rooms.now(), held)


def _file(rooms: StoryRooms, case: Case) -> CaseFile:
    return case_files.case_file(rooms, case.id, rooms.now())


def _standing(rooms: StoryRooms, var: Path) -> dict[str, str]:
    """What the next snapshot tells the gateways."""
    refresh(rooms.book, var / "snapshot.json", rooms.now())
    return dict(decode((var / "snapshot.json").read_bytes()).standing)
