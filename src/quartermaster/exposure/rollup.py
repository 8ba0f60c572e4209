"""From revenue rows to shares: choose the months, roll entities up to groups, rank."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import msgspec

from quartermaster.exposure.concentration import (
    Concentration,
    concentration,
    hhi_bounds,
    is_reportable,
)
from quartermaster.exposure.months import MONTHS_A_YEAR, Span, month_number, month_text
from quartermaster.exposure.rows import RevenueRow, data_sha256
from quartermaster.exposure.rows_by import Dimension, by_dimension
from quartermaster.kernel.errors import DataError

WINDOW_MONTHS = MONTHS_A_YEAR
"""Shares are of trailing twelve months unless told: disclosure rules look at a year, and a single
month moves with calendar and invoicing."""
WINDOW_MONTHS_MAX = 240
"""Twenty years; no customer relation is older than the business."""


class Denominator(msgspec.Struct, frozen=True):
    """What a share is a share of; `minor` is the sum of the groups that are ranked."""

    scope: str
    """Whose revenue, in words, such as "Azure OpenAI"."""
    measure: str
    """`revenue` of the months `first` to `last`, or `annual_rate` as of `last`."""
    first: str
    last: str
    minor: int
    currency: str
    scope_de: str = ""
    """The same in German, where it has other words."""

    @property
    def months(self) -> int:
        """Months in the window."""
        return month_number(self.last) - month_number(self.first) + 1


class Member(msgspec.Struct, frozen=True):
    """One legal entity of a group and what it paid in the window."""

    customer: str
    minor: int


class GroupShare(msgspec.Struct, frozen=True, kw_only=True):
    """One group under common control: one customer for concentration."""

    rank: int
    group: str
    minor: int
    share: float
    reportable: bool
    """At least 10 % of the denominator, decided on integers."""
    members: tuple[Member, ...]
    sample: bool = False
    filled: bool = False
    share_low: float | None = None
    share_high: float | None = None


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """How much hangs on whom, of one denominator."""

    denominator: Denominator
    groups: tuple[GroupShare, ...]
    concentration: Concentration
    data_sha256: str
    rows: int
    excluded: tuple[Member, ...] = ()
    """Groups without positive net revenue in the window: they have no share."""
    missing_months: tuple[str, ...] = ()
    alike: tuple[tuple[str, ...], ...] = ()
    """Groups whose names differ only in case or spaces: perhaps one customer, counted as two."""
    hhi_bounds: tuple[float, float] | None = None
    """Where some customers are filled in: HHI that holds whatever the fill."""
    by: Dimension = "group"
    """What one line of `groups` is."""

    @property
    def sample(self) -> bool:
        """Whether any of it is an invented world."""
        return any(group.sample for group in self.groups)

    @property
    def filled(self) -> bool:
        """Whether a scenario made up some customers."""
        return any(group.filled for group in self.groups)


def monthly_totals(rows: Iterable[RevenueRow]) -> dict[str, int]:
    """What runs on of every month from first to last (`RevenueRow.steady`); 0 without rows."""
    totals: dict[str, int] = defaultdict(int)
    for row in rows:
        totals[row.month] += row.steady
    if not totals:
        return {}
    first, last = month_number(min(totals)), month_number(max(totals))
    return {month_text(n): totals.get(month_text(n), 0) for n in range(first, last + 1)}


_POSITIVE = "shares are of positive revenue: give months that have some"


def window(rows: Sequence[RevenueRow], months: int, as_of: str | None) -> Span:
    """The last `months` months up to `as_of`, as far back as there are rows.

    Raises:
        DataError: no row at or before `as_of`.
    """
    last = month_number(as_of, "as-of") if as_of else None
    present = [n for n in (month_number(row.month) for row in rows) if last is None or n <= last]
    if not present:
        raise DataError(
            f"there is no revenue up to {as_of or 'any month'}",
            hint="give a later as-of" if as_of else "is it the right file?",
        )
    end = max(present) if last is None else last
    return Span(max(min(present), end - months + 1), end)


def measure(
    rows: Sequence[RevenueRow],
    *,
    scope: str,
    scope_de: str = "",
    months: int = WINDOW_MONTHS,
    as_of: str | None = None,
    measure: str = "revenue",
    by: Dimension = "group",
) -> Exposure:
    """Shares and indices of the trailing months, by group unless another dimension is asked for.

    Args:
        rows: of one currency.
        scope: whose revenue this is, in words; it names the denominator.
        scope_de: the same in German.
        months: length of the window.
        as_of: last month; the last one with rows by default.
        measure: `annual_rate` where the rows hold annualised amounts of one month.
        by: what is ranked; rows that do not state that dimension are the line without a name.

    Raises:
        DataError: no rows, several currencies, or no positive revenue.
    """
    currencies = sorted({row.currency for row in rows})
    if len(currencies) != 1:
        found = " and ".join(currencies) or "no row"
        raise DataError(f"shares need one currency, found {found}")
    span = window(rows, months, as_of)
    first, last = month_text(span.first), month_text(span.last)
    inside = by_dimension([row for row in rows if first <= row.month <= last], by)
    sums = _by_group(inside)
    ranked = _ranked(sums)
    if not ranked:
        raise DataError(f"there is no positive revenue in {span.text}", hint=_POSITIVE)
    total = sum(minor for _, minor in ranked)
    groups = tuple(_shares(ranked, total, inside))
    seen = {row.month for row in inside}
    return Exposure(
        denominator=Denominator(
            scope=scope,
            measure=measure,
            first=first,
            last=last,
            minor=total,
            currency=currencies[0],
            scope_de=scope_de,
        ),
        groups=groups,
        concentration=concentration([minor for _, minor in ranked]),
        data_sha256=data_sha256(rows),
        rows=len(rows),
        excluded=tuple(Member(group, minor) for group, minor in sorted(sums.items()) if minor <= 0),
        missing_months=tuple(
            month_text(n) for n in range(span.first, span.last + 1) if month_text(n) not in seen
        ),
        alike=_alike(sums),
        hhi_bounds=_bounds(groups, total),
        by=by,
    )


def _by_group(rows: Iterable[RevenueRow]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row.group] += row.minor
    return dict(sums)


def _ranked(sums: Mapping[str, int]) -> list[tuple[str, int]]:
    """Who has positive net revenue, largest first, then by name."""
    return sorted(
        ((group, minor) for group, minor in sums.items() if minor > 0),
        key=lambda item: (-item[1], item[0]),
    )


def _shares(
    ranked: Sequence[tuple[str, int]], total: int, rows: Sequence[RevenueRow]
) -> Iterable[GroupShare]:
    """Ties share a rank: 1, 2, 2, 4."""
    members = _members(rows)
    sample = {row.group for row in rows if row.sample}
    filled = {row.group for row in rows if row.filled}
    rank, previous = 0, None
    for position, (group, minor) in enumerate(ranked, start=1):
        if minor != previous:
            rank, previous = position, minor
        yield GroupShare(
            rank=rank,
            group=group,
            minor=minor,
            share=minor / total,
            reportable=is_reportable(minor, total),
            members=members[group],
            sample=group in sample,
            filled=group in filled,
        )


def _members(rows: Sequence[RevenueRow]) -> Mapping[str, tuple[Member, ...]]:
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        sums[row.group, row.customer] += row.minor
    grouped: dict[str, list[Member]] = defaultdict(list)
    for (group, customer), minor in sorted(sums.items(), key=lambda item: (-item[1], item[0])):
        grouped[group].append(Member(customer, minor))
    return {group: tuple(members) for group, members in grouped.items()}


def _alike(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        found["".join(name.split()).casefold()].append(name)
    return tuple(tuple(names) for names in found.values() if len(names) > 1)


def _bounds(groups: Sequence[GroupShare], total: int) -> tuple[float, float] | None:
    named = [Fraction(group.minor, total) for group in groups if not group.filled]
    if not named or len(named) == len(groups):
        return None
    low, high = hhi_bounds(named)
    return float(low), float(high)
