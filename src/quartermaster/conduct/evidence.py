"""What a case knows, put together with what comes while it runs: an alarm, or a report."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import msgspec

from quartermaster.kernel.case import CaseEvidence

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
        findings=_each((*known.findings, *alarm.findings), lambda one: (one.kind, one.source)),
        clusters=_each((*known.clusters, *alarm.clusters), lambda one: (one.account, one.kind)),
        links=_each((*known.links, *alarm.links), lambda one: (one.left, one.right)),
        strata=_each((*known.strata, *alarm.strata), lambda one: (one.account, one.day)),
        statements=(*known.statements, *alarm.statements),
        even_chance=max((known.even_chance or 0.0, alarm.even_chance or 0.0)) or None,
        blind=_each((*known.blind, *alarm.blind), lambda one: one),
    )


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
