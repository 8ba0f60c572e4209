"""Bands of exposure: from which share a group is reported, and from which it breaches.

After bank supervision (Basel LEX: report at 10 % of Tier 1 capital, limit at 25 %), where exposure
is measured against what can absorb a loss, not against the portfolio. So every group is measured
twice: as a share of revenue, and as a year of its revenue over loss-absorbing money (a year's
contribution margin, or cash), which the user names. A breach needs an owner, a due date and a plan.
All comparisons are exact; the edge itself belongs to the higher band.
"""

from datetime import date
from fractions import Fraction
from typing import Literal

import msgspec

from quartermaster.exposure.months import MONTHS_A_YEAR, month_number, month_text
from quartermaster.exposure.rollup import Denominator, Exposure, GroupShare
from quartermaster.kernel.errors import DataError, UsageError

Band = Literal["report", "breach"]
Against = Literal["revenue", "absorbing"]

REPORT_AT = Fraction(1, 10)
"""As in LEX10 and in the 10 % rules of ASC 280 and IFRS 8; a user may set another."""
BREACH_AT = Fraction(1, 4)
"""As in LEX20; a user may set another."""


class Edges(msgspec.Struct, frozen=True):
    """From which ratio on a group is reported, and from which it breaches."""

    report_at: Fraction = REPORT_AT
    breach_at: Fraction = BREACH_AT

    def checked(self) -> "Edges":
        """Itself.

        Raises:
            UsageError: an edge at or under zero, or the higher one under the lower.
        """
        if not 0 < self.report_at <= self.breach_at:
            raise UsageError("bands need 0 % < report <= breach", hint="for example 10 % and 25 %")
        return self

    def band(self, ratio: Fraction) -> Band | None:
        """The band of a ratio; None below all."""
        if ratio >= self.breach_at:
            return "breach"
        return "report" if ratio >= self.report_at else None


class Absorbing(msgspec.Struct, frozen=True):
    """What would bear a loss: named, because a ratio says nothing without its denominator."""

    what: str
    minor: int
    currency: str
    edges: Edges


class Plan(msgspec.Struct, frozen=True):
    """Who does what about a breach, until when; an empty field was not stated."""

    group: str
    owner: str = ""
    due: date | None = None
    plan: str = ""


class BandRules(msgspec.Struct, frozen=True):
    """What the user set; the defaults are 10 % and 25 % of revenue."""

    edges: Edges = Edges()
    absorbing: Absorbing | None = None
    plans: tuple[Plan, ...] = ()


class Ratio(msgspec.Struct, frozen=True):
    """One group against one denominator."""

    against: Against
    value: float
    band: Band | None


class BandLine(msgspec.Struct, frozen=True, kw_only=True):
    """A group that reaches a band, and for a breach what was decided about it."""

    group: str
    minor: int
    annual_minor: int
    """A year of it: the window's revenue times 12 over its months, rounded down."""
    ratios: tuple[Ratio, ...]
    plan: Plan | None = None
    overdue: bool = False
    """The due date lies in or before the last month of the figures, and it is still a breach."""

    @property
    def breach(self) -> bool:
        """Whether any ratio breaches."""
        return any(ratio.band == "breach" for ratio in self.ratios)

    @property
    def missing(self) -> tuple[str, ...]:
        """What a breach still needs: `owner`, `due`, `plan`."""
        plan = self.plan or Plan(self.group)
        if not self.breach:
            return ()
        return tuple(field for field in ("owner", "due", "plan") if not getattr(plan, field))


class Bands(msgspec.Struct, frozen=True, kw_only=True):
    """Groups in a band, largest first, and what they were measured with."""

    rules: BandRules
    lines: tuple[BandLine, ...]

    @property
    def breaches(self) -> tuple[BandLine, ...]:
        """Groups in breach."""
        return tuple(line for line in self.lines if line.breach)

    @property
    def unplanned(self) -> tuple[BandLine, ...]:
        """Breaches without owner, date or plan, or with a date that has passed."""
        return tuple(line for line in self.breaches if line.missing or line.overdue)


def assess(exposure: Exposure, rules: BandRules) -> Bands:
    """Every group that reaches a band.

    Raises:
        DataError: loss-absorbing money of another currency, or a plan for a group without revenue.
    """
    denominator, absorbing = exposure.denominator, rules.absorbing
    if absorbing is not None and absorbing.currency != denominator.currency:
        raise DataError(
            f"{absorbing.what!r} is in {absorbing.currency}, revenue in {denominator.currency}",
            hint="convert at a rate you can name first",
        )
    known = {group.group for group in exposure.groups}
    for plan in rules.plans:
        if plan.group not in known:
            raise DataError(
                f"there is a plan for {plan.group!r}, and no such customer in"
                f" {denominator.first} to {denominator.last}",
                hint="write the group as the report does, or remove the plan",
            )
    plans = {plan.group: plan for plan in rules.plans}
    lines = (_line(group, denominator, rules, plans.get(group.group)) for group in exposure.groups)
    return Bands(rules=rules, lines=tuple(line for line in lines if line is not None))


def a_year_of(minor: int, denominator: Denominator) -> Fraction:
    """Revenue of the window as that of twelve months; an annual rate is one already."""
    if denominator.measure == "annual_rate":
        return Fraction(minor)
    return Fraction(minor * MONTHS_A_YEAR, denominator.months)


def _line(
    group: GroupShare, denominator: Denominator, rules: BandRules, plan: Plan | None
) -> BandLine | None:
    share = Fraction(group.minor, denominator.minor)
    annual = a_year_of(group.minor, denominator)
    ratios = [Ratio("revenue", float(share), rules.edges.band(share))]
    if rules.absorbing is not None:
        ratio = annual / rules.absorbing.minor
        ratios.append(Ratio("absorbing", float(ratio), rules.absorbing.edges.band(ratio)))
    if not any(ratio.band for ratio in ratios):
        return None
    breach = any(ratio.band == "breach" for ratio in ratios)
    return BandLine(
        group=group.group,
        minor=group.minor,
        annual_minor=int(annual),
        ratios=tuple(ratios),
        plan=plan if breach else None,
        overdue=breach and plan is not None and _passed(plan.due, denominator.last),
    )


def _passed(due: date | None, last: str) -> bool:
    """Whether the date comes before the first day after the last month."""
    return due is not None and f"{due:%Y-%m}" < month_text(month_number(last) + 1)
