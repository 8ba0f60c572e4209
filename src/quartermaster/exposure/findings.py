"""What a check of claims can say, and how claims are matched; no claim is known by its id here."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import combinations
from typing import Literal

import msgspec

from quartermaster.exposure.claims import Claim, parse_unit, stated
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.scenario import Scenario
from quartermaster.stats.interval import Interval

COMPARABLE_MONTHS_MAX = MONTHS_A_YEAR
"""A payment and a total belong together when at most a year lies between their months: a run-rate
speaks of a year, and an annual figure of the year it ended."""

Kind = Literal[
    "share_recomputed",
    "same_money_two_denominators",
    "share_by_denominator",
    "same_figure_disagrees",
    "comparison_refused",
    "guidance_scored",
    "guidance_not_scorable",
    "asserted_comparison",
    "time_disagrees",
    "not_checked",
]
Verdict = Literal["agrees", "contradicts", "refused", "scored", "note"]
Reason = Literal[
    "measure", "currency", "period", "denominator", "subject", "basis", "metric", "metric_version"
]


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """A derived or stated figure: a point, what its hedges allow, and what it is of.

    `unit` is `%` (values are fractions of one) or such as `USD/year`. `of` is a scope's id.
    """

    role: str
    point: Fraction
    low: Fraction
    high: Fraction
    unit: str
    of: str = ""
    claim: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One result of a check; faces put it into words."""

    kind: Kind
    verdict: Verdict
    claims: tuple[str, ...]
    quantities: tuple[Quantity, ...] = ()
    reasons: tuple[Reason, ...] = ()
    detail: str = ""
    """What the words need beside figures: a place in a range, a day, an id."""

    def quantity(self, role: str) -> Quantity:
        """The first figure in that role."""
        return next(quantity for quantity in self.quantities if quantity.role == role)


def quantity(
    role: str, meant: Interval, point: Fraction, unit: str, *, of: str = "", claim: str = ""
) -> Quantity:
    """A figure from its interval."""
    return Quantity(
        role=role, point=point, low=meant.low, high=meant.high, unit=unit, of=of, claim=claim
    )


def payments(scenario: Scenario) -> list[Claim]:
    """Revenue from a named payer, each figure once."""
    return _distinct(scenario, (c for c in _measured(scenario, "revenue") if c.subject))


def totals(scenario: Scenario, scope: str) -> list[Claim]:
    """Revenue of a scope from everybody, each figure once."""
    everybody = (c for c in _measured(scenario, "revenue") if not c.subject)
    return _distinct(scenario, (claim for claim in everybody if claim.scope == scope))


def shares(scenario: Scenario) -> list[Claim]:
    """Stated shares, each figure once."""
    return _distinct(scenario, _measured(scenario, "share"))


def pairs(claims: Iterable[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Every two of them, in file order."""
    return combinations(claims, 2)


def comparable_in_time(left: Claim, right: Claim) -> bool:
    """Whether the figures speak of months at most a year apart."""
    return left.span.gap(right.span) <= COMPARABLE_MONTHS_MAX


def comparable_figure(scenario: Scenario, claim: Claim) -> tuple[Interval, Fraction, str]:
    """Range, middle and unit: money as money a year, everything else as it is."""
    unit = parse_unit(claim.unit)
    if unit.currency:
        return scenario.annual(claim), scenario.annual_stated(claim), f"{unit.currency}/year"
    return scenario.meant(claim), stated(claim).middle, claim.unit


def money_reasons(*claims: Claim) -> tuple[Reason, ...]:
    """Why amounts cannot be set against each other: another currency or another basis."""
    reasons: list[Reason] = []
    if len({currency for claim in claims if (currency := parse_unit(claim.unit).currency)}) > 1:
        reasons.append("currency")
    if len({claim.basis for claim in claims if claim.basis}) > 1:
        reasons.append("basis")
    return tuple(reasons)


def same_figure(scenario: Scenario, claim: Claim) -> tuple[object, ...]:
    """Two claims with the same key say the same thing, whoever says it."""
    money = bool(claim.unit) and parse_unit(claim.unit).currency
    meant = scenario.annual(claim) if money and claim.period else scenario.meant(claim)
    return (*same_thing(claim), meant)


def same_thing(claim: Claim) -> tuple[object, ...]:
    """Two claims with the same key speak of the same thing, perhaps with different figures."""
    currency = parse_unit(claim.unit).currency
    where = (claim.scope, claim.denominator, claim.metric, claim.metric_version)
    when = (claim.period, claim.as_of if claim.role == "guidance" else "")
    return (
        claim.measure,
        claim.subject,
        *where,
        *when,
        claim.basis,
        claim.role,
        currency,
    )


def _measured(scenario: Scenario, measure: str) -> Iterator[Claim]:
    return (claim for claim in scenario.claims if claim.measure == measure)


def _distinct(scenario: Scenario, claims: Iterable[Claim]) -> list[Claim]:
    found: dict[tuple[object, ...], Claim] = {}
    for claim in claims:
        found.setdefault(same_figure(scenario, claim), claim)
    return list(found.values())
