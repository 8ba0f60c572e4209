"""A case as faces show it: to the staff with everything, to the customer with what concerns it."""

from datetime import datetime

import msgspec

from quartermaster.conduct import cases_table as table
from quartermaster.conduct.cases import Case, deadlines
from quartermaster.conduct.cases_step import refusal, signers
from quartermaster.conduct.expected_cost import ExpectedCost, expected_cost
from quartermaster.conduct.extent import ClusterExtent, Measure, StatementCheck, check, extent
from quartermaster.kernel import case as facts
from quartermaster.kernel.case import CaseEvidence, CaseStake, CaseState, Move
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.limit import Limits, Throttle

ANY_SLICE = Throttle(limits=Limits(concurrent=1), keys=("any",))
"""Stands for a slice that is still to be chosen, and limited, where it is asked whether a throttle
may be; of one that is closed, a second person is asked in any case."""


class DeadlineShown(msgspec.Struct, frozen=True):
    """Something that is due."""

    what: str
    until: datetime
    whose: str
    overdue: bool


class MoveShown(msgspec.Struct, frozen=True):
    """A move that the table has, and what it takes now."""

    move: Move
    target: CaseState
    signers: int
    urgent: bool
    refusal: str
    """Why it is not possible now, of `cases_step.REFUSALS`; empty where it is."""


class PendingShown(msgspec.Struct, frozen=True):
    """A proposed move."""

    number: int
    """What a signature names."""
    asked: facts.MoveAsked
    by: str
    at: datetime
    until: datetime
    void: bool


class AppealShown(msgspec.Struct, frozen=True):
    """An appeal and what became of it."""

    text: str
    at: datetime
    decide_until: datetime
    granted: bool | None
    reason: str


class StepShown(msgspec.Struct, frozen=True):
    """One entry of the case's history."""

    number: int
    at: datetime
    actor: str
    journal_seq: int
    event: facts.CaseEvent


class CaseSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the queue."""

    id: str
    group: str
    state: CaseState
    standing: Standing
    opened_at: datetime
    kinds: tuple[str, ...]
    """Kinds of finding, strongest first."""
    evidence: float | None
    """The newest e-value."""
    next_due: DeadlineShown | None
    waits_for_signature: bool
    open_appeal: bool
    ended: bool
    sample: bool


class CaseShown(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a case, for the staff."""

    summary: CaseSummary
    reason: str
    opened_by: str
    addressee: str
    """The customer that notices go to, and that alone answers; empty where it is not said."""
    evidence: CaseEvidence
    stake: CaseStake | None
    cost: ExpectedCost | None
    extent: tuple[ClusterExtent, ...]
    statements: tuple[StatementCheck, ...]
    throttle: Throttle | None
    pending: PendingShown | None
    deadlines: tuple[DeadlineShown, ...]
    moves: tuple[MoveShown, ...]
    appeals: tuple[AppealShown, ...]
    credits: tuple[facts.Credit, ...]
    redeemed: tuple[facts.CreditRedeemed, ...]
    """What recorded drafts of invoices took off for them."""
    steps: tuple[StepShown, ...]


class NoticeShown(msgspec.Struct, frozen=True):
    """What the customer was told."""

    at: datetime
    move: Move
    de: str
    en: str


class AnswerShown(msgspec.Struct, frozen=True):
    """What the customer said."""

    at: datetime
    text: str


class OwnCase(msgspec.Struct, frozen=True, kw_only=True):
    """A case as its customer sees it: notices, answers, appeals, credits. No evidence, no names."""

    id: str
    state: CaseState
    standing: Standing
    opened_at: datetime
    notices: tuple[NoticeShown, ...]
    answers: tuple[AnswerShown, ...]
    appeals: tuple[AppealShown, ...]
    deadlines: tuple[DeadlineShown, ...]
    credits: tuple[facts.Credit, ...]
    redeemed: tuple[facts.CreditRedeemed, ...]
    """What recorded drafts of invoices took off for them; the rest is carried to the next one."""
    may_answer: bool
    may_appeal: bool


def summary(case: Case, now: Instant) -> CaseSummary:
    """The case as a line of the queue."""
    due = _due(case, now)
    values = [day.evidence for day in case.evidence.days if day.evidence is not None]
    return CaseSummary(
        id=case.id,
        group=case.group,
        state=case.state,
        standing=case.standing,
        opened_at=_at(case.opened_at),
        kinds=tuple(
            dict.fromkeys(
                one.kind for one in sorted(case.evidence.findings, key=lambda one: -one.strength)
            )
        ),
        evidence=values[-1] if values else None,
        next_due=due[0] if due else None,
        waits_for_signature=case.pending is not None and case.pending.open(now),
        open_appeal=case.open_appeal is not None,
        ended=case.ended,
        sample=case.sample,
    )


def shown(case: Case, now: Instant, sign_off_share: float) -> CaseShown:
    """The case with everything, for the staff."""
    found = extent(case.evidence.strata)
    pending = case.pending
    return CaseShown(
        summary=summary(case, now),
        reason=case.reason,
        opened_by=case.opened_by,
        addressee=case.addressee,
        evidence=case.evidence,
        stake=case.stake,
        cost=None if case.stake is None else expected_cost(case.stake),
        extent=found,
        statements=tuple(
            check(said, _measure(said, one)) for said in case.statements for one in found[:1]
        ),
        throttle=case.throttle,
        pending=None
        if pending is None
        else PendingShown(
            pending.number,
            pending.asked,
            pending.by,
            _at(pending.at),
            _at(pending.until),
            not pending.open(now),
        ),
        deadlines=_due(case, now),
        moves=tuple(_move(case, row, now, sign_off_share) for row in table.rows_from(case.state)),
        appeals=_appeals(case),
        credits=case.credits,
        redeemed=case.redeemed,
        steps=tuple(
            StepShown(step.number, _at(step.at), step.actor, step.seq, step.event)
            for step in case.history
        ),
    )


def own(case: Case, now: Instant, customer: str) -> OwnCase:
    """The case as its customer sees it; credits of others of the group are theirs."""
    appeal_until = case.appeal_until
    mine = tuple(one for one in case.credits if one.customer == customer)
    contracts = {one.contract for one in mine}
    in_time = appeal_until is not None and now < appeal_until
    return OwnCase(
        id=case.id,
        state=case.state,
        standing=case.standing,
        opened_at=_at(case.told()[0][0] if case.told() else case.opened_at),
        notices=tuple(
            NoticeShown(_at(at), event.asked.move, event.notice.de, event.notice.en)
            for at, event in case.told()
            if event.notice is not None
        ),
        answers=tuple(
            AnswerShown(_at(step.at), step.event.text)
            for step in case.history
            if isinstance(step.event, facts.Answered)
        ),
        appeals=_appeals(case),
        deadlines=tuple(one for one in _due(case, now) if one.whose == "customer"),
        credits=mine,
        redeemed=tuple(one for one in case.redeemed if one.contract in contracts),
        may_answer=not case.ended,
        may_appeal=in_time and case.standing != "active" and case.open_appeal is None,
    )


def _measure(said: facts.CaseStatement, cluster: ClusterExtent) -> Measure:
    """What a statement is held against: a customer says its number of requests.

    Words alone are held against the last measure: money where it has a price, else output tokens.
    """
    number = said.low is not None or said.high is not None
    return cluster.measures[0 if number else -1]


def _move(case: Case, row: table.Row, now: Instant, sign_off_share: float) -> MoveShown:
    asked = facts.MoveAsked(
        move=row.move,
        reason="asked",
        throttle=ANY_SLICE if row.move == "throttle" else None,
        urgent=row.urgent,
    )
    needed = signers(case, asked, sign_off_share)
    return MoveShown(row.move, row.target, needed, row.urgent, refusal(case, asked, now))


def _due(case: Case, now: Instant) -> tuple[DeadlineShown, ...]:
    return tuple(
        DeadlineShown(one.what, _at(one.until), one.whose, one.overdue(now))
        for one in deadlines(case)
    )


def _appeals(case: Case) -> tuple[AppealShown, ...]:
    return tuple(
        AppealShown(one.text, _at(one.at), _at(one.decide_until), one.granted, one.reason)
        for one in case.appeals
    )


def _at(at: int) -> datetime:
    return as_datetime(Instant(at))
