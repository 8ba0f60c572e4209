"""Customers of one group: a case is addressed to one of them, and the others see nothing of it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.commands.test_case_command import ADA, BOB, NOW, RULES, asked, at
from tests.unit.conduct.case_made_up import HARVEST, SMALL

from quartermaster.book.store import Book, open_book
from quartermaster.commands import case as cases
from quartermaster.commands import case_read as reading
from quartermaster.commands.actor import CLERK, OPERATOR, Actor
from quartermaster.commands.case_party import addressee
from quartermaster.commands.customer import add_customer, add_group
from quartermaster.conduct.cases import Case
from quartermaster.conduct.cases_shown import own
from quartermaster.conduct.cases_step import Due
from quartermaster.kernel.case import (
    Answered,
    CaseCluster,
    CaseDay,
    CaseEvidence,
    CaseFinding,
    CaseOpened,
    EvidenceAdded,
)
from quartermaster.kernel.contract import Customer, Group
from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.kernel.events import ConductAlarmed, UserAdded

DAUGHTER = Actor("customer:daughter", ("customer",), "daughter")
SISTER = Actor("customer:sister", ("customer",), "sister")
DUES = tuple(Due(who, who, "2024-10", "USD", 100_000) for who in ("daughter", "sister"))
CREDITS = msgspec.structs.replace(RULES, dues=DUES)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    add_group(book, OPERATOR, Group("holding", "Holding"), NOW)
    for name in ("daughter", "sister"):
        add_customer(book, OPERATOR, Customer(name, name.title(), "holding"), NOW)
    for actor in (ADA, BOB):
        fact = UserAdded(user=actor.id, name=actor.id, roles=actor.roles)
        book.append(fact, actor=actor, now=NOW)
    yield book
    book.close()


def opened(book: Book, addressee: str = "daughter") -> Case:
    opening = CaseOpened(
        group="holding",
        reason="an alarm",
        evidence=CaseEvidence(findings=(HARVEST,)),
        stake=SMALL,
        addressee=addressee,
    )
    return cases.open_case(book, ADA, opening, NOW)


def test_only_the_addressed_customer_sees_answers_and_appeals(book: Book) -> None:
    case = opened(book)
    informed = cases.move(book, ADA, case.id, asked("inform"), at(1), CREDITS)
    (notice,) = [event.notice for _, event in informed.told()]
    assert notice is not None
    assert "To Daughter," in notice.en
    answered = Answered(text="Our own tests, do not tell Sister.")
    cases.answer(book, DAUGHTER, "daughter", case.id, answered, at(2))
    assert [one.id for one in reading.own_cases(book, "daughter")] == [case.id]
    assert reading.own_cases(book, "sister") == []
    with pytest.raises(NotFoundError):
        reading.read_own(book, "sister", case.id)
    with pytest.raises(NotFoundError):
        cases.answer(book, SISTER, "sister", case.id, Answered(text="No."), at(2))
    cases.move(book, ADA, case.id, asked("suspend", urgent=True), at(3), CREDITS)
    cases.sign(book, BOB, case.id, 4, at(3), CREDITS)
    with pytest.raises(NotFoundError):
        cases.appeal(book, SISTER, "sister", case.id, "No.", at(4), CREDITS)


def test_findings_on_others_of_the_group_are_not_told(book: Book) -> None:
    case = opened(book)

    def cluster(account: str, kind: str, share: float) -> CaseCluster:
        found = (CaseFinding(kind, 0.9, share),)
        return CaseCluster(
            account=account, kind=kind, requests=9, share=share, score=1, findings=found
        )

    evidence = CaseEvidence(
        # Of a kind that both have, what came last stands in the case: here the sister's share.
        findings=(HARVEST, CaseFinding("public_corpus", 0.9, 0.31),
                  CaseFinding("rubric_harvest", 0.9, 0.17),
                  CaseFinding("reported", 1.0, 1.0, source="a letter")),
        clusters=(cluster("daughter", "rubric_harvest", 0.12),
                  cluster("sister", "rubric_harvest", 0.17),
                  cluster("sister", "public_corpus", 0.31), cluster("a-name", "other", 1.0)),
    )  # fmt: skip
    cases.tell(book, ADA, case.id, EvidenceAdded(evidence=evidence), at(1))
    informed = cases.move(book, ADA, case.id, asked("inform"), at(2), RULES)
    (notice,) = [event.notice for _, event in informed.told()]
    assert notice is not None
    assert notice.en.count("% of the requests") == 2
    assert [text in notice.en for text in ("80%", "12%", "report by others")] == [True] * 3
    assert "a letter" not in notice.en + notice.de, "who reported is not the customer's to know"
    assert "31%" not in notice.en
    assert "17%" not in notice.en


def test_what_names_a_sibling_is_not_told_and_stays_apart(book: Book) -> None:
    """Metered findings stand in no workload; they and reports name whose they are."""
    case = opened(book)

    def pivot(account: str, share: float) -> CaseEvidence:
        found = (CaseFinding("reseller", 0.9, share, account=account),)
        return CaseEvidence(findings=found)

    for more in (
        pivot("sister", 0.66), pivot("daughter", 0.11), pivot("sister", 0.77),
        cases.reported("Partner Ltd wrote", "sister"),
    ):  # fmt: skip
        cases.report(book, ADA, case.id, more, at(1), lambda _, __: None)
    known = reading.read(book, case.id).evidence.findings
    of_both = [(one.account, one.share) for one in known if one.kind == "reseller"]
    assert of_both == [("sister", 0.77), ("daughter", 0.11)]
    informed = cases.move(book, ADA, case.id, asked("inform"), at(2), RULES)
    (notice,) = [event.notice for _, event in informed.told()]
    assert notice is not None
    assert "11%" in notice.en
    for text in ("66%", "77%", "Partner", "report by others"):
        assert text not in notice.en


def test_credits_of_others_of_the_group_are_not_told(book: Book) -> None:
    case = opened(book)
    cases.move(book, ADA, case.id, asked("suspend", urgent=True), at(1), CREDITS)
    cases.sign(book, BOB, case.id, 2, at(1), CREDITS)
    done = cases.move(book, ADA, case.id, asked("reinstate"), at(3), CREDITS)
    assert {one.customer for one in done.credits} == {"daughter", "sister"}
    mine = own(reading.read_own(book, "daughter", case.id), at(4), "daughter")
    assert [one.customer for one in mine.credits] == ["daughter"]
    assert mine.notices[-1].en.count("Service credit") == 1


def test_a_group_of_several_needs_to_hear_which_one_is_addressed(book: Book) -> None:
    with pytest.raises(UsageError, match="which one is addressed") as refused:
        opened(book, "")
    assert "daughter, sister" in refused.value.hint
    with pytest.raises(NotFoundError, match="has no customer"):
        opened(book, "stranger")


def test_an_alarm_addresses_whom_it_is_of(book: Book) -> None:
    alarm = ConductAlarmed(
        group="holding", account="sister", on="2024-10-01",
        evidence=CaseEvidence(findings=(HARVEST,)),
    )  # fmt: skip
    book.append(alarm, actor=CLERK, now=NOW, key="conduct:alarmed:sister:2024-10-01")
    (case,) = cases.tend(book, at(1), lambda _: RULES, lambda *_: SMALL)
    assert case.addressee == "sister"


def test_a_case_of_an_earlier_version_is_of_whom_its_evidence_is(book: Book) -> None:
    case_id = opened(book).id
    view = book.view()

    def seen(account: str, day: int) -> str:
        days = (CaseDay(account=account, day="2024-10-01", requests=1),)
        evidence = CaseEvidence(findings=(HARVEST,), days=days)
        return to(cases.tell(book, ADA, case_id, EvidenceAdded(evidence=evidence), at(day)))

    def to(case: Case) -> str:
        return addressee(view, msgspec.structs.replace(case, addressee=""))

    old = msgspec.structs.replace(reading.read(book, case_id), addressee="")
    assert to(old) == ""
    assert seen("sister", 1) == "sister"
    assert seen("daughter", 2) == "daughter"
    cases.move(book, ADA, case_id, asked("inform"), at(3), RULES)
    # Once it was told, and may have answered, no evidence makes it anybody else's.
    assert seen("sister", 4) == "daughter"
    add_customer(book, OPERATOR, Customer("alone", "Alone", "alone"), NOW)
    assert addressee(book.view(), msgspec.structs.replace(old, group="alone")) == "alone"
