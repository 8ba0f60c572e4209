"""Which customer of a group a case is addressed to: the party of the contract, not its siblings.

A group has one standing, but each of its customers has contracts of its own. Notices go to one of
them, and it alone sees them, answers and appeals.
"""

from quartermaster.book.views import View
from quartermaster.conduct.cases import Case
from quartermaster.kernel.case import CaseEvidence, CaseOpened, EvidenceAdded, Moved
from quartermaster.kernel.errors import NotFoundError, UsageError

SHOWN_MAX = 20
"""Customers of a group that a hint names: a screen."""


def addressee(view: View, case: Case) -> str:
    """The customer that a case is addressed to; empty where nobody can be named.

    Cases of earlier versions do not say it: then it is whom the evidence is of when it is told,
    else who is alone in the group, else who has the group's own id.
    """
    if case.addressee:
        return case.addressee
    members = members_of(view, case.group)
    for day in _evidence_when_told(case).days:
        if day.account in members:
            return day.account
    if len(members) == 1:
        return members[0]
    return case.group if case.group in members else ""


def addressed(view: View, opening: CaseOpened) -> str:
    """The customer that a new case is addressed to; a group of one needs no saying.

    Raises:
        NotFoundError: the named customer is none of the group.
        UsageError: the group has several, and none is named.
    """
    members = members_of(view, opening.group)
    if opening.addressee in members:
        return opening.addressee
    if opening.addressee:
        raise NotFoundError(
            f"group {opening.group} has no customer {opening.addressee!r}", field="customer"
        )
    if len(members) > 1:
        raise UsageError(
            f"group {opening.group} has {len(members)} customers: which one is addressed?",
            field="customer",
            hint=f"one of {', '.join(members[:SHOWN_MAX])}; notices go to it, and it answers",
        )
    return members[0] if members else ""


def _evidence_when_told(case: Case) -> CaseEvidence:
    """As it stood at the first notice: what comes later makes the case nobody else's."""
    evidence = case.evidence
    for step in case.history:
        if isinstance(step.event, CaseOpened | EvidenceAdded):
            evidence = step.event.evidence
        elif isinstance(step.event, Moved) and step.event.notice is not None:
            break
    return evidence


def members_of(view: View, group: str) -> tuple[str, ...]:
    """The customers of a group, in the order in which they were added."""
    return tuple(one.id for one in view.customers.values() if one.group == group)
