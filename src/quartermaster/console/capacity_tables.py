"""The capacity page's tables as JSON and CSV: exact amounts, and whose window each row is of."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Literal, get_args

import msgspec

from quartermaster.capacity.cost import decimal
from quartermaster.capacity.document import as_tree, gpu_hours
from quartermaster.capacity.payback import months_without
from quartermaster.capacity.statement import Statement
from quartermaster.console.ports_capacity import CapacityFacts, PaybackFacts
from quartermaster.console.tables import Cell, Rows, iso
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.money import Money

Table = Literal["uses", "customers", "batches"]
TABLES: tuple[Table, ...] = get_args(Table)
SCHEMA = "capacity/1"

_WINDOW = ("currency", "fleet", "first_hour", "hours", "without", "backfill_percent", "sample")
COLUMNS: dict[Table, tuple[str, ...]] = {
    "uses": ("use", "gpu_hours", "cost", *_WINDOW),
    "customers": (
        *("customer", "name", "prefill_tokens", "decode_tokens", "busy_gpu_hours", "cost"),
        *("reserved_idle_gpu_hours", "reserved_idle_cost", "revenue", "margin", *_WINDOW),
    ),
    "batches": (
        *("pool", "gpu", "model", "batch", "prefill_per_million", "decode_per_million"),
        *("blended_per_million", "extrapolated", "basis", *_WINDOW),
    ),
}


def rows_of(facts: CapacityFacts | None) -> dict[Table, Rows]:
    """Every table of the window with everybody, and its uses again without the asked customer."""
    if facts is None:
        return {name: [] for name in TABLES}
    whole, gone = _window(facts, without=False), _window(facts, without=True)
    return {
        "uses": [*_uses(facts.before, whole), *_uses(facts.after, gone)],
        "customers": _customers(facts, whole),
        "batches": _batches(facts.before, whole),
    }


def as_json(facts: CapacityFacts | None, tables: Mapping[Table, Rows], now: Instant) -> bytes:
    """All tables and both statements in one object; decimals are strings."""
    body: dict[str, object] = {"schema": SCHEMA, "at": iso(now)}
    if facts is not None:
        body |= {
            "sample": facts.sample,
            "fleet_sha256": facts.fleet_sha256,
            "asked": msgspec.to_builtins(facts.question, builtin_types=(Decimal,)),
            "whole_month": facts.whole_month,
            "unpriced": facts.unpriced,
            "other_currencies": [
                {"group": group, "revenue": str(amount.decimal), "currency": amount.currency}
                for group, amount in facts.elsewhere
            ],
            "still_owed": None if facts.owed is None else str(facts.owed.amount.decimal),
            "still_owed_months": 0 if facts.owed is None else facts.owed.months,
            "payback": None if facts.payback is None else _payback(facts.payback),
            "with": as_tree(facts.before),
            "without": as_tree(facts.after),
        }
    body.update({str(name): rows for name, rows in tables.items()})
    return msgspec.json.encode(body)


def _payback(found: PaybackFacts) -> dict[str, str | None]:
    """Months until what was spent is back; null where it never is."""

    def said(months: Fraction | None) -> str | None:
        return None if months is None else f"{decimal(months):.4f}"

    plan, loss, owing = found.plan, found.loss, found.owing
    return {
        "months_with": said(plan.months),
        "months_without": said(months_without(plan, loss)),
        "notice_months": said(owing.notice_months),
        "months_without_owed_counted": said(months_without(plan, loss, owing)),
    }


def _window(facts: CapacityFacts, *, without: bool) -> dict[str, Cell]:
    return {
        "currency": facts.before.fleet.currency,
        "fleet": facts.before.fleet.name,
        "first_hour": iso(Instant(facts.before.first_hour)),
        "hours": facts.before.hours,
        "without": facts.question.customer if without else "",
        "backfill_percent": facts.question.backfill_percent if without else 0,
        "sample": facts.sample,
    }


def _uses(found: Statement, window: dict[str, Cell]) -> Rows:
    amounts = (
        ("busy", sum(found.time.busy.values()), found.customer_minor),
        ("reserved_idle", sum(found.time.reserved_idle.values()), found.reserved_idle_minor),
        ("idle", found.time.idle, found.money.idle),
        ("stranded", found.time.stranded, found.money.stranded),
    )
    return [
        {"use": use, "gpu_hours": gpu_hours(us), "cost": _major(minor, found), **window}
        for use, us, minor in amounts
    ]


def _customers(facts: CapacityFacts, window: dict[str, Cell]) -> Rows:
    found = facts.before
    return [
        {
            "customer": line.customer,
            "name": facts.names.get(line.customer, line.customer),
            "prefill_tokens": line.prefill_tokens,
            "decode_tokens": line.decode_tokens,
            "busy_gpu_hours": gpu_hours(line.busy_us),
            "cost": _major(line.cost_minor, found),
            "reserved_idle_gpu_hours": gpu_hours(line.reserved_idle_us),
            "reserved_idle_cost": _major(line.reserved_idle_minor, found),
            "revenue": _major(line.revenue_minor, found),
            "margin": _major(line.margin_minor, found),
            **window,
        }
        for line in found.customers
    ]


def _batches(found: Statement, window: dict[str, Cell]) -> Rows:
    return [
        {
            "pool": line.account.pool.id,
            "gpu": line.account.pool.gpu,
            "model": line.account.pool.model,
            "batch": cell.batch,
            "prefill_per_million": Decimal(cell.prefill_per_million),
            "decode_per_million": Decimal(cell.decode_per_million),
            "blended_per_million": Decimal(cell.blended_per_million),
            "extrapolated": cell.extrapolated,
            "basis": line.basis,
            **window,
        }
        for line in found.pools
        for cell in line.batches
    ]


def _major(minor: int | None, found: Statement) -> Cell:
    return "" if minor is None else Money(minor, found.fleet.currency).decimal
