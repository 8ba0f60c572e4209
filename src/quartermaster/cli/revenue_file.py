"""One revenue CSV, rolled up and measured: what `exposure` and `disclose` both begin with."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from quartermaster.exposure.control import ROLL_UPS, RollUp, controlled
from quartermaster.exposure.control_file import CONTROL_BYTES_MAX, read_control
from quartermaster.exposure.csv_rows import CSV_BYTES_MAX, read_bytes, read_csv
from quartermaster.exposure.months import month_text
from quartermaster.exposure.report import ControlFacts, InputFile, input_file
from quartermaster.exposure.rollup import (
    WINDOW_MONTHS,
    WINDOW_MONTHS_MAX,
    Exposure,
    measure,
    window,
)
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.rows_by import Dimension

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=msgspec.Struct)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How to read the CSV and what its shares are of."""

    scope: str = ""
    months: int | None = None
    as_of: str | None = None
    decimal_comma: bool = False
    ignore_column: tuple[str, ...] = ()
    control: Path | None = None
    roll_up: RollUp = "month"
    by: Dimension = "group"

    @property
    def stated(self) -> bool:
        """Whether anything was asked for that only a CSV can have."""
        return self != Reading()


class RevenueFile(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a file under the control that counts, and what they come to."""

    rows: tuple[RevenueRow, ...]
    exposure: Exposure
    source: InputFile
    control: ControlFacts | None = None


def picked(kind: type[S], given: Mapping[str, object]) -> S:
    """The fields of a struct out of all options of a command."""
    return kind(**{name: given[name] for name in kind.__struct_fields__ if name in given})


def revenue_options(function: F) -> F:
    """The options of `Reading` but `by`, for every command that reads revenue."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option("--of", "scope", default="", help="CSV: whose revenue; names the denominator."),
    click.option(
        "--months",
        type=click.IntRange(1, WINDOW_MONTHS_MAX),
        help=f"CSV: months that shares are of; {WINDOW_MONTHS} by default.",
    ),
    click.option("--as-of", metavar="YYYY-MM", help="CSV: last month; the file's last by default."),
    click.option("--decimal-comma", is_flag=True, help="CSV: amounts are written 1234,56."),
    click.option("--ignore-column", multiple=True, help="CSV: leave a column out; repeatable."),
    click.option(
        "--control",
        type=click.Path(path_type=Path),
        help="CSV: who controls whom, with dates: entity, group, from, to.",
    ),
    click.option(
        "--roll-up",
        type=click.Choice(ROLL_UPS),
        default="month",
        help="CSV: whose control counts, each month's or the last month's.",
    ),
)


def read_revenue(path: Path, reading: Reading) -> RevenueFile:
    """Read the CSV, put every entity under its group, and measure.

    Raises:
        DataError: a file cannot be read as a whole, or the two files do not agree.
    """
    data = read_bytes(path, CSV_BYTES_MAX)
    rows = read_csv(
        data,
        path.name,
        decimal_comma=reading.decimal_comma,
        ignore_columns=reading.ignore_column,
    )
    months = reading.months or WINDOW_MONTHS
    facts = None
    if reading.control is not None:
        span = window(rows, months, reading.as_of)
        first, last = month_text(span.first), month_text(span.last)
        control_data = read_bytes(reading.control, CONTROL_BYTES_MAX)
        control = read_control(control_data, reading.control.name)
        rows = controlled(rows, control, path.name, roll_up=reading.roll_up, last=last)
        facts = ControlFacts(
            file=input_file(reading.control.name, control_data),
            roll_up=reading.roll_up,
            moved=control.moved(first, last),
            unused=control.unused(rows),
        )
    exposure = measure(
        rows,
        scope=reading.scope or f"all customers in {path.name}",
        scope_de=reading.scope or f"allen Kunden in {path.name}",
        months=months,
        as_of=reading.as_of,
        by=reading.by,
    )
    return RevenueFile(
        rows=rows, exposure=exposure, source=input_file(path.name, data), control=facts
    )
