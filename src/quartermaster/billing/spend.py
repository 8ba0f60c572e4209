"""What usage costs a budget: the price of its hour, by key, project and customer group.

The same prices as on the bill, in integers that are never below it: a rate of more than six
decimals is rounded up. A quantity without a price costs nothing until it has one; gateways do not
serve it to a key with a budget.
"""

from collections.abc import Iterable, Mapping

import msgspec

from quartermaster.billing.leases import Name, Spending
from quartermaster.kernel.budget import Epoch, Rates, budget_id, rates_of
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.limit import LimitScope, project_name
from quartermaster.kernel.price import PriceBook
from quartermaster.kernel.units import ServiceClass


class Watched(msgspec.Struct, frozen=True):
    """A budget's period whose spending is followed."""

    scope: LimitScope
    name: str
    epoch: Epoch

    @property
    def key(self) -> Name:
        """How the lease ledger calls it."""
        return budget_id(self.scope, self.name), self.epoch.id


class Spender:
    """Prices usage for budgets.

    Args:
        watched: budgets and their periods.
        groups: customer group by customer.
        price_books: all versions by id, the earliest first.
        keys_before: by key, those with a budget that it was rotated from.
    """

    def __init__(
        self,
        watched: Iterable[Watched],
        groups: Mapping[str, str],
        price_books: Mapping[str, tuple[PriceBook, ...]],
        keys_before: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._groups = groups
        self._keys_before = keys_before
        self._price_books = price_books
        self._rates: dict[tuple[str, int, str, ServiceClass], Rates | None] = {}
        self._watched: dict[tuple[LimitScope, str], list[Watched]] = {}
        for one in watched:
            self._watched.setdefault((one.scope, one.name), []).append(one)

    def picos(self, usage: HourlyUsage) -> int:
        """What a row of the rollup costs."""
        book = self._in_force(usage.price_book, usage.hour)
        if book is None:
            return 0
        key = (book.id, book.version, usage.model, usage.service_class)
        if key not in self._rates:
            self._rates[key] = rates_of([book], usage.model, usage.service_class)
        rates = self._rates[key]
        return 0 if rates is None else rates.picos(usage.counts)

    def spending(self, rows: Iterable[tuple[str, int, HourlyUsage]]) -> list[Spending]:
        """What these rows spend of which budgets, by worker and segment."""
        found = []
        for app_id, segment, usage in rows:
            names = self._names(usage)
            if names:
                picos = self.picos(usage)
                found += [Spending(app_id, segment, name, picos) for name in names]
        return found

    def total(self, one: Watched, rows: Iterable[HourlyUsage]) -> int:
        """What these rows, which all belong to the budget's time, spend of one budget."""
        return sum(
            self.picos(usage) for usage in rows if (one.scope, one.name) in self._owners(usage)
        )

    def _names(self, usage: HourlyUsage) -> list[Name]:
        return [
            one.key
            for owner in self._owners(usage)
            for one in self._watched.get(owner, ())
            # A budget that begins within the hour counts all of it.
            if one.epoch.start < usage.hour + US_PER_HOUR and usage.hour < one.epoch.end
        ]

    def _owners(self, usage: HourlyUsage) -> list[tuple[LimitScope, str]]:
        """Whose budgets it spends, where they have one."""
        keys = (usage.key_id, *self._keys_before.get(usage.key_id, ()))
        owners: list[tuple[LimitScope, str]] = [("key", key_id) for key_id in keys]
        owners.append(("project", project_name(usage.customer, usage.project)))
        return [*owners, ("group", self._groups.get(usage.customer, ""))]

    def _in_force(self, price_book: str, hour: int) -> PriceBook | None:
        begun = [one for one in self._price_books.get(price_book, ()) if one.valid_from <= hour]
        return begun[-1] if begun else None
