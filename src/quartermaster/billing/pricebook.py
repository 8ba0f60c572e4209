"""Price books from TOML: one `[price_book]` header and one `[[price]]` per model and class.

Amounts are quoted strings, because TOML reads a bare 0.15 as a binary float that is not 0.15.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

from msgspec import structs

from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_instant
from quartermaster.kernel.errors import CallerError, DataError, UsageError
from quartermaster.kernel.money import EXACT, exact_decimal
from quartermaster.kernel.price import Price, PriceBook, PriceUnit
from quartermaster.kernel.toml import parse_toml
from quartermaster.kernel.units import AXES, SERVICE_CLASSES, Axis, ServiceClass

_HEADER = ("id", "version", "currency", "valid_from", "source", "sample", "batch_percent")
_REQUIRED = ("id", "version", "currency", "valid_from")
_PLAIN = ("model", "service_class", "source")
# Per cent: a batch that costs more than single requests is a typing error.
_WHOLE = 100


def starter() -> PriceBook:
    """The example price list that comes with the product."""
    packaged = files("quartermaster.billing") / "data" / "starter.toml"
    return load(packaged.read_bytes(), "starter.toml")


def load(data: bytes, name: str) -> PriceBook:
    """The price book in a TOML document.

    Args:
        data: the document.
        name: how messages call it, such as its file name.

    Raises:
        DataError: names the entry and the field that cannot be used.
    """
    document = parse_toml(data, name)
    _only(document, ("price_book", "price"), name)
    header, entries = document.get("price_book"), document.get("price")
    if not isinstance(header, dict):
        raise DataError(f"{name} has no [price_book]", field="price_book")
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{name} has no [[price]] entry", field="price")
    _only(header, _HEADER, f"{name}: [price_book]")
    for field in _REQUIRED:
        if field not in header:
            raise DataError(f"{name}: [price_book] has no {field}", field=field)
    prices = [
        price
        for number, entry in enumerate(entries, start=1)
        for price in _prices(entry, f"{name}: [[price]] {number}")
    ]
    try:
        return PriceBook(
            id=_text(header, "id", f"{name}: [price_book]"),
            version=_version(header, name),
            currency=_text(header, "currency", f"{name}: [price_book]"),
            valid_from=_valid_from(header, name),
            prices=_with_batches(prices, header, name),
            source=_text(header, "source", f"{name}: [price_book]"),
            sample=header.get("sample") is True,
        )
    except UsageError as error:
        raise DataError(f"{name}: {error.message}", hint=error.hint, field=error.field) from error


def _prices(entry: object, where: str) -> list[Price]:
    if not isinstance(entry, dict):
        raise DataError(f"{where} is not a table")
    _only(entry, (*_PLAIN, *AXES), where)
    model = _text(entry, "model", where)
    if not model:
        raise DataError(f"{where} has no model", field="model")
    where = f"{where} ({model})"
    service_class = _service_class(entry, where)
    prices = [
        Price(
            model=model,
            axis=axis,
            amount=_amount(entry, axis, where),
            unit=_unit(axis),
            service_class=service_class,
            source=_text(entry, "source", where),
        )
        for axis in AXES
        if axis in entry
    ]
    if not prices:
        raise DataError(f"{where} prices nothing", hint=f"give one of {', '.join(AXES)}")
    return prices


def _with_batches(prices: list[Price], header: Mapping[str, Any], name: str) -> tuple[Price, ...]:
    """The prices, and with `batch_percent` those of the class batch that nobody wrote out.

    A model with a batch price of its own has no others. The published book holds every price as a
    decimal string, so nothing is multiplied when usage is rated.
    """
    percent = header.get("batch_percent")
    if percent is None:
        return tuple(prices)
    if not isinstance(percent, int) or isinstance(percent, bool) or not 0 < percent <= _WHOLE:
        raise DataError(
            f"{name}: [price_book] batch_percent is not a whole number from 1 to {_WHOLE}",
            field="batch_percent",
            hint="50 is what most sellers ask of a batch",
        )
    own = {price.model for price in prices if price.service_class == "batch"}
    share = Decimal(percent).scaleb(-2, context=EXACT)
    derived = [
        structs.replace(
            price,
            amount=f"{EXACT.multiply(exact_decimal(price.amount), share).normalize(EXACT):f}",
            service_class="batch",
        )
        for price in prices
        if price.service_class == "standard" and price.model not in own
    ]
    return (*prices, *derived)


def _unit(axis: Axis) -> PriceUnit:
    return "1_image" if axis == "image" else "1M_tokens"


def _amount(entry: Mapping[str, Any], axis: Axis, where: str) -> str:
    amount = entry[axis]
    if not isinstance(amount, str):
        raise DataError(
            f"{where}: {axis} is not a quoted amount",
            field=axis,
            hint='write it in quotes, such as "0.15": a bare number is not exact',
        )
    try:
        value = exact_decimal(amount)
    except CallerError as error:
        raise DataError(f"{where}: {axis}: {error.message}", field=axis, hint=error.hint) from error
    if value < 0:
        raise DataError(f"{where}: {axis} is negative", field=axis)
    return amount


def _service_class(entry: Mapping[str, Any], where: str) -> ServiceClass:
    given = entry.get("service_class", "standard")
    for service_class in SERVICE_CLASSES:
        if given == service_class:
            return service_class
    raise DataError(
        f"{where}: unknown service_class {given!r}",
        field="service_class",
        hint=f"one of {', '.join(SERVICE_CLASSES)}",
    )


def _version(header: Mapping[str, Any], name: str) -> int:
    version = header["version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(
            f"{name}: [price_book] version is not a whole number from 1", field="version"
        )
    return version


def _valid_from(header: Mapping[str, Any], name: str) -> Instant:
    given = header["valid_from"]
    if not isinstance(given, datetime) or given.tzinfo is None:
        raise DataError(
            f"{name}: [price_book] valid_from is not a date and time with an offset",
            field="valid_from",
            hint="write it without quotes as 2026-01-01T00:00:00Z",
        )
    valid_from = as_instant(given)
    if valid_from % US_PER_HOUR != 0:
        raise DataError(
            f"{name}: [price_book] valid_from is not on a full hour",
            field="valid_from",
            hint="usage is rated by the hour, so a price begins with one",
        )
    return valid_from


def _text(table: Mapping[str, Any], field: str, where: str) -> str:
    value = table.get(field, "")
    if not isinstance(value, str):
        raise DataError(f"{where}: {field} is not text", field=field)
    return value


def _only(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise DataError(
            f"{where}: unknown field {unknown[0]!r}",
            field=unknown[0],
            hint=f"known are {', '.join(known)}",
        )
