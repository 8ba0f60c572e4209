"""Contracts: each change is a new version, and what usage was rated under stays as it was."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import combinations

from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_instant, month_of
from quartermaster.kernel.contract import Commitment, Contract, PtuLine
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import ContractSigned
from quartermaster.kernel.money import exact_decimal

UNITS_MAX = 10_000_000
"""More than a hundred times what any customer is reported to have; above it is a typing error."""
UNIT_TOKENS_MAX = 1_000_000_000
"""The smallest models carry some ten thousand a unit; above it is a typing error."""
COMMITMENTS_MAX = 20
"""A floor a family of models or service class; the largest agreements known have three."""
FLOOR_MINOR_MAX = 10**15
"""A thousand times the largest cloud commitment that was published; above it is a typing error."""
TERM_HOURS_MAX = 10 * 366 * 24
"""Ten years: cloud commitments that were published last for up to seven."""
LAST_END = as_instant(datetime(3000, 1, 1, tzinfo=UTC))
"""Nobody signs for later; calendars, and with them every draft, stop at 9999."""
_MONTHS_A_YEAR = 12
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
            _require_commitments(known, contract)
        unit.journal.append(
            ContractSigned(contract=contract),
            actor=actor,
            now=now,
            key=f"contract:{contract.id}:{contract.version}",
        )
    return contract


def _require_billable(contract: Contract) -> None:
    """What is agreed and not billed would be a zero that nobody sees."""
    if contract.payment != "postpaid":
        raise UsageError(
            f"contract {contract.id}: payment cannot be billed yet",
            field="payment",
            hint="invoices bill in arrears; what is paid beforehand is a prepaid budget:"
            " quartermaster budget set --prepaid",
        )


def _require_full_hours(contract: Contract) -> None:
    """Usage is rolled up by UTC hour, so nothing that a bill depends on may cut an hour."""
    for field in ("valid_from", "end"):
        if not 0 <= (getattr(contract, field) or 0) <= LAST_END:
            raise UsageError(
                f"contract {contract.id}: {field} is before the year 1970 or after 2999",
                field=field,
                hint="give microseconds since 1970, UTC",
            )
    if contract.valid_from % US_PER_HOUR or (contract.end or 0) % US_PER_HOUR:
        raise UsageError(
            f"contract {contract.id} does not begin or end on a full hour", field="valid_from"
        )
    if any(start % US_PER_HOUR for start in _month_starts(contract)):
        raise UsageError(
            f"months in {contract.time_zone} do not begin on a full UTC hour",
            field="time_zone",
            hint="usage is rolled up by UTC hour; use a zone with a whole-hour offset",
        )


def _month_starts(contract: Contract) -> Iterator[int]:
    """Of a year of its months: Lord Howe's begin on a half hour in winter alone."""
    at = Instant(contract.valid_from)
    for _ in range(_MONTHS_A_YEAR + 1):
        month = month_of(at, contract.time_zone)
        yield month.start
        at = Instant(month.end)


def _require_commitments(known: tuple[Contract, ...], contract: Contract) -> None:
    """Floors that an invoice can charge: whole hours, no line counted for two of them."""
    if len(contract.commitments) > COMMITMENTS_MAX:
        raise UsageError(
            f"contract {contract.id}: over {COMMITMENTS_MAX} commitments", field="commitments"
        )
    agreed = known[-1].commitments if known else ()
    for number, one in enumerate(contract.commitments, start=1):
        refused = _unchargeable(one, contract, new=one not in agreed)
        if refused is not None:
            field, message = refused
            raise UsageError(
                f"contract {contract.id}: commitment {number}: {message}",
                field=f"commitments.{field}",
            )
    for one, other in combinations(contract.commitments, 2):
        same_time = one.start < other.end and other.start < one.end
        classes = set(one.service_classes) & set(other.service_classes)
        models = not one.models or not other.models or set(one.models) & set(other.models)
        if same_time and classes and models:
            raise UsageError(
                f"contract {contract.id}: two commitments at one time count the same lines",
                field="commitments",
                hint="name other service classes or models in each, or make one of them",
            )


def _unchargeable(one: Commitment, contract: Contract, *, new: bool) -> tuple[str, str] | None:
    """The field of a commitment that cannot be charged, and why; None where all can."""
    if not 1 <= one.floor_minor <= FLOOR_MINOR_MAX:
        return "floor_minor", f"give 1 to {FLOOR_MINOR_MAX} minor units"
    if one.start >= one.end or one.start % US_PER_HOUR or one.end % US_PER_HOUR:
        return "start", "it begins and ends on full UTC hours, and lasts for at least one"
    if one.end - one.start > TERM_HOURS_MAX * US_PER_HOUR:
        return "end", "it lasts for more than ten years"
    if one.end > LAST_END:
        return "end", "it ends after the year 2999"
    if new and one.start < contract.valid_from:
        return "start", "a new one does not begin before the version that agrees on it"
    if contract.end is not None and one.end > contract.end:
        return "end", "it ends after the contract"
    if not one.service_classes or len(set(one.service_classes)) < len(one.service_classes):
        return "service_classes", "name each service class that counts once, and at least one"
    if len(set(one.models)) < len(one.models) or "" in one.models:
        return "models", "name each model that counts once, or none for any"
    return None


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
