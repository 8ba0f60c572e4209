"""Conduct cases: step by step for the staff; for a customer its notices, answers and appeals."""

from typing import Annotated

import msgspec

from quartermaster.api.keys import Reason
from quartermaster.api.operation import STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.commands import case as cases
from quartermaster.commands import case_read as reading
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases import Case
from quartermaster.conduct.cases_shown import CaseShown, CaseSummary, OwnCase, own, shown, summary
from quartermaster.kernel.case import (
    Answered,
    AppealDecided,
    CaseEvidence,
    CaseOpened,
    CaseStatement,
    Move,
    MoveAsked,
    Noted,
)
from quartermaster.kernel.limit import Throttle

TAG = "cases"
_MAY_STEP = frozenset({"admin", "trust"})
_CUSTOMER = frozenset({"customer"})

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class NewCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group to observe. Alarms of the daily analysis open cases by themselves."""

    group: str
    reason: str
    reported: str = ""
    """What others reported: who said what, and where. The customer is told that, not who."""
    reported_of: str = ""
    """Of a group of several: the customer that the report is of; others are not told of it."""
    customer: str = ""
    """Of a group of several: the one that notices go to, and that alone answers."""


class Reported(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What others reported: who said what, and where."""

    reported: str
    reported_of: str = ""
    """Of a group of several: the customer that the report is of; others are not told of it."""


class NewStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A move out of the case's state."""

    move: Move
    reason: str
    throttle: Throttle | None = None
    """Of `throttle` alone: the offending slice, and how much of it passes."""
    urgent: bool = False
    """Whether steps are left out; then a second person signs."""


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed: the number of the step that proposed it."""

    proposal: int


class NewNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to write down; the customer does not see it."""

    text: str


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of an appeal, by somebody who had no part in the measure."""

    granted: bool
    reason: str


class NewAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the customer says, and which share of its requests it was where it says a number."""

    text: str
    share_low: Share | None = None
    share_high: Share | None = None


class NewAppeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the measure is wrong."""

    text: str


class CaseStep(msgspec.Struct, frozen=True):
    """The case after a step, and which gateways know what followed."""

    case: CaseShown
    published: Published


def list_cases(call: Call) -> Page[CaseSummary]:
    """Every case."""
    lines = [summary(case, call.now) for case in reading.all_cases(call.ports.book)]
    return page(lines, call.asked(Paged), lambda one: one.id)


def show_case(call: Call) -> CaseShown:
    """One case."""
    return _shown(call, reading.read(call.ports.book, call.path["case"]))


def show_file(call: Call) -> CaseFile:
    """The case file; the command line and the console write its hash to the journal."""
    return call.ports.cases.file(call.path["case"], call.now)


def post_case(call: Call) -> CaseShown:
    """Open a case."""
    new = call.given(NewCase)
    reported = cases.reported(new.reported, new.reported_of) if new.reported else None
    evidence = reported or CaseEvidence()
    opening = CaseOpened(
        group=new.group,
        reason=new.reason,
        evidence=evidence,
        stake=call.ports.cases.stake(new.group, evidence),
        addressee=new.customer,
    )
    return _shown(call, cases.open_case(call.ports.book, call.actor, opening, call.now))


def post_evidence(call: Call) -> CaseShown:
    """Add a report to what is known."""
    book, new, stake = call.ports.book, call.given(Reported), call.ports.cases.stake
    more = cases.reported(new.reported, new.reported_of)
    return _shown(call, cases.report(book, call.actor, call.path["case"], more, call.now, stake))


def post_note(call: Call) -> CaseShown:
    """Write something down."""
    note = Noted(call.given(NewNote).text)
    case = cases.tell(call.ports.book, call.actor, call.path["case"], note, call.now)
    return _shown(call, case)


def post_step(call: Call) -> CaseStep:
    """Make a move, or propose it."""
    new = call.given(NewStep)
    asked = MoveAsked(move=new.move, reason=new.reason, throttle=new.throttle, urgent=new.urgent)
    book, case_id = call.ports.book, call.path["case"]
    return _stepped(
        call, cases.move(book, call.actor, case_id, asked, call.now, _rules(call, case_id))
    )


def post_signature(call: Call) -> CaseStep:
    """Sign a proposed move, as the second person."""
    book, case_id, signed = call.ports.book, call.path["case"], call.given(Signature).proposal
    rules = _rules(call, case_id)
    return _stepped(call, cases.sign(book, call.actor, case_id, signed, call.now, rules))


def post_withdrawal(call: Call) -> CaseShown:
    """Take a proposed move back."""
    reason, case_id = call.given(Reason).reason, call.path["case"]
    return _shown(call, cases.withdraw(call.ports.book, call.actor, case_id, reason, call.now))


def post_decision(call: Call) -> CaseStep:
    """Decide an appeal."""
    new, book, case_id = call.given(Decision), call.ports.book, call.path["case"]
    decision = AppealDecided(granted=new.granted, reason=new.reason)
    rules = _rules(call, case_id)
    return _stepped(call, cases.decide(book, call.actor, case_id, decision, call.now, rules))


def list_own(call: Call) -> Page[OwnCase]:
    """The cases that the customer was told of."""
    customer = call.bearer.customer
    found = reading.own_cases(call.ports.book, customer)
    shown_ = [own(case, call.now, customer) for case in found]
    return page(shown_, call.asked(Paged), lambda one: one.id)


def show_own(call: Call) -> OwnCase:
    """One of them."""
    book, customer = call.ports.book, call.bearer.customer
    return own(reading.read_own(book, customer, call.path["case"]), call.now, customer)


def post_answer(call: Call) -> OwnCase:
    """What the customer says."""
    new, bearer = call.given(NewAnswer), call.bearer
    said = None
    if new.share_low is not None or new.share_high is not None:
        said = CaseStatement(
            text=new.text, said_by=bearer.customer, low=new.share_low, high=new.share_high
        )
    answered, book = Answered(text=new.text, statement=said), call.ports.book
    case_id = call.path["case"]
    case = cases.answer(book, call.actor, bearer.customer, case_id, answered, call.now)
    return own(case, call.now, bearer.customer)


def post_appeal(call: Call) -> OwnCase:
    """The customer asks another person to decide."""
    text, book, case_id = call.given(NewAppeal).text, call.ports.book, call.path["case"]
    customer, rules = call.bearer.customer, call.ports.cases.rules("")
    case = cases.appeal(book, call.actor, customer, case_id, text, call.now, rules)
    return own(case, call.now, customer)


def _rules(call: Call, case_id: str) -> cases.Rules:
    return call.ports.cases.rules(reading.read(call.ports.book, case_id).group)


def _shown(call: Call, case: Case) -> CaseShown:
    return shown(case, call.now, float(call.ports.weights.sign_off_share))


def _stepped(call: Call, case: Case) -> CaseStep:
    return CaseStep(_shown(call, case), call.ports.gateways.publish(call.now))


def _staff(method: str, path: str, name: str, summary_: str, **more: object) -> Operation:
    writes = method == "POST"
    return Operation(
        method=method,
        path=path,
        name=name,
        summary=summary_,
        tag=TAG,
        roles=_MAY_STEP if writes else STAFF,
        status=201 if writes else 200,
        writes=writes,
        **more,  # type: ignore[arg-type] # handler, answer, query and body, as Operation has them
    )


OPERATIONS = (
    _staff(
        "GET", "/cases", "listCases", "Conduct cases, the newest first.",
        handler=list_cases, answer=Page[CaseSummary], query=Paged,
    ),
    _staff(
        "GET", "/cases/{case}", "showCase", "A case: evidence, costs, what may follow, all steps.",
        handler=show_case, answer=CaseShown,
    ),
    _staff(
        "GET", "/cases/{case}/file", "showCaseFile",
        "The case file: the case with its surroundings and the journal's hashes.",
        handler=show_file, answer=CaseFile,
    ),
    _staff(
        "POST", "/cases", "openCase", "Begin to observe a customer group.",
        handler=post_case, answer=CaseShown, body=Body(kind=NewCase),
    ),
    _staff(
        "POST", "/cases/{case}/evidence", "addEvidence", "Add what others reported.",
        handler=post_evidence, answer=CaseShown, body=Body(kind=Reported),
    ),
    _staff(
        "POST", "/cases/{case}/notes", "addNote", "Write something down.",
        handler=post_note, answer=CaseShown, body=Body(kind=NewNote),
    ),
    _staff(
        "POST", "/cases/{case}/steps", "stepCase",
        "Make a move, or propose it where two persons sign.",
        handler=post_step, answer=CaseStep, body=Body(kind=NewStep),
    ),
    _staff(
        "POST", "/cases/{case}/signature", "signCase",
        "Sign the proposed move, as the second person.",
        handler=post_signature, answer=CaseStep, body=Body(kind=Signature),
    ),
    _staff(
        "POST", "/cases/{case}/withdrawal", "withdrawProposal", "Take the proposed move back.",
        handler=post_withdrawal, answer=CaseShown, body=Body(kind=Reason),
    ),
    _staff(
        "POST", "/cases/{case}/appeal-decision", "decideAppeal",
        "Decide the appeal; granting it reinstates the customer at once.",
        handler=post_decision, answer=CaseStep, body=Body(kind=Decision),
    ),
    Operation(
        method="GET",
        path="/own-cases",
        name="listOwnCases",
        summary="A customer's own cases, with notices and deadlines.",
        tag=TAG,
        roles=_CUSTOMER,
        handler=list_own,
        answer=Page[OwnCase],
        query=Paged,
    ),
    Operation(
        method="GET",
        path="/own-cases/{case}",
        name="showOwnCase",
        summary="One of the customer's own cases.",
        tag=TAG,
        roles=_CUSTOMER,
        handler=show_own,
        answer=OwnCase,
    ),
    Operation(
        method="POST",
        path="/own-cases/{case}/answers",
        name="answerCase",
        summary="The customer's answer to a notice.",
        tag=TAG,
        roles=_CUSTOMER,
        handler=post_answer,
        answer=OwnCase,
        body=Body(kind=NewAnswer),
        status=201,
        writes=True,
    ),
    Operation(
        method="POST",
        path="/own-cases/{case}/appeals",
        name="appealCase",
        summary="The customer's appeal: somebody decides who had no part in the measure.",
        tag=TAG,
        roles=_CUSTOMER,
        handler=post_appeal,
        answer=OwnCase,
        body=Body(kind=NewAppeal),
        status=201,
        writes=True,
    ),
)  # fmt: skip
