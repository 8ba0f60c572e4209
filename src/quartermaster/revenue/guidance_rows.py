"""Read guidance and what came in from a CSV, in one of two layouts; all of it, or every bad line.

One promise a line: `metric, unit, period, basis, metric_version, low, high, source, issued_on` and,
where there are any, `text, inferred, miss_chance, definition, actual, actual_basis,
actual_metric_version, actual_definition, actual_source`. Without `actual` it is pending.

One quarter a line, as analysts keep them: growth on both bases beside the guidance for that
quarter (`fiscal_quarter, growth_reported_pct, growth_cc_pct, guide_low_cc, guide_high_cc,
metric_version, ...`). Guidance is given with the results of the quarter before, so it speaks of
that quarter's metric version. A single growth figure without the other one beside it does not say
which of the two it is: its basis is unknown.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.revenue.guidance import Actual, Basis, Figure, Guidance, definition_hash

ROWS_MAX = 10_000
"""A hundred metrics for 25 years of quarters; a person states and checks each of them."""

REQUIRED = (
    *("metric", "unit", "period", "basis", "metric_version"),
    *("low", "high", "source", "issued_on"),
)
OPTIONAL = (
    *("text", "inferred", "miss_chance", "definition", "actual", "actual_basis"),
    *("actual_metric_version", "actual_definition", "actual_source"),
)
QUARTERS = (
    *("fiscal_quarter", "growth_reported_pct", "growth_cc_pct"),
    *("guide_low_cc", "guide_high_cc", "metric_version"),
)
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0", "")
_INFERRED_WORDS = ("inferred", "derived")

Fields = Mapping[str, str]


class Promise(NamedTuple):
    """One line: what was promised, and what came, if it has."""

    line: int
    guidance: Guidance
    actual: Actual | None


def read_guidance(data: bytes, name: str) -> tuple[Promise, ...]:
    """Every promise of the file, in its order; quarters without guidance are left out.

    Raises:
        DataError: names the file and each bad line with its reason.
    """
    records = list(_records(data, name))
    columns = set(records[0][1]) if records else set()
    of_quarters = columns.issuperset(QUARTERS)
    promises: list[Promise] = []
    bad: list[str] = []
    version_before = ""
    for line, fields in records:
        try:
            if of_quarters:
                promise = _quarter(line, fields, version_before)
                version_before = fields["metric_version"]
            else:
                promise = _promise(line, fields)
            if promise is not None:
                _check(promise)
                promises.append(promise)
        except UsageError as error:
            bad.append(f"\n  line {line}: {error.message}")
    if bad:
        raise DataError(
            f"{name}: {len(bad)} of {len(records)} rows cannot be used{''.join(bad)}",
            hint="correct these lines; nothing was read",
        )
    if not promises:
        raise DataError(f"{name} holds no guidance")
    return tuple(promises)


def _records(data: bytes, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8 text", hint="export the file as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip().casefold() for column in next(reader, [])]
        _check_header(header, name)
        for fields in reader:
            if reader.line_num > ROWS_MAX:
                raise DataError(f"{name} has more than {ROWS_MAX} lines")
            if any(field.strip() for field in fields):
                if len(fields) != len(header):
                    raise DataError(
                        f"{name}, line {reader.line_num}: {len(fields)} fields where the header"
                        f" has {len(header)}"
                    )
                cells = (field.strip() for field in fields)
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: not readable as CSV ({error})") from error


def _check_header(header: Sequence[str], name: str) -> None:
    if set(header).issuperset(QUARTERS):
        return
    absent = [column for column in REQUIRED if column not in header]
    unknown = [column for column in header if column not in REQUIRED + OPTIONAL]
    if absent or unknown:
        wrong = f"no column {absent[0]!r}" if absent else f"unknown column {unknown[0]!r}"
        raise DataError(
            f"{name}, line 1: {wrong}",
            hint=f"needed: {', '.join(REQUIRED)}; possible: {', '.join(OPTIONAL)}",
        )


def _promise(line: int, fields: Fields) -> Promise:
    figure = Figure(
        metric=_filled(fields, "metric"),
        unit=_filled(fields, "unit"),
        period=_filled(fields, "period"),
        basis=_basis(fields["basis"]),
        metric_version=_filled(fields, "metric_version"),
        definition=_definition(fields.get("definition", "")),
    )
    guidance = Guidance(
        figure=figure,
        low=fields["low"],
        high=fields["high"] or fields["low"],
        text=fields.get("text", ""),
        source=_filled(fields, "source"),
        issued_on=fields["issued_on"],
        inferred=_flag(fields.get("inferred", "")),
        miss_chance=fields.get("miss_chance", ""),
    )
    if not fields.get("actual"):
        return Promise(line, guidance, None)
    came = Figure(
        metric=figure.metric,
        unit=figure.unit,
        period=figure.period,
        basis=_basis(fields.get("actual_basis", "")),
        metric_version=fields.get("actual_metric_version") or figure.metric_version,
        definition=_definition(fields.get("actual_definition", "")),
    )
    actual = Actual(figure=came, value=fields["actual"], source=fields.get("actual_source", ""))
    return Promise(line, guidance, actual)


def _quarter(line: int, fields: Fields, version_before: str) -> Promise | None:
    low, version = fields["guide_low_cc"], fields["metric_version"]
    if not low:
        return None
    figure = Figure(
        metric="growth",
        unit="%",
        period=_filled(fields, "fiscal_quarter"),
        basis="constant_currency",
        metric_version=version_before or version,
    )
    notes = f"{fields.get('source_guidance', '')} {fields.get('verified', '')}".casefold()
    guidance = Guidance(
        figure=figure,
        low=low,
        high=fields["guide_high_cc"] or low,
        text=fields.get("guide_text", "").strip('"'),
        source=fields.get("source_guidance", ""),
        issued_on="",
        inferred=any(word in notes for word in _INFERRED_WORDS),
    )
    reported, constant = fields["growth_reported_pct"], fields["growth_cc_pct"]
    if not (reported or constant):
        return Promise(line, guidance, None)
    basis: Basis = "constant_currency" if reported and constant else "unknown"
    came = Figure(
        metric="growth", unit="%", period=figure.period, basis=basis, metric_version=version
    )
    source = fields.get("source_actual", "")
    return Promise(line, guidance, Actual(figure=came, value=constant or reported, source=source))


def _check(promise: Promise) -> None:
    """Everything that scoring would stumble over, while the line is known.

    Raises:
        UsageError: a bound, value or chance that is none.
    """
    _ = promise.guidance.interval, promise.guidance.chance
    if promise.actual is not None:
        _ = promise.actual.number


def _filled(fields: Fields, column: str) -> str:
    if not fields[column]:
        raise UsageError(f"{column} is empty")
    return fields[column]


def _basis(text: str) -> Basis:
    known: tuple[Basis, ...] = get_args(Basis)
    for basis in known:
        if (text or "unknown") == basis:
            return basis
    raise UsageError(f"basis {text!r} is none of {', '.join(known)}")


def _definition(words: str) -> str:
    return definition_hash(words) if words else ""


def _flag(text: str) -> bool:
    if text.casefold() in _YES:
        return True
    if text.casefold() in _NO:
        return False
    raise UsageError(f"inferred {text!r} is neither yes nor no")
