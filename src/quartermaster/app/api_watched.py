"""Early warning for the API: panels of our own usage or of a file, and how good past words were."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from quartermaster.api import asked as questions
from quartermaster.api.ports import OwnRecord, Source
from quartermaster.app.rooms import Rooms
from quartermaster.exposure.report import input_file
from quartermaster.kernel.errors import DataError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from quartermaster.app.warning_use import Known
    from quartermaster.exposure.panel import Panel

CELLS_MAX = 2_000_000
"""Tenants times days of a panel: two thousand tenants for almost three years. The backtest learns
anew at every origin, so a larger one is a matter of minutes, and of the command line."""
STATEMENTS_SCHEMA = "quartermaster.statements/1"

Json = dict[str, Any]


def warnings(source: Source, rooms: Rooms) -> Json:
    """Who is leaving, by what usage says."""
    panel = _panel(source, rooms)
    from quartermaster.exposure.warning import warn, warnings_json

    return warnings_json(warn(panel))


def backtest(source: Source, rooms: Rooms) -> Json:
    """How good those probabilities would have been."""
    panel = _panel(source, rooms)
    from quartermaster.exposure import backtest as measured

    return measured.backtest_json(measured.backtest(panel))


def departure(source: Source, asked: questions.CaseAsked) -> Json:
    """How likely a customer leaves, and every step to that figure."""
    _need()
    from quartermaster.exposure.departure import opinion, parse_case
    from quartermaster.exposure.replay import as_json, replay

    case = parse_case(source.data, source.name)
    found = opinion(case, input_file(source.name, source.data), asked.as_of)
    return as_json(replay([found]))


def statements(source: Source) -> Json:
    """How good the statements of a file were."""
    _need()
    from quartermaster.exposure.departure_statements import parse_statements, record

    found = record(parse_statements(source.data, source.name))
    return {"schema": STATEMENTS_SCHEMA, **msgspec.to_builtins(found)}


def own_record(book: str, rooms: Rooms) -> OwnRecord:
    """How good our own daily statements were: those of the journal, or the sample's."""
    _need()
    from quartermaster.app import warning_use
    from quartermaster.app.console_warning import journal_past, sample_past
    from quartermaster.exposure.daily_statements import event_scores

    sample = book == "sample"
    past = sample_past(warning_use.sample_use()) if sample else journal_past(rooms)[0]
    return OwnRecord(book, event_scores(past))


def _panel(source: Source, rooms: Rooms) -> "Panel":
    """Daily use by tenant.

    Raises:
        DataError: the file cannot be read as a whole, or is larger than an answer can wait for.
        NotFoundError: nobody has used anything here yet.
    """
    _need()
    from quartermaster.exposure.panel import Panel, make_panel
    from quartermaster.exposure.panel_file import csv_uses

    if not source.book:
        uses = csv_uses(source.data, source.name)
        ordinals = [use.day.toordinal() for use in uses] or [0]
        days = max(ordinals) - min(ordinals) + 1
        _bounded(len({use.tenant for use in uses}), days, source.name)
        return make_panel(uses, source.name)
    known = _known(source.book, rooms)
    days = (known.last_day - known.first_day).days + 1
    _bounded(len(known.groups), days, f"{source.book} book")
    groups = sorted(known.groups, key=lambda group: group.group)
    import numpy as np

    daily = np.zeros((len(groups), days))
    for row, group in enumerate(groups):
        for series in group.by_model.values():
            daily[row] += series
    return Panel(tuple(group.group for group in groups), known.first_day, daily)


def _known(book: str, rooms: Rooms) -> "Known":
    from quartermaster.app import warning_use

    if book == "sample":
        return warning_use.sample_use()
    from quartermaster.app.clerk_warning import alarmed, due_day
    from quartermaster.usage.cut import current_cut
    from quartermaster.usage.daily import daily

    last = due_day(rooms.now())
    first = last - timedelta(days=warning_use.HISTORY_DAYS - 1)
    rows = daily(rooms.usage, current_cut(rooms.usage), first=first, last=last)
    known = warning_use.real_use(
        rows, rooms.book.view(), (), last_day=last, now=rooms.now(), alarms=alarmed(rooms)
    )
    if known is None:
        raise NotFoundError(
            "nobody used anything here on a day that is over",
            hint="ask book=sample, or send a file",
            field="book",
        )
    return known


def _bounded(tenants: int, days: int, name: str) -> None:
    if tenants * days > CELLS_MAX:
        raise DataError(
            f"{name}: {tenants} tenants for {days} days are more than an answer can wait for",
            hint=f"{CELLS_MAX} tenant-days here; the command line has no such limit",
        )


def _need() -> None:
    """Refuse in words where the extra is missing.

    Raises:
        UnavailableError: numpy or scipy is not installed.
    """
    try:
        import numpy  # noqa: F401, ICN001
        import scipy  # noqa: F401
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"early warning needs {error.name}, which is not installed here",
            hint="pip install 'quartermaster-ai[risk]'",
        ) from error
