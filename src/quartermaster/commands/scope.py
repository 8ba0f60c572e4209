"""Whose limits, or whose budget: a key's, a project's, or a customer group's."""

from typing import Final

from quartermaster.book.views import View
from quartermaster.commands.project import DEFAULT
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.limit import LimitScope

_LISTS: Final = {"key": "key", "project": "project", "group": "customer"}


def require_known(view: View, scope: LimitScope, name: str) -> None:
    """Check that there is such a key, project or group.

    Raises:
        NotFoundError: there is none.
    """
    if scope == "key":
        known = name in view.keys
    elif scope == "group":
        known = name in view.groups
    else:
        customer, slash, project = name.partition("/")
        known = bool(slash) and customer in view.customers
        known = known and (project == DEFAULT or (customer, project) in view.projects)
    if not known:
        hint = f"quartermaster {_LISTS[scope]} list"
        raise NotFoundError(f"there is no {scope} {name!r}", field="name", hint=hint)


def ended(view: View, scope: LimitScope, name: str) -> str:
    """Why it sends nothing any more; empty where it may."""
    if scope == "key" and view.keys[name].revoked_at is not None:
        return f"key {name} is revoked"
    if scope == "project" and view.archived(*_parts(name)):
        return f"project {name} is archived"
    return ""


def contracts_of(view: View, scope: LimitScope, name: str) -> list[Contract]:
    """The newest version of every contract whose keys it holds or may hold."""
    if scope == "key":
        return [view.contracts[view.keys[name].issued.contract][-1]]
    members = (
        {_parts(name)[0]}
        if scope == "project"
        else {customer.id for customer in view.customers.values() if customer.group == name}
    )
    newest = (versions[-1] for versions in view.contracts.values())
    return [contract for contract in newest if contract.customer in members]


def customer_of(view: View, scope: LimitScope, name: str) -> str:
    """The customer of a key or a project; empty for a group, and for what is not known."""
    if scope == "project":
        return _parts(name)[0]
    key = view.keys.get(name) if scope == "key" else None
    return "" if key is None else key.issued.customer


def group_of(view: View, scope: LimitScope, name: str) -> str:
    """The customer group that it belongs to; empty for what is not known."""
    if scope == "group":
        return name
    customer = view.customers.get(customer_of(view, scope, name))
    return "" if customer is None else customer.group


def _parts(name: str) -> tuple[str, str]:
    customer, _, project = name.partition("/")
    return customer, project
