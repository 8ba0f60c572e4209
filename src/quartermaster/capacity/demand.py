"""Demand: prompt tokens to read and tokens to write, by hour, customer and model.

From the hourly rollup of metered usage, or from a CSV. Prefill is what the engine computes: tokens
found in a cache are not read again, and are left out.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from quartermaster.capacity.csv_lines import named, records, refuse, said
from quartermaster.kernel.clock import US_PER_HOUR, as_instant
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.events import HourlyUsage

YEAR_MIN, YEAR_MAX = 2000, 2999
"""Outside, a year is mistyped; and no zone moves an hour of these out of the calendar."""
COUNT_DIGITS_MAX = 18
"""A quintillion tokens in one hour is more than the world writes."""

REQUIRED = ("hour", "customer", "prefill_tokens", "decode_tokens")
OPTIONAL = ("model", "requests", "cached_tokens")
_COUNT = re.compile(rf"[0-9]{{1,{COUNT_DIGITS_MAX}}}", re.ASCII)


class HourTokens(msgspec.Struct, frozen=True, order=True):
    """What one customer used of one model in one hour; `hour` is microseconds UTC."""

    hour: int
    customer: str
    model: str
    prefill_tokens: int
    decode_tokens: int
    requests: int = 0
    """0: not counted."""
    cached_tokens: int = 0
    """Of prompts, found in a cache: not computed, but the context that decode reads is longer."""


def from_usage(rows: Iterable[HourlyUsage]) -> tuple[HourTokens, ...]:
    """Demand of hourly metered usage, summed over contracts, projects and keys."""
    sums: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        counts = row.counts
        into = sums[row.hour, row.customer, row.model]
        into[0] += counts.input + counts.cache_write + counts.audio_input
        into[1] += counts.output + counts.reasoning + counts.audio_output
        into[2] += row.requests
        into[3] += counts.cached_read
    return tuple(HourTokens(*key, *sums[key]) for key in sorted(sums))


def without(
    rows: Iterable[HourTokens], customers: Sequence[str], backfill_percent: int = 0
) -> tuple[HourTokens, ...]:
    """The demand with these customers gone and a part of what they used sold to others.

    Args:
        rows: demand.
        customers: who leaves.
        backfill_percent: of every hour's tokens, now used by `BACKFILL`.
    """
    kept: list[HourTokens] = []
    refilled: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        if row.customer not in customers:
            kept.append(row)
        elif backfill_percent:
            into = refilled[row.hour, BACKFILL, row.model]
            used = (row.prefill_tokens, row.decode_tokens, row.requests, row.cached_tokens)
            for at, count in enumerate(used):
                into[at] += count * backfill_percent // 100
    kept += [HourTokens(*key, *counts) for key, counts in refilled.items()]
    return tuple(sorted(kept))


BACKFILL = "(backfill)"
"""Whoever uses capacity that a leaver freed."""


def read_demand(data: bytes, name: str, *, model: str = "") -> tuple[HourTokens, ...]:
    """Every row of a CSV of hourly tokens.

    Args:
        data: the file as it is.
        name: for messages.
        model: of rows that name none; empty: every row must.

    Raises:
        DataError: names the file and each bad line with its reason; nothing is half-read.
    """
    found: list[HourTokens] = []
    seen: dict[tuple[int, str, str], int] = {}
    bad: list[str] = []
    for line, fields in records(data, name, REQUIRED, OPTIONAL):
        try:
            row = _row(fields, model)
        except UsageError as error:
            bad.append(said(line, error))
            continue
        before = seen.setdefault((row.hour, row.customer, row.model), line)
        if before != line:
            bad.append(f"line {line}: the same hour, customer and model as line {before}")
        found.append(row)
    refuse(bad, name)
    if not found:
        raise DataError(f"{name} holds no demand", hint=f"columns: {', '.join(REQUIRED)}")
    return tuple(sorted(found))


def _row(fields: dict[str, str], model: str) -> HourTokens:
    """One record.

    Raises:
        UsageError: the reason, without the line.
    """
    return HourTokens(
        hour=_hour(fields["hour"]),
        customer=named(fields["customer"], "customer"),
        model=named(fields.get("model") or model, "model"),
        prefill_tokens=_count(fields["prefill_tokens"], "prefill_tokens"),
        decode_tokens=_count(fields["decode_tokens"], "decode_tokens"),
        requests=_count(fields.get("requests") or "0", "requests"),
        cached_tokens=_count(fields.get("cached_tokens") or "0", "cached_tokens"),
    )


def _hour(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"hour {text[:40]!r} is not a time", hint="write it as 2024-03-01T13:00Z"
        ) from None
    if at.tzinfo is None:
        raise UsageError(f"hour {text!r} has no time zone", hint="write it as 2024-03-01T13:00Z")
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise UsageError(f"hour {text!r} is not between {YEAR_MIN} and {YEAR_MAX}")
    instant = as_instant(at)
    if instant % US_PER_HOUR:
        raise UsageError(f"hour {text!r} does not begin an hour")
    return instant


def _count(text: str, column: str) -> int:
    if _COUNT.fullmatch(text) is None:
        raise UsageError(f"{column} {text[:40]!r} is not a whole number such as 1200000")
    return int(text)
