"""Standings of customer groups as tables: what holds now, and everything that led to it."""

import msgspec

from quartermaster.book.views import StandingEvent, View
from quartermaster.commands.standing import Held, held
from quartermaster.console.tables import Cell, Rows, iso
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.standing_facts import (
    InvestigationSet,
    StandingChanged,
    StandingDeclined,
    StandingProposed,
)

SCHEMA = "standing/1"

COLUMNS: dict[str, tuple[str, ...]] = {
    "standings": (
        *("group", "name", "standing", "since", "reason", "case"),
        *("under_investigation", "waits_for", "proposal"),
    ),
    "history": (
        *("at", "group", "event", "standing", "reason", "case", "revenue_share"),
        *("by", "proposal", "proposed_by"),
    ),
}


class Stand(msgspec.Struct, frozen=True):
    """One group's standing, and since when."""

    name: str
    held: Held
    since: int | None
    """Microseconds UTC; None where it was never anything but active."""


class StandingFacts(msgspec.Struct, frozen=True):
    """Every group: those that are not simply active first."""

    stands: tuple[Stand, ...]
    view: View
    at: Instant


def all_standings(view: View, now: Instant) -> StandingFacts:
    """Every group of the book."""
    found = [stand_of(view, group) for group in view.groups]
    found.sort(key=lambda one: (is_plain(one), one.name.casefold(), one.held.group))
    return StandingFacts(tuple(found), view, now)


def stand_of(view: View, group: str) -> Stand:
    """One group's standing.

    Raises:
        NotFoundError: there is no such group.
    """
    now = held(view, group)
    log = view.standing_log.get(group, ())
    return Stand(view.groups[group].name, now, log[-1].at if log else None)


def is_plain(one: Stand) -> bool:
    """Whether there is nothing to say of it: active, not investigated, nothing proposed."""
    plain = one.held.standing == "active" and not one.held.under_investigation
    return plain and one.held.waiting is None


def kind_of(event: StandingEvent) -> str:
    """What an event is called."""
    match event.fact:
        case StandingChanged():
            return "changed"
        case StandingProposed():
            return "proposed"
        case StandingDeclined():
            return "declined"
        case InvestigationSet():
            return "investigated" if event.fact.open else "settled"


def rows_of(facts: StandingFacts) -> dict[str, Rows]:
    """Both tables; the history of every group, oldest first."""
    events = [
        event
        for one in facts.stands
        for event in facts.view.standing_events.get(one.held.group, ())
    ]
    events.sort(key=lambda event: event.at)
    return {
        "standings": [
            {
                "group": one.held.group,
                "name": one.name,
                "standing": one.held.standing,
                "since": "" if one.since is None else iso(Instant(one.since)),
                "reason": one.held.reason,
                "case": one.held.case,
                "under_investigation": one.held.under_investigation,
                "waits_for": "" if one.held.waiting is None else one.held.waiting.fact.standing,
                "proposal": "" if one.held.waiting is None else one.held.waiting.fact.proposal,
            }
            for one in facts.stands
        ],
        "history": [_event_row(event) for event in events],
    }


def _event_row(event: StandingEvent) -> dict[str, Cell]:
    told: dict[str, Cell] = {
        column: str(getattr(event.fact, column, "")) for column in COLUMNS["history"]
    }
    return told | {"at": iso(Instant(event.at)), "event": kind_of(event), "by": event.actor}


def as_json(facts: StandingFacts) -> bytes:
    """Both tables in one object."""
    return msgspec.json.encode({"schema": SCHEMA, "at": iso(facts.at), **rows_of(facts)})
