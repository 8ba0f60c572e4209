"""Alarms of the daily analysis that no case has taken in and no person has cleared."""

from collections import defaultdict
from typing import NamedTuple

from quartermaster.book.unit import Unit
from quartermaster.commands.actor import CLERK
from quartermaster.commands.case_read import folded
from quartermaster.conduct.cases import Case
from quartermaster.kernel import case as facts
from quartermaster.kernel.events import ConductAlarmed

_ALARMS = "conduct:alarmed:"


class News(NamedTuple):
    """Alarms on a group's accounts."""

    group: str
    running: Case | None
    """The case that takes them in; None where one is to be opened."""
    alarms: tuple[ConductAlarmed, ...]
    """The oldest first; at least one."""


def news(unit: Unit) -> list[News]:
    """What is to be taken in, by group."""
    view, cases = unit.view(), folded(unit)
    found: defaultdict[str, list[tuple[ConductAlarmed, int, int]]] = defaultdict(list)
    for recorded in unit.journal.keyed(_ALARMS):
        alarm = recorded.fact
        if isinstance(alarm, ConductAlarmed) and alarm.account in view.customers:
            group = view.customers[alarm.account].group
            found[group].append((alarm, recorded.seq, recorded.at))
    out = []
    for group, alarms in found.items():
        mine = [case for case in cases if case.group == group]
        running = next((case for case in mine if not case.ended), None)
        cleared = max((case.ended_at or 0 for case in mine), default=0)
        known = 0 if running is None else _taken_in(running)
        waiting = tuple(alarm for alarm, seq, at in alarms if at > cleared and seq > known)
        if waiting:
            out.append(News(group, running, waiting))
    return out


def _taken_in(case: Case) -> int:
    """The journal's number of the last evidence of the daily analysis; 0 where there is none."""
    return max(
        (
            step.seq
            for step in case.history
            if step.actor == CLERK.id
            and isinstance(step.event, facts.CaseOpened | facts.EvidenceAdded)
        ),
        default=0,
    )
