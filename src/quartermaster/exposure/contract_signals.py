"""What a contract says of leaving: notice, commitments, renewals. Facts, no ratios.

Days are those of the contract's own time zone. A contract without an end and without notice binds
nobody; one with an end has one last day on which notice can be given.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

import msgspec

from quartermaster.exposure.access_signals import Signal
from quartermaster.kernel.clock import Instant, as_datetime, zone
from quartermaster.kernel.commitment import Part, parts
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.money import exponent
from quartermaster.kernel.units import SERVICE_CLASSES

NEAR_DAYS = 90
"""A quarter before the last day of notice renewals are talked about."""
DRAWN_MIN = 0.9
"""With a tenth left the next commitment is due; sellers ask from there on."""
UNDER_MIN = 0.9
"""Use between nine tenths and all of a floor is managed to it."""
UNDER_MONTHS = 3
"""Two months may be chance."""

NoticeState = Literal["any_day", "ahead", "near", "passed"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """When this contract can be left."""

    contract: str
    notice_days: int
    state: NoticeState
    """`any_day`: no end, so notice can be given on any day. `near`: within `NEAR_DAYS`."""
    ends_on: date | None = None
    """The last day that is bound: a contract to midnight of 1 July ends on 30 June."""
    notice_by: date | None = None
    """Last day on which notice reaches this end; None where there is no end."""


def notice_of(versions: Sequence[Contract], today: date) -> Notice:
    """When the newest version can be left."""
    newest = versions[-1]
    if newest.end is None:
        return Notice(contract=newest.id, notice_days=newest.notice_days, state="any_day")
    ends_on = _last_day(newest.end, newest.time_zone)
    # The day of the notice does not count, and all of its days lie before the end.
    by = ends_on - timedelta(days=newest.notice_days)
    state: NoticeState = "ahead"
    if today > by:
        state = "passed"
    elif (by - today).days <= NEAR_DAYS:
        state = "near"
    return Notice(
        contract=newest.id,
        notice_days=newest.notice_days,
        state=state,
        ends_on=ends_on,
        notice_by=by,
    )


def contract_signals(
    versions: Sequence[Contract], months: Mapping[str, int], today: date
) -> Iterator[Signal]:
    """Every finding about a contract.

    Args:
        versions: of one contract, oldest first, at least one.
        months: minor units used by closed local month `YYYY-MM`, without shortfalls.
        today: the day of the look.
    """
    newest, source = versions[-1], versions[-1].id
    notice = notice_of(versions, today)
    if notice.state == "near" and notice.notice_by is not None and notice.ends_on is not None:
        window: dict[str, float | str] = {
            "by": notice.notice_by.isoformat(),
            "ends": notice.ends_on.isoformat(),
        }
        yield Signal(kind="notice_window", on=today, source=source, figures=window)
    bound = [one for one in newest.commitments if _day(one.end, newest.time_zone) > today]
    if newest.end is None and not bound and newest.notice_days == 0:
        yield Signal(kind="nothing_binds", on=today, source=source)
    renewed = _renewed_on(versions, today)
    if renewed is not None:
        yield Signal(kind="renewed", on=renewed, source=source)
    for part in parts(versions):
        if part.commitment in newest.commitments:
            yield from _commitment(part, newest, months, today)


def _commitment(
    part: Part, newest: Contract, months: Mapping[str, int], today: date
) -> Iterator[Signal]:
    """What one month, year or term of a commitment says while it runs."""
    one = part.commitment
    start, last = _day(part.start, newest.time_zone), _last_day(part.end, newest.time_zone)
    floor = int(part.floor(newest.currency).scaleb(exponent(newest.currency)))
    every_line = not one.models and set(one.service_classes) == set(SERVICE_CLASSES)
    if not start <= today <= last or floor <= 0 or not every_line:
        return  # of a bill of which only some lines count, the sum says nothing
    if one.per == "month":
        begins = f"{_day(one.start, newest.time_zone):%Y-%m-%d}"
        whole = [month for month in sorted(months) if f"{month}-01" >= begins]
        used = [months[month] for month in whole[-UNDER_MONTHS:]]
        shares = [minor / one.floor_minor for minor in used]
        if len(used) == UNDER_MONTHS and all(UNDER_MIN <= share <= 1 for share in shares):
            yield Signal(
                kind="just_under_commitment",
                on=today,
                source=newest.id,
                figures={"share": sum(shares) / UNDER_MONTHS, "months": float(UNDER_MONTHS)},
            )
        return
    later = any(other.end > part.end for other in newest.commitments)
    drawn = sum(minor for month, minor in months.items() if f"{start:%Y-%m}" <= month)
    if not later and drawn * 10 >= floor * int(10 * DRAWN_MIN):
        figures: dict[str, float | str] = {
            "share": min(drawn / floor, 1.0),
            "ends": last.isoformat(),
        }
        yield Signal(kind="commitment_nearly_drawn", on=today, source=newest.id, figures=figures)


def _renewed_on(versions: Sequence[Contract], today: date) -> date | None:
    """When the end was last moved out."""
    found = None
    for before, after in pairwise(versions):
        if before.end is not None and (after.end is None or after.end > before.end):
            found = _day(after.valid_from, after.time_zone)
    return found if found is not None and found <= today else None


def _day(at: int, zone_name: str) -> date:
    return as_datetime(Instant(at)).astimezone(zone(zone_name)).date()


def _last_day(end: int, zone_name: str) -> date:
    """Ends are not part of what they end."""
    return _day(end - 1, zone_name)
