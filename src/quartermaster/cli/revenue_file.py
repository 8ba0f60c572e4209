"""The options by which commands read one revenue CSV, as `exposure.revenue_file` takes them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from quartermaster.exposure.control import ROLL_UPS
from quartermaster.exposure.revenue_file import Reading as Reading
from quartermaster.exposure.revenue_file import RevenueFile as RevenueFile
from quartermaster.exposure.revenue_file import read_revenue as read_revenue
from quartermaster.exposure.rollup import WINDOW_MONTHS, WINDOW_MONTHS_MAX

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=msgspec.Struct)


def picked(kind: type[S], given: Mapping[str, object]) -> S:
    """The fields of a struct out of all options of a command."""
    return kind(**{name: given[name] for name in kind.__struct_fields__ if name in given})


def revenue_options(function: F) -> F:
    """The options of `Reading` but `by`, for every command that reads revenue."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option("--of", "scope", default="", help="CSV: whose revenue; names the denominator."),
    click.option(
        "--months",
        type=click.IntRange(1, WINDOW_MONTHS_MAX),
        help=f"CSV: months that shares are of; {WINDOW_MONTHS} by default.",
    ),
    click.option("--as-of", metavar="YYYY-MM", help="CSV: last month; the file's last by default."),
    click.option("--decimal-comma", is_flag=True, help="CSV: amounts are written 1234,56."),
    click.option("--ignore-column", multiple=True, help="CSV: leave a column out; repeatable."),
    click.option(
        "--control",
        type=click.Path(path_type=Path),
        help="CSV: who controls whom, with dates: entity, group, from, to.",
    ),
    click.option(
        "--roll-up",
        type=click.Choice(ROLL_UPS),
        default="month",
        help="CSV: whose control counts, each month's or the last month's.",
    ),
)
