"""A case as its journal tells it: a pure fold of events, with deadlines and who did what.

Nothing here decides; `cases_step` does. What is folded was allowed when it was written, whatever
the table or the settings say today.
"""

from collections.abc import Iterable
from typing import NamedTuple, assert_never

import msgspec

from quartermaster.conduct.cases_table import ENDED, row_of
from quartermaster.kernel import case as facts
from quartermaster.kernel.case import CaseEvent, CaseEvidence, CaseStake, CaseState
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.limit import Throttle

US_PER_DAY = 86_400 * US_PER_S
SHUT: frozenset[Standing] = frozenset({"suspended", "terminated"})
"""Standings in which nothing is served; time in them is credited where it was wrong."""


class Step(msgspec.Struct, frozen=True):
    """One event of a case, with when, by whom and where it stands in the journal."""

    number: int
    at: int
    actor: str
    event: CaseEvent
    seq: int = 0


class Pending(msgspec.Struct, frozen=True):
    """A move that waits for a second person."""

    number: int
    """Of the step that proposed it: who signs says what is signed."""
    asked: facts.MoveAsked
    by: str
    at: int
    until: int

    def open(self, now: int) -> bool:
        """Whether it can still be signed."""
        return now < self.until


class Appeal(msgspec.Struct, frozen=True):
    """The customer's appeal and what became of it."""

    text: str
    at: int
    decide_until: int
    granted: bool | None = None
    reason: str = ""
    decided_by: str = ""
    movers: tuple[str, ...] = ()
    """Who had a part in what it is against, and in whatever held something back while it waited:
    granting it gives all of that back."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one case."""

    id: str
    group: str
    state: CaseState
    opened_at: int
    opened_by: str
    reason: str
    evidence: CaseEvidence
    stake: CaseStake | None
    sample: bool = False
    addressee: str = ""
    """The customer that notices go to; empty in facts of earlier versions."""
    standing: Standing = "active"
    """That this case brought about; another case may have brought about more."""
    throttle: Throttle | None = None
    pending: Pending | None = None
    answers: tuple[facts.Answered, ...] = ()
    answered: bool = False
    """Whether the customer answered since the last notice."""
    answer_until: int | None = None
    appeal_until: int | None = None
    review_until: int | None = None
    appeals: tuple[Appeal, ...] = ()
    movers: tuple[str, ...] = ()
    """Who made, or signed, the last move that held something back."""
    credits: tuple[facts.Credit, ...] = ()
    redeemed: tuple[facts.CreditRedeemed, ...] = ()
    """What invoices took off for them so far; the book says it, no step of the case."""
    shut_at: int | None = None
    """Since when nothing is served; None while something is."""
    shut_us: int = 0
    """Time in which nothing was served, up to the last change."""
    history: tuple[Step, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return self.state in ENDED

    @property
    def ended_at(self) -> int | None:
        """When nothing followed any more; notes and files that are made later change nothing."""
        moves = [step.at for step in self.history if isinstance(step.event, facts.Moved)]
        return moves[-1] if self.ended else None

    @property
    def open_appeal(self) -> Appeal | None:
        """The appeal that waits for a decision."""
        last = self.appeals[-1] if self.appeals else None
        return last if last is not None and last.granted is None else None

    @property
    def statements(self) -> tuple[facts.CaseStatement, ...]:
        """What was said of the extent: in the evidence, and in the customer's answers."""
        said = (answer.statement for answer in self.answers)
        return (*self.evidence.statements, *(one for one in said if one is not None))

    def shut_for_us(self, now: int) -> int:
        """Microseconds in which nothing was served."""
        return self.shut_us + (0 if self.shut_at is None else max(0, now - self.shut_at))

    def told(self) -> tuple[tuple[int, facts.Moved], ...]:
        """What the customer was told, with when."""
        return tuple(
            (step.at, step.event)
            for step in self.history
            if isinstance(step.event, facts.Moved) and step.event.notice is not None
        )


class Deadline(NamedTuple):
    """Something that is due."""

    what: str
    """`answer`, `appeal`, `decision`, `review` or `signature`."""
    until: int
    whose: str
    """`customer` or `staff`."""

    def overdue(self, now: int) -> bool:
        """Whether the time is over."""
        return now >= self.until


def deadlines(case: Case) -> tuple[Deadline, ...]:
    """What is due, the earliest first."""
    due = []
    if case.pending is not None:
        due.append(Deadline("signature", case.pending.until, "staff"))
    if case.open_appeal is not None:
        due.append(Deadline("decision", case.open_appeal.decide_until, "staff"))
    if case.review_until is not None:
        due.append(Deadline("review", case.review_until, "staff"))
    if case.answer_until is not None and not case.answered and not case.ended:
        due.append(Deadline("answer", case.answer_until, "customer"))
    if case.appeal_until is not None and case.open_appeal is None and not case.ended:
        due.append(Deadline("appeal", case.appeal_until, "customer"))
    return tuple(sorted(due, key=lambda one: one.until))


def fold(case_id: str, steps: Iterable[Step]) -> Case | None:
    """The case that these steps tell, or None where there are none."""
    case: Case | None = None
    for step in steps:
        case = evolve(case, case_id, step)
    return case


def evolve(case: Case | None, case_id: str, step: Step) -> Case:
    """The case after one more step.

    Raises:
        IntegrityError: the step cannot stand there.
    """
    event = step.event
    if case is None:
        if not isinstance(event, facts.CaseOpened):
            raise IntegrityError(f"case {case_id} does not begin with its opening")
        return Case(
            id=case_id,
            group=event.group,
            state="observing",
            opened_at=step.at,
            opened_by=step.actor,
            reason=event.reason,
            evidence=event.evidence,
            stake=event.stake,
            sample=event.sample,
            addressee=event.addressee,
            history=(step,),
        )
    known = msgspec.structs.replace(case, history=(*case.history, step))
    match event:
        case facts.CaseOpened():
            raise IntegrityError(f"case {case_id} is opened twice")
        case facts.EvidenceAdded():
            stake = event.stake or case.stake
            return msgspec.structs.replace(known, evidence=event.evidence, stake=stake)
        case facts.Noted() | facts.FileMade():
            return known
        case facts.Proposed():
            pending = Pending(step.number, event.asked, step.actor, step.at, event.until)
            return msgspec.structs.replace(known, pending=pending)
        case facts.Withdrawn():
            return msgspec.structs.replace(known, pending=None)
        case facts.Moved():
            return _moved(known, event, step)
        case facts.Answered():
            answers = (*case.answers, event)
            return msgspec.structs.replace(known, answers=answers, answered=True)
        case facts.Appealed():
            appeal = Appeal(event.text, step.at, event.decide_until, movers=case.movers)
            return msgspec.structs.replace(known, appeals=(*case.appeals, appeal))
        case facts.AppealDecided():
            return _decided(known, event, step)
        case _:
            assert_never(event)


def _moved(case: Case, event: facts.Moved, step: Step) -> Case:
    row = row_of(case.state, event.asked.move)
    if row is None:
        raise IntegrityError(f"case {case.id}: no {event.asked.move} out of {case.state}")
    standing = row.standing or case.standing
    shuts, shut = standing in SHUT, case.shut_at is not None
    movers = tuple(name for name in (event.proposed_by, step.actor) if name)
    holds_back = row.standing is not None and row.standing != "active"
    throttle = case.throttle if row.standing is None else event.asked.throttle
    if holds_back and case.open_appeal is not None:
        last = case.open_appeal
        last = msgspec.structs.replace(last, movers=(*last.movers, *movers))
        case = msgspec.structs.replace(case, appeals=(*case.appeals[:-1], last))
    return msgspec.structs.replace(
        case if row.target not in ENDED else _without_open_appeal(case, event, step),
        state=row.target,
        standing=standing,
        throttle=throttle if standing == "throttled" else None,
        pending=None,
        answered=False,
        answer_until=event.answer_until,
        appeal_until=event.appeal_until if holds_back else case.appeal_until,
        review_until=event.review_until,
        movers=movers if holds_back else case.movers,
        credits=(*case.credits, *event.credits),
        shut_us=case.shut_us if shuts or not shut else case.shut_for_us(step.at),
        shut_at=(case.shut_at if shut else step.at) if shuts else None,
    )


def _without_open_appeal(case: Case, event: facts.Moved, step: Step) -> Case:
    """Whoever gives everything back has granted the appeal that waited for a decision."""
    if case.open_appeal is None:
        return case
    decided = facts.AppealDecided(granted=True, reason=event.asked.reason)
    return _decided(case, decided, step)


def _decided(case: Case, event: facts.AppealDecided, step: Step) -> Case:
    if case.open_appeal is None:
        raise IntegrityError(f"case {case.id} has no open appeal")
    decided = msgspec.structs.replace(
        case.open_appeal, granted=event.granted, reason=event.reason, decided_by=step.actor
    )
    return msgspec.structs.replace(case, appeals=(*case.appeals[:-1], decided))
