"""How often are customers of 10 % and more lost? Counted in filings, from one year to the next.

Filers name a customer from 10 % on, and often under a letter. Two traps follow. A customer that is
no longer reported may be gone or at 9 %: where its share was 20 % or more that is less than half
either way, below that it is not known, so losses are counted twice, at least and at most. And a
letter may mean another customer in the next filing: the next filing's own figure for the year
before decides, and where that contradicts, the customer is found by its share or left out.

Assumes: customer-years are independent; those of one filer or one bad year are not, so true
intervals are wider. Filers that stop filing take their customers out of the count.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.sec_facts import Filing, Shares
from quartermaster.kernel.errors import DataError
from quartermaster.stats.beta_prior import upper_bound
from quartermaster.stats.likelihood_scores import LEVEL, Proportion, wilson

SCHEMA = "quartermaster.sec-losses/1"
"""Changes with the meaning of any field."""
REPORTED_FROM = 0.10
"""ASC 280-10-50-42: a customer of 10 % of revenue or more is reported."""
HALF = 0.5
BOUND_CONFIDENCE = 0.95
SAME_SHARE_MAX = 0.005
"""Filers round to whole percents: two figures for one share differ by half a point at most."""
_ROUNDING = 1e-9
# 52/53-week years end within a month of the same date.
_YEAR_ENDS = (0, -1, 1)
_ANONYMOUS = re.compile(
    r"(major|largest|single|significant)?(customer|distributor|client)"
    r"([a-z]|[0-9]+|one|two|three|four|five|six|seven|eight|nine|ten|number\w+)?",
    re.IGNORECASE,
)

Fate = Literal["kept", "below_half", "gone", "not_reported", "no_figures", "unclear"]
"""`gone`: not reported, although half of its share would be. `not_reported`: gone, or below 10 %.
`no_figures`: the next filing reports no customer at all. `unclear`: its label changed hands."""
AT_LEAST: frozenset[Fate] = frozenset({"below_half", "gone"})
AT_MOST: frozenset[Fate] = frozenset({"below_half", "gone", "not_reported", "no_figures"})


class Rate(msgspec.Struct, frozen=True):
    """Losses in customer-years, with Wilson's interval and Pluto and Tasche's upper bound."""

    losses: int
    customer_years: int
    share: Proportion
    upper_bound: float


class YearRate(msgspec.Struct, frozen=True):
    """The count of customers of one calendar year in which filers' years ended."""

    year: int
    customer_years: int
    at_least: int
    at_most: int


class Losses(msgspec.Struct, frozen=True, kw_only=True):
    """Base rates of losing a customer of 10 % or more within a year."""

    sets: int
    filings: int
    filers: int
    customers: int
    """Customer-years of 10 % or more, before any is left out."""
    anonymous: int
    """Of those, under a letter or number instead of a name."""
    fates: Mapping[str, int]
    not_followed: int
    """The filer filed no next year here: the last year of the files, or the filer is gone."""
    at_least: Rate | None
    at_most: Rate | None
    years: tuple[YearRate, ...]
    left_out: Mapping[str, int]


class _Followed(NamedTuple):
    """A customer-year and what became of it."""

    year: int
    fate: Fate


def losses(found: Shares) -> Losses:
    """Count what became of every customer of 10 % or more.

    Raises:
        DataError: no annual filing names such a customer.
    """
    chosen = _latest(found)
    followed: list[_Followed] = []
    not_followed = anonymous = customers = 0
    filers: set[int] = set()
    for (filer, month), filing in sorted(chosen.items()):
        for label, share in sorted(_year(found, filing, month).items()):
            if share < REPORTED_FROM:
                continue
            customers += 1
            filers.add(filer)
            anonymous += _ANONYMOUS.fullmatch(label) is not None
            after = _next(chosen, filer, month)
            if after is None:
                not_followed += 1
            else:
                fate = _fate(found, after, month, label, share)
                followed.append(_Followed(month // MONTHS_A_YEAR, fate))
    if not customers:
        raise DataError(
            "no annual filing here names a customer of 10 % or more of revenue",
            hint="the notes' sets (num.tsv with dim.tsv) have far more of them",
        )
    return Losses(
        sets=found.sets,
        filings=len(found.filings),
        filers=len(filers),
        customers=customers,
        anonymous=anonymous,
        fates=dict(sorted(Counter(str(one.fate) for one in followed).items())),
        not_followed=not_followed,
        at_least=_rate(followed, AT_LEAST),
        at_most=_rate(followed, AT_MOST),
        years=tuple(_years(followed)),
        left_out=found.left_out,
    )


def _latest(found: Shares) -> dict[tuple[int, int], Filing]:
    """By filer and year's end the filing to use: with shares before without, then the latest."""
    chosen: dict[tuple[int, int], Filing] = {}
    for filing in sorted(found.filings, key=lambda f: (f.adsh in found.shares, f.filed, f.adsh)):
        chosen[filing.filer, filing.year_end] = filing
    return chosen


def _next(chosen: Mapping[tuple[int, int], Filing], filer: int, month: int) -> Filing | None:
    for shift in _YEAR_ENDS:
        after = chosen.get((filer, month + MONTHS_A_YEAR + shift))
        if after is not None:
            return after
    return None


def _year(found: Shares, filing: Filing, month: int) -> Mapping[str, float]:
    """Shares that a filing reports for the year that ended about that month."""
    by_month = found.shares.get(filing.adsh, {})
    for shift in _YEAR_ENDS:
        if month + shift in by_month:
            return by_month[month + shift]
    return {}


def _fate(found: Shares, after: Filing, month: int, label: str, share: float) -> Fate:
    now = _year(found, after, after.year_end)
    restated = _year(found, after, month)
    if label in restated and not _same(restated[label], share):
        return _fate_of_renamed(now, restated, share)
    if label not in restated and label not in now and restated:
        renamed = [other for other in restated if _same(restated[other], share)]
        if renamed:
            return _fate_of_renamed(now, restated, share)
    return _fate_of(now, label, share)


def _fate_of_renamed(now: Mapping[str, float], restated: Mapping[str, float], share: float) -> Fate:
    """The fate of the one customer that the next filing shows with this share for the same year."""
    same = [label for label, other in restated.items() if _same(other, share)]
    return _fate_of(now, same[0], share) if len(same) == 1 else "unclear"


def _fate_of(now: Mapping[str, float], label: str, share: float) -> Fate:
    if label in now:
        return "below_half" if now[label] < share * HALF else "kept"
    if not now:
        return "no_figures"
    return "gone" if share * HALF >= REPORTED_FROM else "not_reported"


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_SHARE_MAX + _ROUNDING


def _rate(followed: list[_Followed], lost: frozenset[Fate]) -> Rate | None:
    clear = [one for one in followed if one.fate != "unclear"]
    if not clear:
        return None
    count = sum(one.fate in lost for one in clear)
    return Rate(
        count,
        len(clear),
        wilson(count, len(clear), LEVEL),
        upper_bound(count, len(clear), BOUND_CONFIDENCE),
    )


def _years(followed: list[_Followed]) -> Iterator[YearRate]:
    by_year: dict[int, list[Fate]] = defaultdict(list)
    for one in followed:
        if one.fate != "unclear":
            by_year[one.year].append(one.fate)
    for year, fates in sorted(by_year.items()):
        yield YearRate(
            year,
            len(fates),
            sum(fate in AT_LEAST for fate in fates),
            sum(fate in AT_MOST for fate in fates),
        )
