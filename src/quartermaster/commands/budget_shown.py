"""A budget as faces show it: what was agreed, and what the clerk last knew of its spending."""

from decimal import Decimal
from functools import cached_property
from pathlib import Path

import msgspec

from quartermaster.billing.leases import BudgetState, Name
from quartermaster.commands.budget import Budgeting
from quartermaster.kernel.budget import NANO_DIGITS, budget_id, epochs
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.limit import LimitScope
from quartermaster.kernel.money import EXACT, Money, exponent


class BudgetStates(msgspec.Struct, frozen=True, dict=True):
    """What the clerk knows; replaced within a second of a change."""

    at: int = 0
    states: tuple[BudgetState, ...] = ()

    @cached_property
    def by_name(self) -> dict[Name, BudgetState]:
        """Each budget in each period; a list of thousands asks it for every one."""
        return {(one.budget, one.epoch): one for one in self.states}


class ShownBudget(msgspec.Struct, frozen=True, kw_only=True):
    """One budget in its running period; amounts in major units, exact."""

    scope: LimitScope
    name: str
    currency: str
    period: str
    """`2026-11`, or empty for a budget without periods."""
    time_zone: str
    prepaid: bool
    amount: Decimal
    """Of the period; of a prepaid budget what was paid so far."""
    spent: Decimal | None
    """In the usage table. None where the clerk has not said anything yet."""
    leased: Decimal | None
    """In the hands of gateway workers: set aside, not yet in the table, or free to use."""
    left: Decimal | None
    """Neither spent nor leased."""
    alerts_at: tuple[int, ...]
    """Per cent."""
    output_tokens: int
    """Of an answer whose request states no limit."""
    paused: bool = False
    """Nothing is spent of it."""


def shown(found: Budgeting, states: BudgetStates, now: Instant) -> ShownBudget:
    """A budget with its spending, as it was known a second ago."""
    budget = found.budget
    epoch = epochs(budget, now)[0]
    wanted = budget_id(found.scope, found.name), epoch.id
    state = states.by_name.get(wanted)
    spent = leased = left = None
    if state is not None:
        rest = max(budget.amount - state.settled - state.leased, 0)
        spent, leased, left = (
            major(nanos, NANO_DIGITS, budget.currency)
            for nanos in (state.settled, state.leased, rest)
        )
    return ShownBudget(
        scope=found.scope,
        name=found.name,
        currency=budget.currency,
        period=epoch.label,
        time_zone=budget.time_zone,
        prepaid=budget.prepaid,
        amount=Money(budget.amount_minor, budget.currency).decimal,
        spent=spent,
        leased=leased,
        left=left,
        alerts_at=budget.thresholds,
        output_tokens=budget.output_tokens,
        paused=budget.paused,
    )


def major(amount: int, digits: int, currency: str) -> Decimal:
    """Parts of 10^-digits in major units, with the digits that say something, and the coin's."""
    while digits > exponent(currency) and amount % 10 == 0:
        amount, digits = amount // 10, digits - 1
    return Decimal(amount).scaleb(-digits, context=EXACT)


def states_path(var: Path) -> Path:
    """Where the clerk says what it knows."""
    return var / "budgets.json"


def write_states(var: Path, states: BudgetStates) -> None:
    """Replace the file; not synced, because it is about now."""
    beside = states_path(var).with_suffix(".new")
    beside.write_bytes(msgspec.json.encode(states))
    beside.replace(states_path(var))


def read_states(var: Path) -> BudgetStates:
    """What the clerk last knew; nothing where it has not run yet.

    Raises:
        IntegrityError: the file is damaged.
    """
    path = states_path(var)
    try:
        return msgspec.json.decode(path.read_bytes(), type=BudgetStates)
    except FileNotFoundError:
        return BudgetStates()
    except msgspec.DecodeError as error:
        raise IntegrityError(
            f"{path} cannot be read: {error}", hint="delete it; the clerk writes it again"
        ) from error
