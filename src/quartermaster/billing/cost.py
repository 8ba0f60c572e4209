"""What the owners of model servers charge us: attempts at a cut times the prices of their books.

A deployment's cost book is a price book by the server's own model names. It is rated as any usage
is, with the deployment in the place of a customer: exact, and queued where there is no price.
"""

from collections.abc import Mapping, Sequence

import msgspec

from quartermaster.billing.rate import Rated, rate
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.events import DeploymentSet, HourlyUsage
from quartermaster.kernel.money import round_line
from quartermaster.kernel.price import PriceBook
from quartermaster.kernel.units import Counts, ServiceClass


class Attempts(msgspec.Struct, frozen=True, order=True):
    """Quantities of one deployment in one hour."""

    deployment: str
    service_class: ServiceClass
    hour: int
    attempts: int
    counts: Counts


class Costs(msgspec.Struct, frozen=True):
    """Every quantity is a rated line, waits for a price, or belongs to a deployment without one."""

    rated: Rated
    uncosted: tuple[str, ...]
    """Deployments that were asked and have no cost book."""


def rate_costs(
    asked: Sequence[Attempts],
    deployments: Mapping[str, DeploymentSet],
    price_books: Mapping[str, Sequence[PriceBook]],
) -> Costs:
    """Price what deployments counted.

    Args:
        asked: attempts at a cut, in any order.
        deployments: by name, as they are set now.
        price_books: all versions by id.
    """
    supplied: dict[str, Contract] = {}
    for name, fact in deployments.items():
        versions = price_books.get(fact.cost_book, ())
        if versions:
            currency = versions[-1].currency
            supplied[name] = Contract(name, 1, name, fact.cost_book, currency, "UTC", 0)
    usage = [
        _usage(one, deployments[one.deployment]) for one in asked if one.deployment in supplied
    ]
    books = [version for versions in price_books.values() for version in versions]
    uncosted = {one.deployment for one in asked} - supplied.keys()
    return Costs(rate(usage, list(supplied.values()), books), tuple(sorted(uncosted)))


def _usage(asked: Attempts, fact: DeploymentSet) -> HourlyUsage:
    return HourlyUsage(
        customer=asked.deployment,
        contract=asked.deployment,
        contract_version=1,
        price_book=fact.cost_book,
        project="",
        key_id="",
        model=fact.upstream_model,
        deployment=asked.deployment,
        service_class=asked.service_class,
        hour=asked.hour,
        requests=asked.attempts,
        counts=asked.counts,
    )


def total_minor(rated: Rated, deployment: str) -> tuple[int, str]:
    """Minor units and currency of a deployment's lines, each rounded once; zero without lines."""
    due = [
        round_line(line.amount, line.currency)
        for line in rated.lines
        if line.contract == deployment
    ]
    return sum(one.minor for one in due), due[0].currency if due else ""
