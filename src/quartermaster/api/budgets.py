"""Budgets: what a key, or a customer group with all its keys, may spend."""

import msgspec

from quartermaster.api.keys import key_asked
from quartermaster.api.operation import ANYBODY, STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.commands import budget
from quartermaster.commands.budget import Budgeting, Terms
from quartermaster.commands.budget_shown import ShownBudget, shown
from quartermaster.kernel.budget import BudgetPeriod
from quartermaster.kernel.limit import LimitScope

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
    found = [_shown(call, one) for one in budget.all_budgets(call.ports.book.view())]
    return page(found, call.asked(Paged), lambda one: f"{one.scope}:{one.name}")


def show_key_budget(call: Call) -> ShownBudget:
    """The budget of one key."""
    name = key_asked(call).issued.key_id
    return _shown(call, budget.budget_of(call.ports.book.view(), "key", name))


def show_group_budget(call: Call) -> ShownBudget:
    """The budget that all keys of a group spend."""
    return _shown(call, budget.budget_of(call.ports.book.view(), "group", call.path["group"]))


def put_key_budget(call: Call) -> BudgetPut:
    """Give a key a budget."""
    return _put(call, "key")


def put_group_budget(call: Call) -> BudgetPut:
    """Give a group a budget."""
    return _put(call, "group")


def remove_key_budget(call: Call) -> BudgetRemoved:
    """Lift the budget of a key."""
    return _remove(call, "key")


def remove_group_budget(call: Call) -> BudgetRemoved:
    """Lift the budget of a group."""
    return _remove(call, "group")


def top_up_key_budget(call: Call) -> ShownBudget:
    """Pay into the budget of a key."""
    return _top_up(call, "key")


def top_up_group_budget(call: Call) -> ShownBudget:
    """Pay into the budget of a group."""
    return _top_up(call, "group")


def _put(call: Call, scope: LimitScope) -> BudgetPut:
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
        scope,
        call.path[scope],
        terms,
        call.now,
        reason=new.reason,
    )
    return BudgetPut(_shown(call, found), call.ports.gateways.publish(call.now))


def _remove(call: Call, scope: LimitScope) -> BudgetRemoved:
    budget.remove_budget(call.ports.book, call.actor, scope, call.path[scope], call.now)
    return BudgetRemoved(call.ports.gateways.publish(call.now))


def _top_up(call: Call, scope: LimitScope) -> ShownBudget:
    new = call.given(NewTopUp)
    found = budget.top_up(
        call.ports.book,
        call.actor,
        scope,
        call.path[scope],
        new.amount_minor,
        call.now,
        payment=new.payment,
    )
    return _shown(call, found)


def _shown(call: Call, found: Budgeting) -> ShownBudget:
    return shown(found, call.ports.budget_states(), call.now)


_KEY = "/keys/{key}/budget"
_GROUP = "/groups/{group}/budget"

OPERATIONS = (
    Operation(
        method="GET",
        path="/budgets",
        name="listBudgets",
        summary="Keys and customer groups that have a budget, and what is spent of it.",
        tag=TAG,
        roles=STAFF,
        handler=list_budgets,
        answer=Page[ShownBudget],
        query=Paged,
    ),
    Operation(
        method="GET",
        path=_KEY,
        name="showKeyBudget",
        summary="The budget of one key; a customer sees its own keys'.",
        tag=TAG,
        roles=ANYBODY,
        handler=show_key_budget,
        answer=ShownBudget,
    ),
    Operation(
        method="GET",
        path=_GROUP,
        name="showGroupBudget",
        summary="The budget that all keys of a customer group spend.",
        tag=TAG,
        roles=STAFF,
        handler=show_group_budget,
        answer=ShownBudget,
    ),
    Operation(
        method="PUT",
        path=_KEY,
        name="setKeyBudget",
        summary="Set the budget of a key; the same again changes nothing.",
        tag=TAG,
        roles=_MAY_SET,
        handler=put_key_budget,
        answer=BudgetPut,
        body=Body(kind=NewBudget),
    ),
    Operation(
        method="PUT",
        path=_GROUP,
        name="setGroupBudget",
        summary="Set the budget of a customer group; the same again changes nothing.",
        tag=TAG,
        roles=_MAY_SET,
        handler=put_group_budget,
        answer=BudgetPut,
        body=Body(kind=NewBudget),
    ),
    Operation(
        method="DELETE",
        path=_KEY,
        name="removeKeyBudget",
        summary="Lift the budget of a key.",
        tag=TAG,
        roles=_MAY_SET,
        handler=remove_key_budget,
        answer=BudgetRemoved,
    ),
    Operation(
        method="DELETE",
        path=_GROUP,
        name="removeGroupBudget",
        summary="Lift the budget of a customer group.",
        tag=TAG,
        roles=_MAY_SET,
        handler=remove_group_budget,
        answer=BudgetRemoved,
    ),
    Operation(
        method="POST",
        path=f"{_KEY}/top-ups",
        name="topUpKeyBudget",
        summary="Record a payment into the prepaid budget of a key; the same one counts once.",
        tag=TAG,
        roles=_MAY_SET,
        handler=top_up_key_budget,
        answer=ShownBudget,
        body=Body(kind=NewTopUp),
        writes=True,
    ),
    Operation(
        method="POST",
        path=f"{_GROUP}/top-ups",
        name="topUpGroupBudget",
        summary="Record a payment into the prepaid budget of a group; the same one counts once.",
        tag=TAG,
        roles=_MAY_SET,
        handler=top_up_group_budget,
        answer=ShownBudget,
        body=Body(kind=NewTopUp),
        writes=True,
    ),
)
