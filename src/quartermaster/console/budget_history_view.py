"""The history of a budget in words, rows and one picture, and as tables for programs."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from quartermaster.commands.budget_history import BudgetHistory, Day, Moment
from quartermaster.console.control_view import ROWS_MAX
from quartermaster.console.exposure_view import picture
from quartermaster.console.figures_budget import Legend, SpentDay, spent_days
from quartermaster.console.format import EM_DASH, day, moment, money_shown, month_long, percent
from quartermaster.console.language import Words
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture
from quartermaster.console.tables import Rows, iso
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.money import EXACT

SCHEMA = "budget-history/1"

COLUMNS: dict[str, tuple[str, ...]] = {
    "days": (
        *("scope", "name", "currency", "time_zone", "day", "spent", "spent_so_far"),
        *("amount", "paused", "alerts"),
    ),
    "events": ("scope", "name", "at", "event", "amount", "currency", "percent", "reason", "by"),
}
OWN_COLUMNS: dict[str, tuple[str, ...]] = {
    "days": COLUMNS["days"],
    "events": ("scope", "name", "at", "event", "amount", "currency", "percent"),
}
"""What a customer is told: not who of the seller did it, nor why."""


class DayRow(msgspec.Struct, frozen=True, kw_only=True):
    """One day as a table shows it."""

    day: str
    spent: str
    total: str
    amount: str
    share: str
    notes: str


class MomentRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as a table shows it."""

    at: str
    what: str
    amount: str
    reason: str
    by: str


class HistoryView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the section shows."""

    month: str
    month_label: str
    earlier: str
    later: str
    finding: str
    picture: Picture | None
    days: tuple[DayRow, ...]
    moments: tuple[MomentRow, ...]
    more: bool
    """Whether there are more moments than are shown."""
    zone: str


def view_of(
    found: BudgetHistory, who: str, name_of: Callable[[str], str], words: Words
) -> HistoryView:
    """The section's strings.

    Args:
        found: the history.
        who: whose budget it is, as the reader calls it.
        name_of: whoever did something, as the reader calls them.
        words: of the reader.
    """
    finding = _finding(found, words)
    moments = tuple(_moment(one, found, name_of, words) for one in reversed(found.moments))
    return HistoryView(
        month=found.month,
        month_label=month_long(found.month, words.lang),
        earlier=found.earlier,
        later=found.later,
        finding=finding,
        picture=_picture(found, who, finding, words) if found.days else None,
        days=tuple(_day(one, found, words) for one in reversed(found.days)),
        moments=moments[:ROWS_MAX],
        more=len(moments) > ROWS_MAX,
        zone=found.time_zone,
    )


def rows_of(found: BudgetHistory, *, own: bool = False) -> dict[str, Rows]:
    """Both tables, oldest first; `own` is what the customer is told."""
    said = {"scope": found.scope, "name": found.name}
    days: Rows = [
        {
            **said,
            "currency": found.currency,
            "time_zone": found.time_zone,
            "day": one.on.isoformat(),
            "spent": one.spent,
            "spent_so_far": one.total,
            "amount": "" if one.amount is None else one.amount,
            "paused": one.paused,
            "alerts": " ".join(map(str, one.alerts)),
        }
        for one in found.days
    ]
    moments: Rows = [
        {
            **said,
            "at": iso(one.at),
            "event": one.kind,
            "amount": "" if one.amount is None else one.amount,
            "currency": found.currency,
            "percent": one.percent or "",
            **({} if own else {"reason": one.reason, "by": one.by}),
        }
        for one in found.moments
    ]
    return {"days": days, "events": moments}


def as_json(found: BudgetHistory, now: Instant, *, own: bool = False) -> bytes:
    """Both tables in one object; decimals are strings, so none is rounded."""
    leased = "" if found.leased is None else found.leased
    head = {"schema": SCHEMA, "at": iso(now), "month": found.month, "leased": leased}
    return msgspec.json.encode(head | rows_of(found, own=own))


def _finding(found: BudgetHistory, words: Words) -> str:
    if not found.days:
        return words("spending.lifted")
    last = found.days[-1]
    month = month_long(found.month, words.lang)
    if not last.total:
        return words("spending.nothing", month=month)
    spent = _amount(last.total, found, words)
    reached = next((one for one in found.days if one.amount and one.total >= one.amount), None)
    if reached is not None:
        on = day(reached.on, words.lang)
        return words("spending.reached", month=month, spent=spent, day=on)
    most = max(found.days, key=lambda one: one.spent)
    return words(
        "spending.finding",
        month=month,
        spent=spent,
        day=day(most.on, words.lang),
        most=_amount(most.spent, found, words),
    )


def _picture(found: BudgetHistory, who: str, finding: str, words: Words) -> Picture:
    lang = words.lang
    days = [
        SpentDay(
            hint=f"{day(one.on, lang)} · {_amount(one.total, found, words)}",
            total=one.total,
            amount=one.amount,
            paused=one.paused,
            marks=tuple(percent(Decimal(mark) / 100, lang, decimals=0) for mark in one.alerts),
        )
        for one in found.days
    ]
    legend = Legend(
        spent=words("spending.legend_spent"),
        refused=words("spending.legend_refused"),
        leased=words("figure.leased"),
        paused=words("state.paused"),
        budget=words("spending.legend_budget"),
    )
    drawn = [
        spent_days(
            days,
            length=found.length,
            leased=found.leased or Decimal(0),
            currency=found.currency,
            legend=legend,
            title=words("spending.figure", who=who, month=month_long(found.month, lang)),
            desc=finding,
            lang=lang,
            width=width,
            name=f"spent-days-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    return picture(drawn, words("spending.caption", zone=found.time_zone))


def _day(one: Day, found: BudgetHistory, words: Words) -> DayRow:
    lang = words.lang
    notes = [words("alert.sent", percent=mark) for mark in one.alerts]
    if one.paused:
        notes.append(words("state.paused"))
    share = EXACT.divide(one.total, one.amount) if one.amount else None
    return DayRow(
        day=day(one.on, lang),
        spent=_amount(one.spent, found, words),
        total=_amount(one.total, found, words),
        amount=EM_DASH if one.amount is None else _amount(one.amount, found, words),
        share=EM_DASH if share is None else percent(share, lang),
        notes=", ".join(notes),
    )


def _moment(
    one: Moment, found: BudgetHistory, name_of: Callable[[str], str], words: Words
) -> MomentRow:
    return MomentRow(
        at=moment(one.at, words.lang),
        what=words(f"event.{one.kind}", percent=one.percent),
        amount=EM_DASH if one.amount is None else _amount(one.amount, found, words),
        reason=one.reason,
        by=name_of(one.by),
    )


def _amount(value: Decimal, found: BudgetHistory, words: Words) -> str:
    return money_shown(value, found.currency, words.lang)
