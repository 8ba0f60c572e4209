"""Capacity and payback for the API: texts of files in the place of files."""

from decimal import Decimal
from typing import Any

from quartermaster.api import asked as questions
from quartermaster.api.ports import Source
from quartermaster.app.rooms import Rooms
from quartermaster.capacity.answer import (
    File,
    Given,
    departed,
    fleet_of,
    read,
    span_of,
    stated,
    tree,
    with_points,
)
from quartermaster.capacity.payback_answer import Question, answer, number, of_amount, of_fleet
from quartermaster.kernel.clock import Period, month_named
from quartermaster.kernel.errors import UsageError

Json = dict[str, Any]


def capacity(files: questions.CapacityFiles, asked: questions.CapacityAsked, rooms: Rooms) -> Json:
    """What was built, who keeps it busy, what is stranded."""
    if asked.backfill and not asked.without:
        raise UsageError("backfill needs somebody to leave", field="backfill")
    if files.revenue and not files.demand:
        raise UsageError("what was metered here has its own revenue", field="revenue")
    month = None if asked.period is None else month_named(asked.period, "UTC")
    fleet = File("fleet", files.fleet.encode())
    if files.demand:
        takings = File("revenue", files.revenue.encode()) if files.revenue else None
        given = read(fleet, File("demand", files.demand.encode()), takings, month)
    else:
        given = _metered(fleet, month, rooms)
    if files.points:
        given = with_points(given, File("points", files.points.encode()))
    after = departed(given, asked.without, asked.backfill) if asked.without else None
    return tree(given, stated(given), after, asked.without, asked.backfill)


def payback(fleet: Source | None, asked: questions.PaybackAsked) -> Json:
    """When the money is back, with a customer and without it."""
    within = None if asked.within is None else _number(asked.within, "within")
    if fleet is not None:
        spent, longest = of_fleet(fleet.data, fleet.name)
        within = Decimal(longest) if within is None else within
    elif asked.capex is not None:
        spent = of_amount(_number(asked.capex, "capex"), asked.currency)
    else:
        raise UsageError("what was spent? Give capex, or send a fleet", field="capex")
    question = Question(
        spent=spent,
        annual_revenue=_number(asked.annual_revenue, "annual_revenue"),
        contribution=_number(asked.contribution, "contribution", percent=True),
        share=_number(asked.share, "share", percent=True),
        backfill=_number(asked.backfill, "backfill", percent=True),
        leaves_after=_number(asked.leaves_after, "leaves_after"),
        within=within,
        still_owed=_number(asked.still_owed, "still_owed"),
        owed_months=_number(asked.owed_months, "owed_months"),
        notice_months=_number(asked.notice_months, "notice_months"),
    )
    return answer(question)


def _metered(fleet: File, month: Period | None, rooms: Rooms) -> Given:
    from quartermaster.app.capacity_metered import metered

    found = fleet_of(fleet)
    used = metered(rooms, found, month)
    return Given(
        found,
        used.rows,
        used.paid,
        span_of(used.rows, month),
        (fleet.stamp,),
        used.elsewhere,
        used.rates,
    )


def _number(text: str, field: str, *, percent: bool = False) -> Decimal:
    try:
        return number(text, percent=percent)
    except UsageError as error:
        raise UsageError(f"{field}: {error.message}", hint=error.hint, field=field) from error
