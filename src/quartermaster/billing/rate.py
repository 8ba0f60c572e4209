"""Rating: hourly quantities at a cut times the price in force in that hour, exact.

Quantities are added as integers first and multiplied once, so that it does not matter how usage
was split into requests, hours or segments. A quantity without a price is queued with its reason,
never rated as zero.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from quartermaster.kernel.clock import Instant, Period, month_of
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.price import Price, PriceBook, PriceUnit
from quartermaster.kernel.units import AXES, Axis, ServiceClass

# (contract, hour) pairs whose month is remembered: a few contracts times the hours of a month.
_MONTHS_REMEMBERED = 16_384


Meter = Axis | Literal["ptu_hour"]
"""What a line counts: an axis of the gateway's meter, or units times hours of standing ready."""
METERS: tuple[Meter, ...] = (*AXES, "ptu_hour")


class RatedLine(msgspec.Struct, frozen=True):
    """One quantity of one axis at one price in one service period; `amount` is not rounded."""

    contract: str
    customer: str
    period: Period
    model: str
    service_class: ServiceClass
    axis: Meter
    quantity: int
    price: str
    unit: PriceUnit
    currency: str
    amount: Decimal
    price_book: str
    price_book_versions: tuple[int, ...]
    sample: bool


class Unpriced(msgspec.Struct, frozen=True, order=True):
    """A quantity that waits for a price, and why."""

    contract: str
    customer: str
    period: str
    model: str
    service_class: ServiceClass
    axis: Axis
    reason: str
    quantity: int
    first_hour: int
    last_hour: int


class Rated(msgspec.Struct, frozen=True):
    """Everything in the input: each quantity is in exactly one line or one queue entry."""

    lines: tuple[RatedLine, ...]
    unpriced: tuple[Unpriced, ...]


class _LineKey(msgspec.Struct, frozen=True, order=True):
    contract: str
    customer: str
    period: Period
    model: str
    service_class: ServiceClass
    axis: Axis
    price_book: str
    price: str
    unit: PriceUnit
    currency: str
    sample: bool


class _QueueKey(msgspec.Struct, frozen=True, order=True):
    contract: str
    customer: str
    period: str
    model: str
    service_class: ServiceClass
    axis: Axis
    reason: str


def rate(
    hourly: Sequence[HourlyUsage],
    contracts: Sequence[Contract],
    price_books: Sequence[PriceBook],
) -> Rated:
    """Price every quantity or queue it.

    The contract version is the one recorded with the usage, the price the one in force in the
    usage's hour: a later cut with late usage is rated at the prices of its own time.

    Args:
        hourly: the rollup at a cut, in any order.
        contracts: all versions of all contracts that may occur.
        price_books: all versions of all their price books.
    """
    agreed = {(contract.id, contract.version): contract for contract in contracts}
    # Versions of a contract share their zone, so a row of an unknown version still has a month.
    zones = {contract.id: contract.time_zone for contract in contracts}
    books: dict[str, list[PriceBook]] = defaultdict(list)
    for version in sorted(price_books, key=lambda version: (version.valid_from, version.version)):
        books[version.id].append(version)
    quantities: dict[_LineKey, int] = defaultdict(int)
    versions: dict[_LineKey, set[int]] = defaultdict(set)
    queue: dict[_QueueKey, list[tuple[int, int]]] = defaultdict(list)
    for row in hourly:
        contract = agreed.get((row.contract, row.contract_version))
        book = _in_force(books.get(contract.price_book, []), row.hour) if contract else None
        for axis, quantity in row.counts.items():
            priced = _price(row, axis, contract, book)
            if isinstance(priced, str):
                zone_name = zones.get(row.contract, "UTC")
                queue[_queue_key(row, axis, zone_name, priced)].append((row.hour, quantity))
                continue
            assert contract is not None, "a priced row has a contract"
            assert book is not None, "a priced row has a price book"
            key = _line_key(row, contract, book, priced)
            quantities[key] += quantity
            versions[key].add(book.version)
    return Rated(
        tuple(_line(key, quantities[key], versions[key]) for key in sorted(quantities)),
        tuple(_queued(key, queue[key]) for key in sorted(queue)),
    )


def _price(
    row: HourlyUsage, axis: Axis, contract: Contract | None, book: PriceBook | None
) -> Price | str:
    """The price of a row's axis, or the reason why there is none."""
    if contract is None:
        return f"contract version {row.contract_version} is not in the book"
    if contract.customer != row.customer:
        return f"the contract belongs to {contract.customer}"
    if book is None:
        return f"price book {contract.price_book} has no version in force"
    if book.currency != contract.currency:
        return f"price book {book.id} is in {book.currency}, the contract in {contract.currency}"
    if row.service_class == "provisioned" and any(
        line.model == row.model and line.active(row.hour) for line in contract.ptu_lines
    ):
        # Paid by the hour already; the line says what was had for it.
        unit: PriceUnit = "1_image" if axis == "image" else "1M_tokens"
        return Price(row.model, axis, "0", unit, "provisioned", "provisioned units")
    price = book.find(row.model, axis, row.service_class)
    if price is None:
        return f"price book {book.id} version {book.version} has no price for it"
    return price


def _in_force(versions: list[PriceBook], hour: int) -> PriceBook | None:
    begun = [book for book in versions if book.valid_from <= hour]
    return begun[-1] if begun else None


def _line_key(row: HourlyUsage, contract: Contract, book: PriceBook, price: Price) -> _LineKey:
    return _LineKey(
        contract=contract.id,
        customer=contract.customer,
        period=_month(row.hour, contract.time_zone),
        model=row.model,
        service_class=row.service_class,
        axis=price.axis,
        price_book=book.id,
        price=price.amount,
        unit=price.unit,
        currency=book.currency,
        sample=contract.sample or book.sample,
    )


def _queue_key(row: HourlyUsage, axis: Axis, zone_name: str, reason: str) -> _QueueKey:
    return _QueueKey(
        contract=row.contract,
        customer=row.customer,
        period=_month(row.hour, zone_name).label,
        model=row.model,
        service_class=row.service_class,
        axis=axis,
        reason=reason,
    )


def _line(key: _LineKey, quantity: int, versions: set[int]) -> RatedLine:
    price = Price(key.model, key.axis, key.price, key.unit, key.service_class)
    return RatedLine(
        contract=key.contract,
        customer=key.customer,
        period=key.period,
        model=key.model,
        service_class=key.service_class,
        axis=key.axis,
        quantity=quantity,
        price=key.price,
        unit=key.unit,
        currency=key.currency,
        amount=price.of(quantity),
        price_book=key.price_book,
        price_book_versions=tuple(sorted(versions)),
        sample=key.sample,
    )


def _queued(key: _QueueKey, parts: list[tuple[int, int]]) -> Unpriced:
    return Unpriced(
        contract=key.contract,
        customer=key.customer,
        period=key.period,
        model=key.model,
        service_class=key.service_class,
        axis=key.axis,
        reason=key.reason,
        quantity=sum(quantity for _, quantity in parts),
        first_hour=min(hour for hour, _ in parts),
        last_hour=max(hour for hour, _ in parts),
    )


@lru_cache(maxsize=_MONTHS_REMEMBERED)
def _month(hour: int, zone_name: str) -> Period:
    return month_of(Instant(hour), zone_name)
