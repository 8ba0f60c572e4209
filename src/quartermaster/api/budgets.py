"""Budgets: what a key, or a project or a customer group with all its keys, may spend."""

import msgspec

from quartermaster.api.operation import STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.api.scope import SCOPES, Scoped
from quartermaster.commands import budget
from quartermaster.commands.budget import Budgeting, Terms
from quartermaster.commands.budget_shown import ShownBudget, shown
from quartermaster.kernel.budget import BudgetPeriod

TAG = "budgets"
_MAY_SET = frozenset({"admin", "finance"})


class NewBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A budget, in place of the one there was."""

    amount_minor: int = 0
    """Cents, or what the currency has, of every period; a prepaid budget begins empty."""
    currency: str = ""
    """The contract's where it is left out."""
    time_zone: str = ""
    """In which a month begins; the contract's where it is left out."""
    period: BudgetPeriod = "month"
    """`none` is spent once."""
    prepaid: bool = False
    """Drawn down by use and filled by top-ups."""
    thresholds: tuple[int, ...] | None = None
    """Per cent at which alerts are sent."""
    output_tokens: int | None = None
    """Of an answer whose request states no limit."""
    reason: str = ""
    """Kept in the journal."""


class BudgetPause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether nothing is spent."""

    paused: bool
    reason: str = ""
    """Kept in the journal."""


class NewTopUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Money that was paid."""

    amount_minor: int
    """In the currency of the budget."""
    payment: str
    """What the payment is called elsewhere; the same one counts once."""


class BudgetPut(msgspec.Struct, frozen=True):
    """The budget as it is set, and which gateways know it."""

    budget: ShownBudget
    published: Published


class BudgetRemoved(msgspec.Struct, frozen=True):
    """Which gateways know that there is none any more."""

    published: Published


def list_budgets(call: Call) -> Page[ShownBudget]:
    """Everybody who has one."""
    every, states = budget.all_budgets(call.ports.book.view()), call.ports.budget_states()
    found = [shown(one, states, call.now) for one in every]
    return page(found, call.asked(Paged), lambda one: f"{one.scope}:{one.name}")


def show_budget(call: Call, of: Scoped) -> ShownBudget:
    """The budget of one; a group's is spent by all its keys."""
    return _shown(call, budget.budget_of(call.ports.book.view(), of.scope, of.name(call)))


def put_budget(call: Call, of: Scoped) -> BudgetPut:
    """Give one a budget."""
    new = call.given(NewBudget)
    terms = Terms(
        amount_minor=new.amount_minor,
        currency=new.currency,
        time_zone=new.time_zone,
        period=new.period,
        prepaid=new.prepaid,
        thresholds=new.thresholds,
        output_tokens=new.output_tokens,
    )
    found = budget.set_budget(
        call.ports.book,
        call.actor,
        of.scope,
        of.name(call),
        terms,
        call.now,
        reason=new.reason,
    )
    return BudgetPut(_shown(call, found), call.ports.gateways.publish(call.now))


def put_pause(call: Call, of: Scoped) -> BudgetPut:
    """Pause the budget of one, or let it be spent again."""
    new, book = call.given(BudgetPause), call.ports.book
    found = budget.pause_budget(
        book,
        call.actor,
        of.scope,
        of.name(call),
        call.now,
        paused=new.paused,
        reason=new.reason,
    )
    return BudgetPut(_shown(call, found), call.ports.gateways.publish(call.now))


def remove_budget(call: Call, of: Scoped) -> BudgetRemoved:
    """Lift the budget of one."""
    budget.remove_budget(call.ports.book, call.actor, of.scope, of.name(call), call.now)
    return BudgetRemoved(call.ports.gateways.publish(call.now))


def top_up_budget(call: Call, of: Scoped) -> ShownBudget:
    """Pay into the budget of one."""
    new = call.given(NewTopUp)
    found = budget.top_up(
        call.ports.book,
        call.actor,
        of.scope,
        of.name(call),
        new.amount_minor,
        call.now,
        payment=new.payment,
    )
    return _shown(call, found)


def _shown(call: Call, found: Budgeting) -> ShownBudget:
    return shown(found, call.ports.budget_states(), call.now)


def _operations(of: Scoped) -> tuple[Operation, ...]:
    path = f"{of.path}/budget"
    return (
        Operation(
            method="GET",
            path=path,
            name=f"show{of.word}Budget",
            summary=f"The budget of {of.said}; a customer sees its own keys' and projects'.",
            tag=TAG,
            roles=of.readers,
            handler=of.bound(show_budget),
            answer=ShownBudget,
        ),
        Operation(
            method="PUT",
            path=path,
            name=f"set{of.word}Budget",
            summary=f"Set the budget of {of.said}; the same again changes nothing.",
            tag=TAG,
            roles=_MAY_SET,
            handler=of.bound(put_budget),
            answer=BudgetPut,
            body=Body(kind=NewBudget),
        ),
        Operation(
            method="PUT",
            path=f"{path}/pause",
            name=f"pause{of.word}Budget",
            summary=f"Let nothing be spent of the budget of {of.said}, or let it be spent again.",
            tag=TAG,
            roles=_MAY_SET,
            handler=of.bound(put_pause),
            answer=BudgetPut,
            body=Body(kind=BudgetPause),
        ),
        Operation(
            method="DELETE",
            path=path,
            name=f"remove{of.word}Budget",
            summary=f"Lift the budget of {of.said}.",
            tag=TAG,
            roles=_MAY_SET,
            handler=of.bound(remove_budget),
            answer=BudgetRemoved,
        ),
        Operation(
            method="POST",
            path=f"{path}/top-ups",
            name=f"topUp{of.word}Budget",
            summary=f"Record a payment into the prepaid budget of {of.said}; one counts once.",
            tag=TAG,
            roles=_MAY_SET,
            handler=of.bound(top_up_budget),
            answer=ShownBudget,
            body=Body(kind=NewTopUp),
            writes=True,
        ),
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/budgets",
        name="listBudgets",
        summary="Keys, projects and customer groups that have a budget, and what is spent of it.",
        tag=TAG,
        roles=STAFF,
        handler=list_budgets,
        answer=Page[ShownBudget],
        query=Paged,
    ),
    *(operation for of in SCOPES for operation in _operations(of)),
)
