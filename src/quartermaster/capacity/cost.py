"""What capacity costs: depreciation, lease and power of a pool, exact until one rounding a line.

A GPU costs the same in every hour that it stands there, busy or not: depreciation is straight-line
over its months, and power is the mean draw that the fleet states.
"""

from decimal import Decimal
from fractions import Fraction

import msgspec

from quartermaster.capacity.fleet import Fleet, Pool
from quartermaster.kernel.money import EXACT, Money, round_line

HOURS_PER_MONTH = Fraction(8_766, 12)
"""730.5: a mean month of a mean year of 365.25 days, so that depreciation ends when it should."""

GPU_US_PER_GPU_HOUR = 3_600_000_000
"""GPU-microseconds: the integer unit in which capacity is counted and its cost is split."""


class PoolCost(msgspec.Struct, frozen=True):
    """Minor units that a pool cost over some hours; each line is rounded once."""

    depreciation_minor: int
    lease_minor: int
    power_minor: int

    @property
    def minor(self) -> int:
        """The whole, which is the sum of the rounded lines."""
        return self.depreciation_minor + self.lease_minor + self.power_minor


def hourly_rates(pool: Pool) -> tuple[Fraction, Fraction, Fraction]:
    """Depreciation, lease and power of one GPU for one hour, in major units, exact."""
    months = pool.depreciation_months * HOURS_PER_MONTH
    depreciation = Fraction(pool.amount("capex_per_gpu")) / months if months else Fraction(0)
    draw_kw = Fraction(pool.amount("power_kw_per_gpu")) * Fraction(pool.amount("pue"))
    power = draw_kw * Fraction(pool.amount("power_price_per_kwh"))
    return depreciation, Fraction(pool.amount("lease_per_gpu_hour")), power


def pool_cost(pool: Pool, hours: int, currency: str) -> PoolCost:
    """What the pool cost in so many hours."""
    gpu_hours = pool.gpus * hours
    lines = [round_line(decimal(rate * gpu_hours), currency).minor for rate in hourly_rates(pool)]
    return PoolCost(*lines)


def capex(fleet: Fleet) -> Money:
    """What was paid for all owned GPUs."""
    paid = sum((Fraction(pool.amount("capex_per_gpu")) * pool.gpus for pool in fleet.pools), _NONE)
    return round_line(decimal(paid), fleet.currency)


_NONE = Fraction(0)


def decimal(value: Fraction) -> Decimal:
    """The fraction to 38 digits: the one division."""
    return EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
