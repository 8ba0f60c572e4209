"""The changes that a what-if knows: leave, cut, price, commit, diversify, and the usual levers.

The command line and the console both make their changes here, so that the same question has the
same answer in both.
"""

import math
from collections.abc import Iterator, Sequence

import msgspec

from quartermaster.exposure.risk_assumptions import (
    PERIOD_MONTHS_MAX,
    Assumptions,
    CustomerTerms,
)
from quartermaster.exposure.risk_book import Lever, Payer
from quartermaster.exposure.risk_levers import Change
from quartermaster.kernel.errors import UsageError

TORNADO_COMMITMENTS = ((0.5, 24), (0.8, 12))
"""Half for two years and four fifths for one: what a customer of that size is asked for."""
CHANGE_MAX = 100.0
"""A hundredfold rise: beyond it stands a slip, such as a price where a share was asked for."""
LONGER_MONTHS = 6
"""Half a year more of notice, or of ramp: the usual ask of a negotiation."""
OTHERS_SHARE_MIN = 1e-6
"""Others that are less than a millionth of revenue cannot grow into the rest of it."""


def leaving(who: str, month: float, *, suspended: bool = False) -> Change:
    """A customer gives notice in a month; suspended by us: at once, and nothing more is owed.

    Raises:
        UsageError: no number of months.
    """
    if not math.isfinite(month):
        raise UsageError(
            f"month {month:g} is not a number of months",
            hint="write 6 for half a year from now",
            field="month",
        )
    lever = Lever(
        group=who, leaves_in_month=month, voids_commitment=suspended, from_month=int(month)
    )
    verb = "is suspended" if suspended else "gives notice"
    return Change(
        name="leave",
        words=f"{who} {verb} in month {month:g}",
        lever=lever,
        key="suspend" if suspended else "leave",
        who=who,
        figures={"month": month},
    )


def cutting(who: str, share: float, month: int) -> Change:
    """A customer cuts its usage by a share from a month on.

    Raises:
        UsageError: no share of one.
    """
    lever = Lever(group=who, usage_factor=1 - _share(share), from_month=month)
    return Change(
        name="cut",
        words=f"{who} cuts its usage by {share:.0%} from month {month}",
        lever=lever,
        key="cut",
        who=who,
        figures={"share": share, "month": month},
    )


def priced(who: str, change: float, month: int, elasticity: float = 0.0) -> Change:
    """A price changes by a share from a month on; everybody's where `who` is empty.

    Raises:
        UsageError: no price would be left, one beyond a hundredfold, or an elasticity that is no
            number.
    """
    if not math.isfinite(elasticity):
        raise UsageError(
            f"elasticity {elasticity:g} is not a number",
            hint="write -0.5: usage falls by half a per cent for each per cent of price",
            field="elasticity",
        )
    if change <= -1:
        raise UsageError(
            f"a change of {change:+.0%} leaves no price",
            hint="a cut by a tenth is -10%, or -0.1",
            field="size",
        )
    if not change <= CHANGE_MAX:
        raise UsageError(
            f"a change of {change:+.0%} is more than {CHANGE_MAX:+.0%}",
            field="size",
            hint="a rise by a tenth is +10%, or 0.1",
        )
    lever = Lever(group=who, price_factor=1 + change, from_month=month, elasticity=elasticity)
    whose = f"the price of {who}" if who else "all prices"
    return Change(
        name="price",
        words=f"{whose} change by {change:+.0%} from month {month}, elasticity {elasticity:g}",
        lever=lever,
        key="price" if who else "price_all",
        who=who,
        figures={"change": change, "month": month, "elasticity": elasticity},
    )


def committing(
    payers: Sequence[Payer],
    horizon_months: int,
    who: str,
    share: float,
    months: int,
    discount: float = 0.0,
) -> Change:
    """A customer commits to a share of its planned revenue, for a discount or for nothing.

    Raises:
        UsageError: no shares of one.
    """
    lever = Lever(
        group=who,
        commitment_share=_share(share),
        commitment_months=months,
        price_factor=1 - _share(discount, "discount"),
    )
    words = f"{who} commits to {share:.0%} of plan for {months} months"
    cost = None
    if discount:
        words += f" at a discount of {discount:.0%}"
        monthly = next(float(one.per_month) for one in payers if one.name == who)
        cost = discount * monthly * horizon_months
    return Change(
        name=f"commit-{share:.0%}-{months}",
        words=words,
        lever=lever,
        cost=cost,
        key="commit_discount" if discount else "commit",
        who=who,
        figures={"share": share, "months": months, "discount": discount},
    )


def diversified(payers: Sequence[Payer], who: str, share: float) -> Change:
    """The same total revenue, of which the largest customer is a smaller share.

    Raises:
        UsageError: another customer than the largest, or no smaller share.
    """
    first = largest(payers)
    if who != first.name:
        raise UsageError("diversify is about the largest customer", hint="leave the others out")
    today = _share_of(first, payers)
    if 1 - today < OTHERS_SHARE_MIN:
        raise UsageError(
            "there is nobody else whose revenue could grow",
            hint="try another lever: leave, cut, price or commit",
            field="size",
        )
    if not 0 <= share < today:
        raise UsageError(
            f"share {share:g} is not below today's {today:.3g} of {who}",
            hint="write 12 % as 0.12",
            field="size",
        )
    return Change(
        name="diversify",
        words=f"{who} is {share:.0%} of the same revenue",
        diversified_share=share,
        key="diversify",
        who=who,
        figures={"share": share},
    )


def usual(payers: Sequence[Payer], assumptions: Assumptions, who: str) -> list[Change]:
    """Levers of the tornado: commitment, slower ramp, notice, hazard, backfill, smaller share."""
    terms, departure = assumptions.terms(who), assumptions.departure
    first = largest(payers)
    rates = assumptions.hazard_per_year
    hazard = terms.hazard_per_year
    if hazard is None:
        hazard = rates.top if who == first.name else rates.rest
    ramp = departure.ramp_months if terms.ramp_months is None else terms.ramp_months
    notice = departure.notice_months if terms.notice_months is None else terms.notice_months
    found = [
        *(
            committing(payers, assumptions.horizon_months, who, share, months)
            for share, months in TORNADO_COMMITMENTS
        ),
        *_longer(terms, who, ramp, notice),
        Change(
            name="hazard",
            words=f"{who}: leaves at {hazard / 2:.3g} a year",
            terms=msgspec.structs.replace(terms, hazard_per_year=hazard / 2),
            key="hazard",
            who=who,
            figures={"hazard": hazard / 2, "today": hazard},
        ),
        Change(
            name="backfill",
            words="half of freed usage is sold again",
            backfill_share=0.5,
            key="backfill",
            figures={"share": 0.5},
        ),
    ]
    today = _share_of(first, payers)
    if who == first.name and 1 - today >= OTHERS_SHARE_MIN:
        found.append(_half(first, today / 2))
    return found


def _longer(terms: CustomerTerms, who: str, ramp: float, notice: float) -> Iterator[Change]:
    """A slower ramp and a longer notice, as far as a period may be."""
    slower = min(ramp + LONGER_MONTHS, PERIOD_MONTHS_MAX)
    if slower > ramp:
        yield Change(
            name="ramp",
            words=f"{who}: usage falls over {slower:g} months, not {ramp:g}",
            terms=msgspec.structs.replace(terms, ramp_months=slower),
            key="ramp",
            who=who,
            figures={"months": slower, "today": ramp},
        )
    later = min(notice + LONGER_MONTHS, PERIOD_MONTHS_MAX)
    if later > notice:
        yield Change(
            name="notice",
            words=f"{who}: {later:g} months' notice",
            terms=msgspec.structs.replace(terms, notice_months=later),
            key="notice",
            who=who,
            figures={"months": later, "today": notice},
        )


def _half(first: Payer, half: float) -> Change:
    """Half of today's share."""
    return Change(
        name="diversify",
        words=f"{first.name} is {half:.1%} of the same revenue",
        diversified_share=half,
        key="diversify",
        who=first.name,
        figures={"share": half},
    )


def _share_of(one: Payer, payers: Sequence[Payer]) -> float:
    return float(one.per_month / sum(payer.per_month for payer in payers))


def largest(payers: Sequence[Payer]) -> Payer:
    """Whoever pays most, as books rank them."""
    return min(payers, key=lambda payer: (-payer.per_month, payer.name))


def _share(share: float, field: str = "size") -> float:
    if not 0 <= share <= 1:
        raise UsageError(f"{share:g} is not a share", hint="write 50 % as 0.5", field=field)
    return share
