"""What a risk figure assumes: read from a TOML file or flags, checked, and shown with every figure.

None of it is estimated here. Defaults are stated assumptions, marked as such in every output: a
hazard nobody chose must not look like one that somebody measured.
"""

import math
from pathlib import Path
from typing import Any

import msgspec

from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.money import exact_decimal
from quartermaster.kernel.toml import parse_toml

HORIZON_MONTHS_MAX = 120
"""Ten years: a longer guess about language models is no figure."""

PERIOD_MONTHS_MAX = 120.0
"""Of notice and ramp: as far as the longest horizon looks."""

HAZARD_MAX = 20.0
"""A rate of 20 a year empties half the book in two weeks; more is a typing error: 35 for 35 %."""

FRAILTY_VARIANCE_MIN = 1e-4
"""A common factor that moves by one per cent; far smaller ones are beyond single precision."""

ASSUMPTIONS_BYTES_MAX = 1_048_576
"""One mebibyte holds ten thousand customers' assumptions."""


class Growth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Usage: log-normal walks. All a year; volatilities are standard deviations of log usage."""

    drift_per_year: float = 0.0
    own_volatility_per_year: float = 0.20
    market_volatility_per_year: float = 0.10
    sector_volatility_per_year: float = 0.0


class Departure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a customer leaves: notice, then usage falls on a line to what it keeps."""

    notice_months: float = 0.0
    ramp_months: float = 6.0
    kept_share: float = 0.0
    frailty_variance: float = 0.25
    """Variance of the gamma factor, of mean one, that multiplies all hazards of a scenario: a
    year in which one leaves is a year in which others do."""


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The price path, the same for all customers."""

    change_per_year: float = 0.0


class Backfill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much of the usage that departures free is sold to others, and how much later."""

    share: float = 0.0
    delay_months: int = 6


class Capacity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Capacity cost over revenue today, and the share of it that ends when usage does."""

    cost_share: float = 0.0
    avoidable_share: float = 0.0


class CustomerTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is different for one customer; None is as for all."""

    group: str
    hazard_per_year: float | None = None
    notice_months: float | None = None
    ramp_months: float | None = None
    kept_share: float | None = None
    commitment_per_month: str = "0"
    """Least that is owed for a month, in major units of the file's currency, at today's rate."""
    commitment_months: int = 0
    """Months from now for which it is owed: until the contract ends."""
    currency: str = ""
    """What it pays in, where that is not the file's currency; listed in `fx`."""
    sector: str = ""
    own_volatility_per_year: float | None = None


class Hazards(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rates of departure a year: the chance to leave within a year is 1 - exp(-rate)."""

    top: float = 0.10
    """Of the largest customer."""
    rest: float = 0.10


class Assumptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is assumed; the defaults are stated with every figure."""

    horizon_months: int = 24
    quantile: float = 0.95
    hazard_per_year: Hazards = Hazards()
    growth: Growth = Growth()
    departure: Departure = Departure()
    price: Price = Price()
    backfill: Backfill = Backfill()
    capacity: Capacity = Capacity()
    fx: dict[str, float] = msgspec.field(default_factory=dict)
    """Currency to standard deviation a year of its log rate against the file's currency."""
    customer: tuple[CustomerTerms, ...] = ()

    def __post_init__(self) -> None:
        check(self)

    def terms(self, group: str) -> CustomerTerms:
        """What is different for that customer, or nothing."""
        return next(
            (one for one in self.customer if one.group == group), CustomerTerms(group=group)
        )

    @property
    def chance(self) -> tuple[float, float]:
        """Chance to announce a departure within the horizon: the largest customer, another one."""
        years = self.horizon_months / 12
        variance = self.departure.frailty_variance
        return (
            _chance(self.hazard_per_year.top * years, variance),
            _chance(self.hazard_per_year.rest * years, variance),
        )


def _chance(cumulative: float, variance: float) -> float:
    """1 - E[exp(-H X)] for a gamma X of mean one: the Laplace transform of the gamma law."""
    if variance == 0:
        return -math.expm1(-cumulative)
    return -math.expm1(-math.log1p(variance * cumulative) / variance)


# field: (low, high), both allowed. Rates and volatilities above these are typing errors (percent
# written for fractions), shares are shares.
_RANGES: dict[str, tuple[float, float]] = {
    "hazard_per_year.top": (0.0, HAZARD_MAX),
    "hazard_per_year.rest": (0.0, HAZARD_MAX),
    "growth.drift_per_year": (-3.0, 3.0),
    "growth.own_volatility_per_year": (0.0, 2.0),
    "growth.market_volatility_per_year": (0.0, 2.0),
    "growth.sector_volatility_per_year": (0.0, 2.0),
    "departure.notice_months": (0.0, PERIOD_MONTHS_MAX),
    "departure.ramp_months": (0.0, PERIOD_MONTHS_MAX),
    "departure.kept_share": (0.0, 1.0),
    "departure.frailty_variance": (0.0, 4.0),
    "price.change_per_year": (-0.99, 3.0),
    "backfill.share": (0.0, 1.0),
    "backfill.delay_months": (0, HORIZON_MONTHS_MAX),
    "capacity.cost_share": (0.0, 5.0),
    "capacity.avoidable_share": (0.0, 1.0),
    "horizon_months": (1, HORIZON_MONTHS_MAX),
}
_TERM_RANGES = {
    "hazard_per_year": (0.0, HAZARD_MAX),
    "notice_months": (0.0, PERIOD_MONTHS_MAX),
    "ramp_months": (0.0, PERIOD_MONTHS_MAX),
    "kept_share": (0.0, 1.0),
    "commitment_months": (0.0, HORIZON_MONTHS_MAX),
    "own_volatility_per_year": (0.0, 2.0),
}


REFUSALS = frozenset({"customers", "hazard", "revenue"})
"""Fields of errors that say why a book has no loss; faces have words for each."""


def refusal_of(error: UsageError) -> str:
    """What a face is told: the field where it has words for that, else the message."""
    return error.field if error.field in REFUSALS else error.message


def check(assumptions: Assumptions) -> None:
    """Refuse what cannot be meant.

    Raises:
        UsageError: names the field and its range.
    """
    for name, (low, high) in _RANGES.items():
        value: Any = assumptions
        for part in name.split("."):
            value = getattr(value, part)
        _within(name, value, low, high)
    if not 0 < assumptions.quantile < 1:
        raise UsageError(
            f"quantile {assumptions.quantile} is not between 0 and 1",
            hint="write 0.95 or 95%: one scenario in twenty is worse",
            field="quantile",
        )
    if 0 < assumptions.departure.frailty_variance < FRAILTY_VARIANCE_MIN:
        raise UsageError(
            f"departure.frailty_variance {assumptions.departure.frailty_variance:g} is too small to"
            " tell from none",
            hint=f"give 0, or at least {FRAILTY_VARIANCE_MIN:g}",
            field="departure.frailty_variance",
        )
    for currency, volatility in assumptions.fx.items():
        _within(f"fx.{currency}", volatility, 0.0, 2.0)
    names = [one.group for one in assumptions.customer]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(
            f"the customer {twice!r} has two entries in the assumptions",
            hint="write all that is different for it into one [[customer]]",
        )
    for one in assumptions.customer:
        _check_terms(one, assumptions)


def _check_terms(one: CustomerTerms, assumptions: Assumptions) -> None:
    for field, (low, high) in _TERM_RANGES.items():
        value = getattr(one, field)
        if value is not None:
            _within(f"{field} of {one.group!r}", value, low, high)
    try:
        least = exact_decimal(one.commitment_per_month)
    except UsageError as error:
        raise UsageError(
            f"commitment_per_month of {one.group!r}: {error.message}", hint=error.hint
        ) from error
    if least < 0:
        raise UsageError(
            f"commitment_per_month of {one.group!r} is below zero",
            hint="it is the least that the customer owes for a month",
        )
    if one.currency and one.currency not in assumptions.fx:
        raise UsageError(
            f"{one.group!r} pays in {one.currency}, which has no volatility",
            hint=f"[fx] {one.currency} = 0.08",
        )


_HINT_MONTHS = "count in months: two years are 24"
_HINT_FRACTION = "rates and shares are fractions: 35 % a year is 0.35"
_HINT_VARIANCE = "0 is none; at 0.25 departures of a bad year are about half as many again"


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise UsageError(
            f"{name} {value:g} is not between {low:g} and {high:g}",
            hint=_range_hint(name.split(" ")[0]),
        )


def _range_hint(field: str) -> str:
    if field.endswith("_months"):
        return _HINT_MONTHS
    return _HINT_VARIANCE if field.endswith("_variance") else _HINT_FRACTION


def read_assumptions(path: Path) -> Assumptions:
    """Assumptions from a TOML file.

    Raises:
        DataError: the file cannot be read, or holds a field or value that has no meaning.
    """
    try:
        data = path.read_bytes()[: ASSUMPTIONS_BYTES_MAX + 1]
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}", hint="is it a file, and may you read it?"
        ) from error
    if len(data) > ASSUMPTIONS_BYTES_MAX:
        raise DataError(f"{path.name} is larger than {ASSUMPTIONS_BYTES_MAX} bytes")
    try:
        return msgspec.convert(parse_toml(data, path.name), Assumptions)
    except msgspec.ValidationError as error:
        fields = ", ".join(Assumptions.__struct_fields__)
        raise DataError(f"{path.name}: {error}", hint=f"assumptions hold {fields}") from error
    except UsageError as error:
        raise DataError(f"{path.name}: {error.message}", hint=error.hint) from error
