"""Read revenue by customer and month from a CSV: all of it, or a list of the bad rows.

Columns are described in docs/reference/exposure-input.md. Nothing is half-read: one bad row makes
the whole file fail, because a share with a missing customer looks exactly like a right one.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from quartermaster.exposure.months import month_number
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.money import EXACT, exact_decimal, exponent

CSV_BYTES_MAX = 128 * 1024 * 1024
"""A million rows of 100 bytes fit; a larger file is an export of events, not of months."""
CSV_ROWS_MAX = 1_000_000
"""40,000 customers for 24 months; read in seconds without a data frame library."""
NAME_CHARS_MAX = 200
"""Longer than any registered company name; keeps tables and reports drawable."""

BAD_ROWS_SHOWN_MAX = 100
"""More lines of reasons are not read; the rest is counted."""

REQUIRED = ("customer", "month", "revenue", "currency")
OPTIONAL = ("group", "product", "region", "contract_end", "minimum_per_month")
DELIMITERS = (",", ";", "\t", "|")

_DAY = re.compile(r"([0-9]{4}-[0-9]{2})-(?:0[1-9]|[12][0-9]|3[01])", re.ASCII)
# 15 digits before the point are under 10**18 minor units in every currency.
_AMOUNT = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
_TOO_LARGE = re.compile(r"[+-]?[0-9]{16,}([.,][0-9]{1,6})?", re.ASCII)
_AMOUNT_COMMA = re.compile(r"[+-]?[0-9]{1,15}(,[0-9]{1,6})?", re.ASCII)


class BadRow(NamedTuple):
    """Where and why a row cannot be used."""

    line: int
    reason: str


Key = tuple[str, str, str, str, str]
"""What tells the rows of a month apart: customer, product, region, contract end, month."""


class Layout(NamedTuple):
    """Where each column stands, and how many fields a row has."""

    columns: dict[str, int]
    width: int


def read_bytes(path: Path, limit: int) -> bytes:
    """The file's bytes, or a reason in words.

    Raises:
        DataError: missing, not a readable file, or larger than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        name = path.name or path
        raise DataError(
            f"{name} cannot be read: {reason}", hint="is it a file, and may you read it?"
        ) from error
    if len(data) > limit:
        raise DataError(f"{path.name} is larger than {limit // 1024 // 1024} MiB")
    return data


def decode_text(data: bytes, name: str) -> str:
    """UTF-8 text, with or without a byte-order mark.

    Raises:
        DataError: not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: not UTF-8 text", hint="export the file as UTF-8"
        ) from error


def read_csv(
    data: bytes,
    name: str,
    *,
    decimal_comma: bool = False,
    ignore_columns: Sequence[str] = (),
) -> tuple[RevenueRow, ...]:
    """Every row of the file.

    Args:
        data: the file as it is.
        name: for messages.
        decimal_comma: amounts are written 1234,56.
        ignore_columns: columns to leave out; any other unknown column is an error, so that a
            misspelt `group` cannot silently undo the roll-up.

    Raises:
        DataError: names the file and each bad line with its reason.
    """
    text = decode_text(data, name)
    reader = records(text, name)
    header = next(reader, None)
    if header is None:
        raise DataError(f"{name} is empty", hint=f"it needs the columns {', '.join(REQUIRED)}")
    layout = _layout(header, name, ignore_columns)
    rows: list[RevenueRow] = []
    bad: list[BadRow] = []
    seen: dict[Key, int] = {}
    group_at: dict[str, tuple[str, int]] = {}
    for line, record in reader:
        if len(rows) + len(bad) >= CSV_ROWS_MAX:
            raise DataError(f"{name} has more than {CSV_ROWS_MAX} rows")
        try:
            row = _row(record, layout, line, decimal_comma=decimal_comma)
            _check_against(row, line, rows[0] if rows else None, seen, group_at)
        except UsageError as error:
            bad.append(BadRow(line, error.message + (f"; {error.hint}" if error.hint else "")))
        else:
            rows.append(row)
    if bad:
        raise DataError(bad_rows(name, bad), hint="correct these lines; nothing was read")
    if not rows:
        raise DataError(
            f"{name} has a header and no rows", hint="give a row for each customer and month"
        )
    return tuple(rows)


def bad_rows(name: str, bad: Sequence[BadRow]) -> str:
    """The bad rows of a file, each with its line and reason, and how many are not listed."""
    count = "1 row" if len(bad) == 1 else f"{len(bad)} rows"
    lines = "".join(f"\n  line {row.line}: {row.reason}" for row in bad[:BAD_ROWS_SHOWN_MAX])
    more = len(bad) - BAD_ROWS_SHOWN_MAX
    return f"{name}: {count} cannot be used{lines}" + (f"\n  and {more} more" if more > 0 else "")


def records(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """First line and fields of each record that is not blank, the header first."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{name}, line {line}: not readable as CSV ({error})",
                hint="is a quotation mark left open, or is it another kind of file?",
            ) from error
        if any(field.strip() for field in record):
            yield line, record
        line = reader.line_num + 1


def _layout(header: tuple[int, Sequence[str]], name: str, ignore_columns: Sequence[str]) -> Layout:
    line, fields = header
    names = [cleaned(field).casefold() for field in fields]
    ignored = {column.strip().casefold() for column in ignore_columns}
    where = f"{name}, line {line}"
    for required in REQUIRED:
        if required not in names:
            raise DataError(
                f"{where}: the column {required!r} is missing",
                hint=f"needed: {', '.join(REQUIRED)}; possible: {', '.join(OPTIONAL)}",
            )
    for column in names:
        if column in ignored:
            continue
        if column not in REQUIRED + OPTIONAL:
            raise DataError(
                f"{where}: unknown column {column!r}",
                hint=f"remove it or pass --ignore-column {column!r}",
            )
        if names.count(column) > 1:
            raise DataError(f"{where}: the column {column!r} is there twice")
    columns = {column: at for at, column in enumerate(names) if column not in ignored}
    return Layout(columns, len(names))


def _row(record: Sequence[str], layout: Layout, line: int, *, decimal_comma: bool) -> RevenueRow:
    """One record as a row.

    Raises:
        UsageError: the reason, without the line.
    """
    if len(record) != layout.width:
        raise UsageError(f"{len(record)} fields where the header has {layout.width}")
    fields = {column: cleaned(record[at]) for column, at in layout.columns.items()}
    customer = party_name(fields["customer"], "customer")
    currency = fields["currency"]
    month_number(fields["month"])
    return RevenueRow(
        customer=customer,
        group=party_name(fields["group"], "group") if fields.get("group") else customer,
        month=fields["month"],
        minor=minor_units(fields["revenue"], currency, decimal_comma=decimal_comma),
        currency=currency,
        product=_stated(fields, "product"),
        region=_stated(fields, "region"),
        contract_end=_month_of_end(fields.get("contract_end", "")),
        line=line,
        least=_least(fields, decimal_comma=decimal_comma),
    )


def _stated(fields: dict[str, str], column: str) -> str:
    return party_name(fields[column], column) if fields.get(column) else ""


def _least(fields: dict[str, str], *, decimal_comma: bool) -> int:
    """What is owed for each month until the contract ends."""
    text = fields.get("minimum_per_month", "")
    if not text:
        return 0
    least = minor_units(
        text, fields["currency"], decimal_comma=decimal_comma, what="minimum_per_month"
    )
    if least < 0:
        raise UsageError("minimum_per_month is below zero")
    if least and not fields.get("contract_end"):
        raise UsageError(
            "minimum_per_month needs contract_end", hint="say until when the customer owes it"
        )
    return least


def _month_of_end(text: str) -> str:
    """The month a contract ends in; an export may give the day."""
    if not text:
        return ""
    day = _DAY.fullmatch(text)
    month_number(day[1] if day else text)
    return day[1] if day else text


def _check_against(
    row: RevenueRow,
    line: int,
    first: RevenueRow | None,
    seen: dict[Key, int],
    group_at: dict[str, tuple[str, int]],
) -> None:
    """What only the rows before can tell.

    Raises:
        UsageError: another currency, a repeated row, or another group than before.
    """
    if first is not None and row.currency != first.currency:
        raise UsageError(
            f"{row.currency} in a file that begins in {first.currency}",
            hint="convert at a rate you can name first",
        )
    group, group_line = group_at.setdefault(row.customer, (row.group, line))
    if group != row.group:
        raise UsageError(
            f"{row.customer!r} is in group {row.group!r} here and in {group!r} at line"
            f" {group_line}",
            hint="say who controlled whom from when to when in a file for --control",
        )
    key = (row.customer, row.product, row.region, row.contract_end, row.month)
    before = seen.setdefault(key, line)
    if before != line:
        raise UsageError(
            f"the same customer, product and month as line {before}",
            hint="add them up, or tell them apart by product",
        )


def cleaned(field: str) -> str:
    """One spelling of the same text: composed characters, no blanks around it."""
    return unicodedata.normalize("NFC", field).strip()


def party_name(text: str, column: str) -> str:
    """A name that can be shown.

    Raises:
        UsageError: empty, too long, or with control characters.
    """
    if not text:
        raise UsageError(f"{column} is empty")
    if len(text) > NAME_CHARS_MAX:
        raise UsageError(f"{column} is longer than {NAME_CHARS_MAX} characters")
    if not text.isprintable():
        raise UsageError(f"{column} holds a control character")
    return text


def minor_units(text: str, currency: str, *, decimal_comma: bool, what: str = "revenue") -> int:
    """Major units as text to exact minor units; nothing is rounded.

    Raises:
        UsageError: not a plain decimal, or more decimals than the currency has.
    """
    places = exponent(currency)
    pattern = _AMOUNT_COMMA if decimal_comma else _AMOUNT
    if pattern.fullmatch(text) is None:
        said = f"{what} {text[:40]!r}"
        if _TOO_LARGE.fullmatch(text):
            raise UsageError(
                f"{said} is more than 15 digits before the point",
                hint="give it in thousands or millions, and say so with --of",
            )
        raise UsageError(
            f"{said} is not a plain decimal such as {'1234,56' if decimal_comma else '1234.56'}",
            hint=_other_sign(text, decimal_comma=decimal_comma),
        )
    minor = exact_decimal(text.replace(",", ".")).scaleb(places, context=EXACT)
    if minor != minor.to_integral_value():
        raise UsageError(f"{what} {text!r} has more decimals than {currency} ({places})")
    return int(minor)


def _other_sign(text: str, *, decimal_comma: bool) -> str:
    """What to do where the amount is a number, written in another country's way."""
    if "," in text and "." in text:
        return "leave thousands separators out"
    if decimal_comma:
        return "leave --decimal-comma out" if "." in text else ""
    return "for 1234,56 pass --decimal-comma" if "," in text else ""
