"""Groups and customers."""

import re

import msgspec

from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id, require_name
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.contract import Customer, Group
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import CustomerAdded, GroupAdded

_COUNTRY = re.compile("[A-Z]{2}")


def add_group(book: Book, actor: Actor, group: Group, now: Instant) -> Group:
    """Record entities under common control; the same group again changes nothing.

    Raises:
        NotAllowedError: the actor may not.
        ConflictError: the id is taken by another group.
    """
    require(actor, "admin", "finance")
    require_id(group.id, "group")
    group = msgspec.structs.replace(group, name=require_name(group.name, "name"))
    with book.writing() as unit:
        unit.journal.append(GroupAdded(group=group), actor=actor, now=now, key=f"group:{group.id}")
    return group


def add_customer(book: Book, actor: Actor, customer: Customer, now: Instant) -> Customer:
    """Record a customer of a group; the same customer again changes nothing.

    A group of the customer's own id and name is recorded with it where the group is that id and
    not known yet: most customers are controlled by nobody else.

    Raises:
        NotAllowedError: the actor may not.
        UsageError: the id, the name or the country cannot be used.
        NotFoundError: the group is unknown.
        ConflictError: the id is taken by another customer, or sample data would join real data.
    """
    require(actor, "admin", "finance")
    require_id(customer.id, "customer")
    customer = msgspec.structs.replace(customer, name=require_name(customer.name, "name"))
    if customer.country and not _COUNTRY.fullmatch(customer.country):
        raise UsageError(
            f"{customer.country!r} is not a country",
            field="country",
            hint="two capitals of ISO 3166, such as DE",
        )
    with book.writing() as unit:
        group = unit.view().groups.get(customer.group)
        if group is None:
            if customer.group != customer.id:
                raise NotFoundError(
                    f"there is no group {customer.group!r}",
                    field="group",
                    hint="add the group first",
                )
            group = Group(customer.id, customer.name, sample=customer.sample)
            unit.journal.append(
                GroupAdded(group=group), actor=actor, now=now, key=f"group:{group.id}"
            )
        if group.sample != customer.sample:
            raise ConflictError("sample and real customers cannot share a group", field="group")
        unit.journal.append(
            CustomerAdded(customer=customer),
            actor=actor,
            now=now,
            key=f"customer:{customer.id}",
        )
    return customer
