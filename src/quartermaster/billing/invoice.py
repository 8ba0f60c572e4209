"""Draft invoices: each rated line rounded once, the total the sum of the rounded lines.

A draft is recomputed from its inputs (cut, contract, price books) and holds no clock reading, so
the same inputs give the same bytes. Late usage arrives with a later cut and makes another draft.
"""

import hashlib
from decimal import Decimal
from typing import Literal

import msgspec

from quartermaster.billing.rate import METERS, Meter, Rated, RatedLine, Unpriced
from quartermaster.kernel.clock import Period
from quartermaster.kernel.contract import Contract
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
    total_minor: int
    unpriced: tuple[Unpriced, ...]
    lines_sha256: str
    sample: bool


def draft(contract: Contract, period: Period, rated: Rated, cut: Cut) -> Invoice:
    """The draft invoice of one contract and service period.

    Args:
        contract: the version whose rounding and currency hold for the period.
        period: a local month in the contract's time zone.
        rated: may hold other contracts and periods; they are left out.
        cut: what `rated` was computed from.

    Raises:
        IntegrityError: a rated line of this contract is in another currency or time zone.
    """
    rated_lines = [
        line
        for line in rated.lines
        if line.contract == contract.id and line.period.label == period.label
    ]
    for line in rated_lines:
        if (line.currency, line.period) != (contract.currency, period):
            raise IntegrityError(
                f"contract {contract.id}: {line.model} {line.axis} was rated in {line.currency} "
                f"and {line.period.zone}, the invoice is in {contract.currency} and {period.zone}"
            )
    lines = tuple(
        _line(number, line, contract.rounding)
        for number, line in enumerate(sorted(rated_lines, key=_order), start=1)
    )
    unpriced = tuple(
        entry
        for entry in rated.unpriced
        if entry.contract == contract.id and entry.period == period.label
    )
    lines_sha256 = hashlib.sha256(_canonical((lines, unpriced))).hexdigest()
    inputs = (contract.id, contract.version, period, cut, lines_sha256)
    return Invoice(
        id=f"draft_{hashlib.sha256(_canonical(inputs)).hexdigest()[:_ID_HEX_DIGITS]}",
        status="draft",
        customer=contract.customer,
        contract=contract.id,
        contract_version=contract.version,
        period=period,
        cut=cut,
        currency=contract.currency,
        rounding=contract.rounding,
        lines=lines,
        total_minor=sum(line.minor for line in lines),
        unpriced=unpriced,
        lines_sha256=lines_sha256,
        sample=contract.sample or any(line.sample for line in rated_lines),
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
