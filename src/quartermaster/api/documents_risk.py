"""Shapes of the documents about loss: revenue at risk, and what one change would do to it.

See `documents`: a test converts a real document of each kind and refuses unknown fields.
"""

import msgspec

from quartermaster.exposure.report import InputFile
from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.exposure.rollup import Denominator


class EstimateShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure and its Monte Carlo error, in major units."""

    amount: float
    standard_error: float


class Quantile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Value at risk with its interval."""

    amount: float
    interval_95_percent: tuple[float, float]


class TailShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tail measures of a loss."""

    quantile: float
    scenarios: int
    expected_loss: EstimateShown
    value_at_risk: Quantile
    expected_shortfall: EstimateShown
    mean_loss_from_value_at_risk: float


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every share of a loss hangs on."""

    hazard_per_year_top: float
    hazard_per_year_rest: float
    equal_hazard_per_year: float
    horizon_months: int
    quantile: float


class Chances(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a departure within the horizon."""

    top: float
    rest: float


class AtEqualHazard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same loss if everybody left at one rate."""

    hazard_per_year: float
    loss: TailShown


class RiskCustomer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's part of the loss, with what it hangs on."""

    group: str
    per_month: float
    revenue_share: float
    hazard_per_year: float
    expected_loss_share: float
    expected_shortfall_contribution: EstimateShown
    expected_shortfall_share: float
    expected_shortfall_share_at_equal_hazard: float
    expected_loss_share_at_equal_hazard: float
    equal_hazard_per_year: float
    horizon_months: int
    quantile: float


class Pooled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Customers in closed form."""

    customers: int
    expected_shortfall_share: float


class RiskMonth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A month ahead."""

    month: int
    planned: float
    quantiles: dict[str, float]


class ChecksShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Closed forms of a simpler world."""

    what: str
    expected_loss: float
    value_at_risk: float
    expected_shortfall: float
    asymptotic_quantile: float | None
    granularity_adjustment: float | None


class RevenueData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the revenue is that a simulation starts from."""

    title: str
    sample: bool
    filled: bool
    input: InputFile
    data_sha256: str
    denominator: Denominator


class RiskDocument(RevenueData, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What revenue is at risk, on whom it hangs, under which assumptions."""

    schema: str
    currency: str
    loss_against: str
    conditions: Conditions
    assumptions: Assumptions
    assumptions_left_at_default: tuple[str, ...]
    chance_to_announce_departure_within_horizon: Chances
    engine: str
    seed: int
    plan_over_horizon: float
    loss: TailShown
    at_equal_hazard: AtEqualHazard
    customers: tuple[RiskCustomer, ...]
    pooled: Pooled
    months: tuple[RiskMonth, ...]
    checks: ChecksShown


class EffectShown(Conditions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One world, and how it differs from the book as it stands."""

    name: str
    words: str
    cost: float | None
    expected_loss: EstimateShown
    expected_shortfall: EstimateShown
    value_at_risk: float
    expected_loss_difference: EstimateShown
    expected_shortfall_difference: EstimateShown
    expected_shortfall_cut_per_cost: float | None
    largest_customer_shortfall_share: float
    largest_customer_shortfall_share_at_equal_hazard: float


class WhatIfDocument(RevenueData, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one change would do, in the same scenarios as without it."""

    schema: str
    currency: str
    loss_against: str
    conditions: Conditions
    assumptions: Assumptions
    assumptions_left_at_default: tuple[str, ...]
    largest_customer: str
    engine: str
    customers_pooled: int
    seed: int
    scenarios: int
    plan_over_horizon: float
    base: EffectShown
    changes: tuple[EffectShown, ...]
