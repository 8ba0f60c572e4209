"""The overview's tables as JSON and CSV: full precision, plain decimals, ISO instants.

CSV follows RFC 4180 in UTF-8. A text that a spreadsheet would run as a formula is prefixed with an
apostrophe (OWASP, "CSV Injection").
"""

import csv
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from quartermaster.console.ports import LiveFacts, OverviewFacts
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.money import Money
from quartermaster.revenue.scorecard import Entry, Scorecard

Table = Literal["customers", "run_rate", "guidance", "requests"]
TABLES: tuple[Table, ...] = get_args(Table)
SCHEMA_VERSION = 1

Cell = str | int | bool | Decimal
Rows = list[dict[str, Cell]]

GUIDANCE_COLUMNS: tuple[str, ...] = (
    *("period", "metric", "metric_version", "unit", "basis", "low", "high", "inferred"),
    *("source", "issued_on", "came", "came_basis", "came_metric_version", "came_source"),
    *("verdict", "reasons"),
)

COLUMNS: dict[Table, tuple[str, ...]] = {
    "customers": (
        *("rank", "group", "name", "amount", "currency", "share", "denominator"),
        *("period", "time_zone", "sample"),
    ),
    "run_rate": ("period", "run_rate_a_year", "currency", "time_zone", "sample"),
    "guidance": GUIDANCE_COLUMNS,
    "requests": (
        *("request_id", "at", "customer", "model", "input_tokens", "output_tokens"),
        *("status", "count_source", "sample"),
    ),
}

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows_of(overview: OverviewFacts | None, live: LiveFacts) -> dict[Table, Rows]:
    """Every table of the overview; `requests` are always real and say so."""
    tables: dict[Table, Rows] = {
        "customers": [],
        "run_rate": [],
        "guidance": [],
        "requests": _requests(live),
    }
    if overview is not None:
        tables["customers"] = _customers(overview)
        tables["run_rate"] = _run_rate(overview)
        tables["guidance"] = _guidance(overview.promises)
    return tables


def as_json(tables: Mapping[Table, Rows], now: Instant) -> bytes:
    """All tables in one object with a schema version; decimals are strings, so none is rounded."""
    body: dict[str, object] = {"schema": f"overview/{SCHEMA_VERSION}", "at": iso(now)}
    body.update({str(name): rows for name, rows in tables.items()})
    return msgspec.json.encode(body)


def as_csv(columns: Sequence[str], rows: Rows) -> str:
    """One table, with a header line even when it is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    return out.getvalue()


def iso(at: Instant) -> str:
    """An instant as ISO 8601 in UTC."""
    return as_datetime(at).isoformat().replace("+00:00", "Z")


def _cell(value: Cell) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _customers(facts: OverviewFacts) -> Rows:
    return [
        {
            "rank": rank,
            "group": group.group,
            "name": group.name,
            "amount": Money(group.minor, facts.currency).decimal,
            "currency": facts.currency,
            "share": group.share,
            "denominator": facts.denominator.en,
            "period": facts.period,
            "time_zone": facts.time_zone,
            "sample": facts.sample,
        }
        for rank, group in enumerate(facts.revenue, start=1)
    ]


def _run_rate(facts: OverviewFacts) -> Rows:
    return [
        {
            "period": rate.period,
            "run_rate_a_year": Money(rate.annual_minor, facts.currency).decimal,
            "currency": facts.currency,
            "time_zone": facts.time_zone,
            "sample": facts.sample,
        }
        for rate in facts.run_rate
    ]


def _requests(live: LiveFacts) -> Rows:
    return [
        {
            "request_id": request.request_id,
            "at": iso(request.at),
            "customer": request.customer,
            "model": request.model,
            "input_tokens": request.input_tokens,
            "output_tokens": request.output_tokens,
            "status": request.status,
            "count_source": request.count_source,
            "sample": False,
        }
        for request in live.last
    ]


def _guidance(card: Scorecard | None) -> Rows:
    """Every promise as it was said, in the order of its periods."""
    return [] if card is None else [_promise(entry) for entry in card.entries]


def _promise(entry: Entry) -> dict[str, Cell]:
    guidance, actual = entry.promise.guidance, entry.promise.actual
    figure = guidance.figure
    return {
        "period": figure.period,
        "metric": figure.metric,
        "metric_version": figure.metric_version,
        "unit": figure.unit,
        "basis": figure.basis,
        "low": guidance.low,
        "high": guidance.high,
        "inferred": guidance.inferred,
        "source": guidance.source,
        "issued_on": guidance.issued_on,
        "came": "" if actual is None else actual.value,
        "came_basis": "" if actual is None else actual.figure.basis,
        "came_metric_version": "" if actual is None else actual.figure.metric_version,
        "came_source": "" if actual is None else actual.source,
        "verdict": entry.verdict.outcome,
        "reasons": " ".join(entry.verdict.reasons),
    }
