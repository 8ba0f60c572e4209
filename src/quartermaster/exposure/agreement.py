"""Do a payment, a total and a share say the same? Every stated share is recomputed.

payment x 12 / total = share        share x total / 12 = payment
"""

from collections.abc import Iterator
from fractions import Fraction

import msgspec

from quartermaster.exposure.claims import Claim, parse_unit, stated
from quartermaster.exposure.findings import (
    Finding,
    comparable_in_time,
    money_reasons,
    pairs,
    payments,
    quantity,
    same_subject,
    same_thing,
    shares,
    totals,
)
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.scenario import Scenario
from quartermaster.stats.interval import Interval


def recomputed_shares(scenario: Scenario) -> Iterator[Finding]:
    """One finding for each share, reading of its denominator, payment and total that fit.

    A wording with several readings contradicts only if every reading does; where one agrees, the
    others are notes.
    """
    for share in shares(scenario):
        found = [
            finding
            for scope in scenario.readings(share.denominator)
            for payment in payments(scenario)
            if same_subject(scenario, share, payment)
            and scope in scenario.around(payment.scope)
            and comparable_in_time(share, payment)
            for total in totals(scenario, scope)
            if comparable_in_time(payment, total)
            for finding in [_recomputed(scenario, share, payment, total)]
        ]
        one_holds = any(finding.verdict == "agrees" for finding in found)
        for finding in found:
            excluded = one_holds and finding.verdict == "contradicts"
            ambiguous = len(scenario.readings(share.denominator)) > 1
            yield _as_note(finding) if excluded and ambiguous else finding


def same_figures(scenario: Scenario) -> Iterator[Finding]:
    """Claims about the same thing whose figures cannot both be right, whatever their hedges."""
    figures = [claim for claim in scenario.claims if claim.has_figure and claim.measure != "amount"]
    for left, right in pairs(figures):
        if same_thing(scenario, left) != same_thing(scenario, right):
            continue
        sides = [_comparable(scenario, claim) for claim in (left, right)]
        if not sides[0][0].meets(sides[1][0]):
            yield Finding(
                kind="same_figure_disagrees",
                verdict="contradicts",
                claims=(left.id, right.id),
                quantities=tuple(
                    quantity("stated", meant, point, unit, claim=claim.id)
                    for claim, (meant, point, unit) in zip((left, right), sides, strict=True)
                ),
            )


def _comparable(scenario: Scenario, claim: Claim) -> tuple[Interval, Fraction, str]:
    """Range, middle and unit: money as money a year, everything else as it is."""
    unit = parse_unit(claim.unit)
    if unit.currency:
        return scenario.annual(claim), scenario.annual_stated(claim), f"{unit.currency}/year"
    return scenario.meant(claim), stated(claim).middle, claim.unit


def _recomputed(scenario: Scenario, share: Claim, payment: Claim, total: Claim) -> Finding:
    ids = (payment.id, share.id, total.id)
    reasons = money_reasons(payment, total)
    if reasons:
        return Finding(kind="comparison_refused", verdict="refused", claims=ids, reasons=reasons)
    said, paid, whole = (
        scenario.meant(share),
        scenario.annual(payment),
        scenario.annual(total),
    )
    point = scenario.annual_stated(payment) / scenario.annual_stated(total)
    computed = paid.over(whole)
    currency = parse_unit(total.unit).currency
    implied = said.times(whole).scaled(Fraction(1, MONTHS_A_YEAR))
    implied_point = stated(share).middle * scenario.annual_stated(total) / MONTHS_A_YEAR
    agrees = computed.meets(said)
    return Finding(
        kind="share_recomputed",
        verdict="agrees" if agrees else "contradicts",
        claims=ids,
        quantities=(
            quantity("payment", paid, scenario.annual_stated(payment), f"{currency}/year"),
            quantity("total", whole, scenario.annual_stated(total), f"{currency}/year"),
            quantity("computed", computed, point, "%", of=total.scope),
            quantity("stated", said, stated(share).middle, "%", of=share.denominator),
            quantity("implied_payment", implied, implied_point, f"{currency}/month"),
        ),
        detail="ranges_only" if agrees and not said.holds(point) else "",
    )


def _as_note(finding: Finding) -> Finding:
    return msgspec.structs.replace(finding, verdict="note")
