"""Terms of a contract from TOML: `[[provisioned]]` tables of units, `[[commitment]]` of floors."""

from datetime import date, datetime
from typing import Any, TypeVar

import msgspec

from quartermaster.kernel.clock import as_instant, zone
from quartermaster.kernel.contract import Commitment, PtuLine
from quartermaster.kernel.errors import DataError
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
    return tuple(
        _line(table, where, PtuLine, "see docs/howto/provisioned.md")
        for where, table in _tables(data, name, "provisioned")
    )


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
        values: dict[str, Any] = {
            field: _midnight(value, time_zone) if type(value) is date else value
            for field, value in table.items()
        }
        minor = EXACT.scaleb(exact_decimal(values.pop("floor", "")), exponent(currency))
        if minor != minor.to_integral_value():
            raise DataError(f"{where}: the floor has more decimals than {currency}")
        values["floor_minor"] = int(minor)
        found.append(_line(values, where, Commitment, "see docs/howto/commitments.md"))
    return tuple(found)


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


def _line(table: dict[str, Any], where: str, kind: type[Line], hint: str) -> Line:
    values = {
        field: as_instant(value) if isinstance(value, datetime) else value
        for field, value in table.items()
    }
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise DataError(f"{where}: {error}", hint=hint) from error


def _midnight(day: date, time_zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone(time_zone))
