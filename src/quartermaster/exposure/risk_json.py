"""Risk as plain values: the stable form. No share without hazards, horizon and quantile."""

from typing import Any

import msgspec

from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.exposure.risk_levers import Effect, WhatIf
from quartermaster.exposure.risk_measure import FAN_QUANTILES, Part, Risk
from quartermaster.stats.tail import Estimate, Tail

SCHEMA = "quartermaster.risk/1"
WHAT_IF_SCHEMA = "quartermaster.what-if/1"
"""Changes with the meaning of any field; new fields alone do not change it."""

AGAINST_WORDS = {
    "path": "what the same scenario would have brought had nobody left",
    "plan": "the expected value of a book that nobody leaves",
}


def conditions(risk: Risk) -> dict[str, Any]:
    """What every share of the loss hangs on; printed beside each of them."""
    assumed = risk.assumptions
    return {
        "hazard_per_year_top": risk.top.hazard_per_year,
        "hazard_per_year_rest": assumed.hazard_per_year.rest,
        "equal_hazard_per_year": risk.equal_hazard_per_year,
        "horizon_months": assumed.horizon_months,
        "quantile": assumed.quantile,
    }


def left_at_default(assumptions: Assumptions) -> list[str]:
    """Dotted names of the assumptions that are as the product ships them: nobody chose them."""
    default = msgspec.to_builtins(Assumptions())
    return sorted(_same(msgspec.to_builtins(assumptions), default, ""))


def _same(value: dict[str, Any], default: dict[str, Any], before: str) -> list[str]:
    found = []
    for name, usual in default.items():
        if isinstance(usual, dict) and usual:
            found += _same(value[name], usual, f"{before}{name}.")
        elif value[name] == usual:
            found.append(f"{before}{name}")
    return found


def tail_json(tail: Tail, scale: float) -> dict[str, Any]:
    """Tail measures in major units."""
    return {
        "quantile": tail.quantile,
        "scenarios": tail.scenarios,
        "expected_loss": estimate_json(tail.expected, scale),
        "value_at_risk": {
            "amount": tail.value_at_risk * scale,
            "interval_95_percent": [end * scale for end in tail.interval],
        },
        "expected_shortfall": estimate_json(tail.expected_shortfall, scale),
        "mean_loss_from_value_at_risk": tail.mean_from_quantile * scale,
    }


def estimate_json(estimate: Estimate, scale: float = 1.0) -> dict[str, float]:
    """A figure and its Monte Carlo error in major units."""
    return {"amount": estimate.value * scale, "standard_error": estimate.standard_error * scale}


def risk_json(risk: Risk, currency: str) -> dict[str, Any]:
    """Everything of a risk figure; the caller adds what the data are."""
    checks = msgspec.to_builtins(risk.checks)
    shares = conditions(risk)
    return {
        "schema": SCHEMA,
        "currency": currency,
        "loss_against": AGAINST_WORDS[risk.against],
        "conditions": shares,
        "assumptions": msgspec.to_builtins(risk.assumptions),
        "assumptions_left_at_default": left_at_default(risk.assumptions),
        "chance_to_announce_departure_within_horizon": {
            "top": risk.assumptions.chance[0],
            "rest": risk.assumptions.chance[1],
        },
        "engine": risk.engine,
        "seed": risk.seed,
        "plan_over_horizon": risk.plan,
        "loss": tail_json(risk.tail, risk.scale),
        "at_equal_hazard": {
            "hazard_per_year": risk.equal_hazard_per_year,
            "loss": tail_json(risk.equal_tail, risk.scale),
        },
        "customers": [_part(part, shares) for part in risk.parts],
        "pooled": {"customers": risk.pooled, "expected_shortfall_share": risk.pooled_share},
        "months": [
            {
                "month": one.month,
                "planned": one.planned,
                "quantiles": {
                    str(level): value
                    for level, value in zip(FAN_QUANTILES, one.quantiles, strict=True)
                },
            }
            for one in risk.months
        ],
        "checks": {
            "what": "closed forms of a simpler world: each customer leaves once at its mean loss",
            **{
                name: None if value is None else value * risk.scale
                for name, value in checks.items()
            },
        },
    }


def _part(part: Part, shares: dict[str, Any]) -> dict[str, Any]:
    return {
        "group": part.name,
        "per_month": part.per_month,
        "revenue_share": part.revenue_share,
        "hazard_per_year": part.hazard_per_year,
        "expected_loss_share": part.expected_loss_share,
        "expected_shortfall_contribution": estimate_json(part.shortfall),
        "expected_shortfall_share": part.shortfall_share,
        "expected_shortfall_share_at_equal_hazard": part.shortfall_share_at_equal_hazard,
        "expected_loss_share_at_equal_hazard": part.expected_loss_share_at_equal_hazard,
        "equal_hazard_per_year": shares["equal_hazard_per_year"],
        "horizon_months": shares["horizon_months"],
        "quantile": shares["quantile"],
    }


def what_if_json(found: WhatIf, currency: str) -> dict[str, Any]:
    """Every world of a what-if, each share with what it hangs on."""
    shares = {
        "hazard_per_year_top": found.top_hazard_per_year,
        "hazard_per_year_rest": found.assumptions.hazard_per_year.rest,
        "equal_hazard_per_year": found.equal_hazard_per_year,
        "horizon_months": found.assumptions.horizon_months,
        "quantile": found.assumptions.quantile,
    }
    return {
        "schema": WHAT_IF_SCHEMA,
        "currency": currency,
        "loss_against": "what each scenario of the book as it stands would bring if nobody left",
        "conditions": shares,
        "assumptions": msgspec.to_builtins(found.assumptions),
        "assumptions_left_at_default": left_at_default(found.assumptions),
        "largest_customer": found.top,
        "engine": found.engine,
        "customers_pooled": found.pooled,
        "seed": found.seed,
        "scenarios": found.scenarios,
        "plan_over_horizon": found.plan,
        "base": _effect(found.base, shares, found.top),
        "changes": [_effect(effect, shares, found.top) for effect in found.effects],
    }


def _effect(effect: Effect, shares: dict[str, Any], top: str) -> dict[str, Any]:
    terms = effect.change.terms
    if terms is not None and terms.group == top and terms.hazard_per_year is not None:
        # A share hangs on the hazard of its own world.
        shares = {**shares, "hazard_per_year_top": terms.hazard_per_year}
    return {
        "name": effect.change.name,
        "words": effect.change.words,
        "cost": effect.change.cost,
        "expected_loss": estimate_json(effect.expected_loss),
        "expected_shortfall": estimate_json(effect.expected_shortfall),
        "value_at_risk": effect.value_at_risk,
        "expected_loss_difference": estimate_json(effect.expected_loss_difference),
        "expected_shortfall_difference": estimate_json(effect.shortfall_difference),
        "expected_shortfall_cut_per_cost": effect.shortfall_cut_per_cost,
        "largest_customer_shortfall_share": effect.top_shortfall_share,
        "largest_customer_shortfall_share_at_equal_hazard": (
            effect.top_shortfall_share_at_equal_hazard
        ),
        **shares,
    }
