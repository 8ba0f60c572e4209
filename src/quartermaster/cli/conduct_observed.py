"""What the daily analysis says of this deployment's own customers, on a terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from quartermaster.app.rooms import Rooms
    from quartermaster.app.watch import WatchStatus
    from quartermaster.kernel.case import CaseDay
    from quartermaster.kernel.events import ConductAlarmed, ConductObserved


def show_days(rooms: "Rooms", account: str | None, *, as_json: bool) -> None:
    """Each day that was judged, oldest first."""
    from quartermaster.app.clerk_conduct import observed

    judged = [
        (day, fact)
        for fact in observed(rooms)
        for day in fact.days
        if account is None or day.account == account
    ]
    if not judged and not as_json:
        click.echo("no day was judged yet", err=True)
    for day, fact in judged:
        click.echo(msgspec.json.encode(day).decode() if as_json else _day_line(day, fact))


def show_state(rooms: "Rooms", *, as_json: bool) -> None:
    """Who watches, what was seen last, whom it alarmed on, and what cannot be seen."""
    from quartermaster.app.clerk_conduct import observed
    from quartermaster.app.clerk_warning import alarmed
    from quartermaster.app.watch import statuses

    watchers, days, alarms = statuses(rooms.var), observed(rooms), alarmed(rooms)
    last = days[-1] if days else None
    if as_json:
        state = {"watchers": watchers, "last": last, "alarms": alarms}
        click.echo(msgspec.json.encode(state).decode())
        return
    click.echo("\n".join(_state_lines(watchers, last, alarms, rooms.now())))


def _day_line(day: "CaseDay", fact: "ConductObserved") -> str:
    line = "above" if day.over_line else "below"
    explained = ", explained by the contract" if day.account in fact.explained else ""
    evidence = "" if day.evidence is None else f", evidence {day.evidence:.3g}"
    return (
        f"{day.account} {day.day}: score {day.score:.2f}, {line} the line, {day.requests} requests"
        f" ({day.sampled_fraction:.0%} read, {day.new_share:.0%} new){evidence}{explained}"
    )


def _state_lines(
    watchers: "dict[str, WatchStatus]",
    last: "ConductObserved | None",
    alarms: "list[ConductAlarmed]",
    now: int,
) -> Iterator[str]:
    if not watchers:
        yield "nobody watches: no watcher has run in this data folder"
    for name, one in watchers.items():
        ago = max(0, now - one.at) // 1_000_000
        rings = ", ".join(one.rings) or "none: no contract permits it, or no gateway runs"
        yield f"watcher {name}, {ago} s ago: {one.read} requests read, {one.missed} lost"
        yield f"  rings: {rings}"
    if last is None:
        yield "no day was judged yet"
    else:
        yield f"last judged {last.on}: {len(last.days)} accounts"
        yield from _seen_lines(last)
    if not alarms:
        yield "no alarm"
    for alarm in alarms:
        found = alarm.evidence
        kinds = ", ".join(one.kind for one in found.findings) or "no finding of a kind"
        value = next((one.evidence for one in reversed(found.days) if one.evidence), None)
        odds = "" if value is None else f", evidence {value:.3g} to 1"
        yield f"alarm on {alarm.account} ({alarm.group}) {alarm.on}{odds}: {kinds}"


def _seen_lines(last: "ConductObserved") -> Iterator[str]:
    from quartermaster.conduct.blind import said

    for day in sorted(last.days, key=lambda one: -one.score):
        if day.over_line:
            yield f"  {_day_line(day, last)}"
    for link in last.links:
        yield f"  {link.left} and {link.right} share {'; '.join(link.reasons)}"
    for account, codes in last.blind.items():
        yield f"  {account}: {'; '.join(said(code) for code in codes)}"
