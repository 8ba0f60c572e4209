"""What the API simulates: revenue at risk, and what one change would do to it. Bounded work."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from quartermaster.api import asked as questions
from quartermaster.api.ports import Source
from quartermaster.app.api_sources import Found, revenue_of
from quartermaster.app.owed import bound
from quartermaster.exposure.risk_asked import RiskAsked, assumed, data_json, fraction, need_engine
from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.kernel.errors import UsageError

if TYPE_CHECKING:
    from quartermaster.exposure.risk_book import Payer
    from quartermaster.exposure.risk_levers import Change

STEPS_MAX = 2_000_000_000
"""Customer-months of scenarios simulated one by one in all worlds of an answer: one thread does
some 250 million a second, so the longest answer takes ten seconds or so."""
THREADS = 1
"""The gateways have the other processors."""

Json = dict[str, Any]


def risk(source: Source, asked: questions.RiskAsked, var: Path) -> Json:
    """What revenue is at risk."""
    need_engine()
    from quartermaster.exposure.risk_book import payers_of
    from quartermaster.exposure.risk_json import risk_json
    from quartermaster.exposure.risk_measure import measure_risk
    from quartermaster.exposure.simulate import Run

    found = revenue_of(source, asked, var)
    payers, assumptions = payers_of(found.exposure), _assumptions(asked, found)
    # The book as assumed, and at equal hazards.
    _bounded(payers, assumptions, asked.scenarios, worlds=2, pooled=asked.engine == "reduced")
    run = Run(scenarios=asked.scenarios, seed=asked.seed, threads=THREADS)
    measured = measure_risk(payers, assumptions, run, engine=asked.engine, against=asked.against)
    currency = found.exposure.denominator.currency
    return {
        **risk_json(measured, currency),
        **data_json(found.title, found.source, found.exposure),
    }


def what_if(
    source: Source, lever: questions.Lever, asked: questions.WhatIfAsked, var: Path
) -> Json:
    """What one change would do to it."""
    need_engine()
    from quartermaster.exposure.risk_book import payers_of
    from quartermaster.exposure.risk_json import what_if_json
    from quartermaster.exposure.risk_levers import what_if as simulated
    from quartermaster.exposure.simulate import Run

    found = revenue_of(source, asked, var)
    payers, assumptions = payers_of(found.exposure), _assumptions(asked, found)
    who = _who(asked.group, payers)
    changes = _changes(lever, asked, who, payers, assumptions)
    # The book without departures once; each world as assumed and at equal hazards.
    worlds, pooled = 1 + 2 * (1 + len(changes)), asked.engine == "reduced"
    _bounded(payers, assumptions, asked.scenarios, worlds=worlds, pooled=pooled)
    run = Run(scenarios=asked.scenarios, seed=asked.seed, threads=THREADS)
    effects = simulated(payers, assumptions, run, changes, engine=asked.engine)
    currency = found.exposure.denominator.currency
    return {
        **what_if_json(effects, currency),
        **data_json(found.title, found.source, found.exposure),
    }


def _assumptions(asked: questions.LossAsked, found: Found) -> Assumptions:
    stated = RiskAsked(
        hazard=asked.hazard,
        horizon=asked.horizon,
        quantile=asked.quantile,
        ramp=asked.ramp,
        notice=asked.notice,
        frailty=asked.frailty,
        commitment=asked.commitment,
    )
    groups = [group.group for group in found.exposure.groups]
    return bound(assumed(stated, Assumptions(), groups), found.terms)


def _bounded(
    payers: "Sequence[Payer]",
    assumptions: Assumptions,
    scenarios: int,
    *,
    worlds: int,
    pooled: bool,
) -> None:
    """Refuse what would keep others waiting for long.

    Raises:
        UsageError: more steps than `STEPS_MAX`.
    """
    steps = 0 if pooled else len(payers) * assumptions.horizon_months * scenarios * worlds
    if steps > STEPS_MAX:
        raise UsageError(
            f"{len(payers)} customers in {scenarios} scenarios are too many for an answer",
            hint=f"ask {scenarios * STEPS_MAX // steps} scenarios, or use the command line",
            field="scenarios",
        )


def _who(group: str, payers: "Sequence[Payer]") -> str:
    names = [payer.name for payer in payers]
    if group and group not in names:
        raise UsageError(
            f"there is no customer {group!r} here",
            hint=f"the largest are {', '.join(names[:3])}",
            field="group",
        )
    return group or names[0]


def _changes(
    lever: questions.Lever,
    asked: questions.WhatIfAsked,
    who: str,
    payers: "Sequence[Payer]",
    assumptions: Assumptions,
) -> "list[Change]":
    from quartermaster.exposure import risk_changes as changes

    if lever == "leave":
        return [changes.leaving(who, asked.month, suspended=asked.suspend)]
    if lever == "cut":
        return [changes.cutting(who, _stated(asked.by, "by"), asked.month)]
    if lever == "price":
        change, whose = _stated(asked.change, "change"), "" if asked.everybody else who
        return [changes.priced(whose, change, asked.month, asked.elasticity)]
    if lever == "commit":
        share, discount = _stated(asked.share, "share"), fraction(asked.discount, "discount")
        horizon = assumptions.horizon_months
        return [changes.committing(payers, horizon, who, share, asked.until, discount)]
    if lever == "diversify":
        return [changes.diversified(payers, who, _stated(asked.share, "share"))]
    usual = changes.usual(payers, assumptions, who)
    costs = dict(_cost(text, {change.name for change in usual}) for text in asked.cost)
    return [
        msgspec.structs.replace(change, cost=costs.get(change.name, change.cost))
        for change in usual
    ]


def _stated(text: str | None, field: str) -> float:
    if text is None:
        raise UsageError(f"{field} is missing", hint="such as 50% or 0.5", field=field)
    return fraction(text, field)


def _cost(text: str, names: set[str]) -> tuple[str, float]:
    name, _, amount = text.rpartition("=")
    if name not in names:
        raise UsageError(
            f"cost {text!r} names no lever",
            hint=f"levers: {', '.join(sorted(names))}",
            field="cost",
        )
    value = fraction(amount, "cost")
    if not 0 < value < float("inf"):
        raise UsageError(f"cost {text!r} is not above zero", field="cost")
    return name, value
