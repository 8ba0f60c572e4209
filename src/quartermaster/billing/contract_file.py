"""Terms of a contract from TOML: `[[provisioned]]` tables of units, `[[commitment]]` of floors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec

from quartermaster.kernel.clock import as_instant, zone
from quartermaster.kernel.contract import Commitment, PtuLine
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.money import EXACT, exact_decimal, exponent
from quartermaster.kernel.toml import parse_toml

LINES_MAX = 100
"""A line a model and region: nobody deploys more, and each is looked at with every snapshot."""


Line = TypeVar("Line", PtuLine, Commitment)


def provisioned(data: bytes, name: str) -> tuple[PtuLine, ...]:
    """The provisioned units of a document.

    Args:
        data: the TOML document.
        name: how messages call it, such as its file name.

    Raises:
        DataError: names the line that cannot be read.
    """
    found = []
    for where, table in _tables(data, name, "provisioned"):
        with _named(where, "see docs/howto/provisioned.md"):
            found.append(_line(table, PtuLine))
    return tuple(found)


def commitments(data: bytes, name: str, *, currency: str, time_zone: str) -> tuple[Commitment, ...]:
    """The floors of a document: amounts in major units, days from their local midnight.

    Args:
        data: the TOML document.
        name: how messages call it, such as its file name.
        currency: of the contract.
        time_zone: of the contract.

    Raises:
        DataError: names the line that cannot be read.
    """
    found = []
    for where, table in _tables(data, name, "commitment"):
        with _named(where, "see docs/howto/commitments.md"):
            values: dict[str, Any] = {
                field: _midnight(value, time_zone) if type(value) is date else value
                for field, value in table.items()
            }
            values["floor_minor"] = _minor(values.pop("floor", None), currency)
            found.append(_line(values, Commitment))
    return tuple(found)


def _minor(floor: object, currency: str) -> int:
    if not isinstance(floor, str):
        raise UsageError('a floor is an amount in quotes, such as floor = "10000.00"')
    minor = EXACT.scaleb(exact_decimal(floor), exponent(currency))
    if minor != minor.to_integral_value():
        raise UsageError(f"the floor has more decimals than {currency}")
    return int(minor)


@contextmanager
def _named(where: str, hint: str) -> Iterator[None]:
    """What cannot be read is refused by its line; dates before year 1 in UTC overflow."""
    try:
        yield
    except (UsageError, OverflowError, msgspec.ValidationError) as error:
        raise DataError(f"{where}: {error}", hint=hint) from error


def _tables(data: bytes, name: str, key: str) -> list[tuple[str, dict[str, Any]]]:
    """The tables of a document that holds nothing else, and how messages call each."""
    tree = parse_toml(data, name)
    tables = tree.pop(key, [])
    if tree or not tables or not _is_tables(tables):
        raise DataError(f"{name}: it holds [[{key}]] tables and nothing else")
    if len(tables) > LINES_MAX:
        raise DataError(f"{name}: over {LINES_MAX} lines")
    return [(f"{name}: line {number}", table) for number, table in enumerate(tables, start=1)]


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _line(table: dict[str, Any], kind: type[Line]) -> Line:
    values = {
        field: as_instant(value) if isinstance(value, datetime) else value
        for field, value in table.items()
    }
    return msgspec.convert(values, kind)


def _midnight(day: date, time_zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone(time_zone))
