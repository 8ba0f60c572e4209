"""How much money: budgets of a key, a project or a group, and what a unit costs, in integers.

Money is counted in billionths of a major unit (nanos), a rate in billionths of a thousandth of one
(picos) a metered unit. A price of 0.15 a million tokens is 150,000 picos a token: six decimals are
exact, and what has more is rounded up, so that a budget never sees less than the bill.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from quartermaster.kernel.clock import Instant, month_of
from quartermaster.kernel.limit import LimitScope
from quartermaster.kernel.money import EXACT, exact_decimal, exponent
from quartermaster.kernel.price import UNIT_SCALE, PriceBook
from quartermaster.kernel.units import AXES, Axis, Counts, ServiceClass

BudgetPeriod = Literal["month", "none"]
"""A budget begins anew with each local month, or is spent once."""

NANO_DIGITS = 9
PICO_DIGITS = 12
PICOS_PER_NANO = 1_000
# The snapshot is JSON, whose readers hold 63 bits: nine million a unit is no price of anything.
RATE_PICOS_MAX = 2**63 - 1

OUTPUT_TOKENS_DEFAULT = 4_096
"""An answer whose request states no limit gets this one: ten pages of text, and what the model
servers of 2023 gave at most. It is sent to the model server, so that no answer can exceed it."""

THRESHOLDS_DEFAULT = (50, 80, 100)
"""Per cent at which somebody is told; 100 is the moment at which requests are refused."""

FOREVER = 253_370_764_800_000_000
"""The end of a period that has none: the year 9999 in microseconds UTC, the last of calendars."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed; amounts are minor units of the currency."""

    currency: str
    time_zone: str = "UTC"
    period: BudgetPeriod = "month"
    amount_minor: int = 0
    """Of every period; of a prepaid budget it is what was paid so far."""
    prepaid: bool = False
    """Drawn down by use, filled by payments; refused by a worker that is out of contact."""
    thresholds: tuple[int, ...] = THRESHOLDS_DEFAULT
    output_tokens: int = OUTPUT_TOKENS_DEFAULT
    """The most that an answer may have where its request states nothing."""
    since: int = 0
    """Microseconds UTC at which it was first set: a budget without a period counts from here."""
    paused: bool = False
    """Nothing is spent of it, whatever is left; its keys are refused."""

    @property
    def amount(self) -> int:
        """Nanos a period."""
        return nanos(self.amount_minor, self.currency)


class Epoch(msgspec.Struct, frozen=True):
    """One period of one budget; `id` is not used again, also when the budget is set anew."""

    id: str
    label: str
    """What people call it: `2026-11`, or empty for a budget without periods."""
    start: int
    end: int


def epochs(budget: Budget, now: Instant) -> tuple[Epoch, ...]:
    """The period that holds an instant and the one after it; only one where there are none."""
    if budget.period == "none":
        return (Epoch(f"@{budget.since}", "", budget.since, FOREVER),)
    this = month_of(now, budget.time_zone)
    following = month_of(Instant(this.end), budget.time_zone)
    return tuple(
        Epoch(f"{month.label}@{budget.since}", month.label, month.start, month.end)
        for month in (this, following)
    )


class BudgetGrant(msgspec.Struct, frozen=True):
    """What a gateway knows of a budget: whose it is and which periods it may ask leases for."""

    scope: LimitScope
    name: str
    currency: str
    epochs: tuple[Epoch, ...]
    """The running period and the one after it."""
    prepaid: bool = False
    output_tokens: int = OUTPUT_TOKENS_DEFAULT
    paused: bool = False

    @property
    def id(self) -> str:
        """Names the budget in leases."""
        return budget_id(self.scope, self.name)


class Rates(msgspec.Struct, frozen=True, array_like=True):
    """Picos a unit of every axis; an axis without a price counts as the dearest of its side."""

    input: int
    cached_read: int
    cache_write: int
    output: int
    reasoning: int
    audio_input: int
    audio_output: int
    image: int

    @property
    def dearest_input(self) -> int:
        """Whatever an input token turns out to be."""
        return max(self.input, self.cached_read, self.cache_write, self.audio_input)

    @property
    def dearest_output(self) -> int:
        """Whatever an output token turns out to be."""
        return max(self.output, self.reasoning, self.audio_output)

    def picos(self, counts: Counts) -> int:
        """What these quantities cost."""
        return (
            counts.input * self.input
            + counts.cached_read * self.cached_read
            + counts.cache_write * self.cache_write
            + counts.output * self.output
            + counts.reasoning * self.reasoning
            + counts.audio_input * self.audio_input
            + counts.audio_output * self.audio_output
            + counts.image * self.image
        )


class RateCard(msgspec.Struct, frozen=True):
    """Rates of a price book by model."""

    currency: str
    models: dict[str, Rates]
    """Of the service class `standard`."""
    batch_models: dict[str, Rates] = {}
    """Of the service class `batch`."""


_INPUT: tuple[Axis, ...] = ("input", "cached_read", "cache_write", "audio_input")
_OUTPUT: tuple[Axis, ...] = ("output", "reasoning", "audio_output")


def budget_id(scope: LimitScope, name: str) -> str:
    """Names a budget: `key:key_01…`, `project:acme/search`, `group:acme`."""
    return f"{scope}:{name}"


def nanos(minor: int, currency: str) -> int:
    """Minor units as nanos."""
    return int(minor * 10 ** (NANO_DIGITS - exponent(currency)))


def minor_units(amount_nanos: int, currency: str) -> int:
    """Nanos as whole minor units, rounded up: for people, who never owe less than they read."""
    return int(-(-amount_nanos // 10 ** (NANO_DIGITS - exponent(currency))))


def nanos_of(picos: int) -> int:
    """Picos as nanos, rounded up."""
    return -(-picos // PICOS_PER_NANO)


def rates_of(
    price_books: Iterable[PriceBook], model: str, service_class: ServiceClass = "standard"
) -> Rates | None:
    """The dearest rate of each axis in these versions of a price book.

    Returns:
        None where one of the versions has no price at all for the model, or an absurd one.
    """
    dearest: dict[Axis, int] = {}
    for book in price_books:
        found = {
            price.axis: _picos(price.amount, UNIT_SCALE[price.unit])
            for price in book.prices
            if price.model == model and price.service_class == service_class
        }
        if not found or max(found.values()) > RATE_PICOS_MAX:
            return None
        for side in (_INPUT, _OUTPUT):
            most = max((found[axis] for axis in side if axis in found), default=0)
            for axis in side:
                dearest[axis] = max(dearest.get(axis, 0), found.get(axis, most))
        dearest["image"] = max(dearest.get("image", 0), found.get("image", 0))
    return Rates(*(dearest[axis] for axis in AXES)) if dearest else None


def _picos(amount: str, unit_scale: int) -> int:
    scaled = exact_decimal(amount).scaleb(PICO_DIGITS - unit_scale, context=EXACT)
    whole = int(scaled)
    return whole + (scaled > whole)
