"""What a case needs from other rooms: what is at stake, what a day brings in, what was taken."""

import calendar
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from quartermaster.app import live
from quartermaster.app.case_files import case_file
from quartermaster.app.revenue_share import revenue_share
from quartermaster.app.rooms import Rooms
from quartermaster.commands.case import Rules
from quartermaster.commands.case import tend as tend_cases
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases import Case
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_step import Due
from quartermaster.conduct.expected_cost import DAYS_A_YEAR, posterior
from quartermaster.conduct.extent import extent
from quartermaster.kernel.case import CaseEvidence, CaseStake
from quartermaster.kernel.clock import Instant, as_datetime, month_of
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.price import PriceBook

MONTHS_MAX = 12
"""A year of months: one month's peak says little about what a customer is worth."""


class OwnCaseDesk:
    """The cases of this data folder."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def rules(self, group: str) -> Rules:
        """What the operator has set, and what the group's contracts bring in on a day."""
        return rules(self._rooms, group)

    def stake(self, group: str, evidence: CaseEvidence) -> CaseStake | None:
        """What hangs on the group and what was taken; None while nothing of it is rated."""
        return stake(self._rooms, group, evidence)

    def file(self, case_id: str, now: Instant) -> CaseFile:
        """The case file as it is now; no request is shown, because none is kept."""
        return case_file(self._rooms, case_id, now)


def rules(rooms: Rooms, group: str = "") -> Rules:
    """What the operator has set, and what each contract of the group brings in on a day."""
    return Rules(
        settings=rooms.settings.cases,
        sign_off_share=rooms.settings.standing.share,
        dues=_dues(_months(rooms, group), rooms.now()),
    )


def stake(rooms: Rooms, group: str, evidence: CaseEvidence) -> CaseStake | None:
    """What hangs on the group and what was taken, or None while nothing of it is rated."""
    rows = _months(rooms, group)
    if not rows:
        return None
    by_currency: Counter[str] = Counter()
    for row in rows:
        by_currency[row.currency] += row.minor
    currency, minor = max(by_currency.items(), key=lambda pair: (pair[1], pair[0]))
    months = {row.month for row in rows if row.currency == currency}
    a_year = minor * MONTHS_MAX // len(months)
    weight = revenue_share(rooms.var, group)
    return staked(
        evidence,
        rooms.settings.cases,
        currency=currency,
        revenue_a_year_minor=a_year,
        share=weight.share,
        origin=f"{min(months)} to {max(months)}, as last rated",
    )


def prices_of(rooms: Rooms, group: str) -> PriceBook | None:
    """What the group pays now, by its newest contract; None where it has none in force."""
    view, now = rooms.book.view(), rooms.now()
    members = {one.id for one in view.customers.values() if one.group == group}
    agreed = [view.contract_at(contract, now) for contract in view.contracts]
    mine = [one for one in agreed if one is not None and one.customer in members]
    if not mine:
        return None
    newest = max(mine, key=lambda one: (one.valid_from, one.id))
    return view.price_book_at(newest.price_book, now)


def staked(
    evidence: CaseEvidence,
    settings: CaseSettings,
    *,
    currency: str,
    revenue_a_year_minor: int,
    share: Decimal | None,
    origin: str,
) -> CaseStake:
    """The stake of a group whose revenue is known.

    What the harvested answers were billed at is measured where the evidence holds money; else it is
    the cluster's share of requests times a day's revenue, for each of its days.
    """
    chance = evidence.even_chance
    return CaseStake(
        currency=currency,
        revenue_a_year_minor=revenue_a_year_minor,
        share=None if share is None else float(share),
        churn_wrongful=settings.churn_wrongful,
        suspended_days=settings.suspended_days,
        harvested_minor=_harvested(evidence, revenue_a_year_minor, currency),
        damage_multiple=settings.damage_multiple,
        probability=None if chance is None else posterior(chance, settings.base_rate),
        probability_origin=""
        if chance is None
        else f"{chance:.2f} at even odds, {settings.base_rate:.3f} of customers harvest",
        origin=origin,
    )


def _harvested(evidence: CaseEvidence, revenue_a_year_minor: int, currency: str) -> int:
    found = extent(evidence.strata)
    if not found:
        return 0
    priced = [one for one in found if one.currency == currency]
    money = [measure for one in priced if (measure := one.of("minor")) is not None]
    if money:
        return round(sum(measure.amount.point for measure in money))
    days = sum(one.measures[0].share.point * one.days for one in found)
    return round(revenue_a_year_minor * days / DAYS_A_YEAR)


def _months(rooms: Rooms, group: str) -> list[live.MonthRevenue]:
    """The group's newest months, as the clerk rated them last."""
    try:
        book = live.read(rooms.var)
    except IntegrityError:
        return []  # a derived file that is damaged must not hold up a case
    rows = [] if book is None else [row for row in book.revenue if row.group == group]
    newest = sorted({row.month for row in rows})[-MONTHS_MAX:]
    return [row for row in rows if row.month in newest]


def _dues(rows: Sequence[live.MonthRevenue], now: Instant) -> tuple[Due, ...]:
    """Each contract's mean day in its newest month, by the days that have passed of it."""
    newest: dict[str, live.MonthRevenue] = {}
    for row in rows:
        if row.contract not in newest or row.month > newest[row.contract].month:
            newest[row.contract] = row
    return tuple(
        Due(
            customer=row.customer,
            contract=row.contract,
            period=month_of(now, row.time_zone).label,
            currency=row.currency,
            revenue_a_day_minor=row.minor // _days_of(row, now),
        )
        for row in newest.values()
        if row.minor > 0
    )


def _days_of(row: live.MonthRevenue, now: Instant) -> int:
    year, month = (int(part) for part in row.month.split("-"))
    today = as_datetime(now)
    if (today.year, today.month) == (year, month):
        return today.day
    return calendar.monthrange(year, month)[1]


def tend(rooms: Rooms) -> list[Case]:
    """What needs no person: alarms become cases, unreviewed suspensions end."""
    return tend_cases(
        rooms.book,
        rooms.now(),
        lambda group: rules(rooms, group),
        lambda group, evidence: stake(rooms, group, evidence),
    )
