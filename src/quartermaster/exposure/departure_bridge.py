"""What a departure on a given day takes, step by step, at expected usage: the terms of a waterfall.

Arithmetic, not a simulation: the months of the horizon are looked at in their middle, as the
simulation does, with everybody else staying and no luck in usage. Where there are no commitments
it is the mean of that simulation; a commitment is worth a little more when usage varies (the test
measures how much).
"""

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import exact_decimal


class Bridge(msgspec.Struct, frozen=True, kw_only=True):
    """Revenue over the horizon in major units; `after` is the sum of the other amounts."""

    who: str
    months: int
    leaves_in_month: float
    suspended: bool
    before: float
    """Of the whole book with nobody leaving."""
    customer: float
    """What the customer would bring: the step down."""
    before_leaving: float
    """What it brings until it gives notice."""
    kept: float
    """While notice runs and usage falls."""
    commitment: float
    """What its commitment adds to that."""
    backfill: float
    """What others pay for usage that it freed."""
    gone_months: float
    """Months of its usage that go: half a month's usage for two months counts one."""
    refilled_months: float
    """Of them, months that others use."""

    @property
    def after(self) -> float:
        """What is left of the book's revenue."""
        back = self.before_leaving + self.kept + self.commitment + self.backfill
        return self.before - self.customer + back


def bridge(
    amounts: Sequence[tuple[str, Decimal]],
    assumptions: Assumptions,
    who: str,
    *,
    month: float = 0.0,
    suspended: bool = False,
) -> Bridge:
    """The steps of one departure.

    Args:
        amounts: each customer and what it pays a month, major units.
        assumptions: terms, prices and growth; hazards play no part.
        who: leaves.
        month: in which it gives notice, counted from 0.
        suspended: we end it: no notice, no ramp, and no commitment is owed any more.

    Raises:
        UsageError: nobody is called that.
    """
    if who not in {name for name, _ in amounts}:
        raise UsageError(f"there is no customer {who!r} in this book", field="customer")
    horizon = assumptions.horizon_months
    before = sum(sum(_staying(assumptions, name, float(monthly))) for name, monthly in amounts)
    monthly = next(float(paid) for name, paid in amounts if name == who)
    planned = _staying(assumptions, who, monthly)
    lost = _lost(assumptions, who, month, suspended=suspended)
    values, floors = _values(assumptions, monthly), _floors(assumptions, who)
    if suspended:
        floors = [floor if at < int(month) else 0.0 for at, floor in enumerate(floors)]
    refilled = _refilled(assumptions)
    still = [value * (1 - gone) for value, gone in zip(values, lost, strict=True)]
    announced = [at < month for at in range(horizon)]
    return Bridge(
        who=who,
        months=horizon,
        leaves_in_month=month,
        suspended=suspended,
        before=before,
        customer=sum(planned),
        before_leaving=sum(
            max(value, floor) for value, floor, soon in zip(still, floors, announced, strict=True)
            if soon
        ),
        kept=sum(value for value, soon in zip(still, announced, strict=True) if not soon),
        commitment=sum(
            max(floor - value, 0.0)
            for value, floor, soon in zip(still, floors, announced, strict=True)
            if not soon
        ),
        backfill=sum(
            value * gone * share
            for value, gone, share in zip(values, lost, refilled, strict=True)
        ),
        gone_months=sum(lost),
        refilled_months=sum(
            gone * share for gone, share in zip(lost, refilled, strict=True)
        ),
    )  # fmt: skip


def _values(assumptions: Assumptions, monthly: float) -> list[float]:
    """Expected usage of each month at that month's price."""
    drift, change = assumptions.growth.drift_per_year, assumptions.price.change_per_year
    years = [(at + 0.5) / MONTHS_A_YEAR for at in range(assumptions.horizon_months)]
    return [monthly * math.exp(drift * year) * (1 + change) ** year for year in years]


def _floors(assumptions: Assumptions, who: str) -> list[float]:
    terms = assumptions.terms(who)
    owed = float(exact_decimal(terms.commitment_per_month))
    return [
        owed if at < terms.commitment_months else 0.0 for at in range(assumptions.horizon_months)
    ]


def _staying(assumptions: Assumptions, who: str, monthly: float) -> list[float]:
    values, floors = _values(assumptions, monthly), _floors(assumptions, who)
    return [max(value, floor) for value, floor in zip(values, floors, strict=True)]


def _lost(assumptions: Assumptions, who: str, month: float, *, suspended: bool) -> list[float]:
    """Share of its usage that is gone in the middle of each month."""
    terms, departure = assumptions.terms(who), assumptions.departure
    notice = departure.notice_months if terms.notice_months is None else terms.notice_months
    ramp = departure.ramp_months if terms.ramp_months is None else terms.ramp_months
    kept = departure.kept_share if terms.kept_share is None else terms.kept_share
    if suspended:
        notice, ramp, kept = 0.0, 0.0, 0.0
    found = []
    for at in range(assumptions.horizon_months):
        passed = at + 0.5 - month - notice
        fallen = min(max(passed / ramp, 0.0), 1.0) if ramp > 0 else float(passed > 0)
        found.append(fallen * (1 - kept))
    return found


def _refilled(assumptions: Assumptions) -> list[float]:
    """Share of usage freed in each month that is sold again within the horizon."""
    share, delay = assumptions.backfill.share, assumptions.backfill.delay_months
    horizon = assumptions.horizon_months
    return [share if at + delay < horizon else 0.0 for at in range(horizon)]
