"""Provisioned units of a contract from TOML: one `[[provisioned]]` table a line."""

from datetime import datetime
from typing import Any

import msgspec

from quartermaster.kernel.clock import as_instant
from quartermaster.kernel.contract import PtuLine
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.toml import parse_toml

LINES_MAX = 100
"""A line a model and region: nobody deploys more, and each is looked at with every snapshot."""


def load(data: bytes, name: str) -> tuple[PtuLine, ...]:
    """The lines of a document.

    Args:
        data: the TOML document.
        name: how messages call it, such as its file name.

    Raises:
        DataError: names the line that cannot be read.
    """
    tree = parse_toml(data, name)
    tables = tree.pop("provisioned", [])
    if tree or not isinstance(tables, list) or not tables:
        raise DataError(f"{name}: it holds [[provisioned]] tables and nothing else")
    if len(tables) > LINES_MAX:
        raise DataError(f"{name}: over {LINES_MAX} lines")
    return tuple(_line(table, f"{name}: line {n}") for n, table in enumerate(tables, start=1))


def _line(table: dict[str, Any], where: str) -> PtuLine:
    values = {
        field: as_instant(value) if isinstance(value, datetime) else value
        for field, value in table.items()
    }
    try:
        return msgspec.convert(values, PtuLine)
    except msgspec.ValidationError as error:
        raise DataError(f"{where}: {error}", hint="see docs/howto/provisioned.md") from error
