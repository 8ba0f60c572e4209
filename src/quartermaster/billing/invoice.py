"""Draft invoices: each line rounded once, the total the sum of the rounded lines.

Lines of usage come first, then what it lacks of commitments, then service credits, which take off.

A draft is recomputed from its inputs (cut, contract, price books and, while its month runs, until
when it accrues), so the same inputs give the same bytes. Late usage arrives with a later cut and
makes another draft.
"""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from quartermaster.billing.commitment import Shortfall
from quartermaster.billing.credit import CreditLine, redeemed
from quartermaster.billing.rate import METERS, Meter, Rated, RatedLine, Unpriced
from quartermaster.kernel.case import CreditGrant
from quartermaster.kernel.clock import Period
from quartermaster.kernel.contract import CommitmentPer, Contract
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import Cut
from quartermaster.kernel.money import Rounding, round_line
from quartermaster.kernel.price import PriceUnit
from quartermaster.kernel.units import SERVICE_CLASSES, ServiceClass

# 96 bits of a SHA-256: drafts of one contract will not collide, and people can read it aloud.
_ID_HEX_DIGITS = 24


class InvoiceLine(msgspec.Struct, frozen=True):
    """One line: `amount` is exact, `minor` is what is owed for it."""

    number: int
    model: str
    service_class: ServiceClass
    axis: Meter
    quantity: int
    price: str
    unit: PriceUnit
    amount: Decimal
    minor: int
    price_book: str
    price_book_versions: tuple[int, ...]


class ShortfallLine(msgspec.Struct, frozen=True):
    """What usage lacks of a commitment: `floor` less what counted towards it."""

    number: int
    """Zero where it is on no invoice yet."""
    per: CommitmentPer
    floor_minor: int
    """Of a whole month, year or term."""
    start: int
    """Of the part that this line is for, half-open, in microseconds UTC."""
    end: int
    whole_us: int
    """How long that month, year or term is; the floor is prorated by it."""
    floor: Decimal
    """Of the part, exact."""
    counted_minor: int
    amount: Decimal
    minor: int


class Invoice(msgspec.Struct, frozen=True):
    """A draft: what a contract's service period costs at a cut."""

    id: str
    status: Literal["draft"]
    customer: str
    contract: str
    contract_version: int
    period: Period
    cut: Cut
    currency: str
    rounding: Rounding
    lines: tuple[InvoiceLine, ...]
    shortfalls: tuple[ShortfallLine, ...]
    earned_minor: int
    """The sum of these lines, before credits."""
    credits: tuple[CreditLine, ...]
    total_minor: int
    """What is owed: never below zero."""
    unpriced: tuple[Unpriced, ...]
    lines_sha256: str
    sample: bool
    accrued_until: int | None = None
    """While the month runs: what is owed without a request accrued until then; None: all of it."""
    ahead: tuple[ShortfallLine, ...] = ()
    """What commitments lack so far whose part ends later in the month; in no total."""


def draft(
    contract: Contract,
    period: Period,
    rated: Rated,
    cut: Cut,
    shortfalls: Sequence[Shortfall] = (),
    *,
    until: int | None = None,
) -> Invoice:
    """The draft invoice of one contract and service period.

    Args:
        contract: the version whose rounding and currency hold for the period.
        period: a local month in the contract's time zone.
        rated: may hold other contracts and periods; they are left out.
        cut: what `rated` was computed from.
        shortfalls: of the contract's commitments in this period.
        until: up to when `rated` and `shortfalls` accrue; None is the whole period.

    Raises:
        IntegrityError: a rated line of this contract is in another currency or time zone.
    """
    rated_lines = _of_month(contract, period, rated)
    lines = tuple(
        _line(number, line, contract.rounding) for number, line in enumerate(rated_lines, start=1)
    )
    unpriced = tuple(
        entry
        for entry in rated.unpriced
        if entry.contract == contract.id and entry.period == period.label
    )
    over = [one for one in shortfalls if until is None or one.part.end <= until]
    short = tuple(
        _shortfall(number, one, contract) for number, one in enumerate(over, start=len(lines) + 1)
    )
    ahead = tuple(_shortfall(0, one, contract) for one in shortfalls if one not in over)
    earned = sum(line.minor for line in lines) + sum(line.minor for line in short)
    return _sealed(
        Invoice(
            id="",
            status="draft",
            customer=contract.customer,
            contract=contract.id,
            contract_version=contract.version,
            period=period,
            cut=cut,
            currency=contract.currency,
            rounding=contract.rounding,
            lines=lines,
            shortfalls=short,
            earned_minor=earned,
            credits=(),
            total_minor=earned,
            unpriced=unpriced,
            lines_sha256="",
            sample=contract.sample or any(line.sample for line in rated_lines),
            accrued_until=until if until is not None and until < period.end else None,
            ahead=ahead,
        )
    )


def _of_month(contract: Contract, period: Period, rated: Rated) -> list[RatedLine]:
    """The rated lines of one contract and month, in the order of an invoice."""
    found = [
        line
        for line in rated.lines
        if line.contract == contract.id and line.period.label == period.label
    ]
    for line in found:
        if (line.currency, line.period) != (contract.currency, period):
            raise IntegrityError(
                f"contract {contract.id}: {line.model} {line.axis} was rated in {line.currency} "
                f"and {line.period.zone}, the invoice is in {contract.currency} and {period.zone}"
            )
    return sorted(found, key=_order)


def with_credits(
    invoice: Invoice, grants: Sequence[CreditGrant], earlier: Sequence[tuple[str, int]]
) -> Invoice:
    """The draft less the credits that it redeems.

    Args:
        invoice: without credits.
        grants: of its contract, in the order in which they were granted.
        earlier: month and minor units before credits, from the month of the first grant on.
    """
    earned = [*earlier, (invoice.period.label, invoice.earned_minor)]
    first = len(invoice.lines) + len(invoice.shortfalls) + 1
    taken = redeemed(grants, earned, first_number=first)
    total = invoice.earned_minor + sum(line.minor for line in taken)
    return _sealed(msgspec.structs.replace(invoice, credits=taken, total_minor=total))


def _sealed(invoice: Invoice) -> Invoice:
    """With its id and the hash of its lines."""
    lines: tuple[object, ...] = (invoice.lines, invoice.unpriced)
    if invoice.shortfalls or invoice.credits:
        # Without any, the hash is that of earlier versions: a draft is not recorded again.
        lines += (invoice.shortfalls, invoice.credits)
    lines_sha256 = hashlib.sha256(_canonical(lines)).hexdigest()
    inputs = (
        invoice.contract,
        invoice.contract_version,
        invoice.period,
        invoice.cut,
        lines_sha256,
    )
    identity = f"draft_{hashlib.sha256(_canonical(inputs)).hexdigest()[:_ID_HEX_DIGITS]}"
    return msgspec.structs.replace(invoice, id=identity, lines_sha256=lines_sha256)


def _shortfall(number: int, found: Shortfall, contract: Contract) -> ShortfallLine:
    part = found.part
    return ShortfallLine(
        number=number,
        per=part.commitment.per,
        floor_minor=part.commitment.floor_minor,
        start=part.start,
        end=part.end,
        whole_us=part.whole_us,
        floor=found.floor,
        counted_minor=found.counted_minor,
        amount=found.amount,
        minor=round_line(found.amount, contract.currency, contract.rounding).minor,
    )


def _line(number: int, line: RatedLine, rounding: Rounding) -> InvoiceLine:
    return InvoiceLine(
        number=number,
        model=line.model,
        service_class=line.service_class,
        axis=line.axis,
        quantity=line.quantity,
        price=line.price,
        unit=line.unit,
        amount=line.amount,
        minor=round_line(line.amount, line.currency, rounding).minor,
        price_book=line.price_book,
        price_book_versions=line.price_book_versions,
    )


def _order(line: RatedLine) -> tuple[str, int, int, str, tuple[int, ...], str]:
    """Models by name; classes and axes in the order of their definition, not of the alphabet."""
    return (
        line.model,
        SERVICE_CLASSES.index(line.service_class),
        METERS.index(line.axis),
        line.price_book,
        line.price_book_versions,
        line.price,
    )


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")
