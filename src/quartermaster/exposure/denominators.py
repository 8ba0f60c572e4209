"""Of what? The same money cannot be the same share of a part and of the whole."""

from collections.abc import Iterator
from fractions import Fraction

from quartermaster.exposure.claims import Claim, parse_unit, stated
from quartermaster.exposure.findings import (
    Finding,
    Quantity,
    comparable_in_time,
    money_reasons,
    pairs,
    payments,
    quantity,
    shares,
    totals,
)
from quartermaster.exposure.scenario import Scenario


def excluding_shares(scenario: Scenario) -> Iterator[Finding]:
    """Two stated shares of one customer, of different denominators, that imply different money.

    Each share times the revenue of its denominator is the customer's payment. Where no reading of
    the two wordings gives payments that meet, both cannot hold. A denominator without a known
    revenue implies nothing and is passed over.
    """
    for left, right in pairs(shares(scenario)):
        if (
            left.denominator == right.denominator
            or left.subject != right.subject
            or not comparable_in_time(left, right)
            or not scenario.meant(left).meets(scenario.meant(right))
        ):
            continue
        sides = [_implied(scenario, share) for share in (left, right)]
        if not all(sides) or _any_meet(*sides):
            continue
        yield Finding(
            kind="same_money_two_denominators",
            verdict="contradicts",
            claims=(left.id, right.id),
            quantities=(*sides[0], *sides[1]),
        )


def spread(scenario: Scenario) -> Iterator[Finding]:
    """Each payment as a share of every denominator that holds it and whose revenue is claimed."""
    for payment in payments(scenario):
        found: list[Quantity] = []
        used: list[str] = []
        for scope in scenario.around(payment.scope):
            for total in totals(scenario, scope):
                if not comparable_in_time(payment, total) or money_reasons(payment, total):
                    continue
                share = scenario.annual(payment).over(scenario.annual(total))
                point = scenario.annual_stated(payment) / scenario.annual_stated(total)
                found.append(quantity("share", share, point, "%", of=scope, claim=total.id))
                used.append(total.id)
        if len(found) > 1:
            yield Finding(
                kind="share_by_denominator",
                verdict="note",
                claims=(payment.id, *used),
                quantities=tuple(found),
            )


def _implied(scenario: Scenario, share: Claim) -> list[Quantity]:
    """What the customer would pay a year, under each reading of the denominator."""
    found = []
    for scope in scenario.readings(share.denominator):
        for total in totals(scenario, scope):
            if not comparable_in_time(share, total) or money_reasons(share, total):
                continue
            point: Fraction = stated(share).middle * scenario.annual_stated(total)
            meant = scenario.meant(share).times(scenario.annual(total))
            unit = f"{parse_unit(total.unit).currency}/year"
            found.append(quantity("implied", meant, point, unit, of=scope, claim=share.id))
    return found


def _any_meet(left: list[Quantity], right: list[Quantity]) -> bool:
    return any(
        one.unit == other.unit and one.low <= other.high and other.low <= one.high
        for one in left
        for other in right
    )
