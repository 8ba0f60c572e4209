"""When is the money back, with a customer and without it? Exact fractions, rounded where shown.

Payback is simple, not discounted: months until the contribution of a steady business has returned
what was spent. Losing a share s of the revenue, with a part b of it sold to others, leaves
1 - s(1 - b) of the contribution, so payback stretches by the inverse of that.

Who leaves may still owe: through a notice it goes on paying, and commitments and units that it
signed for come in until they end, used or not. That money counts at the same contribution as
revenue, so a customer that owes what it used to pay leaves payback as it was.
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


class Owing(msgspec.Struct, frozen=True):
    """What a customer that leaves is still bound to pay."""

    minor: int = 0
    """In all, after the notice, in equal months."""
    months: Fraction = Fraction(0)
    """For so long after the notice."""
    notice_months: Fraction = Fraction(0)
    """For so long it goes on as before."""

    def __post_init__(self) -> None:
        if self.minor < 0:
            raise UsageError("what is still owed is negative", field="still-owed")
        for name in ("months", "notice_months"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} are negative", field=name)
        if self.minor and not self.months:
            raise UsageError(
                "what is still owed comes in over some months",
                field="owed-months",
                hint="such as 12",
            )

    def __bool__(self) -> bool:
        """Whether it is anything at all."""
        return bool(self.minor or self.notice_months)


NOTHING_OWED = Owing()


def stretch(loss: Loss) -> Fraction | None:
    """How many times as long payback takes from the loss on; None: for ever."""
    left = 1 - loss.share * (1 - loss.backfill)
    return 1 / left if left else None


def months_without(plan: Plan, loss: Loss, owing: Owing = NOTHING_OWED) -> Fraction | None:
    """Payback when the customer leaves; None: never.

    Args:
        plan: the investment.
        loss: who leaves, and when.
        owing: what it still pays for; without it, as if nothing were owed.
    """
    gone_after = loss.after_months + owing.notice_months
    if plan.months <= gone_after:
        return plan.months
    left = 1 - loss.share * (1 - loss.backfill)
    missing = (plan.months - gone_after) * plan.monthly_minor
    if owing.minor:
        bound = left * plan.monthly_minor + _owed_a_month(plan, owing)
        if bound * owing.months >= missing:
            return gone_after + missing / bound
        missing -= bound * owing.months
        gone_after += owing.months
    return gone_after + missing / (left * plan.monthly_minor) if left else None


def _owed_a_month(plan: Plan, owing: Owing) -> Fraction:
    return owing.minor / owing.months * plan.contribution


def break_even_backfill(
    plan: Plan, loss: Loss, within_months: Fraction, owing: Owing = NOTHING_OWED
) -> Fraction | None:
    """The smallest backfill share with which the money is back in time.

    Args:
        plan: the investment.
        loss: who leaves, and when; its own backfill does not count.
        within_months: such as the time over which the GPUs are written off.
        owing: what it still pays for.

    Returns:
        A share of one; 0 where no backfill is needed, None where even all of it is too late.
    """
    gone_after = loss.after_months + owing.notice_months
    if plan.months <= min(gone_after, within_months):
        return Fraction(0)
    remaining = within_months - gone_after
    if remaining <= 0:
        return None
    missing = (plan.months - gone_after) * plan.monthly_minor
    if owing.minor:
        missing -= _owed_a_month(plan, owing) * min(owing.months, remaining)
    needed = missing / (remaining * plan.monthly_minor)
    if needed > 1:
        return None
    return max(Fraction(0), 1 - (1 - needed) / loss.share) if loss.share else Fraction(0)
