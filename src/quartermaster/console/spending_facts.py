"""Who has which budgets and limits, and what is spent: read from the book and the clerk's word."""

from decimal import Decimal

import msgspec

from quartermaster.book.views import View
from quartermaster.commands import budget as budgets
from quartermaster.commands import limit as limits
from quartermaster.commands.budget import Budgeting
from quartermaster.commands.budget_shown import BudgetStates, ShownBudget, shown
from quartermaster.commands.limit import Limited
from quartermaster.console.ports_control import Control
from quartermaster.console.tables import Cell, Rows, iso
from quartermaster.console.webhook_facts import HOOK_COLUMNS, Hook, all_hooks, hook_row
from quartermaster.kernel.budget import epochs
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.limit import LimitScope
from quartermaster.kernel.money import EXACT

SCHEMA = "budgets/1"

COLUMNS: dict[str, tuple[str, ...]] = {
    "budgets": (
        *("scope", "name", "period", "time_zone", "currency", "amount", "spent", "leased", "left"),
        *("spent_share", "prepaid", "paused", "alerts_at", "alerts_sent", "output_tokens"),
    ),
    "limits": (
        *("scope", "name", "requests_per_minute", "tokens_per_minute", "concurrent"),
        *("output_tokens", "body_bytes", "stream_seconds"),
    ),
    "alerts": HOOK_COLUMNS,
}


class Spending(msgspec.Struct, frozen=True):
    """One budget in its running period, and which of its alerts were sent."""

    budget: ShownBudget
    alerts_sent: tuple[int, ...]
    """Per cent."""

    @property
    def spent_share(self) -> Decimal | None:
        """Of its amount; None where nothing is known, and everything of an empty one."""
        return self._share(self.budget.spent)

    @property
    def leased_share(self) -> Decimal:
        """Of its amount."""
        return self._share(self.budget.leased) or Decimal(0)

    def _share(self, part: Decimal | None) -> Decimal | None:
        if part is None:
            return None
        if not self.budget.amount:
            return Decimal(1)
        return EXACT.divide(part, self.budget.amount)


class SpendingFacts(msgspec.Struct, frozen=True):
    """All budgets, the fullest first, all limits, and where alerts go."""

    budgets: tuple[Spending, ...]
    limits: tuple[Limited, ...]
    alerts: tuple[Hook, ...]
    view: View
    at: Instant


def all_spending(control: Control, now: Instant) -> SpendingFacts:
    """Everybody's."""
    view, states = control.book.view(), control.budget_states()
    found = [spending(view, one, states, now) for one in budgets.all_budgets(view)]
    found.sort(key=lambda one: (-(one.spent_share or Decimal(-1)), one.budget.name))
    told = all_hooks(view, control.webhooks)
    return SpendingFacts(tuple(found), tuple(limits.all_limits(view)), told, view, now)


def spending(view: View, found: Budgeting, states: BudgetStates, now: Instant) -> Spending:
    """One budget with its spending, and the alerts of its running period."""
    epoch = epochs(found.budget, now)[0].id
    crossed = view.crossed.get((found.scope, found.name), ())
    sent = sorted(one.percent for one in crossed if one.epoch == epoch)
    return Spending(shown(found, states, now), tuple(sent))


def spending_of(
    view: View, scope: LimitScope, name: str, states: BudgetStates, now: Instant
) -> Spending | None:
    """The budget of one, or None where it has none."""
    budget = view.budgets.get((scope, name))
    return None if budget is None else spending(view, Budgeting(scope, name, budget), states, now)


def rows_of(facts: SpendingFacts) -> dict[str, Rows]:
    """Every table: exact amounts, shares of one."""
    return {
        "budgets": [budget_row(one) for one in facts.budgets],
        "limits": [
            {
                "scope": one.scope,
                "name": one.name,
                "requests_per_minute": _known(one.limits.requests_per_minute),
                "tokens_per_minute": _known(one.limits.tokens_per_minute),
                "concurrent": _known(one.limits.concurrent),
                "output_tokens": _known(one.limits.output_tokens),
                "body_bytes": _known(one.limits.body_bytes),
                "stream_seconds": _known(one.limits.stream_seconds),
            }
            for one in facts.limits
        ],
        "alerts": [hook_row(one) for one in facts.alerts],
    }


def as_json(facts: SpendingFacts) -> bytes:
    """Every table in one object; decimals are strings, so none is rounded."""
    return msgspec.json.encode({"schema": SCHEMA, "at": iso(facts.at), **rows_of(facts)})


def budget_row(one: Spending) -> dict[str, Cell]:
    """One budget as a row of `COLUMNS`."""
    budget, share = one.budget, one.spent_share
    return {
        "scope": budget.scope,
        "name": budget.name,
        "period": budget.period,
        "time_zone": budget.time_zone,
        "currency": budget.currency,
        "amount": budget.amount,
        "spent": _known(budget.spent),
        "leased": _known(budget.leased),
        "left": _known(budget.left),
        "spent_share": _known(share),
        "prepaid": budget.prepaid,
        "paused": budget.paused,
        "alerts_at": " ".join(map(str, budget.alerts_at)),
        "alerts_sent": " ".join(map(str, one.alerts_sent)),
        "output_tokens": budget.output_tokens,
    }


def _known(value: Decimal | int | None) -> Decimal | int | str:
    """Empty where nothing is known, or nothing is limited."""
    return "" if value is None else value
