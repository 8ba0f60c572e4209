"""Conduct cases: opened, stepped, signed, answered, appealed, and brought to an end.

A step and everything that it brings about (the group's standing, an investigation, a credit) are
one transaction of the book. Whoever calls publishes the snapshot afterwards.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import reduce

import msgspec

from quartermaster.book.postings import PostingSet, credit_balance, service_credit, transfer
from quartermaster.book.unit import Unit
from quartermaster.book.views import View
from quartermaster.commands.actor import CLERK, Actor, require
from quartermaster.commands.case_alarms import news
from quartermaster.commands.case_party import addressed, addressee, members_of
from quartermaster.commands.case_read import KEY, all_cases, folded, known, own
from quartermaster.commands.ports import Book
from quartermaster.commands.standing import STANDINGS, follow, require_throttle
from quartermaster.conduct import cases_step as steps
from quartermaster.conduct.cases import Case
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_step import Around, By, Due, Effect, Stepped
from quartermaster.conduct.evidence import together
from quartermaster.conduct.notice import our_reason
from quartermaster.kernel import case as facts
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import ConflictError, NotAllowedError, NotFoundError, UsageError
from quartermaster.kernel.events import CaseStepped
from quartermaster.kernel.ids import new_id
from quartermaster.kernel.limit import Throttle
from quartermaster.kernel.standing_facts import InvestigationSet, StandingChanged

TEXT_CHARS_MAX = 4_000
"""Two printed pages: a longer letter is sent, and noted here."""
EVIDENCE_BYTES_MAX = 1_000_000
"""A journal entry that people can still read; ninety days of a hundred accounts fit."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator has set, and what a reinstatement may have to credit."""

    settings: CaseSettings
    sign_off_share: Decimal
    """Of revenue; above it two sign whatever is held against a customer."""
    dues: tuple[Due, ...] = ()
    passes: Callable[[Throttle], float | None] | None = None
    """How much of what the group sent lately a throttle lets pass."""


RulesOf = Callable[[str], Rules]
"""The rules of a group."""
StakeOf = Callable[[str, facts.CaseEvidence], facts.CaseStake | None]
"""What hangs on a group, and what was taken by its evidence."""


def open_case(book: Book, actor: Actor, opening: facts.CaseOpened, now: Instant) -> Case:
    """Begin to observe a customer group.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such group.
        ConflictError: a case of the group is open.
        UsageError: no reason, or more evidence than the journal takes.
    """
    _staff_or_clerk(actor)
    opening = msgspec.structs.replace(opening, reason=said(opening.reason, "reason"))
    if actor.id != CLERK.id:  # an alarm's evidence is in the journal already
        _fits(opening.evidence)
    with book.writing() as unit:
        group = unit.view().groups.get(opening.group)
        if group is None:
            raise NotFoundError(
                f"there is no group {opening.group!r}",
                field="group",
                hint="quartermaster customer list",
            )
        to = addressed(unit.view(), opening)
        running = [one for one in folded(unit) if one.group == opening.group and not one.ended]
        if running:
            raise ConflictError(
                f"case {running[0].id} of group {opening.group} is open",
                hint="add the evidence to it",
            )
        opening = msgspec.structs.replace(opening, sample=group.sample, addressee=to)
        case_id = new_id("case")
        case, effects = steps.opened(case_id, opening, _by(unit.view(), actor, now))
        return _apply(unit, case, 0, effects, actor, now)


def tell(
    book: Book,
    actor: Actor,
    case_id: str,
    event: facts.EvidenceAdded | facts.Noted | facts.FileMade,
    now: Instant,
) -> Case:
    """Add evidence or a note, or record that a case file was made.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such case.
        UsageError: an empty note, or more evidence than the journal takes.
    """
    _staff_or_clerk(actor)
    if isinstance(event, facts.Noted):
        event = facts.Noted(said(event.text, "note"))
    if isinstance(event, facts.EvidenceAdded):
        _fits(event.evidence)
    return _stepped(book, actor, case_id, now, lambda case, by, _: steps.told(case, event, by))


def report(
    book: Book, actor: Actor, case_id: str, more: facts.CaseEvidence, now: Instant, stake: StakeOf
) -> Case:
    """Add what others reported to what is known.

    Args:
        book: where it is recorded.
        actor: of the staff.
        case_id: which case.
        more: as `reported` makes it.
        now: microseconds UTC.
        stake: of a group by its evidence.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such case.
        UsageError: more evidence than the journal takes.
    """
    require(actor, "trust", "admin")
    with book.reading() as unit:
        case = known(unit, case_id)
    held = stake(case.group, case.evidence)
    return _add(book, actor, case_id, more, held, "", now)


def reported(source: str, account: str = "") -> facts.CaseEvidence:
    """A report by others as evidence; `account` is the customer that it is of, where it names one.

    Raises:
        UsageError: nothing is said.
    """
    words = said(source, "reported")
    finding = facts.CaseFinding("reported", 1.0, 1.0, source=words, account=account)
    return facts.CaseEvidence(findings=(finding,))


def move(
    book: Book,
    actor: Actor,
    case_id: str,
    asked: facts.MoveAsked,
    now: Instant,
    rules: Rules,
) -> Case:
    """Make a move, or propose it where a second person signs.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such case.
        ConflictError, UsageError: the case does not allow it; see `conduct.cases_step.move`.
    """
    require(actor, "trust", "admin")
    asked = msgspec.structs.replace(asked, reason=said(asked.reason, "reason"))
    passes = rules.passes(asked.throttle) if rules.passes and asked.throttle else None

    def go(case: Case, by: By, view: View) -> Stepped:
        around = msgspec.structs.replace(_around(view, case, rules), passes=passes)
        stepped = steps.move(case, asked, by, around)
        if asked.throttle is not None:  # before it is proposed, too: who signs finds no surprise
            require_throttle(view, case.group, "throttled", asked.throttle)
        return stepped

    return _stepped(book, actor, case_id, now, go)


def sign(book: Book, actor: Actor, case_id: str, proposal: int, now: Instant, rules: Rules) -> Case:
    """Sign a proposed move, as the second person; `proposal` is the number of its step.

    Raises:
        NotAllowedError: the actor may not, proposed it, or is not signed in.
        NotFoundError: there is no such case.
        ConflictError: nothing waits, or it is not allowed any more.
    """
    require(actor, "trust", "admin")
    return _stepped(
        book,
        actor,
        case_id,
        now,
        lambda case, by, view: steps.sign(case, proposal, by, _around(view, case, rules)),
    )


def withdraw(book: Book, actor: Actor, case_id: str, reason: str, now: Instant) -> Case:
    """Take a proposed move back.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such case.
        ConflictError: nothing waits.
    """
    require(actor, "trust", "admin")
    why = said(reason, "reason")
    return _stepped(book, actor, case_id, now, lambda case, by, _: steps.withdraw(case, why, by))


def decide(
    book: Book,
    actor: Actor,
    case_id: str,
    decision: facts.AppealDecided,
    now: Instant,
    rules: Rules,
) -> Case:
    """Decide an appeal; granting it reinstates the customer at once.

    Raises:
        NotAllowedError: the actor may not, or had a part in the measure.
        NotFoundError: there is no such case.
        ConflictError: no appeal waits.
    """
    require(actor, "trust", "admin")
    decision = msgspec.structs.replace(decision, reason=said(decision.reason, "reason"))
    return _stepped(
        book,
        actor,
        case_id,
        now,
        lambda case, by, view: steps.decide(case, decision, by, _around(view, case, rules)),
    )


def answer(
    book: Book, actor: Actor, customer: str, case_id: str, answered: facts.Answered, now: Instant
) -> Case:
    """What the customer says.

    Args:
        book: where it is recorded.
        actor: the customer's user or token.
        customer: whose account the actor is tied to; never something that the actor typed.
        case_id: which case.
        answered: the words, and how much it was where a number is said.
        now: microseconds UTC.

    Raises:
        NotAllowedError: not a customer.
        NotFoundError: no such case of this customer.
        ConflictError: the case is not open to an answer.
    """
    require(actor, "customer")
    words = msgspec.structs.replace(answered, text=said(answered.text, "text"))
    return _stepped(
        book,
        actor,
        case_id,
        now,
        lambda case, by, view: steps.answer(own(view, case, customer), words, by),
    )


def appeal(
    book: Book,
    actor: Actor,
    customer: str,
    case_id: str,
    text: str,
    now: Instant,
    rules: Rules,
) -> Case:
    """The customer asks another person to decide; arguments as of `answer`.

    Raises:
        NotAllowedError: not a customer.
        NotFoundError: no such case of this customer.
        ConflictError: there is nothing to appeal, or the time is over.
    """
    require(actor, "customer")
    words = said(text, "text")
    return _stepped(
        book,
        actor,
        case_id,
        now,
        lambda case, by, view: steps.appeal(
            own(view, case, customer), words, by, _around(view, case, rules)
        ),
    )


def tend(book: Book, now: Instant, rules: RulesOf, stake: StakeOf) -> list[Case]:
    """What needs no person: alarms become cases, and what nobody looked at ends by itself.

    Where the operator allows it for customers so small, a new case whose expected cost says so is
    suspended, until a person looks. A case that runs takes alarms in, and nothing follows by
    itself. Returns the cases that were opened or ended.

    Args:
        book: where it is recorded.
        now: microseconds UTC.
        rules: of a group.
        stake: of a group by its evidence.
    """
    changed = {case.id: case for case in _open_alarmed(book, now, stake)}
    for case in list(changed.values()):
        if rules(case.group).settings.automatic_suspend_minor_max > 0:
            changed[case.id] = _automatic(book, case, now, rules(case.group))
    for case in all_cases(book):
        if case.review_until is not None and now >= case.review_until:
            changed[case.id] = _lapsed(book, case, now, rules(case.group))
    return list(changed.values())


def _open_alarmed(book: Book, now: Instant, stake: StakeOf) -> list[Case]:
    """A case for a group with alarms that no person has cleared; one that runs takes them in."""
    with book.reading() as unit:
        waiting = news(unit)
    opened = []
    for group, running, alarms in waiting:
        evidence = reduce(together, (alarm.evidence for alarm in alarms))
        reason = our_reason("reached", day=alarms[-1].on)
        # Of a case that runs, everything it stands on is weighed, not the last alarm alone.
        weighed = evidence if running is None else together(running.evidence, evidence)
        held = stake(group, weighed)
        if running is not None:
            _add(book, CLERK, running.id, evidence, held, reason, now)
            continue
        opening = facts.CaseOpened(
            group=group, reason=reason, evidence=evidence, stake=held, addressee=alarms[0].account
        )
        try:
            opened.append(open_case(book, CLERK, opening, now))
        except ConflictError:
            continue  # somebody opened one at the same moment; the next look adds to it
    return opened


def _add(
    book: Book,
    actor: Actor,
    case_id: str,
    more: facts.CaseEvidence,
    stake: facts.CaseStake | None,
    reason: str,
    now: Instant,
) -> Case:
    """Add to what is known at the moment of writing: what somebody else adds meanwhile stays."""

    def go(case: Case, by: By, _: View) -> Stepped:
        evidence = together(case.evidence, more)
        if actor.id != CLERK.id:  # an alarm's evidence is in the journal already
            _fits(evidence)
        event = facts.EvidenceAdded(evidence=evidence, stake=stake, reason=reason)
        return steps.told(case, event, by)

    return _stepped(book, actor, case_id, now, go)


def _lapsed(book: Book, case: Case, now: Instant, rules: Rules) -> Case:
    return _stepped(
        book,
        CLERK,
        case.id,
        now,
        lambda one, by, view: steps.tend(one, by, _around(view, one, rules)),
    )


def _automatic(book: Book, case: Case, now: Instant, rules: Rules) -> Case:
    """Suspended where that may be automatic; else as it is, until a person decides."""
    asked = facts.MoveAsked(move="suspend", reason=our_reason("expected"), urgent=True)
    try:
        return _stepped(
            book,
            CLERK,
            case.id,
            now,
            lambda one, by, view: steps.move(one, asked, by, _around(view, one, rules)),
        )
    except (NotAllowedError, ConflictError):
        return case


def _stepped(
    book: Book,
    actor: Actor,
    case_id: str,
    now: Instant,
    go: Callable[[Case, By, View], Stepped],
) -> Case:
    with book.writing() as unit:
        view, case = unit.view(), known(unit, case_id)
        after, effects = go(case, _by(view, actor, now), view)
        return _apply(unit, after, len(case.history), effects, actor, now)


def _apply(
    unit: Unit, case: Case, steps_before: int, effects: Sequence[Effect], actor: Actor, now: Instant
) -> Case:
    number, seq = steps_before, 0
    for effect in effects:
        match effect:
            case steps.Record(event):
                number += 1
                fact = CaseStepped(case=case.id, number=number, event=event)
                key = f"{KEY}{case.id}:{number:06}"
                seq = unit.journal.append(fact, actor=actor, now=now, key=key).seq
            case steps.Stand():
                _stand(unit, actor, case, effect, now)
            case steps.Investigate(under, reason):
                shown = InvestigationSet(group=case.group, open=under, reason=reason, case=case.id)
                unit.journal.append(shown, actor=actor, now=now)
            case steps.Post(credit):
                posting_set = PostingSet(
                    key=f"credit:{case.id}:{number}:{credit.contract}",
                    contract=credit.contract,
                    period=credit.period,
                    postings=transfer(
                        service_credit(credit.customer),
                        credit_balance(credit.customer),
                        credit.minor,
                        credit.currency,
                    ),
                    sample=case.sample,
                )
                unit.ledger.post(posting_set, seq=seq, now=now)
    return known(unit, case.id)


def _stand(unit: Unit, actor: Actor, case: Case, effect: steps.Stand, now: Instant) -> None:
    """The group's standing follows; what was decided outside of cases, and is harder, stays."""
    log = unit.view().standing_log.get(case.group, ())
    last = log[-1].fact if log else None
    hard = STANDINGS.index(effect.standing)
    if last is not None and not last.case and STANDINGS.index(last.standing) > hard:
        return
    fact = StandingChanged(
        group=case.group,
        standing=effect.standing,
        reason=effect.reason,
        throttle=effect.throttle,
        case=case.id,
        proposed_by=effect.proposed_by,
    )
    follow(unit, actor, fact, now)


def _by(view: View, actor: Actor, now: Instant) -> By:
    signed_in = actor.id in view.users and not actor.lent_by
    return By(actor.id, now, automatic=actor.id == CLERK.id, signed_in=signed_in)


def _around(view: View, case: Case, rules: Rules) -> Around:
    to = addressee(view, case)
    named = view.customers.get(to) or view.groups.get(case.group)
    return Around(
        settings=rules.settings,
        sign_off_share=float(rules.sign_off_share),
        customer=case.group if named is None else named.name,
        addressee=to,
        siblings=frozenset(members_of(view, case.group) if to else ()) - {to},
        dues=rules.dues,
    )


def _staff_or_clerk(actor: Actor) -> None:
    if actor.id != CLERK.id:
        require(actor, "trust", "admin")


def _fits(evidence: facts.CaseEvidence) -> None:
    size = len(msgspec.json.encode(evidence))
    if size > EVIDENCE_BYTES_MAX:
        raise UsageError(
            f"the evidence takes {size} bytes, a case holds {EVIDENCE_BYTES_MAX}",
            hint="give fewer days or accounts",
        )


def said(text: str, field: str) -> str:
    """What somebody wrote, without spaces around it.

    Raises:
        UsageError: nothing, too much, or what cannot be printed.
    """
    words = text.strip()
    plain = all(letter.isprintable() or letter in "\n\t" for letter in words)
    if not 0 < len(words) <= TEXT_CHARS_MAX or not plain:
        raise UsageError(
            f"this {field} cannot be used",
            field=field,
            hint=f"1-{TEXT_CHARS_MAX} printable characters; it is kept in the journal",
        )
    return words
