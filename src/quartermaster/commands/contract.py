"""Contracts: each change is a new version, and what usage was rated under stays as it was."""

from itertools import combinations

from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month_of
from quartermaster.kernel.contract import Contract, PtuLine
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import ContractSigned
from quartermaster.kernel.money import exact_decimal

UNITS_MAX = 10_000_000
"""More than a hundred times what any customer is reported to have; above it is a typing error."""
UNIT_TOKENS_MAX = 1_000_000_000
"""The smallest models carry some ten thousand a unit; above it is a typing error."""
WEIGHT_MAX = 100
"""Output costs up to eight times as much as input; above it is a typing error."""

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
    _require_provisioned(contract)
    with book.writing() as unit:
        view = unit.view()
        known = view.contracts.get(contract.id, ())
        if contract not in known:
            _require_parties(view, contract)
            _require_deployments(view, contract)
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


def _require_provisioned(contract: Contract) -> None:
    """Provisioned units are billed by the hour and carry a stated throughput."""
    for number, line in enumerate(contract.ptu_lines, start=1):
        refused = _unusable(line)
        if refused is not None:
            field, message = refused
            raise UsageError(
                f"contract {contract.id}: provisioned line {number}: {message}",
                field=f"ptu_lines.{field}",
            )
    for one, other in combinations(contract.ptu_lines, 2):
        same_time = one.start < other.end and other.start < one.end
        if one.model == other.model and same_time and _terms(one) != _terms(other):
            raise UsageError(
                f"contract {contract.id}: lines of {one.model} overlap with other terms",
                field="ptu_lines",
                hint="lines that overlap add their units up; all else must be the same",
            )


def _require_deployments(view: View, contract: Contract) -> None:
    """A deployment that units are held for must be there, and serve their model."""
    for line in contract.ptu_lines:
        deployed = view.deployments.get(line.deployment)
        if line.deployment and (deployed is None or deployed.fact.model != line.model):
            raise NotFoundError(
                f"there is no deployment {line.deployment!r} of the model {line.model!r}",
                field="ptu_lines.deployment",
                hint="quartermaster deployment set",
            )


def _unusable(line: PtuLine) -> tuple[str, str] | None:
    """The field of a line that cannot be billed or served, and why; None where all can."""
    if not line.model:
        return "model", "it names no model"
    if not 1 <= line.units <= UNITS_MAX:
        return "units", f"give 1 to {UNITS_MAX} units"
    if line.start >= line.end or line.start % US_PER_HOUR or line.end % US_PER_HOUR:
        return "start", "it begins and ends on full UTC hours, and lasts for at least one"
    if exact_decimal(line.price_per_ptu_hour) < 0:
        return "price_per_ptu_hour", "the price is negative"
    if line.reserved_units:
        return "reserved_units", "reservations have no price here, and cannot be billed"
    if not 1 <= line.input_tokens_per_minute <= UNIT_TOKENS_MAX:
        return "input_tokens_per_minute", "say how many input tokens a minute one unit carries"
    if not 1 <= line.output_weight <= WEIGHT_MAX:
        return "output_weight", f"give 1 to {WEIGHT_MAX}"
    return None


def _terms(line: PtuLine) -> tuple[int, int, bool, str]:
    return (
        line.input_tokens_per_minute,
        line.output_weight,
        line.spillover,
        line.deployment,
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
