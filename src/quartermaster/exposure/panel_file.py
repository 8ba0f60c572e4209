"""Read a usage panel: a CSV of tenant, date and amount, or a Standard Workload Format log.

SWF (Parallel Workloads Archive) has 18 fields a job; the tenant is the user (field 12), the amount
run time times processors in hours, the day that of submission in UTC.
"""

import gzip
import io
import re
import zlib
from datetime import UTC, date, datetime
from pathlib import Path

from quartermaster.exposure.csv_rows import NAME_CHARS_MAX, decode_text, read_bytes, records
from quartermaster.exposure.panel import Panel, Use, make_panel
from quartermaster.kernel.errors import DataError

PANEL_BYTES_MAX = 128 * 1024 * 1024
"""Three million rows of 40 bytes: 4,000 tenants for two years of days."""
UNPACKED_BYTES_MAX = 512 * 1024 * 1024
"""Logs compress five to eight times; more than this is not a log but a bomb."""
AMOUNT_MAX = 1e18
"""More than any meter counts in a day; sums of such amounts still fit a double."""
BAD_ROWS_SHOWN_MAX = 10
"""Enough to see what is wrong with a file; the rest is counted."""
COLUMNS = ("tenant", "date", "amount")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ][0-9:.]{5,15}(?:Z|[+-][0-9:]{5})?)?")

SWF_FIELDS = 18
SWF_SUBMIT, SWF_RUN, SWF_PROCESSORS, SWF_ASKED, SWF_USER = 1, 3, 4, 7, 11
_SWF_START = re.compile(r";\s*UnixStartTime:\s*(\d{1,11})")


def read_panel(path: Path, *, decimal_comma: bool = False) -> Panel:
    """The panel in a file; `.swf` and `.swf.gz` are workload logs, anything else is a CSV.

    Args:
        path: of the file.
        decimal_comma: amounts of a CSV are written 1234,56.

    Raises:
        DataError: the file cannot be read as a whole; names each bad line.
    """
    data = read_bytes(path, PANEL_BYTES_MAX)
    name = path.name
    if name.casefold().endswith(".gz"):
        data = _unpacked(data, name)
    workload = name.casefold().removesuffix(".gz").endswith(".swf")
    if workload:
        return make_panel(swf_uses(data, name), name)
    uses = csv_uses(data, name, decimal_comma=decimal_comma)
    return make_panel(uses, name)


def csv_uses(data: bytes, name: str, *, decimal_comma: bool = False) -> list[Use]:
    """Uses of a CSV with the columns tenant, date (YYYY-MM-DD) and amount.

    Args:
        data: the file as it is; columns are separated by `,` `;` tab or `|`.
        name: for messages.
        decimal_comma: amounts are written 1234,56.

    Raises:
        DataError: a column is missing, or rows cannot be read.
    """
    reader = records(decode_text(data, name), name)
    line, fields = next(reader, (1, []))
    header = [field.strip().casefold() for field in fields]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise DataError(
            f"{name}, line {line}: the column {missing[0]!r} is missing",
            hint=f"a usage panel has the columns {', '.join(COLUMNS)}",
        )
    at = [header.index(column) for column in COLUMNS]
    uses: list[Use] = []
    bad: list[str] = []
    for line, record in reader:
        try:
            uses.append(_use(record, at, len(header), decimal_comma=decimal_comma))
        except ValueError as error:
            bad.append(f"line {line}: {error}")
    if bad:
        count = "1 row" if len(bad) == 1 else f"{len(bad)} rows"
        shown = "".join(f"\n  {reason}" for reason in bad[:BAD_ROWS_SHOWN_MAX])
        more = len(bad) - BAD_ROWS_SHOWN_MAX
        shown += f"\n  and {more} more" if more > 0 else ""
        raise DataError(
            f"{name}: {count} cannot be used{shown}",
            hint="correct these lines; nothing was read",
        )
    return uses


def swf_uses(data: bytes, name: str) -> list[Use]:
    """Uses of a Standard Workload Format log; jobs without run time or processors use nothing.

    Raises:
        DataError: a job line has not 18 numbers.
    """
    uses: list[Use] = []
    start = 0
    for number, line in enumerate(data.decode("latin-1").splitlines(), start=1):
        if line.startswith(";"):
            found = _SWF_START.match(line)
            start = int(found[1]) if found else start
        elif line.strip():
            use = _swf_use(line, start, f"{name}, line {number}")
            if use is not None:
                uses.append(use)
    return uses


def _use(record: list[str], at: list[int], width: int, *, decimal_comma: bool) -> Use:
    if len(record) != width:
        raise ValueError(f"{len(record)} fields where the header has {width}")
    tenant, day, amount = (record[place].strip() for place in at)
    if not tenant or len(tenant) > NAME_CHARS_MAX or not tenant.isprintable():
        raise ValueError("tenant is empty, too long or not printable")
    return Use(tenant, _day(day), _amount(amount, decimal_comma=decimal_comma))


def _day(text: str) -> date:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"date {text[:40]!r} is not YYYY-MM-DD")
    try:
        return date.fromisoformat(found[1])
    except ValueError as error:
        raise ValueError(f"date {text!r} is not in the calendar") from error


def _amount(text: str, *, decimal_comma: bool) -> float:
    said = f"amount {text[:40]!r}"
    try:
        # With a comma for the point, a point would be a thousands separator.
        value = float(text.replace(".", "x").replace(",", ".") if decimal_comma else text)
    except ValueError as error:
        comma = "; for 1234,56 pass --decimal-comma" if "," in text and not decimal_comma else ""
        raise ValueError(f"{said} is not a number{comma}") from error
    if not 0 <= value <= AMOUNT_MAX:
        raise ValueError(f"{said} is not a number from zero to {AMOUNT_MAX:.0e}")
    return value


def _swf_use(line: str, start: int, where: str) -> Use | None:
    fields = line.split()
    if len(fields) != SWF_FIELDS:
        raise DataError(
            f"{where}: {len(fields)} fields where a job has {SWF_FIELDS}",
            hint="a Standard Workload Format log has one job a line; comments begin with ;",
        )
    try:
        submitted, run = float(fields[SWF_SUBMIT]), float(fields[SWF_RUN])
        used, asked = float(fields[SWF_PROCESSORS]), float(fields[SWF_ASKED])
        when = datetime.fromtimestamp(start + submitted, tz=UTC).date()
    except (ValueError, OverflowError, OSError) as error:
        raise DataError(
            f"{where}: {error}", hint="fields 2, 4, 5, 8 and 12 of a job are numbers"
        ) from error
    processors = used if used > 0 else asked
    if run <= 0 or processors <= 0:
        return None
    return Use(f"user {fields[SWF_USER]}", when, run * processors / 3600)


def _unpacked(data: bytes, name: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unpacked = file.read(UNPACKED_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{name} cannot be unpacked: {error}", hint="is it whole, and made by gzip?"
        ) from error
    if len(unpacked) > UNPACKED_BYTES_MAX:
        raise DataError(f"{name} unpacks to more than {UNPACKED_BYTES_MAX // 1024 // 1024} MiB")
    return unpacked
