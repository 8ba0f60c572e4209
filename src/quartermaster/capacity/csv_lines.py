"""Rows of a CSV with named columns, for demand and for revenue, and how bad lines are refused."""

import csv
import io
from collections.abc import Iterator, Sequence

from quartermaster.kernel.errors import DataError, UsageError

CSV_BYTES_MAX = 128 * 1024 * 1024
"""A million rows of 100 bytes fit; a larger file is an export of requests, not of hours."""
CSV_ROWS_MAX = 1_000_000
"""A hundred customers by the hour for a year; read in seconds without a data frame library."""
NAME_CHARS_MAX = 200
"""Longer than any registered company name."""
SHOWN_PROBLEMS_MAX = 20
"""One screen; the same mistake usually repeats on every line."""


def records(
    data: bytes, name: str, required: Sequence[str], optional: Sequence[str] | None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped fields of every row, by lower-case column.

    Args:
        data: the file as it is; the delimiter is found in its first line.
        name: for messages.
        required: columns that must be there.
        optional: columns that may be; None lets any other column be.

    Raises:
        DataError: not UTF-8, not CSV, too large, or with other columns.
    """
    if len(data) > CSV_BYTES_MAX:
        raise DataError(f"{name} is larger than {CSV_BYTES_MAX // 1024 // 1024} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: not UTF-8 text", hint="export the file as UTF-8"
        ) from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [column.strip().casefold() for column in next(reader, [])]
        _check_header(header, name, required, optional)
        for count, record in enumerate(reader, start=1):
            if count > CSV_ROWS_MAX:
                raise DataError(f"{name} has more than {CSV_ROWS_MAX:,} rows")
            if len(record) not in (0, len(header)):
                width = len(header)
                raise DataError(
                    f"{name}, line {reader.line_num}: {len(record)} fields where the header has"
                    f" {width}"
                )
            if record:
                fields = dict(zip(header, (field.strip() for field in record), strict=True))
                yield reader.line_num, fields
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}") from error


def _check_header(
    header: Sequence[str], name: str, required: Sequence[str], optional: Sequence[str] | None
) -> None:
    missing = [column for column in required if column not in header]
    known = (*required, *(optional or ()))
    unknown = [] if optional is None else [column for column in header if column not in known]
    twice = [column for column in known if header.count(column) > 1]
    for columns, words in ((missing, "missing"), (unknown, "unknown"), (twice, "there twice")):
        if columns:
            raise DataError(
                f"{name}, line 1: {words}: {', '.join(repr(column[:40]) for column in columns)}",
                hint=f"columns: {', '.join(known)}",
            )


def refuse(bad: Sequence[str], name: str) -> None:
    """Nothing is half-read: one bad line makes the whole file fail.

    Raises:
        DataError: there is a bad line; the first ones are listed.
    """
    if bad:
        shown = "".join(f"\n  {line}" for line in bad[:SHOWN_PROBLEMS_MAX])
        more = len(bad) - SHOWN_PROBLEMS_MAX
        rest = f"\n  and {more} more" if more > 0 else ""
        count = "1 row" if len(bad) == 1 else f"{len(bad)} rows"
        raise DataError(
            f"{name}: {count} cannot be used{shown}{rest}",
            hint="correct these lines; nothing was read",
        )


def said(line: int, error: UsageError) -> str:
    """What is wrong with a line."""
    return f"line {line}: {error.message}" + (f"; {error.hint}" if error.hint else "")


def named(text: str, column: str) -> str:
    """The name in a column.

    Raises:
        UsageError: empty, too long, or not printable.
    """
    if not text:
        raise UsageError(f"{column} is empty")
    if len(text) > NAME_CHARS_MAX or not text.isprintable():
        raise UsageError(f"{column} is longer than {NAME_CHARS_MAX} characters or not printable")
    return text
