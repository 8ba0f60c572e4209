"""What a question of the API is asked of: one of our books, or a file that came with it."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from quartermaster.api.asked import BookName, RevenueAsked
from quartermaster.api.operation import TOML
from quartermaster.api.ports import Source
from quartermaster.app.console_book import book_terms, live_shown, sample_shown
from quartermaster.app.console_fan import closed_rows
from quartermaster.app.live import Owed
from quartermaster.exposure.book import book_rows, scenario_exposure
from quartermaster.exposure.csv_rows import read_csv
from quartermaster.exposure.report import InputFile, input_file
from quartermaster.exposure.revenue_file import Reading, parse_revenue
from quartermaster.exposure.risk_assumptions import CustomerTerms
from quartermaster.exposure.rollup import WINDOW_MONTHS, Exposure, measure
from quartermaster.exposure.rows import RevenueRow, data_sha256
from quartermaster.exposure.rows_by import Dimension
from quartermaster.exposure.scenario import Scenario, parse_scenario
from quartermaster.kernel.errors import DataError, NotFoundError, UsageError

_ENTITY = "customer:"
"""How the shown book tells an entity from a group of the same id."""
_FILE_FIELDS = ("scope", "months", "as_of", "decimal_comma", "ignore_column")


class Found(NamedTuple):
    """Revenue, wherever it came from, and what it comes to."""

    rows: tuple[RevenueRow, ...]
    exposure: Exposure
    title: str
    source: InputFile
    scenario: Scenario | None = None
    terms: tuple[CustomerTerms, ...] = ()
    """What contracts oblige customers to, where it is the live book."""


def revenue_of(source: Source, asked: RevenueAsked, var: Path, *, by: Dimension = "group") -> Found:
    """The revenue that a question is about.

    Raises:
        NotFoundError: nothing has been rated here yet.
        DataError: the file cannot be read as a whole.
        UsageError: options that do not apply to it.
    """
    if source.book:
        return _book(source, asked, var, by)
    if source.media_type == TOML:
        if by != "group" or any(getattr(asked, name) for name in _FILE_FIELDS):
            raise UsageError("how a CSV is read does not apply to a scenario")
        scenario = parse_scenario(source.data, source.name)
        return Found(
            tuple(book_rows(scenario)),
            scenario_exposure(scenario),
            scenario.title,
            input_file(source.name, source.data),
            scenario,
        )
    reading = Reading(
        scope=asked.scope,
        months=asked.months,
        as_of=asked.as_of,
        decimal_comma=asked.decimal_comma,
        ignore_column=asked.ignore_column,
        by=by,
    )
    found = parse_revenue(source.data, source.name, reading)
    return Found(found.rows, found.exposure, source.name, found.source)


def months_of(
    source: Source, var: Path, *, decimal_comma: bool, ignore_column: tuple[str, ...]
) -> tuple[RevenueRow, ...]:
    """Monthly rows, for what looks ahead from many months.

    Raises:
        NotFoundError: nothing has been rated here yet.
        DataError: the file cannot be read as a whole, or states a single month.
    """
    if source.book:
        return rows_of(source.book, var)
    if source.media_type == TOML:
        raise DataError(
            f"{source.name} states one month, and a forecast needs many",
            hint="send a CSV of revenue by customer and month",
        )
    return read_csv(
        source.data, source.name, decimal_comma=decimal_comma, ignore_columns=ignore_column
    )


def owed_of(source: Source, var: Path) -> tuple[Owed, ...]:
    """What contracts ask for beside what rows state: of the live book, and of no file."""
    shown = live_shown(var) if source.book and source.book != "sample" else None
    return () if shown is None else shown.owed


def rows_of(book: BookName | str, var: Path) -> tuple[RevenueRow, ...]:
    """Months that are over, of the sample or of what was rated here; all where none is over.

    Raises:
        NotFoundError: nothing has been rated here yet.
    """
    shown = sample_shown() if book == "sample" else live_shown(var)
    if shown is None:
        raise NotFoundError(
            "nothing that was metered here comes to money yet",
            hint="ask book=sample, or send a file",
            field="book",
        )
    rows = closed_rows(shown.rows, shown.open_from) or shown.rows
    return tuple(
        msgspec.structs.replace(row, customer=row.customer.removeprefix(_ENTITY)) for row in rows
    )


def _book(source: Source, asked: RevenueAsked, var: Path, by: Dimension) -> Found:
    rows = rows_of(source.book, var)
    shown = sample_shown() if source.book == "sample" else live_shown(var)
    assert shown is not None, "it has rows"
    exposure = measure(
        rows,
        scope=shown.denominator.en,
        scope_de=shown.denominator.de,
        months=asked.months or WINDOW_MONTHS,
        as_of=asked.as_of,
        by=by,
    )
    name = f"{source.book} book"
    return Found(
        rows,
        exposure,
        name,
        InputFile(name, data_sha256(rows)),
        terms=() if by != "group" else book_terms(shown, exposure),
    )
