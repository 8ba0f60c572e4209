"""A statement for programs: one JSON object. Its words are in `console/capacity_text.py`."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from quartermaster.capacity.cost import GPU_US_PER_GPU_HOUR, decimal
from quartermaster.capacity.statement import CustomerLine, PoolLine, Statement
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime
from quartermaster.kernel.money import Money

SCHEMA = "quartermaster.capacity/1"

_HOURS = Decimal("0.001")


def gpu_hours(us: int) -> Decimal:
    """GPU-hours to three decimals."""
    return decimal(Fraction(us, GPU_US_PER_GPU_HOUR)).quantize(_HOURS)


def _amount(minor: int, currency: str) -> str:
    return str(Money(minor, currency).decimal)


def as_tree(statement: Statement) -> dict[str, Any]:
    """The statement with amounts and hours as decimal strings."""
    currency = statement.fleet.currency
    first = as_datetime(Instant(statement.first_hour))
    end = as_datetime(Instant(statement.first_hour + statement.hours * US_PER_HOUR))
    parts = {
        "customers": statement.customer_minor,
        "reserved_idle": statement.reserved_idle_minor,
        "idle": statement.money.idle,
        "stranded": statement.money.stranded,
    }
    hours = {
        "busy": sum(statement.time.busy.values()),
        "reserved_idle": sum(statement.time.reserved_idle.values()),
        "idle": statement.time.idle,
        "stranded": statement.time.stranded,
    }
    return {
        "fleet": statement.fleet.name,
        "currency": currency,
        "window": {
            "first_hour": first.isoformat(),
            "end": end.isoformat(),
            "hours": statement.hours,
        },
        "gpu_hours": str(gpu_hours(statement.gpu_us)),
        "gpu_hours_by_use": {name: str(gpu_hours(us)) for name, us in hours.items()},
        "cost": _amount(statement.cost_minor, currency),
        "cost_by_use": {name: _amount(minor, currency) for name, minor in parts.items()},
        "pools": [_pool(line, currency) for line in statement.pools],
        "customers": [_customer(line, currency) for line in statement.customers],
        "warnings": list(statement.warnings),
    }


def _pool(line: PoolLine, currency: str) -> dict[str, Any]:
    pool, cost = line.account.pool, line.cost
    return {
        "id": pool.id,
        "gpu": pool.gpu,
        "model": pool.model,
        "gpus": pool.gpus,
        "needed_gpus": line.account.needed_gpus,
        "peak_gpus": str(gpu_hours(line.account.peak_us)),
        "throughput": {"basis": line.basis, "error": line.error},
        "gpu_hours": str(gpu_hours(line.account.gpu_us)),
        "gpu_hours_by_use": {
            "busy": str(gpu_hours(sum(line.hours.busy.values()))),
            "reserved_idle": str(gpu_hours(sum(line.hours.reserved_idle.values()))),
            "idle": str(gpu_hours(line.hours.idle)),
            "stranded": str(gpu_hours(line.hours.stranded)),
        },
        "gpu_hours_beyond": str(gpu_hours(line.hours.beyond)),
        "cost": _amount(cost.minor, currency),
        "depreciation": _amount(cost.depreciation_minor, currency),
        "lease": _amount(cost.lease_minor, currency),
        "power": _amount(cost.power_minor, currency),
        "cost_per_million_tokens": [
            {
                "batch": cell.batch,
                "prefill": cell.prefill_per_million,
                "decode": cell.decode_per_million,
                "blended": cell.blended_per_million,
                "extrapolated": cell.extrapolated,
            }
            for cell in line.batches
        ],
    }


def _customer(line: CustomerLine, currency: str) -> dict[str, Any]:
    return {
        "customer": line.customer,
        "prefill_tokens": line.prefill_tokens,
        "decode_tokens": line.decode_tokens,
        "busy_gpu_hours": str(gpu_hours(line.busy_us)),
        "reserved_idle_gpu_hours": str(gpu_hours(line.reserved_idle_us)),
        "cost": _amount(line.cost_minor, currency),
        "reserved_idle_cost": _amount(line.reserved_idle_minor, currency),
        "revenue": None if line.revenue_minor is None else _amount(line.revenue_minor, currency),
        "margin": None if line.margin_minor is None else _amount(line.margin_minor, currency),
    }


def change(before: Statement, after: Statement) -> dict[str, Any]:
    """What a departure does to the same capacity: the cost is the same, its parts are not."""
    currency = before.fleet.currency
    return {
        "customers": _amount(after.customer_minor - before.customer_minor, currency),
        "reserved_idle": _amount(after.reserved_idle_minor - before.reserved_idle_minor, currency),
        "idle": _amount(after.money.idle - before.money.idle, currency),
        "stranded": _amount(after.money.stranded - before.money.stranded, currency),
        "stranded_gpu_hours": str(gpu_hours(after.time.stranded - before.time.stranded)),
    }
