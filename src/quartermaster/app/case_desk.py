"""What a case needs from other rooms: what is at stake, what a day brings in, what was taken."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from quartermaster.app import live
from quartermaster.app.case_files import case_file
from quartermaster.app.revenue_share import revenue_share
from quartermaster.app.rooms import Rooms
from quartermaster.commands.case import Rules
from quartermaster.commands.case import tend as tend_cases
from quartermaster.commands.case_read import all_cases
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases import US_PER_DAY, Case
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_step import Due
from quartermaster.conduct.expected_cost import DAYS_A_YEAR, posterior
from quartermaster.conduct.extent import extent
from quartermaster.kernel.case import CaseEvidence, CaseStake
from quartermaster.kernel.clock import Instant, month_named, month_of
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
        dues=_dues(_months(rooms, group), _served_until(rooms, group), rooms.now()),
    )


def stake(rooms: Rooms, group: str, evidence: CaseEvidence) -> CaseStake | None:
    """What hangs on the group and what was taken, or None while nothing of it is rated."""
    until = _served_until(rooms, group)
    rows = [row for row in _months(rooms, group) if _served_us(row, until) > 0]
    if not rows:
        return None
    by_currency: Counter[str] = Counter()
    for row in rows:
        by_currency[row.currency] += row.minor
    currency, minor = max(by_currency.items(), key=lambda pair: (pair[1], pair[0]))
    months = {row.month: row for row in rows if row.currency == currency}
    # A month that runs counts by the part of it that has passed.
    passed = sum(Fraction(_served_us(row, until), _month_us(row)) for row in months.values())
    a_year = int(minor * MONTHS_MAX / passed)
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


def _served_until(rooms: Rooms, group: str) -> Instant:
    """Until when the group brought something in: until a case shut it out, or until now."""
    shut = [case.shut_at for case in all_cases(rooms.book) if case.group == group]
    return Instant(min([rooms.now(), *(at for at in shut if at is not None)]))


def _dues(rows: Sequence[live.MonthRevenue], until: Instant, now: Instant) -> tuple[Due, ...]:
    """Each contract's mean day in the newest month in which it was served for a day or more.

    Where there is none, in the part of a day in which it was.
    """
    newest: dict[str, live.MonthRevenue] = {}
    for row in sorted(rows, key=lambda one: (_served_us(one, until) >= US_PER_DAY, one.month)):
        if row.used_minor > 0 and _served_us(row, until) > 0:
            newest[row.contract] = row
    return tuple(
        Due(
            customer=row.customer,
            contract=row.contract,
            period=month_of(now, row.time_zone).label,
            currency=row.currency,
            revenue_a_day_minor=row.used_minor * US_PER_DAY // _served_us(row, until),
        )
        for row in newest.values()
    )


def _month_us(row: live.MonthRevenue) -> int:
    period = month_named(row.month, row.time_zone)
    return period.end - period.start


def _served_us(row: live.MonthRevenue, until: Instant) -> int:
    """How much of the month had passed; none or less of one that came later."""
    period = month_named(row.month, row.time_zone)
    return min(period.end, until) - period.start


def tend(rooms: Rooms) -> list[Case]:
    """What needs no person: alarms become cases, unreviewed suspensions end."""
    return tend_cases(
        rooms.book,
        rooms.now(),
        lambda group: rules(rooms, group),
        lambda group, evidence: stake(rooms, group, evidence),
    )
