"""One step of a case: `(case, asked, now) -> (case, effects)`, pure.

A step is refused with the reason, or it gives the events to record and what they bring about. Rules
beyond the table: findings that are observation only never lead beyond it; what holds something back
is signed by a second person where the table, the customer's size, urgency or the expected cost say
so; who decided a measure decides no appeal against it; nothing automatic touches a large customer.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from quartermaster.conduct import cases_table as table
from quartermaster.conduct.cases import SHUT, US_PER_DAY, Case, Step, evolve
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.evidence import of_one
from quartermaster.conduct.expected_cost import expected_cost
from quartermaster.conduct.notice import Told, notice, our_reason
from quartermaster.conduct.throttled import shuts
from quartermaster.kernel import case as facts
from quartermaster.kernel.case import CaseEvent, MoveAsked
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import CallerError, ConflictError, NotAllowedError, UsageError
from quartermaster.kernel.limit import Throttle
from quartermaster.kernel.money import Money

_AUTOMATIC: frozenset[str] = frozenset({"suspend"})
"""The one move that may be automatic, and that ends by itself unless a person confirms it."""


ANSWERS_MAX = 100
"""The journal keeps each for good: a correspondence of weeks, and no program that never stops."""
REFUSALS: Mapping[str, tuple[str, str]] = {
    "observation": (
        "what this case stands on never leads beyond observation",
        "wishes to see the reasoning, and what the contract explains, are no reason",
    ),
    "urgent": (
        "this leaves out steps",
        "say that it is urgent; then a second person signs",
    ),
    "heard": (
        "the customer still has time to answer",
        "wait for the answer or the end of its time",
    ),
    "appeal": ("an appeal waits for a decision", "decide it first"),
    "suspended": ("nobody is terminated who was not suspended first", "suspend, or reinstate"),
    "another": (
        "a second sign-off comes from a different person than the first",
        "another user with the role trust or admin signs",
    ),
    "no_part": (
        "who took part in the measure decides no appeal against it",
        "another user with the role trust or admin decides",
    ),
    "nothing_waits": ("nothing of this case waits for a signature", "look at the case again"),
    "other_step": (
        "another step of this case waits for a signature",
        "look at the case again: something else was proposed",
    ),
    "void": ("the proposal is void, nobody signed it in time", "propose it again"),
    "no_appeal": ("no appeal of this case waits for a decision", "look at the case again"),
    "ended": ("this case has ended", ""),
    "nothing_held": (
        "nothing holds you back in this case, so there is nothing to appeal",
        "answer the notice instead",
    ),
    "appealed": ("an appeal is waiting for a decision already", ""),
    "many": ("this case holds as many answers as it takes", "write to your account manager"),
    "late": ("the time for an appeal is over", "answer the notice instead"),
    "untold": ("the customer has no notice of this case, so there is nothing to answer", ""),
    "slice": (
        "throttle what? Name the offending slice: keys, models or endpoints",
        "everything else of the customer goes on as before",
    ),
    "no_slice": ("keys, models, endpoints and limits go with a throttle alone", "leave them out"),
    "signed_in": (
        "what two persons sign, two signed-in users sign",
        "use the console, or a token of your own: quartermaster user token make --sign-in",
    ),
}
"""Why something is not possible at a time, with what to do; faces have it in their languages."""


class By(NamedTuple):
    """Who steps, when."""

    actor: str
    now: Instant
    automatic: bool = False
    """A process of ours, without a person."""
    signed_in: bool = True
    """A user by a sign-in of their own; who merely has access to the machine is none, nor is a
    token that somebody made for somebody else."""


class Due(msgspec.Struct, frozen=True):
    """A contract of the customer, to credit: what it brought in a day before it was held back."""

    customer: str
    contract: str
    period: str
    currency: str
    revenue_a_day_minor: int


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a step needs to know besides the case."""

    settings: CaseSettings
    sign_off_share: float = 0.0
    """Share of revenue above which whatever is held against a customer is signed by two."""
    customer: str = ""
    """The name that notices are addressed to."""
    addressee: str = ""
    """Whose it is; what others of its group get back is not told to it."""
    siblings: frozenset[str] = frozenset()
    """The other customers of its group; what was found on them is not told to it either."""
    dues: tuple[Due, ...] = ()
    passes: float | None = None
    """Of what the group sent lately, how much a throttle that is asked for lets pass."""


class Stand(NamedTuple):
    """The group's standing changes."""

    standing: Standing
    throttle: Throttle | None
    reason: str
    proposed_by: str


class Investigate(NamedTuple):
    """The group is under investigation, or not any more."""

    open: bool
    reason: str


class Post(NamedTuple):
    """A credit is posted."""

    credit: facts.Credit


class Record(NamedTuple):
    """An event is written to the journal."""

    event: CaseEvent


Effect = Record | Stand | Investigate | Post
Stepped = tuple[Case, tuple[Effect, ...]]


def opened(case_id: str, event: facts.CaseOpened, by: By) -> Stepped:
    """A new case."""
    return evolve(None, case_id, Step(1, by.now, by.actor, event)), (Record(event),)


def told(case: Case, event: facts.EvidenceAdded | facts.Noted | facts.FileMade, by: By) -> Stepped:
    """Evidence, a note, or that a case file was made. Allowed at any time."""
    if isinstance(event, facts.Noted) and not event.text.strip():
        raise UsageError("a note says something", field="text")
    return _recorded(case, by, event)


def move(case: Case, asked: MoveAsked, by: By, around: Around) -> Stepped:
    """A move: made, or proposed where a second person is needed.

    Raises:
        ConflictError: the table, the evidence or a deadline does not allow it now.
        NotAllowedError: an automatic move that must not be one.
        UsageError: something of the move is missing.
    """
    row = _allowed(case, asked, by.now)
    if by.automatic:
        _automatic(case, asked, around.settings)
        return _made(case, asked, row, by, around)
    if signers(case, asked, around.sign_off_share, around.passes) == 1:
        return _made(case, asked, row, by, around)
    _need_sign_in(by)
    until = by.now + around.settings.proposal_days * US_PER_DAY
    return _recorded(case, by, facts.Proposed(asked=asked, until=until))


def sign(case: Case, proposal: int, by: By, around: Around) -> Stepped:
    """The second person's signature: the proposed move is made.

    Args:
        case: the case.
        proposal: number of the step that proposed it, as the person saw it.
        by: who signs, when.
        around: settings, and what may be credited.

    Raises:
        ConflictError: nothing waits, it waits no longer, or it is not allowed any more.
        NotAllowedError: the same person, or nobody who is signed in.
    """
    pending = case.pending
    if pending is None:
        raise _refused("nothing_waits")
    if pending.number != proposal:
        raise _refused("other_step")
    if not pending.open(by.now):
        raise _refused("void")
    _need_sign_in(by)
    if by.automatic or by.actor == pending.by:
        raise _denied("another")
    row = _allowed(case, pending.asked, by.now)
    return _made(case, pending.asked, row, by, around, proposed_by=pending.by)


def withdraw(case: Case, reason: str, by: By) -> Stepped:
    """Take a proposed move back; anybody of the staff may.

    Raises:
        ConflictError: nothing waits.
    """
    if case.pending is None:
        raise _refused("nothing_waits")
    return _recorded(case, by, facts.Withdrawn(reason=_said(reason, "reason")))


def answer(case: Case, event: facts.Answered, by: By) -> Stepped:
    """What the customer says, while the case runs and it has been told of it.

    Raises:
        ConflictError: the case has ended, the customer does not know of it, or it has said enough.
        UsageError: nothing is said.
    """
    _need_told(case)
    _said(event.text, "text")
    if len(case.answers) >= ANSWERS_MAX:
        raise _refused("many")
    return _recorded(case, by, event)


def appeal(case: Case, text: str, by: By, around: Around) -> Stepped:
    """The customer's appeal against what holds it back.

    Raises:
        ConflictError: there is nothing to appeal, an appeal is open, or the time is over.
        UsageError: nothing is said.
    """
    _need_told(case)
    if case.standing == "active" or case.appeal_until is None:
        raise _refused("nothing_held")
    if case.open_appeal is not None:
        raise _refused("appealed")
    if by.now >= case.appeal_until:
        raise _refused("late")
    until = by.now + around.settings.appeal_decision_days * US_PER_DAY
    return _recorded(case, by, facts.Appealed(text=_said(text, "text"), decide_until=until))


def decide(case: Case, event: facts.AppealDecided, by: By, around: Around) -> Stepped:
    """The decision on an appeal; granting it reinstates the customer at once.

    Raises:
        ConflictError: no appeal waits.
        NotAllowedError: the person had a part in the measure, or nobody is signed in.
    """
    if case.open_appeal is None:
        raise _refused("no_appeal")
    _need_sign_in(by)
    if by.automatic or by.actor in case.open_appeal.movers:
        raise _denied("no_part")
    _said(event.reason, "reason")
    decided, effects = _recorded(case, by, event)
    if not event.granted:
        return decided, effects
    asked = MoveAsked(move="reinstate", reason=event.reason)
    lifted, more = move(decided, asked, by, around)
    return lifted, (*effects, *more)


def tend(case: Case, by: By, around: Around) -> Stepped:
    """What time alone brings: an automatic suspension that nobody looked at ends by itself.

    A person who keeps it opens the investigation.
    """
    if case.review_until is None or by.now < case.review_until:
        return case, ()
    row = table.row_of(case.state, "reinstate")
    assert row is not None, "an automatic suspension can be lifted"
    asked = MoveAsked(move="reinstate", reason=our_reason("lapsed"))
    return _made(case, asked, row, by, around)


def signers(
    case: Case, asked: MoveAsked, sign_off_share: float, passes: float | None = None
) -> int:
    """How many persons the move needs.

    Two where the table says so, for urgency, for a large or unmeasured customer, where the expected
    cost speaks against what would be held back, and for a throttle that shuts: see `throttled`.
    """
    row = table.row_of(case.state, asked.move)
    if row is None or row.standing in (None, "active"):
        return 1
    stake = case.stake
    share = None if stake is None or stake.unpriced else stake.share
    large = share is None or share > sign_off_share
    costly = asked.move in table.HOLDING_BACK and not _pays(case, asked)
    two = large or asked.urgent or costly or shuts(asked.throttle, passes)
    return max(row.signers, 2 if two else 1)


def refusal(case: Case, asked: MoveAsked, now: Instant) -> str:
    """Why a move is not possible now, of `REFUSALS`; empty where it is."""
    try:
        _allowed(case, asked, now)
    except ConflictError as error:
        return refused(error) or "move"
    return ""


def refused(error: CallerError) -> str:
    """Which of `REFUSALS` an error is; empty for another one."""
    return next((code for code, (said, _) in REFUSALS.items() if said == error.message), "")


def _allowed(case: Case, asked: MoveAsked, now: Instant) -> table.Row:
    row = table.row_of(case.state, asked.move)
    if row is None:
        follows = ", ".join(sorted(one.move for one in table.rows_from(case.state)))
        raise ConflictError(
            f"{asked.move} does not follow {case.state}",
            hint=f"what may: {follows}" if follows else "the case has ended; open a new one",
        )
    _said(asked.reason, "reason")
    beyond = row.standing != "active" or asked.move == "inform"
    if beyond and not case.evidence.actionable:
        raise _refused("observation")
    if row.urgent and not asked.urgent:
        raise _refused("urgent")
    if row.hears and not _heard(case, now):
        raise _refused("heard")
    if asked.move == "terminate" and case.open_appeal is not None:
        raise _refused("appeal")
    if asked.move == "terminate" and case.standing != "suspended":
        raise _refused("suspended")
    _check_throttle(asked)
    return row


def _refused(code: str) -> ConflictError:
    said, hint = REFUSALS[code]
    return ConflictError(said, hint=hint)


def _denied(code: str) -> NotAllowedError:
    said, hint = REFUSALS[code]
    return NotAllowedError(said, hint=hint)


def _check_throttle(asked: MoveAsked) -> None:
    if asked.move != "throttle":
        if asked.throttle is not None:
            raise _wrong_slice("no_slice")
        return
    if asked.throttle is None or asked.throttle.whole:
        raise _wrong_slice("slice")


def _wrong_slice(code: str) -> UsageError:
    said, hint = REFUSALS[code]
    return UsageError(said, hint=hint, field="throttle")


def _heard(case: Case, now: int) -> bool:
    return case.answered or (case.answer_until is not None and now >= case.answer_until)


def _pays(case: Case, asked: MoveAsked) -> bool:
    """Whether P is known and above the threshold of the move."""
    if case.stake is None:
        return False
    cost = expected_cost(case.stake).of(asked.move)
    return cost is not None and cost.acts is True


def _automatic(case: Case, asked: MoveAsked, settings: CaseSettings) -> None:
    stake, limit = case.stake, settings.automatic_suspend_minor_max
    if asked.move not in _AUTOMATIC:
        raise NotAllowedError(f"{asked.move} is never automatic")
    known = stake is not None and stake.currency == settings.automatic_suspend_currency
    unknown = stake is None or not known or stake.others or stake.unpriced
    if stake is None or unknown or stake.revenue_a_year_minor > limit:
        raise NotAllowedError(
            "no suspension is automatic above the operator's limit",
            hint="cases.automatic_suspend_minor_max",
        )
    if not _pays(case, asked):
        raise NotAllowedError("the expected cost of suspending is above that of waiting")


def _made(
    case: Case,
    asked: MoveAsked,
    row: table.Row,
    by: By,
    around: Around,
    *,
    proposed_by: str = "",
) -> Stepped:
    settings = around.settings
    standing = row.standing or case.standing
    lifts = asked.move == "reinstate"
    owed = _credits(case, by.now, around) if lifts else ()
    asks = asked.move in table.TELLS and not lifts
    answer_until = by.now + settings.answer_days * US_PER_DAY if asks else None
    holds = asked.move in table.HOLDING_BACK or asked.move == "warn"
    appeal_until = by.now + settings.appeal_days * US_PER_DAY if holds else None
    said = Told(
        case=case.id,
        customer=around.customer or case.group,
        at=by.now,
        asked=asked,
        findings=of_one(case.evidence, around.addressee, around.siblings),
        answer_until=answer_until,
        appeal_until=appeal_until,
        credits=tuple(
            str(Money(one.minor, one.currency))
            for one in owed
            if around.addressee in ("", one.customer)
        ),
        automatic=by.automatic,
    )
    review = settings.review_hours * US_PER_HOUR if by.automatic and asked.move == "suspend" else 0
    event = facts.Moved(
        asked=asked,
        proposed_by=proposed_by,
        automatic=by.automatic,
        notice=notice(said),
        answer_until=answer_until,
        appeal_until=appeal_until,
        review_until=by.now + review if review else None,
        credits=owed,
    )
    moved, recorded = _recorded(case, by, event)
    effects: list[Effect] = [*recorded]
    sliced = row.standing == "throttled" and asked.throttle != case.throttle
    if standing != case.standing or sliced:
        effects.append(Stand(standing, asked.throttle, asked.reason, proposed_by))
    if (row.target == "investigating") != (case.state == "investigating"):
        effects.append(Investigate(row.target == "investigating", asked.reason))
    effects += [Post(one) for one in owed]
    return moved, tuple(effects)


def _credits(case: Case, now: int, around: Around) -> tuple[facts.Credit, ...]:
    """Pro rata by the time in which nothing was served, rounded half up to a minor unit."""
    held_back_us = case.shut_for_us(now) if case.standing in SHUT else case.shut_us
    percent = around.settings.credit_percent
    found = []
    for due in around.dues:
        over = US_PER_DAY * 100
        minor = (2 * due.revenue_a_day_minor * held_back_us * percent + over) // (2 * over)
        if minor > 0:
            found.append(
                facts.Credit(
                    customer=due.customer,
                    contract=due.contract,
                    period=due.period,
                    minor=minor,
                    currency=due.currency,
                    held_back_us=held_back_us,
                    revenue_a_day_minor=due.revenue_a_day_minor,
                    percent=percent,
                )
            )
    return tuple(found)


def _recorded(case: Case, by: By, event: CaseEvent) -> Stepped:
    step = Step(len(case.history) + 1, by.now, by.actor, event)
    return evolve(case, case.id, step), (Record(event),)


def _need_told(case: Case) -> None:
    if not case.told():
        raise _refused("untold")
    if case.ended:
        raise _refused("ended")


def _need_sign_in(by: By) -> None:
    if not by.signed_in and not by.automatic:
        raise _denied("signed_in")


def _said(text: str, field: str) -> str:
    if not text.strip():
        raise UsageError(f"give a {field}", field=field, hint="it is kept in the journal")
    return text.strip()
