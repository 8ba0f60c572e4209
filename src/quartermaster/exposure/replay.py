"""Replay cases whose outcome is known, as they would have been stated then, and score them.

Cases that were chosen because of how they ended calibrate nothing. A replay shows that one ledger
configuration handles them, and what it would have said on which day.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from quartermaster.exposure.departure import ALARM_PROBABILITY, SCHEMA, Opinion, Stated
from quartermaster.exposure.departure_statements import Record, Statement, of_opinion, record
from quartermaster.exposure.evidence import day_of
from quartermaster.exposure.evidence_ledger import Line
from quartermaster.stats.likelihood import Ratio

Finding = Literal["prior_only", "not_enough", "likelier_than_not", "up", "down"]
"""`not_enough`: not enough evidence to move from the prior. `up` and `down` stay under even."""


class Replay(msgspec.Struct, frozen=True):
    """Opinions on cases, the statements they make, and the score of those that are resolved."""

    opinions: tuple[Opinion, ...]
    statements: tuple[Statement, ...]
    record: Record


def replay(opinions: Sequence[Opinion]) -> Replay:
    """Score the statement of each opinion's day."""
    statements = tuple(of_opinion(found) for found in opinions)
    return Replay(tuple(opinions), statements, record(statements))


def warned_days(found: Opinion) -> int | None:
    """Days from the first statement of `ALARM_PROBABILITY` or more to the event that came."""
    outcome = found.case.outcome
    if outcome is None or not outcome.happened or not found.alarm_on:
        return None
    return (day_of(outcome.on) - day_of(found.alarm_on)).days


def as_json(found: Replay) -> dict[str, Any]:
    """The stable form of a replay, or of a single case."""
    return {
        "schema": SCHEMA,
        "alarm_probability": ALARM_PROBABILITY,
        "cases": [_opinion(one) for one in found.opinions],
        "record": msgspec.to_builtins(found.record),
    }


def _opinion(found: Opinion) -> dict[str, Any]:
    case, stated = found.case, found.ledger
    return {
        "id": case.id,
        "title": case.title,
        "subject": case.subject,
        "seller": case.seller,
        "event": case.event,
        "horizon_months": case.horizon_months,
        "file": found.input.name,
        "data_sha256": found.input.sha256,
        "stated_on": found.on,
        "probability": stated.posterior.probability,
        "low": stated.posterior.low,
        "high": stated.posterior.high,
        "moved": stated.moved,
        "finding": finding(found),
        "prior": {
            **stated.prior._asdict(),
            "by": found.believed.by,
            **found.believed.figures,
        },
        "ledger": [_line(line) for line in stated.lines],
        "stale": msgspec.to_builtins(stated.stale),
        "rule": msgspec.to_builtins(case.rule),
        "joint_ratio": _ratio(stated.joint),
        "if_independent": stated.if_independent,
        "sensitivity": msgspec.to_builtins(found.sensitivity),
        "tipping_prior": found.tipping_prior,
        "history": [_stated(one) for one in found.history],
        "alarm_on": found.alarm_on or None,
        "warned_days": warned_days(found),
        "outcome": msgspec.to_builtins(case.outcome),
    }


def finding(found: Opinion) -> Finding:
    """The finding in one word, for faces to say before any figure."""
    if not found.ledger.lines:
        return "prior_only"
    if not found.ledger.moved:
        return "not_enough"
    if found.ledger.posterior.probability >= ALARM_PROBABILITY:
        return "likelier_than_not"
    return "up" if found.ledger.joint.central > 1 else "down"


def _line(line: Line) -> dict[str, Any]:
    piece = line.evidence
    return {
        "on": piece.on,
        "kind": piece.kind,
        "block": line.block,
        "fact": piece.fact,
        "source": piece.source,
        "ratio": _ratio(line.ratio),
        "ratio_from": line.origin,
        "why": line.why,
        "counted": line.counted,
        "probability_after": line.after,
    }


def _ratio(ratio: Ratio) -> dict[str, float]:
    return {"central": ratio.central, "low": ratio.low, "high": ratio.high}


def _stated(one: Stated) -> dict[str, Any]:
    return {"on": one.on, "probability": one.probability, "low": one.low, "high": one.high}
