"""A revenue book made from claims: named payments, one total, and a stated fill for the rest.

Amounts are annual rates, because a total such as "on track to $1B a year" is one; twelve times a
monthly payment and such a total divide exactly.
"""

import math
import random
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction

import msgspec

from quartermaster.exposure.claims import parse_unit
from quartermaster.exposure.rollup import Exposure, GroupShare, measure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import BookRecipe, Fill, Scenario
from quartermaster.kernel.errors import DataError
from quartermaster.kernel.money import exponent, split
from quartermaster.stats.interval import Interval, point

# Weights become integers before money is split, so that a last bit of `exp` cannot move a cent.
_WEIGHT_SCALE = 1_000_000
# A rank exponent of 3 leaves one customer with 83 % of the fill; a jitter of 2 swamps the ranks.
EXPONENT_MAX, JITTER_MAX = 3.0, 2.0
DRAW_MAX = 2.0
"""Two standard deviations: an unlucky seed must not invent a customer of the size that the report
is about."""


def fill_weights(fill: Fill, seed: int) -> list[int]:
    """Integer weights of the made-up customers, largest first; the same seed gives the same.

    Raises:
        DataError: an exponent or jitter that is not a number in range.
    """
    exponent_ = _bounded(fill.exponent, "fill.exponent", EXPONENT_MAX)
    jitter = _bounded(fill.jitter, "fill.jitter", JITTER_MAX)
    draw = random.Random(seed)  # noqa: S311 - a reproducible world, not a secret
    weights = [
        rank**-exponent_ * math.exp(jitter * cut_gauss(draw))
        for rank in range(1, fill.customers + 1)
    ]
    return sorted((max(1, round(weight * _WEIGHT_SCALE)) for weight in weights), reverse=True)


def cut_gauss(draw: random.Random) -> float:
    """A standard normal draw, held within `DRAW_MAX` to either side."""
    return max(-DRAW_MAX, min(DRAW_MAX, draw.gauss(0, 1)))


def book_rows(scenario: Scenario) -> tuple[RevenueRow, ...]:
    """The scenario's book, one row a customer, annualised; filled customers say so.

    Raises:
        DataError: no recipe, payments above the total, or amounts finer than the currency.
    """
    book = recipe(scenario)
    currency = parse_unit(scenario.claim_by_id[book.total].unit).currency
    total = _minor(scenario, book.total, currency)
    rows = [_named_row(scenario, payment, book, currency) for payment in book.payments]
    rest = total - sum(row.minor for row in rows)
    if rest <= 0:
        raise DataError(f"scenario {scenario.id}: the payments leave nothing of {book.total}")
    amounts = split(rest, fill_weights(book.fill, scenario.seed))
    digits = len(str(len(amounts)))
    for number, minor in enumerate(amounts, start=1):
        name = f"{book.fill.name} {number:0{digits}d}"
        rows.append(
            RevenueRow(name, name, book.as_of, minor, currency, sample=scenario.sample, filled=True)
        )
    return tuple(rows)


def recipe(scenario: Scenario) -> BookRecipe:
    """The scenario's recipe.

    Raises:
        DataError: it has none.
    """
    if scenario.book is None:
        raise DataError(
            f"scenario {scenario.id} has no [book]",
            hint="name its total, its payments and its fill",
        )
    return scenario.book


def scenario_exposure(scenario: Scenario) -> Exposure:
    """Shares of the scenario's book, the named groups with what their claims' hedges allow.

    Raises:
        DataError: see `book_rows`.
    """
    book = recipe(scenario)
    total = scenario.claim_by_id[book.total]
    scope = scenario.scope_by_id[total.scope]
    exposure = measure(
        book_rows(scenario),
        scope=scope.words,
        scope_de=scope.words_de,
        months=1,
        as_of=book.as_of,
        measure="annual_rate",
    )
    ranges = _share_ranges(scenario, book)
    groups = tuple(_with_range(group, ranges) for group in exposure.groups)
    return msgspec.structs.replace(exposure, groups=groups)


def _share_ranges(scenario: Scenario, book: BookRecipe) -> Mapping[str, Interval]:
    sums: dict[str, Interval] = defaultdict(lambda: point(Fraction(0)))
    for identity in book.payments:
        claim = scenario.claim_by_id[identity]
        name = scenario.party_by_id[scenario.group_of(claim.subject)].name
        annual = scenario.annual(claim)
        sums[name] = Interval(sums[name].low + annual.low, sums[name].high + annual.high)
    total = scenario.annual(scenario.claim_by_id[book.total])
    return {group: annual.over(total) for group, annual in sums.items()}


def _with_range(group: GroupShare, ranges: Mapping[str, Interval]) -> GroupShare:
    found = ranges.get(group.group)
    if found is None or group.filled:
        return group
    return msgspec.structs.replace(
        group, share_low=float(found.low), share_high=float(min(found.high, Fraction(1)))
    )


def _named_row(scenario: Scenario, identity: str, book: BookRecipe, currency: str) -> RevenueRow:
    claim = scenario.claim_by_id[identity]
    return RevenueRow(
        customer=scenario.party_by_id[claim.subject].name,
        group=scenario.party_by_id[scenario.group_of(claim.subject)].name,
        month=book.as_of,
        minor=_minor(scenario, identity, currency),
        currency=currency,
        sample=scenario.sample,
    )


def _minor(scenario: Scenario, identity: str, currency: str) -> int:
    claim = scenario.claim_by_id[identity]
    if parse_unit(claim.unit).currency != currency:
        raise DataError(f"claim {identity!r} is not in {currency}")
    minor = scenario.annual_stated(claim) * Fraction(10) ** exponent(currency)
    if minor.denominator != 1:
        raise DataError(f"claim {identity!r}: a year of it is not a whole number of minor units")
    return minor.numerator


def _bounded(text: str, field: str, largest: float) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise DataError(f"{field} {text[:40]!r} is not a number") from error
    if not 0 <= value <= largest:
        raise DataError(f"{field} {text} is not between 0 and {largest}")
    return value
