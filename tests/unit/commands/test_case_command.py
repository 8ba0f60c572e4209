"""Cases through their commands: journal, standing, two persons, the customer, the ledger."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.unit.commands.signed_book import signed_book
from tests.unit.conduct.case_made_up import DAY, HARVEST, LARGE, ONLY_REASONING, SMALL

from quartermaster.book.store import Book
from quartermaster.commands import case as cases
from quartermaster.commands import case_read as reading
from quartermaster.commands import invoice as invoices
from quartermaster.commands import key as keys
from quartermaster.commands import standing as standings
from quartermaster.commands.actor import CLERK, OPERATOR, Actor
from quartermaster.commands.customer import add_customer
from quartermaster.commands.publish import build_snapshot
from quartermaster.conduct.cases import Case
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_shown import own
from quartermaster.conduct.cases_step import Due
from quartermaster.console.case_words import credit_lines
from quartermaster.console.report_words import catalogue
from quartermaster.kernel import case as facts
from quartermaster.kernel.case import CaseEvidence, CaseFinding, CaseOpened, CaseStake, MoveAsked
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month
from quartermaster.kernel.contract import Commitment, Customer
from quartermaster.kernel.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.events import ConductAlarmed, UserAdded
from quartermaster.kernel.limit import Limits, Throttle
from quartermaster.kernel.standing_facts import InvestigationSet

NOW = Instant(20_000 * 24 * US_PER_HOUR)
ADA = Actor("usr_ada", ("trust",))
BOB = Actor("usr_bob", ("admin",))
CY = Actor("usr_cy", ("trust",))
BUYER = Actor("usr_buyer", ("customer",))
RULES = cases.Rules(
    settings=CaseSettings(),
    sign_off_share=Decimal("0.1"),
    dues=(Due("acme", "c", "2024-10", "USD", 100_000),),
)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with signed_book(tmp_path, NOW, {"acme": "c"}) as book:
        add_customer(book, OPERATOR, Customer("other", "OTHER", "other"), NOW)
        for actor in (ADA, BOB, CY, BUYER):
            fact = UserAdded(user=actor.id, name=actor.id, roles=actor.roles)
            book.append(fact, actor=actor, now=NOW)
        yield book


def at(days: float) -> Instant:
    return Instant(NOW + round(days * DAY))


def opened(book: Book, *findings: CaseFinding, stake: CaseStake | None = SMALL) -> Case:
    found = CaseEvidence(findings=findings or (HARVEST,))
    opening = CaseOpened(group="acme", reason="an alarm", evidence=found, stake=stake)
    return cases.open_case(book, ADA, opening, NOW)


def asked(name: facts.Move, throttle: Throttle | None = None, *, urgent: bool = False) -> MoveAsked:
    return MoveAsked(move=name, reason=f"to {name}", throttle=throttle, urgent=urgent)


def suspended(book: Book) -> Case:
    case = opened(book)
    cases.move(book, ADA, case.id, asked("inform"), at(1), RULES)
    cases.move(book, ADA, case.id, asked("suspend", urgent=True), at(2), RULES)
    return cases.sign(book, BOB, case.id, 3, at(2), RULES)


def test_every_step_is_a_fact_of_the_chained_journal(book: Book) -> None:
    case = suspended(book)
    with book.reading() as unit:
        found = reading.entries(unit, case.id)
    assert [entry.actor for entry in found] == ["usr_ada", "usr_ada", "usr_ada", "usr_bob"]
    assert [step.seq for step in case.history] == [entry.seq for entry in found]
    assert book.verify().seq >= found[-1].seq
    assert reading.read(book, case.id) == case


def test_a_suspension_is_in_the_snapshot_and_names_both_persons(book: Book) -> None:
    case = suspended(book)
    assert build_snapshot(book.view(), at(2), 1).standing == {"acme": "suspended"}
    log = book.view().standing_log["acme"][-1]
    assert (log.fact.case, log.fact.proposed_by, log.actor) == (case.id, "usr_ada", "usr_bob")


def test_a_throttle_reaches_the_slice_and_nothing_else(book: Book) -> None:
    issued = keys.issue(book, OPERATOR, contract="c", pepper=b"p" * 32, now=NOW)
    slice_ = Throttle(limits=Limits(requests_per_minute=6), keys=(issued.key_id,))
    case = opened(book)
    cases.move(book, ADA, case.id, asked("inform"), at(1), RULES)
    cases.move(book, ADA, case.id, asked("warn"), at(20), RULES)
    cases.move(book, ADA, case.id, asked("throttle", slice_), at(40), RULES)
    snapshot = build_snapshot(book.view(), at(40), 1)
    assert snapshot.throttles == {"acme": slice_}
    assert snapshot.standing == {"acme": "throttled"}
    # It goes on by another model: the slice follows it, signed by two, and nothing else is shut.
    other = Throttle(limits=Limits(requests_per_minute=6), models=("toy",))
    asked_for = cases.move(book, ADA, case.id, asked("throttle", other), at(41), RULES)
    assert asked_for.pending is not None
    moved = cases.sign(book, BOB, case.id, asked_for.pending.number, at(41), RULES)
    assert (moved.state, moved.throttle) == ("throttled", other)
    assert build_snapshot(book.view(), at(41), 2).throttles == {"acme": other}
    notice = moved.told()[-1][1].notice
    assert notice is not None
    assert "models toy (at most 6 requests a minute)" in notice.en


def test_a_throttle_of_somebody_elses_key_undoes_the_whole_step(book: Book) -> None:
    case = opened(book)
    cases.move(book, ADA, case.id, asked("inform"), at(1), RULES)
    cases.move(book, ADA, case.id, asked("warn"), at(20), RULES)
    wrong = Throttle(limits=Limits(requests_per_minute=6), keys=("key_of_nobody",))
    before = book.verify()
    with pytest.raises(NotFoundError, match="no key"):
        cases.move(book, ADA, case.id, asked("throttle", wrong), at(40), RULES)
    closed = Throttle(keys=("key_of_nobody",))
    with pytest.raises(NotFoundError, match="no key"):  # nor is it proposed to a second person
        cases.move(book, ADA, case.id, asked("throttle", closed), at(40), RULES)
    assert book.verify() == before
    assert reading.read(book, case.id).state == "warned"


def test_reinstatement_posts_the_credit_and_the_books_still_add_up(book: Book) -> None:
    case = suspended(book)
    cases.move(book, ADA, case.id, asked("investigate"), at(3), RULES)
    assert book.view().investigated["acme"].case == case.id
    done = cases.move(book, ADA, case.id, asked("reinstate"), at(12), RULES)
    assert done.state == "reinstated"
    with book.reading() as unit:
        balances = unit.ledger.balances()
    assert balances["service_credit:acme", "USD"] == 250_000
    assert balances["credit_balance:acme", "USD"] == -250_000
    book.verify()
    assert build_snapshot(book.view(), at(12), 2).standing == {}
    assert book.view().investigated == {}
    closes = [f.fact for f in book.facts() if isinstance(f.fact, InvestigationSet)]
    assert [one.open for one in closes] == [True, False]


def test_a_case_says_what_invoices_took_off_for_its_credit(tmp_path: Path) -> None:
    october = month(2024, 10, "UTC")
    floor = Commitment(10_000, october.start, month(2024, 11, "UTC").end)
    with signed_book(tmp_path, NOW, {"acme": "c"}, commitments=(floor,)) as book:
        for actor in (ADA, BOB):
            book.append(
                UserAdded(user=actor.id, name=actor.id, roles=actor.roles), actor=actor, now=NOW
            )
        case = suspended(book)
        done = cases.move(book, ADA, case.id, asked("reinstate"), at(12), RULES)
        assert (done.credits[0].minor, done.redeemed) == (250_000, ())
        for label in ("2024-10", "2024-11"):
            invoices.draft(
                book,
                OPERATOR,
                contract="c",
                period=label,
                read=lambda _, span: invoices.UsageAtCut({}, span, ()),
                now=at(80),
            )
        case = reading.read(book, case.id)
        assert [(one.period, one.minor) for one in case.redeemed] == [
            ("2024-10", 10_000),
            ("2024-11", 10_000),
        ]
        assert own(case, at(80), "acme").redeemed == case.redeemed
        assert own(case, at(80), "another").redeemed == ()
        assert reading.all_cases(book)[0].redeemed == case.redeemed
        words = catalogue("case", "en")
        assert list(credit_lines(case.credits, case.redeemed, words, "en")) == [
            "Service credit: $2,500.00",
            "Of it, the draft invoice of c for October 2024 takes off $100.00.",
            "Of it, the draft invoice of c for November 2024 takes off $100.00.",
            "Not yet redeemed: $2,300.00; the next invoices of c take it off.",
        ]


def test_who_is_not_of_the_staff_steps_nothing(book: Book) -> None:
    case = opened(book)
    for actor in (BUYER, Actor("usr_v", ("viewer",)), Actor("usr_f", ("finance",))):
        with pytest.raises(NotAllowedError):
            cases.move(book, actor, case.id, asked("inform"), at(1), RULES)
        with pytest.raises(NotAllowedError):
            cases.sign(book, actor, case.id, 2, at(1), RULES)


def test_the_operator_at_the_machine_is_no_signed_in_user(book: Book) -> None:
    case = opened(book)
    cases.move(book, OPERATOR, case.id, asked("inform"), at(1), RULES)
    with pytest.raises(NotAllowedError, match="two signed-in users"):
        cases.move(book, OPERATOR, case.id, asked("suspend", urgent=True), at(2), RULES)
    cases.move(book, ADA, case.id, asked("suspend", urgent=True), at(2), RULES)
    with pytest.raises(NotAllowedError, match="two signed-in users"):
        cases.sign(book, OPERATOR, case.id, 3, at(2), RULES)


def test_a_customer_sees_and_answers_its_own_case_only(book: Book) -> None:
    case = opened(book)
    assert reading.own_cases(book, "acme") == []
    with pytest.raises(NotFoundError) as untold:  # it was told nothing yet
        reading.read_own(book, "acme", case.id)
    with pytest.raises(NotFoundError) as unknown:
        reading.read_own(book, "acme", "case_none")
    assert untold.value.hint == unknown.value.hint
    cases.move(book, ADA, case.id, asked("inform"), at(1), RULES)
    assert [one.id for one in reading.own_cases(book, "acme")] == [case.id]
    assert reading.own_cases(book, "other") == []
    said = facts.Answered(text="Our own tests.")
    for customer in ("other", "nobody", ""):
        with pytest.raises(NotFoundError, match="no case"):
            cases.answer(book, BUYER, customer, case.id, said, at(2))
        with pytest.raises(NotFoundError, match="no case"):
            cases.appeal(book, BUYER, customer, case.id, "No.", at(2), RULES)
        with pytest.raises(NotFoundError, match="no case"):
            reading.read_own(book, customer, case.id)
    assert cases.answer(book, BUYER, "acme", case.id, said, at(2)).answered
    with pytest.raises(NotAllowedError):
        cases.answer(book, ADA, "acme", case.id, said, at(2))


def test_an_appeal_that_another_person_grants_lifts_everything(book: Book) -> None:
    case = suspended(book)
    cases.appeal(book, BUYER, "acme", case.id, "You are mistaken.", at(3), RULES)
    decision = facts.AppealDecided(granted=True, reason="they are right")
    for actor in (ADA, BOB):
        with pytest.raises(NotAllowedError, match="took part"):
            cases.decide(book, actor, case.id, decision, at(4), RULES)
    done = cases.decide(book, CY, case.id, decision, at(4), RULES)
    assert done.state == "reinstated"
    assert book.view().standing["acme"] == "active"
    assert done.credits[0].minor == 50_000


def test_a_group_has_one_open_case(book: Book) -> None:
    case = opened(book)
    with pytest.raises(ConflictError, match=case.id):
        opened(book)
    cases.move(book, ADA, case.id, asked("dismiss"), at(1), RULES)
    assert opened(book).id != case.id


def test_what_somebody_decided_outside_of_the_case_stays(book: Book) -> None:
    case = opened(book)
    standings.change(
        book, BOB, "acme", "suspended", "unpaid", at(1),
        weight=standings.RevenueShare(Decimal(0)), sign_off_share=Decimal(1),
    )  # fmt: skip
    cases.move(book, ADA, case.id, asked("inform"), at(2), RULES)
    cases.move(book, ADA, case.id, asked("warn"), at(20), RULES)
    assert book.view().standing["acme"] == "suspended"
    cases.move(book, ADA, case.id, asked("reinstate"), at(21), RULES)
    assert book.view().standing["acme"] == "suspended"


def alarm(book: Book, day: int, *findings: CaseFinding) -> None:
    fact = ConductAlarmed(
        group="acme",
        account="acme",
        on=f"2024-10-{day:02}",
        evidence=CaseEvidence(findings=findings or (HARVEST,)),
    )
    book.append(fact, actor=CLERK, now=at(day), key=f"conduct:alarmed:acme:{fact.on}")


def tended(
    book: Book, days: float, rules: cases.Rules = RULES, stake: CaseStake | None = SMALL
) -> list[Case]:
    return cases.tend(book, at(days), lambda group: rules, lambda group, evidence: stake)


def test_an_alarm_becomes_a_case_under_observation_once(book: Book) -> None:
    alarm(book, 1)
    (case,) = tended(book, 2)
    assert (case.state, case.opened_by) == ("observing", "clerk")
    assert tended(book, 2) == []
    cases.move(book, ADA, case.id, asked("dismiss"), at(3), RULES)
    assert tended(book, 4) == []
    alarm(book, 5)
    assert len(tended(book, 6)) == 1


def test_a_case_that_runs_takes_an_alarm_in_and_is_not_opened_again(book: Book) -> None:
    said = CaseFinding("reported", 1.0, 1.0, source="a letter")
    case = opened(book, said)
    alarm(book, 1)
    assert tended(book, 2) == []
    known = reading.read(book, case.id)
    assert known.evidence.findings == (said, HARVEST)
    assert known.history[-1].actor == "clerk"
    assert tended(book, 2.5) == []
    assert len(reading.read(book, case.id).history) == len(known.history)
    cases.move(book, ADA, case.id, asked("dismiss"), at(3), RULES)
    assert tended(book, 4) == []
    # A note on what has ended clears nothing that comes later.
    alarm(book, 5)
    cases.tell(book, ADA, case.id, facts.Noted("looked at again"), at(6))
    assert len(tended(book, 7)) == 1


def test_the_stake_of_a_case_is_of_all_its_evidence_and_not_of_the_last_alarm(book: Book) -> None:
    said = CaseFinding("reported", 1.0, 1.0, source="a letter")
    opened(book, said)
    alarm(book, 1)
    weighed = []

    def stake(_: str, evidence: CaseEvidence) -> CaseStake:
        weighed.append(evidence.findings)
        return SMALL

    assert cases.tend(book, at(2), lambda group: RULES, stake) == []
    assert weighed == [(said, HARVEST)]


def test_two_reports_at_once_are_both_kept(book: Book) -> None:
    case = opened(book)

    def stake_while_somebody_else_reports(group: str, _: CaseEvidence) -> CaseStake:
        cases.report(book, BOB, case.id, cases.reported("a second letter"), at(1), lambda *_: SMALL)
        return SMALL

    known = cases.report(
        book, ADA, case.id, cases.reported("a letter"), at(1), stake_while_somebody_else_reports
    )
    sources = [one.source for one in known.evidence.findings]
    assert sources == ["", "a second letter", "a letter"]


def test_nothing_is_automatic_unless_the_operator_says_so(book: Book) -> None:
    alarm(book, 1)
    (case,) = tended(book, 2)
    with pytest.raises(NotAllowedError, match="operator's limit"):
        cases.move(
            book,
            Actor("clerk", ("trust",)),
            case.id,
            asked("suspend", urgent=True),
            at(3),
            RULES,
        )
    assert book.view().standing.get("acme") is None


def test_what_was_suspended_automatically_ends_unless_a_person_looks(book: Book) -> None:
    allowed = msgspec.structs.replace(
        RULES, settings=CaseSettings(automatic_suspend_minor_max=10_000_000)
    )
    alarm(book, 1)
    assert [case.state for case in tended(book, 2, allowed, LARGE)] == ["observing"]
    cases.move(book, ADA, reading.all_cases(book)[0].id, asked("dismiss"), at(2), RULES)
    alarm(book, 3)
    (case,) = tended(book, 4, allowed)
    assert (case.state, case.standing) == ("suspended", "suspended")
    assert tended(book, 4.5, allowed) == []
    (lapsed,) = tended(book, 6, allowed)
    assert lapsed.state == "reinstated"
    assert lapsed.credits[0].minor == 50_000
    assert book.view().standing["acme"] == "active"


def test_reasoning_alone_is_refused_for_everybody(book: Book) -> None:
    case = opened(book, ONLY_REASONING, stake=LARGE)
    for actor in (ADA, BOB):
        with pytest.raises(ConflictError, match="never leads beyond observation"):
            cases.move(book, actor, case.id, asked("inform"), at(1), RULES)


def test_words_have_a_bound(book: Book) -> None:
    case = opened(book)
    for text in ("", "  ", "x" * (cases.TEXT_CHARS_MAX + 1), "a\x00b"):
        with pytest.raises(UsageError):
            cases.tell(book, ADA, case.id, facts.Noted(text), at(1))
    big = CaseEvidence(blind=("x" * cases.EVIDENCE_BYTES_MAX,))
    with pytest.raises(UsageError, match="a case holds"):
        cases.tell(book, ADA, case.id, facts.EvidenceAdded(evidence=big), at(1))


def test_a_stake_that_is_added_counts_from_then_on(book: Book) -> None:
    case = opened(book, stake=None)
    event = facts.EvidenceAdded(
        evidence=CaseEvidence(findings=(HARVEST,)), stake=msgspec.structs.replace(LARGE)
    )
    assert cases.tell(book, ADA, case.id, event, at(1)).stake == LARGE
