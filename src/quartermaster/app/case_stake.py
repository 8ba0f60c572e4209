"""What hangs on a customer group, by exposure's own figures; settings fill what they do not hold.

Revenue is what the clerk last rated, the rows that the exposure page shows. How likely the group
leaves anyway is what the early warning stated last. How many leave after a wrongful suspension is
counted on the seller's own reinstated customers, as their meters settled it a quarter later.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from quartermaster.app import live
from quartermaster.app.clerk_warning import RESOLVED, STATED
from quartermaster.app.revenue_share import revenue_share
from quartermaster.app.rooms import Rooms
from quartermaster.commands.case_read import all_cases
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.expected_cost import DAYS_A_YEAR, posterior
from quartermaster.conduct.extent import ClusterExtent, extent
from quartermaster.kernel.case import CaseEvidence, CaseStake, StakeElsewhere
from quartermaster.kernel.clock import Instant, as_datetime, month_named
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import ProbabilitiesStated, StatementsResolved

MONTHS_MAX = 12
"""A year of months: one month's peak says little about what a customer is worth."""
SETTING_WEIGHT = 5
"""Customers that the setting counts as beside those that were counted: two of two is no certainty,
and after twenty the setting hardly shows."""


class Churn(NamedTuple):
    """How likely a customer leaves: anyway, and after a suspension that was wrong."""

    leaves_anyway: float = 0.0
    stated_on: str = ""
    left: int = 0
    of: int = 0

    def wrongful(self, setting: float) -> float:
        """The share that leaves after a wrongful suspension, the setting among what was counted."""
        return (self.left + SETTING_WEIGHT * setting) / (self.of + SETTING_WEIGHT)


def stake(rooms: Rooms, group: str, evidence: CaseEvidence) -> CaseStake | None:
    """What hangs on the group and what was taken, or None while nothing of it is rated."""
    until = served_until(rooms, group)
    rows = [row for row in months(rooms, group) if served_us(row, until) > 0]
    a_year = _a_year(rows, until)
    if not a_year:
        return None
    used: Counter[str] = Counter()
    for row in rows:
        used[row.currency] += row.requests
    # The currency of most requests stands first; amounts of several cannot be compared.
    currency = min(a_year, key=lambda one: (-used[one], one))
    rated = sorted({row.month for row in rows})
    known = staked(
        evidence,
        rooms.settings.cases,
        currency=currency,
        revenue_a_year_minor=a_year.pop(currency),
        share=revenue_share(rooms.var, group).share,
        months=(rated[0], rated[-1]),
        others=a_year,
        churn=churn(rooms, group),
    )
    return msgspec.structs.replace(known, unpriced=sum(row.unpriced for row in rows))


def staked(
    evidence: CaseEvidence,
    settings: CaseSettings,
    *,
    currency: str,
    revenue_a_year_minor: int,
    share: Decimal | None,
    months: tuple[str, str],
    others: Mapping[str, int] | None = None,
    churn: Churn | None = None,
) -> CaseStake:
    """The stake of a group whose revenue is known.

    What the harvested answers were billed at is measured where the evidence holds money; else it is
    the cluster's share of requests times a day's revenue, for each of its days.

    Args:
        evidence: with the extent.
        settings: assumptions of the operator.
        currency: of the revenue.
        revenue_a_year_minor: in that currency.
        share: of the seller's revenue.
        months: the first and the last one that the revenue is of.
        others: revenue a year in further currencies.
        churn: what exposure holds about leaving.
    """
    known, found = churn or Churn(), extent(evidence.strata)
    chance = evidence.even_chance
    return CaseStake(
        currency=currency,
        revenue_a_year_minor=revenue_a_year_minor,
        share=None if share is None else float(share),
        churn_wrongful=known.wrongful(settings.churn_wrongful),
        suspended_days=settings.suspended_days,
        harvested_minor=_harvested(found, revenue_a_year_minor, currency),
        damage_multiple=settings.damage_multiple,
        probability=None if chance is None else posterior(chance, settings.base_rate),
        probability_origin=""
        if chance is None
        else f"{chance:.2f} at even odds, {settings.base_rate:.3f} of customers harvest",
        origin=f"{months[0]} to {months[1]}, as last rated",
        others=tuple(
            StakeElsewhere(name, minor, _harvested(found, minor, name))
            for name, minor in sorted((others or {}).items())
        ),
        months=months,
        leaves_anyway=known.leaves_anyway,
        leaves_stated_on=known.stated_on,
        churn_setting=settings.churn_wrongful,
        churn_left=known.left,
        churn_of=known.of,
        harvest_measured=_measured(found),
    )


def churn(rooms: Rooms, group: str) -> Churn:
    """What exposure holds about leaving: its last statement on the group, and what came of others.

    A customer has left where the meters settled that it used less than half in the quarter after
    its reinstatement.
    """
    stated_on, anyway = "", 0.0
    for entry in rooms.book.keyed(f"{STATED}halved_in_a_year:"):
        fact = entry.fact
        if not isinstance(fact, ProbabilitiesStated) or fact.on < stated_on:
            continue
        for one in fact.customers:
            if one.customer == group:
                stated_on, anyway = fact.on, one.probability
    came = [came for came in _after_reinstatement(rooms) if came is not None]
    return Churn(anyway, stated_on, sum(came), len(came))


def months(rooms: Rooms, group: str) -> list[live.MonthRevenue]:
    """The group's newest months, as the clerk rated them last."""
    try:
        book = live.read(rooms.var)
    except IntegrityError:
        return []  # a derived file that is damaged must not hold up a case
    rows = [] if book is None else [row for row in book.revenue if row.group == group]
    newest = sorted({row.month for row in rows})[-MONTHS_MAX:]
    return [row for row in rows if row.month in newest]


def served_until(rooms: Rooms, group: str) -> Instant:
    """Until when the group brought something in: until a case shut it out, or until now."""
    shut = [case.shut_at for case in all_cases(rooms.book) if case.group == group]
    return Instant(min([rooms.now(), *(at for at in shut if at is not None)]))


def served_us(row: live.MonthRevenue, until: Instant) -> int:
    """How much of the month had passed; none or less of one that came later."""
    period = month_named(row.month, row.time_zone)
    return min(period.end, until) - period.start


def _a_year(rows: Sequence[live.MonthRevenue], until: Instant) -> dict[str, int]:
    """Revenue a year by currency; a month that runs counts by the part of it that has passed."""
    minor: Counter[str] = Counter()
    by_month: dict[str, dict[str, live.MonthRevenue]] = {}
    for row in rows:
        minor[row.currency] += row.minor
        by_month.setdefault(row.currency, {})[row.month] = row
    return {
        currency: int(
            minor[currency]
            * MONTHS_MAX
            / sum(Fraction(served_us(row, until), _month_us(row)) for row in held.values())
        )
        for currency, held in by_month.items()
    }


def _month_us(row: live.MonthRevenue) -> int:
    period = month_named(row.month, row.time_zone)
    return period.end - period.start


def _after_reinstatement(rooms: Rooms) -> Iterator[bool | None]:
    """Of each group that was shut out wrongly, whether it left; None while that is open."""
    settled = sorted(
        (
            entry.fact
            for entry in rooms.book.keyed(f"{RESOLVED}halved_in_a_quarter:")
            if isinstance(entry.fact, StatementsResolved)
        ),
        key=lambda one: one.on,
    )
    for case in all_cases(rooms.book):
        if case.state != "reinstated" or not case.shut_us or case.ended_at is None:
            continue
        free = as_datetime(Instant(case.ended_at)).date()
        later = (one for one in settled if date.fromisoformat(one.on) >= free)
        known = (one for one in later if case.group in (*one.came, *one.stayed))
        first = next(known, None)
        yield None if first is None else case.group in first.came


def _harvested(found: Sequence[ClusterExtent], revenue_a_year_minor: int, currency: str) -> int:
    if _measured(found):
        money = [one.of("minor") for one in found if one.currency == currency]
        return round(sum(one.amount.point for one in money if one is not None))
    days = sum(one.measures[0].share.point * one.days for one in found)
    return round(revenue_a_year_minor * days / DAYS_A_YEAR)


def _measured(found: Sequence[ClusterExtent]) -> bool:
    """Whether anything of the extent is money, in any currency."""
    return any(one.of("minor") is not None for one in found)
