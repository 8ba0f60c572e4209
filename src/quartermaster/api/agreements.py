"""Groups, customers, contracts and price books: what is agreed, read and written."""

from collections.abc import Callable
from typing import Annotated

import msgspec

from quartermaster.api.operation import STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.api.ports import Published
from quartermaster.billing.contract_file import LINES_MAX
from quartermaster.commands import contract as contracts
from quartermaster.commands import price_book as price_books
from quartermaster.commands.contract import COMMITMENTS_MAX
from quartermaster.commands.customer import add_customer, add_group
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.contract import (
    CancelledStream,
    Commitment,
    Contract,
    Customer,
    Group,
    PtuLine,
    ServeUnpriced,
    Standing,
)
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.money import Rounding
from quartermaster.kernel.price import Price, PriceBook

MONEY = frozenset({"admin", "finance"})
TAG = "agreements"

# A year of 9999 in microseconds: every instant that a calendar knows.
INSTANT_MAX = 253_402_300_799_000_000
Hour = Annotated[int, msgspec.Meta(ge=0, le=INSTANT_MAX, description="Microseconds UTC.")]


class NewGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entities under common control."""

    id: str
    name: str


class NewCustomer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legal entity that signs and pays; without a group it is controlled by nobody else."""

    id: str
    name: str
    group: str = ""
    country: str = ""


class NewContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A contract or its next version; currency and version follow from the book."""

    id: str
    customer: str
    price_book: str
    time_zone: str = "UTC"
    valid_from: Hour | None = None
    """A full UTC hour; the current one by default."""
    rounding: Rounding = "half_up"
    cancelled_stream: CancelledStream = "bill_delivered"
    serve_unpriced: ServeUnpriced = "refuse"
    data_zone: str = ""
    """Only deployments in this zone may be asked, such as `EU`; empty is any."""
    ptu_lines: Annotated[tuple[PtuLine, ...], msgspec.Meta(max_length=LINES_MAX)] = ()
    """Provisioned units; instants are full UTC hours in microseconds."""
    commitments: Annotated[tuple[Commitment, ...], msgspec.Meta(max_length=COMMITMENTS_MAX)] = ()
    """Floors; instants are full UTC hours in microseconds, amounts in minor units."""


class NewPriceBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version of a price book."""

    id: str
    version: Annotated[int, msgspec.Meta(ge=1)]
    currency: str
    valid_from: Hour
    prices: Annotated[tuple[Price, ...], msgspec.Meta(min_length=1)]
    source: str = ""


class GroupShown(msgspec.Struct, frozen=True):
    """A group, whether it is served, and who belongs to it."""

    group: Group
    standing: Standing
    customers: tuple[str, ...]


class CustomerShown(msgspec.Struct, frozen=True):
    """A customer with its contracts and keys."""

    customer: Customer
    standing: Standing
    contracts: tuple[Contract, ...]
    keys: tuple[str, ...]


class ContractSigned(msgspec.Struct, frozen=True):
    """The version that was signed, and which gateways know it."""

    contract: Contract
    published: Published


class PriceBookPublished(msgspec.Struct, frozen=True):
    """The version that was published, and which gateways know it."""

    price_book: PriceBook
    published: Published


def list_groups(call: Call) -> Page[Group]:
    """Every group."""
    return page(
        list(call.ports.book.view().groups.values()), call.asked(Paged), lambda group: group.id
    )


def show_group(call: Call) -> GroupShown:
    """One group."""
    view, wanted = call.ports.book.view(), call.path["group"]
    group = view.groups.get(wanted)
    if group is None:
        raise NotFoundError(f"there is no group {wanted!r}", field="group")
    members = tuple(one.id for one in view.customers.values() if one.group == wanted)
    return GroupShown(group, view.standing.get(wanted, "active"), members)


def post_group(call: Call) -> Group:
    """Record a group."""
    new = call.given(NewGroup)
    return add_group(call.ports.book, call.actor, Group(new.id, new.name), call.now)


def list_customers(call: Call) -> Page[Customer]:
    """Every customer."""
    return page(
        list(call.ports.book.view().customers.values()), call.asked(Paged), lambda one: one.id
    )


def show_customer(call: Call) -> CustomerShown:
    """One customer."""
    view, wanted = call.ports.book.view(), call.path["customer"]
    customer = view.customers.get(wanted)
    if customer is None:
        raise NotFoundError(f"there is no customer {wanted!r}", field="customer")
    signed = [one for versions in view.contracts.values() for one in versions]
    return CustomerShown(
        customer,
        view.standing.get(customer.group, "active"),
        tuple(one for one in signed if one.customer == wanted),
        tuple(key.issued.key_id for key in view.keys.values() if key.issued.customer == wanted),
    )


def post_customer(call: Call) -> Customer:
    """Record a customer."""
    new = call.given(NewCustomer)
    customer = Customer(new.id, new.name, new.group or new.id, new.country)
    return add_customer(call.ports.book, call.actor, customer, call.now)


def list_contracts(call: Call) -> Page[Contract]:
    """The newest version of every contract."""
    newest = [versions[-1] for versions in call.ports.book.view().contracts.values()]
    return page(newest, call.asked(Paged), lambda contract: contract.id)


def show_contract(call: Call) -> tuple[Contract, ...]:
    """Every version of one contract, oldest first."""
    wanted = call.path["contract"]
    versions = call.ports.book.view().contracts.get(wanted)
    if versions is None:
        raise NotFoundError(f"there is no contract {wanted!r}", field="contract")
    return versions


def post_contract(call: Call) -> ContractSigned:
    """Sign a contract or its next version."""
    new, view = call.given(NewContract), call.ports.book.view()
    published = view.price_books.get(new.price_book)
    if published is None:
        raise NotFoundError(f"there is no price book {new.price_book!r}", field="price_book")
    contract = Contract(
        id=new.id,
        version=len(view.contracts.get(new.id, ())) + 1,
        customer=new.customer,
        price_book=new.price_book,
        currency=published[-1].currency,
        time_zone=new.time_zone,
        valid_from=call.now - call.now % US_PER_HOUR if new.valid_from is None else new.valid_from,
        rounding=new.rounding,
        cancelled_stream=new.cancelled_stream,
        serve_unpriced=new.serve_unpriced,
        data_zone=new.data_zone,
        ptu_lines=new.ptu_lines,
        commitments=new.commitments,
    )
    signed = contracts.sign(call.ports.book, call.actor, contract, call.now)
    return ContractSigned(signed, call.ports.gateways.publish(call.now))


def list_price_books(call: Call) -> Page[PriceBook]:
    """The newest version of every price book."""
    newest = [versions[-1] for versions in call.ports.book.view().price_books.values()]
    return page(newest, call.asked(Paged), lambda price_book: price_book.id)


def show_price_book(call: Call) -> tuple[PriceBook, ...]:
    """Every version of one price book, oldest first."""
    wanted = call.path["price_book"]
    versions = call.ports.book.view().price_books.get(wanted)
    if versions is None:
        raise NotFoundError(f"there is no price book {wanted!r}", field="price_book")
    return versions


def post_price_book(call: Call) -> PriceBookPublished:
    """Publish a version of a price book."""
    new = call.given(NewPriceBook)
    price_book = PriceBook(
        new.id, new.version, new.currency, new.valid_from, new.prices, new.source
    )
    published = price_books.publish(call.ports.book, call.actor, price_book, call.now)
    return PriceBookPublished(published, call.ports.gateways.publish(call.now))


def _reading(
    method_path: str,
    name: str,
    summary: str,
    handler: Callable[[Call], object],
    answer: object,
) -> Operation:
    return Operation(
        method="GET",
        path=method_path,
        name=name,
        summary=summary,
        tag=TAG,
        roles=STAFF,
        handler=handler,
        answer=answer,
        query=None if "{" in method_path else Paged,
    )


def _writing(
    path: str,
    name: str,
    summary: str,
    handler: Callable[[Call], object],
    kind: type[msgspec.Struct],
    answer: object,
) -> Operation:
    return Operation(
        method="POST",
        path=path,
        name=name,
        summary=summary,
        tag=TAG,
        roles=MONEY,
        handler=handler,
        answer=answer,
        body=Body(kind=kind),
        status=201,
        writes=True,
    )


OPERATIONS = (
    _reading("/groups", "listGroups", "Every group.", list_groups, Page[Group]),
    _writing("/groups", "addGroup", "Record a group.", post_group, NewGroup, Group),
    _reading("/groups/{group}", "showGroup", "One group.", show_group, GroupShown),
    _reading("/customers", "listCustomers", "Every customer.", list_customers, Page[Customer]),
    _writing(
        "/customers", "addCustomer", "Record a customer.", post_customer, NewCustomer, Customer
    ),
    _reading(
        "/customers/{customer}", "showCustomer", "One customer.", show_customer, CustomerShown
    ),
    _reading(
        "/contracts",
        "listContracts",
        "The newest version of every contract.",
        list_contracts,
        Page[Contract],
    ),
    _writing(
        "/contracts",
        "signContract",
        "Sign a contract or its next version.",
        post_contract,
        NewContract,
        ContractSigned,
    ),
    _reading(
        "/contracts/{contract}",
        "showContract",
        "Every version of one contract, oldest first.",
        show_contract,
        tuple[Contract, ...],
    ),
    _reading(
        "/price-books",
        "listPriceBooks",
        "The newest version of every price book.",
        list_price_books,
        Page[PriceBook],
    ),
    _writing(
        "/price-books",
        "publishPriceBook",
        "Publish a version of a price book.",
        post_price_book,
        NewPriceBook,
        PriceBookPublished,
    ),
    _reading(
        "/price-books/{price_book}",
        "showPriceBook",
        "Every version of one price book, oldest first.",
        show_price_book,
        tuple[PriceBook, ...],
    ),
)
