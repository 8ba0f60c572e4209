"""When is the money back, with a customer and without it? Exact fractions, rounded where shown.

Payback is simple, not discounted: months until the contribution of a steady business has returned
what was spent. Losing a share s of the revenue, with a part b of it sold to others, leaves
1 - s(1 - b) of the contribution, so payback stretches by the inverse of that.
"""

from fractions import Fraction

import msgspec

from quartermaster.kernel.errors import UsageError

MONTHS_A_YEAR = 12


class Plan(msgspec.Struct, frozen=True):
    """An investment and the business that returns it."""

    capex_minor: int
    annual_revenue_minor: int
    contribution: Fraction
    """Of one: revenue minus the costs that come with it, without the capacity itself."""

    def __post_init__(self) -> None:
        if self.capex_minor < 0:
            raise UsageError("capex is negative", field="capex")
        if self.annual_revenue_minor <= 0:
            raise UsageError("annual revenue is not positive", field="annual-revenue")
        if not 0 < self.contribution <= 1:
            raise UsageError(
                "contribution is not between 0 and 1", field="contribution", hint="such as 0.30"
            )

    @property
    def monthly_minor(self) -> Fraction:
        """Contribution a month."""
        return Fraction(self.annual_revenue_minor, MONTHS_A_YEAR) * self.contribution

    @property
    def months(self) -> Fraction:
        """Payback with every customer."""
        return self.capex_minor / self.monthly_minor


class Loss(msgspec.Struct, frozen=True):
    """A customer leaves. Shares are of one."""

    share: Fraction
    """Of the revenue."""
    backfill: Fraction = Fraction(0)
    """Part of what the customer paid that others pay instead, from the day it leaves."""
    after_months: Fraction = Fraction(0)
    """How long it stays, counted from the start of the investment."""

    def __post_init__(self) -> None:
        for name in ("share", "backfill"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is not between 0 and 1", field=name, hint="such as 0.24")
        if self.after_months < 0:
            raise UsageError("months before it leaves are negative", field="leaves-after")


def stretch(loss: Loss) -> Fraction | None:
    """How many times as long payback takes from the loss on; None: for ever."""
    left = 1 - loss.share * (1 - loss.backfill)
    return 1 / left if left else None


def months_without(plan: Plan, loss: Loss) -> Fraction | None:
    """Payback when the customer leaves; None: never."""
    if plan.months <= loss.after_months:
        return plan.months
    longer = stretch(loss)
    if longer is None:
        return None
    return loss.after_months + (plan.months - loss.after_months) * longer


def break_even_backfill(plan: Plan, loss: Loss, within_months: Fraction) -> Fraction | None:
    """The smallest backfill share with which the money is back in time.

    Args:
        plan: the investment.
        loss: who leaves, and when; its own backfill does not count.
        within_months: such as the time over which the GPUs are written off.

    Returns:
        A share of one; 0 where no backfill is needed, None where even all of it is too late.
    """
    if plan.months > within_months:
        return None
    if plan.months <= loss.after_months or not loss.share:
        return Fraction(0)
    remaining = within_months - loss.after_months
    if remaining <= 0:
        return None
    needed = (plan.months - loss.after_months) / remaining
    return max(Fraction(0), 1 - (1 - needed) / loss.share)
