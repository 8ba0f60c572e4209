"""What a customer is known to pay: several claims added up, none counted twice."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice, product

import msgspec

from quartermaster.exposure.claims import Claim
from quartermaster.exposure.findings import comparable_in_time, payments
from quartermaster.exposure.scenario import Scenario
from quartermaster.stats.interval import Interval

ALTERNATIVES_MAX = 64
"""Six payments with two disagreeing figures each; a longer dispute is not settled by listing it."""


class Paid(msgspec.Struct, frozen=True):
    """Payments that together are what is known; `at_least` when entities without a claim remain."""

    claims: tuple[Claim, ...]
    at_least: bool

    def annual(self, scenario: Scenario) -> Interval:
        """The sum a year, with every hedge."""
        parts = [scenario.annual(claim) for claim in self.claims]
        return Interval(
            sum((part.low for part in parts), Fraction(0)),
            sum((part.high for part in parts), Fraction(0)),
        )

    def annual_stated(self, scenario: Scenario) -> Fraction:
        """The sum a year, as stated."""
        return sum((scenario.annual_stated(claim) for claim in self.claims), Fraction(0))


def candidates(scenario: Scenario, share: Claim, scope: str) -> list[Claim]:
    """Payments inside a scope by the customer that a share is about.

    For a group, its own payments and those of its entities; for an entity, its own only.
    """
    return [
        payment
        for payment in payments(scenario)
        if share.subject in (payment.subject, scenario.group_of(payment.subject))
        and scope in scenario.around(payment.scope)
        and comparable_in_time(share, payment)
    ]


def added_up(scenario: Scenario, share: Claim, chosen: Sequence[Claim]) -> Iterator[Paid]:
    """Every way to add the payments up; figures that dispute one payment are alternatives.

    A payment of the whole group contains those of its entities, and one for a scope those for its
    parts.
    """
    if not chosen:
        return
    whole = [payment for payment in chosen if payment.subject == share.subject]
    disputed: dict[tuple[str, str], list[Claim]] = {}
    for payment in whole or chosen:
        if not _contained(scenario, payment, chosen):
            disputed.setdefault((payment.subject, payment.scope), []).append(payment)
    payers = {payment.subject for payment in chosen}
    members = {party.id for party in scenario.parties if party.group == share.subject}
    at_least = share.subject not in payers and bool(members - payers)
    for claims in islice(product(*disputed.values()), ALTERNATIVES_MAX):
        yield Paid(claims, at_least)


def _contained(scenario: Scenario, payment: Claim, others: Sequence[Claim]) -> bool:
    around = scenario.around(payment.scope)[1:]
    return any(other.subject == payment.subject and other.scope in around for other in others)
