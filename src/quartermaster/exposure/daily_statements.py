"""What is stated of every customer on a day, what came of it, and how good that was.

Statements of a day are settled together when their whole time has passed: settling each event when
it comes, and the others later, would score the bad news first. Statements of neighbouring days see
nearly the same future; all are scored, and only those whose times do not overlap are counted when
it is asked whether the probabilities were calibrated.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple, get_args

import msgspec

from quartermaster.kernel.events import (
    CustomerStated,
    ProbabilitiesStated,
    StatedEvent,
    StatementsResolved,
)
from quartermaster.stats.likelihood_scores import Scores, scores

EVENTS: tuple[StatedEvent, ...] = get_args(StatedEvent)
HORIZON_DAYS: dict[StatedEvent, int] = {"halved_in_a_year": 365, "halved_in_a_quarter": 91}
SETTLING_DAYS = 91
"""The last 13 weeks of the time: a quarter, as revenue is reported."""
KEPT_MIN = 0.5
"""The event is less than this of the daily use known on the day."""

UsageByDay = Mapping[str, Mapping[date, float]]


class Past(NamedTuple):
    """One statement, and what came of it; None while its time runs."""

    event: StatedEvent
    on: date
    said: CustomerStated
    came: bool | None

    @property
    def due(self) -> date:
        """The last day of its time."""
        return due(self.event, self.on)


class EventScores(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one event."""

    event: StatedEvent
    statements: int
    open: int
    first_on: date | None
    last_on: date | None
    days: int
    next_due: date | None
    scored: Scores | None
    scored_customers: int
    scored_days: int
    apart: Scores | None
    """Of statements whose times do not overlap."""
    apart_customers: int
    apart_days: int


def due(event: StatedEvent, on: date) -> date:
    """The last day of the time of a statement."""
    return on + timedelta(days=HORIZON_DAYS[event])


def settle(
    stated: ProbabilitiesStated, usage: UsageByDay, known_to: date
) -> StatementsResolved | None:
    """What came of the statements of a day, or None while their time runs.

    Args:
        stated: the statements.
        usage: of every customer by day; a day that is missing is a day without use.
        known_to: the last day that is over and counted.
    """
    end = due(stated.event, date.fromisoformat(stated.on))
    if known_to < end:
        return None
    days = [end - timedelta(days=back) for back in range(SETTLING_DAYS)]
    came, stayed = list[str](), list[str]()
    for said in stated.customers:
        used = usage.get(said.customer, {})
        later = sum(used.get(day, 0.0) for day in days) / SETTLING_DAYS
        (came if later < KEPT_MIN * said.usage_a_day else stayed).append(said.customer)
    return StatementsResolved(
        event=stated.event,
        on=stated.on,
        resolved_on=known_to.isoformat(),
        came=tuple(came),
        stayed=tuple(stayed),
    )


def past_of(
    stated: Iterable[ProbabilitiesStated], resolved: Iterable[StatementsResolved]
) -> list[Past]:
    """Every statement beside what came of it, oldest first."""
    outcomes: dict[tuple[StatedEvent, str], dict[str, bool]] = {}
    for one in resolved:
        known = outcomes.setdefault((one.event, one.on), {})
        known.update(dict.fromkeys(one.came, True) | dict.fromkeys(one.stayed, False))
    found = [
        Past(day.event, date.fromisoformat(day.on), said, outcome.get(said.customer))
        for day in stated
        for outcome in [outcomes.get((day.event, day.on), {})]
        for said in day.customers
    ]
    return sorted(found, key=lambda one: (one.on, one.event, one.said.customer))


def event_scores(past: Sequence[Past]) -> tuple[EventScores, ...]:
    """The record of every event, in the order of `EVENTS`."""
    return tuple(_of(event, [one for one in past if one.event == event]) for event in EVENTS)


def apart(past: Sequence[Past]) -> list[Past]:
    """Resolved statements of days so far apart that their times do not overlap, oldest first."""
    free: date | None = None
    chosen: set[date] = set()
    for on in sorted({one.on for one in past if one.came is not None}):
        if free is None or on >= free:
            chosen.add(on)
            free = due(past[0].event, on)
    return [one for one in past if one.on in chosen and one.came is not None]


def _of(event: StatedEvent, past: Sequence[Past]) -> EventScores:
    closed = [one for one in past if one.came is not None]
    opened = [one for one in past if one.came is None]
    lone = apart(past)
    return EventScores(
        event=event,
        statements=len(past),
        open=len(opened),
        first_on=min((one.on for one in past), default=None),
        last_on=max((one.on for one in past), default=None),
        days=len({one.on for one in past}),
        next_due=min((one.due for one in opened), default=None),
        scored=_scores(closed),
        scored_customers=len({one.said.customer for one in closed}),
        scored_days=len({one.on for one in closed}),
        apart=_scores(lone),
        apart_customers=len({one.said.customer for one in lone}),
        apart_days=len({one.on for one in lone}),
    )


def _scores(past: Sequence[Past]) -> Scores | None:
    if not past:
        return None
    return scores(
        [one.said.probability for one in past],
        [bool(one.came) for one in past],
        [one.said.customer for one in past],
    )
