"""Tables of the warning and reliability pages as JSON and CSV: full precision, and their basis."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from quartermaster.console.ports_warning import (
    AtStake,
    ReliabilityFacts,
    Scored,
    WarningFacts,
    WarningLook,
)
from quartermaster.console.report_words import statistic
from quartermaster.console.tables import Cell, Rows, iso
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.money import Money

CustomerTable = Literal["ledger", "days", "changes", "alarms", "notices"]
ReliabilityTable = Literal["scores", "bins", "statements"]
SCHEMA, CUSTOMER_SCHEMA, RELIABILITY_SCHEMA = "warning/1", "warning-customer/1", "reliability/1"
"""Change with the meaning of any field."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "customers": (
        *("rank", "customer", "name", "on", "alarm_since", "detectors", "probability"),
        *("low", "high", "prior", "joint_ratio", "if_independent", "quarter_by_usage"),
        *("evidence", "revenue", "expected_loss", "expected_loss_low", "expected_loss_high"),
        *("currency", "denominator", "first", "last", "tokens_a_day", "sample"),
    ),
    "ledger": (
        *("customer", "step", "on", "kind", "block", "source", "fact", "ratio", "ratio_low"),
        *("ratio_high", "ratio_from", "counted", "before", "alone", "after", "low", "high"),
        "sample",
    ),
    "days": ("customer", "day", "tokens", "detector", "score", "threshold", "sample"),
    "changes": ("customer", "on", "ratio", "sample"),
    "alarms": ("customer", "detector", "since", "score", "threshold", "sample"),
    "notices": ("customer", "contract", "state", "notice_days", "notice_by", "ends_on", "sample"),
    "scores": (
        *("event", "set", "statements", "came", "customers", "days", "base_rate", "brier"),
        *("log_score", "brier_base_rate", "brier_if_calibrated", "brier_if_calibrated_sd"),
        *(
            "calibration_error",
            "stated_mean",
            "came_low",
            "came_high",
            "stated",
            "open",
            "next_due",
            "enough",
            "sample",
        ),
    ),
    "bins": ("event", "stated", "came", "low", "high", "statements", "sample"),
    "statements": (
        *("event", "on", "customer", "name", "probability", "low", "high", "due", "came"),
        "sample",
    ),
}
CUSTOMER_TABLES: tuple[CustomerTable, ...] = get_args(CustomerTable)
RELIABILITY_TABLES: tuple[ReliabilityTable, ...] = get_args(ReliabilityTable)


def customer_rows(facts: WarningFacts) -> Rows:
    """Every customer of the look, as ranked on the page."""
    return [_customer(rank, one, facts) for rank, one in enumerate(facts.customers, start=1)]


def one_customer(one: AtStake, look: WarningLook, *, sample: bool) -> dict[str, Rows]:
    """Every table of one customer's page."""
    said, line = one.look, one.look.timeline
    mine: dict[str, Cell] = {"customer": said.customer}
    end: dict[str, Cell] = {"sample": sample}
    days: Rows = []
    for at, tokens in enumerate(line.usage):
        on = (line.first_day + timedelta(days=at)).isoformat()
        cells = [
            (name, _number(scores[at]), _number(line.thresholds.get(name)))
            for name, scores in line.scores.items()
        ]
        days += [
            mine
            | {
                "day": on,
                "tokens": _number(tokens),
                "detector": name,
                "score": score,
                "threshold": threshold,
            }
            | end
            for name, score, threshold in cells or [("", "", "")]
        ]
    return {
        "ledger": _ledger(one, look, sample=sample),
        "days": days,
        "changes": [
            mine | {"on": change.on.isoformat(), "ratio": _number(change.ratio)} | end
            for change in line.changes
        ],
        "alarms": [
            mine
            | {
                "detector": alarm.detector,
                "since": alarm.since.isoformat(),
                "score": _number(alarm.score),
                "threshold": _number(alarm.threshold),
            }
            | end
            for alarm in said.alarms
        ],
        "notices": [
            mine
            | {
                "contract": notice.contract,
                "state": notice.state,
                "notice_days": notice.notice_days,
                "notice_by": "" if notice.notice_by is None else notice.notice_by.isoformat(),
                "ends_on": "" if notice.ends_on is None else notice.ends_on.isoformat(),
            }
            | end
            for notice in said.notices
        ],
    }


def reliability_rows(facts: ReliabilityFacts) -> dict[str, Rows]:
    """Scores, bins and single statements of every event."""
    scores: Rows = []
    bins: Rows = []
    for record in facts.records:
        for name, scored in (("all", record.scored), ("apart", record.apart)):
            if scored is None:
                continue
            row: dict[str, Cell] = {"event": record.event, "set": name} | _scores(scored)
            row |= {
                "stated": record.stated,
                "open": record.open,
                "next_due": "" if record.next_due is None else record.next_due.isoformat(),
                "enough": record.enough,
                "sample": facts.sample,
            }
            scores.append(row)
        bins += [
            {
                "event": record.event,
                "stated": statistic(one.stated),
                "came": statistic(one.came),
                "low": statistic(one.low),
                "high": statistic(one.high),
                "statements": one.statements,
                "sample": facts.sample,
            }
            for one in (() if record.apart is None else record.apart.bins)
        ]
    statements: Rows = [
        {
            "event": one.event,
            "on": one.on.isoformat(),
            "customer": one.customer,
            "name": one.name,
            "probability": statistic(one.probability),
            "low": _number(one.low),
            "high": _number(one.high),
            "due": one.due.isoformat(),
            "came": "" if one.came is None else one.came,
            "sample": facts.sample,
        }
        for one in facts.statements
    ]
    return {"scores": scores, "bins": bins, "statements": statements}


def as_json(schema: str, tables: Mapping[str, Rows], now: Instant, **more: object) -> bytes:
    """All tables in one object with a schema version; decimals are strings, so none is rounded."""
    body: dict[str, object] = {"schema": schema, "at": iso(now)}
    return msgspec.json.encode(body | more | {str(name): rows for name, rows in tables.items()})


def about(facts: WarningFacts) -> dict[str, object]:
    """What every figure of a look hangs on."""
    look = facts.look
    if look is None:
        return {"sample": facts.sample, "missing": facts.missing}
    return {
        "sample": facts.sample,
        "on": look.on.isoformat(),
        "event": "halved_in_a_year",
        "learnt_rows": look.learnt_rows,
        "quarter_base_rate": _number(look.base_rate),
        "false_alarms_a_year": _number(look.false_alarms_a_year),
        "fades_found": _number(look.found),
        "fades_tried": _number(look.tried),
        "window_days": _number(look.window_days),
        "history_days": look.days,
        "revenue_still_open": facts.still_open,
    }


def _customer(rank: int, one: AtStake, facts: WarningFacts) -> dict[str, Cell]:
    said, stated = one.look, one.look.ledger.stated
    return {
        "rank": rank,
        "customer": said.customer,
        "name": said.name,
        "on": "" if facts.look is None else facts.look.on.isoformat(),
        "alarm_since": min((alarm.since.isoformat() for alarm in said.alarms), default=""),
        "detectors": " ".join(alarm.detector for alarm in said.alarms),
        "probability": statistic(stated.probability),
        "low": statistic(stated.low),
        "high": statistic(stated.high),
        "prior": statistic(said.ledger.prior.probability),
        "joint_ratio": statistic(said.ledger.joint),
        "if_independent": statistic(said.ledger.if_independent),
        "quarter_by_usage": _number(said.quarter),
        "evidence": " ".join(step.kind for step in said.ledger.steps),
        "revenue": _major(one.minor, facts),
        "expected_loss": _major(one.expected_minor, facts),
        "expected_loss_low": _major(one.expected_low_minor, facts),
        "expected_loss_high": _major(one.expected_high_minor, facts),
        "currency": facts.currency,
        "denominator": facts.denominator.en,
        "first": facts.first,
        "last": facts.last,
        "tokens_a_day": statistic(said.usage_a_day),
        "sample": facts.sample,
    }


def _ledger(one: AtStake, look: WarningLook, *, sample: bool) -> Rows:
    """Prior, every step and the statement; the two ends have an interval, the steps a ratio."""
    said = one.look
    rows: Rows = []
    ends = (("prior", said.ledger.prior), ("stated", said.ledger.stated))
    for at, (name, found) in enumerate(ends):
        row: dict[str, Cell] = dict.fromkeys(COLUMNS["ledger"], "")
        row |= {
            "customer": said.customer,
            "step": 0 if at == 0 else len(said.ledger.steps) + 1,
            "on": look.on.isoformat(),
            "kind": name,
            "source": said.ledger.prior_by if at == 0 else "",
            "after": statistic(found.probability),
            "low": statistic(found.low),
            "high": statistic(found.high),
            "sample": sample,
        }
        rows.append(row)
    steps: Rows = [
        {
            "customer": said.customer,
            "step": number,
            "on": step.on.isoformat(),
            "kind": step.kind,
            "block": step.block,
            "source": step.source,
            "fact": "" if step.fact is None else step.fact.en,
            "ratio": statistic(step.ratio),
            "ratio_low": statistic(step.low),
            "ratio_high": statistic(step.high),
            "ratio_from": step.origin,
            "counted": statistic(step.counted),
            "before": statistic(step.before),
            "alone": statistic(step.alone),
            "after": statistic(step.after),
            "low": "",
            "high": "",
            "sample": sample,
        }
        for number, step in enumerate(said.ledger.steps, start=1)
    ]
    return [rows[0], *steps, rows[1]]


def _scores(scored: Scored) -> dict[str, Cell]:
    return {
        "statements": scored.statements,
        "came": scored.came,
        "customers": scored.customers,
        "days": scored.days,
        "base_rate": statistic(scored.came / scored.statements),
        "brier": statistic(scored.brier),
        "log_score": statistic(scored.log_score),
        "brier_base_rate": statistic(scored.brier_base_rate),
        "brier_if_calibrated": statistic(scored.brier_if_calibrated),
        "brier_if_calibrated_sd": statistic(scored.brier_if_calibrated_sd),
        "calibration_error": statistic(scored.calibration_error),
        "stated_mean": statistic(scored.stated),
        "came_low": statistic(scored.low),
        "came_high": statistic(scored.high),
    }


def _number(value: float | None) -> Decimal | str:
    """A statistic; empty where there is none, or where it is endless."""
    if value is None or value in (float("inf"), float("-inf")):
        return ""
    return statistic(value)


def _major(minor: int | None, facts: WarningFacts) -> Decimal | str:
    return "" if minor is None else Money(minor, facts.currency).decimal
