"""What a case knows, put together with what comes while it runs: an alarm, or a report."""

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TypeVar

import msgspec

from quartermaster.kernel.case import CaseEvidence, CaseFinding

_Item = TypeVar("_Item")


def together(known: CaseEvidence, alarm: CaseEvidence) -> CaseEvidence:
    """Both as one; where they speak of the same, what came later counts.

    Days, ranks and neighbours are of one account and hang together: they are those that came later,
    unless what is known has days of another account with more evidence.

    Args:
        known: what the case stands on.
        alarm: what came later; a report by others has no days.
    """
    return msgspec.structs.replace(
        _days_of(known, alarm),
        findings=_each((*known.findings, *alarm.findings), _same_finding),
        clusters=_each((*known.clusters, *alarm.clusters), lambda one: (one.account, one.kind)),
        links=_each((*known.links, *alarm.links), lambda one: (one.left, one.right)),
        strata=_each((*known.strata, *alarm.strata), lambda one: (one.account, one.day)),
        statements=(*known.statements, *alarm.statements),
        even_chance=max((known.even_chance or 0.0, alarm.even_chance or 0.0)) or None,
        blind=_each((*known.blind, *alarm.blind), lambda one: one),
    )


def of_one(
    evidence: CaseEvidence, customer: str, siblings: Collection[str]
) -> tuple[CaseFinding, ...]:
    """Findings that may lead beyond observation, as one customer of a group is told of them.

    What is of a sibling, or stands in a workload of a sibling alone, is the sibling's; of what both
    have, the customer hears its own share. What is nobody's in particular is told.

    Args:
        evidence: of the group.
        customer: who is told.
        siblings: the other customers of the group.
    """
    mine = {one.kind: one for part in evidence.clusters if part.account == customer
            for one in part.findings}  # fmt: skip
    theirs = {one.kind for part in evidence.clusters if part.account in siblings
              for one in part.findings}  # fmt: skip
    found = [one for one in evidence.actionable if one.account not in siblings]
    own = {one.kind for one in found if customer and one.account == customer}
    told = (
        one if one.kind == "reported" else mine.get(one.kind, one)
        for one in found
        if one.account == customer or one.kind not in own
        if one.account or one.kind in mine or one.kind not in theirs
    )
    return _each(told, lambda one: (one.kind, one.source))


def _same_finding(one: CaseFinding) -> tuple[str, str, str]:
    return one.kind, one.source, one.account


def _days_of(known: CaseEvidence, alarm: CaseEvidence) -> CaseEvidence:
    """The one whose days are shown."""
    if not alarm.days:
        return known
    if not known.days or {one.account for one in known.days} & {one.account for one in alarm.days}:
        return alarm
    return known if _most(known) > _most(alarm) else alarm


def _most(evidence: CaseEvidence) -> float:
    return max((one.evidence or 0.0 for one in evidence.days), default=0.0)


def _each(found: Iterable[_Item], key: Callable[[_Item], Hashable]) -> tuple[_Item, ...]:
    """One of each key, the last that was said of it."""
    return tuple({key(one): one for one in found}.values())
