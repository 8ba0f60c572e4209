"""Contracts: each change is a new version, and what usage was rated under stays as it was."""

from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month_of
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import ContractSigned

# What makes periods, amounts and parties comparable between versions of one contract.
_FIXED_FIELDS = ("customer", "currency", "time_zone", "sample")


def sign(book: Book, actor: Actor, contract: Contract, now: Instant) -> Contract:
    """Record a version of a contract; the same version again changes nothing.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: the customer or the price book is unknown.
        UsageError: the version does not follow the one before it, or has terms that are not billed.
        ConflictError: the version exists with other terms.
    """
    require(actor, "admin", "finance")
    require_id(contract.id, "contract")
    _require_billable(contract)
    _require_full_hours(contract)
    with book.writing() as unit:
        view = unit.view()
        known = view.contracts.get(contract.id, ())
        if contract not in known:
            _require_parties(view, contract)
            _require_succession(known, contract)
        unit.journal.append(
            ContractSigned(contract=contract),
            actor=actor,
            now=now,
            key=f"contract:{contract.id}:{contract.version}",
        )
    return contract


def _require_billable(contract: Contract) -> None:
    """What is agreed and not billed would be a zero that nobody sees."""
    terms = {
        "commitments": bool(contract.commitments),
        "ptu_lines": bool(contract.ptu_lines),
        "payment": contract.payment != "postpaid",
    }
    for field, unbilled in terms.items():
        if unbilled:
            raise UsageError(
                f"contract {contract.id}: {field} cannot be billed yet",
                field=field,
                hint="this version bills metered usage in arrears and nothing else",
            )


def _require_full_hours(contract: Contract) -> None:
    """Usage is rolled up by UTC hour, so nothing that a bill depends on may cut an hour."""
    if contract.valid_from % US_PER_HOUR or (contract.end or 0) % US_PER_HOUR:
        raise UsageError(
            f"contract {contract.id} does not begin or end on a full hour", field="valid_from"
        )
    if month_of(Instant(contract.valid_from), contract.time_zone).start % US_PER_HOUR:
        raise UsageError(
            f"months in {contract.time_zone} do not begin on a full UTC hour",
            field="time_zone",
            hint="usage is rolled up by UTC hour; use a zone with a whole-hour offset",
        )


def _require_parties(view: View, contract: Contract) -> None:
    customer = view.customers.get(contract.customer)
    if customer is None:
        raise NotFoundError(
            f"there is no customer {contract.customer!r}",
            field="customer",
            hint="add the customer first",
        )
    if customer.sample != contract.sample:
        raise ConflictError("a sample contract needs a sample customer", field="sample")
    price_books = view.price_books.get(contract.price_book)
    if price_books is None:
        raise NotFoundError(
            f"there is no price book {contract.price_book!r}",
            field="price_book",
            hint="publish the price book first",
        )
    if price_books[-1].sample != contract.sample:
        raise ConflictError("a sample contract needs a sample price book", field="price_book")
    if price_books[-1].currency != contract.currency:
        raise UsageError(
            f"price book {contract.price_book} is in {price_books[-1].currency}, "
            f"contract {contract.id} in {contract.currency}",
            field="currency",
        )


def _require_succession(known: tuple[Contract, ...], contract: Contract) -> None:
    if contract.version != len(known) + 1:
        if contract.version <= len(known):
            raise ConflictError(
                f"contract {contract.id} version {contract.version} exists with other terms",
                hint=f"a change is a new version: {len(known) + 1}",
            )
        raise UsageError(
            f"contract {contract.id}: the next version is {len(known) + 1}", field="version"
        )
    if not known:
        return
    previous = known[-1]
    if contract.valid_from <= previous.valid_from:
        raise UsageError(
            f"contract {contract.id} version {contract.version} does not begin after version "
            f"{previous.version}",
            field="valid_from",
            hint="a version begins with an hour; sign the next one in a later hour",
        )
    for field in _FIXED_FIELDS:
        if getattr(contract, field) != getattr(previous, field):
            raise UsageError(
                f"contract {contract.id}: {field} cannot change between versions",
                field=field,
                hint="end this contract and sign another one",
            )
