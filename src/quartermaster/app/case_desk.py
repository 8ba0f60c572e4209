"""What a case needs from other rooms: rules, what a day brings in, prices, the case file."""

from collections.abc import Sequence
from functools import partial

from quartermaster.app import live
from quartermaster.app.case_files import case_file
from quartermaster.app.case_stake import months, served_until, served_us, stake
from quartermaster.app.rooms import Rooms, open_usage
from quartermaster.commands.case import Rules
from quartermaster.commands.case import tend as tend_cases
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases import US_PER_DAY, Case
from quartermaster.conduct.cases_step import Due
from quartermaster.conduct.throttled import Served, passing
from quartermaster.kernel.case import CaseEvidence, CaseStake
from quartermaster.kernel.clock import US_PER_HOUR, Instant, Period, month_of
from quartermaster.kernel.limit import Throttle
from quartermaster.kernel.price import PriceBook
from quartermaster.usage.cut import current_cut
from quartermaster.usage.query import hourly

LATELY_DAYS = 7
"""A week has every weekday; older traffic may be of keys that are gone."""


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
        dues=_dues(months(rooms, group), served_until(rooms, group), rooms.now()),
        passes=partial(_passes, rooms, group),
    )


def _passes(rooms: Rooms, group: str, throttle: Throttle) -> float | None:
    """Of what the group sent in its last days, how much the throttle lets pass."""
    until = served_until(rooms, group) // US_PER_HOUR * US_PER_HOUR
    lately = Period(Instant(until - LATELY_DAYS * US_PER_DAY), Instant(until), "lately", "UTC")
    table = open_usage(rooms.var)
    cut = current_cut(table)
    members = [one.id for one in rooms.book.view().customers.values() if one.group == group]
    rows = (row for name in members for row in hourly(table, cut, customer=name, period=lately))
    return passing(
        throttle,
        [Served(one.hour, one.key_id, one.model, one.requests, one.counts.tokens) for one in rows],
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


def _dues(rows: Sequence[live.MonthRevenue], until: Instant, now: Instant) -> tuple[Due, ...]:
    """Each contract's mean day in the newest month in which it was served for a day or more.

    Where there is none, in the part of a day in which it was.
    """
    newest: dict[str, live.MonthRevenue] = {}
    for row in sorted(rows, key=lambda one: (served_us(one, until) >= US_PER_DAY, one.month)):
        if row.used_minor > 0 and served_us(row, until) > 0:
            newest[row.contract] = row
    return tuple(
        Due(
            customer=row.customer,
            contract=row.contract,
            period=month_of(now, row.time_zone).label,
            currency=row.currency,
            revenue_a_day_minor=row.used_minor * US_PER_DAY // served_us(row, until),
        )
        for row in newest.values()
    )


def tend(rooms: Rooms) -> list[Case]:
    """What needs no person: alarms become cases, unreviewed suspensions end."""
    return tend_cases(
        rooms.book,
        rooms.now(),
        lambda group: rules(rooms, group),
        lambda group, evidence: stake(rooms, group, evidence),
    )
