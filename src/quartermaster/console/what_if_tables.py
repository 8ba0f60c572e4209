"""The what-if page's tables as JSON and CSV: full precision, and on every row what it hangs on."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from quartermaster.console.ports_what_if import WhatIfFacts, WorldFacts
from quartermaster.console.tables import Cell, Rows, iso
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.money import Money

Table = Literal["worlds", "distribution", "bridge"]
TABLES: tuple[Table, ...] = get_args(Table)
SCHEMA = "what-if/1"

_CONDITIONS = (
    *("currency", "asked_customer", "hazard_per_year", "others_hazard_per_year"),
    *("equal_hazard_per_year", "horizon_months", "quantile", "scenarios", "seed", "engine"),
    "sample",
)
COLUMNS: dict[Table, tuple[str, ...]] = {
    "worlds": (
        *("role", "change", "customer", "expected_loss", "expected_loss_error", "value_at_risk"),
        *("expected_shortfall", "expected_shortfall_error"),
        *("expected_loss_difference", "expected_loss_difference_error"),
        *("expected_shortfall_difference", "expected_shortfall_difference_error"),
        *("largest_customer", "largest_shortfall_share"),
        *("largest_shortfall_share_at_equal_hazard", "cost", "shortfall_cut_per_cost"),
        *_CONDITIONS,
    ),
    "distribution": ("level", "loss_as_it_stands", "loss_with_change", *_CONDITIONS),
    "bridge": ("step", "amount", *_CONDITIONS),
}


def rows_of(facts: WhatIfFacts | None) -> dict[Table, Rows]:
    """Every table; empty ones where there is nothing to show."""
    if facts is None:
        return {name: [] for name in TABLES}
    return {
        "worlds": _worlds(facts),
        "distribution": _distribution(facts),
        "bridge": _bridge(facts),
    }


def as_json(facts: WhatIfFacts | None, tables: Mapping[Table, Rows], now: Instant) -> bytes:
    """All tables in one object, with the question and the data; decimals are strings."""
    body: dict[str, object] = {"schema": SCHEMA, "at": iso(now)}
    if facts is not None:
        body |= {
            "sample": facts.sample,
            "data_sha256": facts.data_sha256,
            "denominator": facts.denominator.en,
            "first": facts.first,
            "last": facts.last,
            "still_open": facts.still_open,
            "asked": msgspec.to_builtins(facts.asked, builtin_types=(Decimal,)),
            "missing": facts.missing,
            "plan": _major(facts.plan_minor, facts),
            "customers_pooled": facts.pooled,
            "loss_against": "what each scenario of the book as it stands brings if nobody leaves",
        }
        if facts.stranded is not None:
            body["stranded"] = {
                "cost": _major(facts.stranded.minor, facts),
                "cost_a_month": _major(facts.stranded.month_minor, facts),
                "gpu_hours_a_month": facts.stranded.gpu_hours,
                "months": facts.stranded.months,
                "fleet": facts.stranded.fleet,
            }
    body.update({str(name): rows for name, rows in tables.items()})
    return msgspec.json.encode(body)


def _major(minor: int | None, facts: WhatIfFacts) -> Cell:
    return "" if minor is None else Money(minor, facts.currency).decimal


def _conditions(facts: WhatIfFacts) -> dict[str, Cell]:
    question = facts.asked.question
    return {
        "currency": facts.currency,
        "asked_customer": question.customer,
        "hazard_per_year": facts.asked.hazard,
        "others_hazard_per_year": facts.asked.others,
        "equal_hazard_per_year": facts.equal_hazard,
        "horizon_months": question.horizon_months,
        "quantile": question.quantile,
        "scenarios": facts.scenarios,
        "seed": facts.seed,
        "engine": facts.engine,
        "sample": facts.sample,
    }


def _worlds(facts: WhatIfFacts) -> Rows:
    if facts.base is None or facts.change is None:
        return []
    found = [("as it stands", facts.base), ("asked", facts.change)]
    found += [("lever", one) for one in facts.tornado]
    return [_world(role, one, facts) for role, one in found]


def _world(role: str, one: WorldFacts, facts: WhatIfFacts) -> dict[str, Cell]:
    figures = ", ".join(f"{name} {value:f}" for name, value in one.figures.items())
    return {
        "role": role,
        "change": f"{one.key}: {figures}" if figures else one.key,
        "customer": one.who,
        "expected_loss": _major(one.expected_minor, facts),
        "expected_loss_error": _major(one.expected_error_minor, facts),
        "value_at_risk": _major(one.value_at_risk_minor, facts),
        "expected_shortfall": _major(one.shortfall_minor, facts),
        "expected_shortfall_error": _major(one.shortfall_error_minor, facts),
        "expected_loss_difference": _major(one.expected_moved_minor, facts),
        "expected_loss_difference_error": _major(one.expected_moved_error_minor, facts),
        "expected_shortfall_difference": _major(one.shortfall_moved_minor, facts),
        "expected_shortfall_difference_error": _major(one.shortfall_moved_error_minor, facts),
        "largest_customer": facts.top_name,
        "largest_shortfall_share": one.top_share,
        "largest_shortfall_share_at_equal_hazard": one.top_share_at_equal_hazard,
        "cost": _major(one.cost_minor, facts),
        "shortfall_cut_per_cost": "" if one.cut_per_cost is None else one.cut_per_cost,
        **_conditions(facts),
    }


def _distribution(facts: WhatIfFacts) -> Rows:
    if facts.base is None or facts.change is None:
        return []
    return [
        {
            "level": Decimal(f"{level:.6g}"),
            "loss_as_it_stands": _major(before, facts),
            "loss_with_change": _major(after, facts),
            **_conditions(facts),
        }
        for level, before, after in zip(
            facts.levels, facts.base.losses, facts.change.losses, strict=True
        )
    ]


def _bridge(facts: WhatIfFacts) -> Rows:
    steps = facts.bridge
    if steps is None:
        return []
    amounts = [
        ("before", steps.before_minor),
        ("customer", -steps.customer_minor),
        ("before_leaving", steps.before_leaving_minor),
        ("kept", steps.kept_minor),
        ("commitment", steps.commitment_minor),
        ("backfill", steps.backfill_minor),
        ("after", steps.after_minor),
    ]
    if facts.stranded is not None:
        amounts.append(("stranded", -facts.stranded.minor))
    return [
        {"step": name, "amount": _major(minor, facts), **_conditions(facts)}
        for name, minor in amounts
    ]
