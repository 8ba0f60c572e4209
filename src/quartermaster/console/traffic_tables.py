"""The live-traffic page's tables as JSON and CSV: full precision, ISO instants, always real."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from quartermaster.console.ports_traffic import TrafficFacts, TrafficRequest
from quartermaster.console.tables import Cell, Rows, iso
from quartermaster.kernel.clock import Instant

Table = Literal["now", "points", "refusals", "customers", "requests"]
TABLES: tuple[Table, ...] = get_args(Table)
SCHEMA = "traffic/1"

_RATES = ("requests_per_s", "tokens_per_s", "refused_per_s", "in_flight")
_FIRST = ("first_token_ms_p50", "first_token_ms_p95")
COLUMNS: dict[Table, tuple[str, ...]] = {
    "now": ("at", "workers", "silent", *_RATES, *_FIRST, "duration_ms_p50", "duration_ms_p95"),
    "points": ("at", "seconds", *_RATES, *_FIRST),
    "refusals": ("reason", "requests", "seconds"),
    "customers": ("customer", "name", "requests", "tokens", "in_flight", "since"),
    "requests": (
        *("request_id", "opened_at", "first_byte_at", "closed_at", "name", "model", "endpoint"),
        *("stream", "status", "reason", "input_tokens", "output_tokens"),
    ),
}


def rows_of(facts: TrafficFacts, now: Instant) -> dict[Table, Rows]:
    """Every table of the page. What is not known is an empty cell."""
    seconds = len(facts.points) * facts.step_s
    since = iso(facts.customers_since) if facts.customers_since else ""
    return {
        "now": [_now(facts, now)],
        "points": [
            {
                "at": iso(point.at),
                "seconds": facts.step_s,
                "requests_per_s": _exact(point.requests_per_s),
                "tokens_per_s": _exact(point.tokens_per_s),
                "refused_per_s": _exact(point.refused_per_s),
                "in_flight": point.in_flight,
                "first_token_ms_p50": _exact(point.first_token_ms_p50),
                "first_token_ms_p95": _exact(point.first_token_ms_p95),
            }
            for point in facts.points
        ],
        "refusals": [
            {"reason": each.reason, "requests": each.requests, "seconds": seconds}
            for each in facts.refusals
        ],
        "customers": [
            {
                "customer": each.customer,
                "name": each.name,
                "requests": each.requests,
                "tokens": each.tokens,
                "in_flight": each.in_flight,
                "since": since,
            }
            for each in facts.customers
        ],
        "requests": [_request(each) for each in facts.requests],
    }


def as_json(tables: Mapping[Table, Rows], now: Instant) -> bytes:
    """All tables in one object with a schema version; decimals are strings, so none is rounded."""
    body: dict[str, object] = {"schema": SCHEMA, "at": iso(now)}
    body.update({str(name): rows for name, rows in tables.items()})
    return msgspec.json.encode(body)


def _now(facts: TrafficFacts, now: Instant) -> dict[str, Cell]:
    return {
        "at": iso(now),
        "workers": facts.workers,
        "silent": " ".join(facts.silent),
        "requests_per_s": _exact(facts.requests_per_s),
        "tokens_per_s": _exact(facts.tokens_per_s),
        "refused_per_s": _exact(facts.refused_per_s),
        "in_flight": facts.in_flight,
        "first_token_ms_p50": _exact(facts.first_token_ms_p50),
        "first_token_ms_p95": _exact(facts.first_token_ms_p95),
        "duration_ms_p50": _exact(facts.duration_ms_p50),
        "duration_ms_p95": _exact(facts.duration_ms_p95),
    }


def _request(one: TrafficRequest) -> dict[str, Cell]:
    return {
        "request_id": one.request_id,
        "opened_at": iso(one.opened_at),
        "first_byte_at": iso(one.first_byte_at) if one.first_byte_at is not None else "",
        "closed_at": iso(one.closed_at) if one.closed_at is not None else "",
        "name": one.name,
        "model": one.model,
        "endpoint": one.endpoint,
        "stream": one.stream,
        "status": one.status if one.status is not None else "",
        "reason": one.reason,
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
    }


def _exact(value: float | None) -> Cell:
    """A decimal of at most three places: the counts behind it hold no more."""
    return "" if value is None else Decimal(str(round(value, 3)))
