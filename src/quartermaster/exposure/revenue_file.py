"""One revenue CSV, rolled up and measured: what every figure about a file begins with."""

from pathlib import Path

import msgspec

from quartermaster.exposure.control import RollUp, controlled
from quartermaster.exposure.control_file import CONTROL_BYTES_MAX, read_control
from quartermaster.exposure.csv_rows import CSV_BYTES_MAX, read_bytes, read_csv
from quartermaster.exposure.months import month_text
from quartermaster.exposure.report import ControlFacts, InputFile, input_file
from quartermaster.exposure.rollup import WINDOW_MONTHS, Exposure, measure, window
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.rows_by import Dimension


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


def read_revenue(path: Path, reading: Reading) -> RevenueFile:
    """Read the CSV, put every entity under its group, and measure.

    Raises:
        DataError: a file cannot be read as a whole, or the two files do not agree.
    """
    return parse_revenue(read_bytes(path, CSV_BYTES_MAX), path.name, reading)


def parse_revenue(data: bytes, name: str, reading: Reading) -> RevenueFile:
    """The same of bytes that are called `name` in messages.

    Raises:
        DataError: a file cannot be read as a whole, or the two files do not agree.
    """
    rows = read_csv(
        data, name, decimal_comma=reading.decimal_comma, ignore_columns=reading.ignore_column
    )
    months = reading.months or WINDOW_MONTHS
    facts = None
    if reading.control is not None:
        span = window(rows, months, reading.as_of)
        first, last = month_text(span.first), month_text(span.last)
        control_data = read_bytes(reading.control, CONTROL_BYTES_MAX)
        control = read_control(control_data, reading.control.name)
        rows = controlled(rows, control, name, roll_up=reading.roll_up, last=last)
        facts = ControlFacts(
            file=input_file(reading.control.name, control_data),
            roll_up=reading.roll_up,
            moved=control.moved(first, last),
            unused=control.unused(rows),
        )
    exposure = measure(
        rows,
        scope=reading.scope or f"all customers in {name}",
        scope_de=reading.scope or f"allen Kunden in {name}",
        months=months,
        as_of=reading.as_of,
        by=reading.by,
    )
    return RevenueFile(rows=rows, exposure=exposure, source=input_file(name, data), control=facts)
