"""Do a payment, a total and a share say the same? Every stated share is recomputed.

payment x 12 / total = share        share x total / 12 = payment
"""

from collections.abc import Iterator
from fractions import Fraction

import msgspec

from quartermaster.exposure.claims import Claim, parse_unit, stated
from quartermaster.exposure.findings import (
    Finding,
    Verdict,
    comparable_figure,
    comparable_in_time,
    money_reasons,
    pairs,
    quantity,
    same_thing,
    shares,
    totals,
)
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.paid import Paid, added_up, candidates
from quartermaster.exposure.scenario import Scenario
from quartermaster.stats.interval import Interval


def recomputed_shares(scenario: Scenario) -> Iterator[Finding]:
    """One finding for each share, reading of its denominator, total and sum of payments that fit.

    A wording with several readings contradicts only if every reading does; where one agrees, the
    others are notes.
    """
    for share in shares(scenario):
        readings = scenario.readings(share.denominator)
        found = [
            finding
            for scope in readings
            for total in totals(scenario, scope)
            for finding in _against_total(scenario, share, total)
        ]
        one_holds = len(readings) > 1 and any(finding.verdict == "agrees" for finding in found)
        for finding in found:
            excluded = one_holds and finding.verdict == "contradicts"
            yield msgspec.structs.replace(finding, verdict="note") if excluded else finding


def _against_total(scenario: Scenario, share: Claim, total: Claim) -> Iterator[Finding]:
    if not comparable_in_time(share, total):
        return
    usable = []
    for payment in candidates(scenario, share, total.scope):
        reasons = money_reasons(payment, total)
        if not reasons:
            usable.append(payment)
            continue
        ids = (payment.id, share.id, total.id)
        yield Finding(kind="comparison_refused", verdict="refused", claims=ids, reasons=reasons)
    for paid in added_up(scenario, share, usable):
        yield _recomputed(scenario, share, paid, total)


def same_figures(scenario: Scenario) -> Iterator[Finding]:
    """Claims about the same thing whose figures cannot both be right, whatever their hedges."""
    figures = [claim for claim in scenario.claims if claim.has_figure and claim.measure != "amount"]
    for left, right in pairs(figures):
        if same_thing(left) != same_thing(right):
            continue
        sides = [comparable_figure(scenario, claim) for claim in (left, right)]
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


def _recomputed(scenario: Scenario, share: Claim, paid: Paid, total: Claim) -> Finding:
    said, money, whole = scenario.meant(share), paid.annual(scenario), scenario.annual(total)
    money_stated, whole_stated = paid.annual_stated(scenario), scenario.annual_stated(total)
    computed, point = money.over(whole), money_stated / whole_stated
    currency = parse_unit(total.unit).currency
    implied = said.times(whole).scaled(Fraction(1, MONTHS_A_YEAR))
    implied_point = stated(share).middle * whole_stated / MONTHS_A_YEAR
    verdict, detail = _verdict(said, computed, point, at_least=paid.at_least)
    return Finding(
        kind="share_recomputed",
        verdict=verdict,
        claims=(*(claim.id for claim in paid.claims), share.id, total.id),
        quantities=(
            quantity("payment", money, money_stated, f"{currency}/year"),
            quantity("total", whole, whole_stated, f"{currency}/year"),
            quantity("computed", computed, point, "%", of=total.scope),
            quantity("stated", said, stated(share).middle, "%", of=share.denominator),
            quantity("implied_payment", implied, implied_point, f"{currency}/month"),
        ),
        detail=detail,
    )


def _verdict(
    said: Interval, computed: Interval, point: Fraction, *, at_least: bool
) -> tuple[Verdict, str]:
    """Payments of only some entities of a group are a lower bound: too little refutes nothing."""
    if computed.meets(said):
        return "agrees", "" if said.holds(point) else "ranges_only"
    if at_least and computed.high < said.low:
        return "note", "at_least"
    return "contradicts", ""
