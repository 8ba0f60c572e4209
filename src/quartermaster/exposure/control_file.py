"""Read who controls whom from a CSV (`entity,group,from,to`) or a TOML file of `[[control]]`.

Months are `YYYY-MM`, both included; an empty `from` or `to` leaves that end open.
"""

from collections.abc import Iterator
from pathlib import PurePath

from quartermaster.exposure.control import MONTH_FIRST, MONTH_LAST, Control, Spell
from quartermaster.exposure.csv_rows import (
    NAME_CHARS_MAX,
    BadRow,
    bad_rows,
    cleaned,
    decode_text,
    party_name,
    records,
)
from quartermaster.exposure.months import month_number
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.toml import parse_toml

COLUMNS = ("entity", "group", "from", "to")
CONTROL_BYTES_MAX = 4 * 1024 * 1024
"""40,000 entities at 100 bytes: every customer of the largest revenue file, once."""

Fields = dict[str, str]


def read_control(data: bytes, name: str) -> Control:
    """Every spell of the file, checked for overlaps and gaps.

    Raises:
        DataError: names the file and each bad line with its reason.
    """
    text = decode_text(data, name)
    toml = PurePath(name).suffix.casefold() == ".toml"
    spells: list[Spell] = []
    bad: list[BadRow | str] = []
    for line, where, fields in _toml(text, name) if toml else _csv(text, name):
        try:
            spells.append(_spell(fields, where))
        except UsageError as error:
            reason = error.message + (f"; {error.hint}" if error.hint else "")
            bad.append(BadRow(line, reason) if line else f"{where}: {reason}")
    if bad:
        lines = [row for row in bad if isinstance(row, BadRow)]
        entries = [row for row in bad if isinstance(row, str)]
        message = (
            bad_rows(name, lines)
            if lines
            else f"{name}: " + "".join(f"\n  {entry}" for entry in entries)
        )
        raise DataError(message, hint="correct these lines; nothing was read")
    if not spells:
        raise DataError(f"{name} says nothing about control", hint=f"columns: {', '.join(COLUMNS)}")
    return Control.of(name, spells)


def _csv(text: str, name: str) -> Iterator[tuple[int, str, Fields]]:
    reader = records(text, name)
    line, header = next(reader, (1, []))
    names = [cleaned(field).casefold() for field in header]
    if sorted(names) != sorted(COLUMNS):
        raise DataError(
            f"{name}, line {line}: the columns are {', '.join(names)[:NAME_CHARS_MAX] or 'none'}",
            hint=f"they must be {', '.join(COLUMNS)}, in any order",
        )
    for line, record in reader:
        if len(record) != len(names):
            raise DataError(
                f"{name}, line {line}: {len(record)} fields where the header has {len(names)}"
            )
        yield line, f"line {line}", dict(zip(names, map(cleaned, record), strict=True))


def _toml(text: str, name: str) -> Iterator[tuple[int, str, Fields]]:
    entries = parse_toml(text.encode(), name).get("control", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{name}: control is not a list", hint="write [[control]] above each entry")
    headers = [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if "".join(line.split()).startswith("[[control]]")
    ]
    known = len(headers) == len(entries)
    for at, entry in enumerate(entries):
        line = headers[at] if known else 0
        where = f"line {line}" if known else f"entry {at + 1}"
        unknown = sorted(set(entry) - set(COLUMNS))
        if unknown:
            raise DataError(f"{name}, {where}: unknown field {unknown[0]!r}")
        yield line, where, {key: cleaned(str(entry.get(key, ""))) for key in COLUMNS}


def _spell(fields: Fields, where: str) -> Spell:
    spell = Spell(
        entity=party_name(fields["entity"], "entity"),
        group=party_name(fields["group"], "group"),
        first=month_number(fields["from"]) if fields["from"] else MONTH_FIRST,
        last=month_number(fields["to"]) if fields["to"] else MONTH_LAST,
        where=where,
    )
    if spell.first > spell.last:
        raise UsageError(f"{spell.entity!r}: {fields['from']} is after {fields['to']}")
    return spell
