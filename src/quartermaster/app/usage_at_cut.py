"""Usage of the table as drafts take it: a cut, and the hours that it names, and no others."""

from functools import partial
from typing import TYPE_CHECKING

from quartermaster.commands.invoice import ReadUsage, UsageAtCut
from quartermaster.kernel.clock import Period
from quartermaster.kernel.contract import Contract

if TYPE_CHECKING:
    from quartermaster.app.rooms import Rooms
    from quartermaster.usage.table import UsageTable


def reader(rooms: "Rooms") -> ReadUsage:
    """Reads the usage table of a data folder."""
    return partial(read, rooms.usage)


def read(table: "UsageTable", contract: Contract, span: Period) -> UsageAtCut:
    """The current cut and what it holds.

    The cut comes first and every row is asked for by it: a segment that is shipped while rows are
    read is in neither.
    """
    from quartermaster.usage.cut import current_cut
    from quartermaster.usage.query import hourly

    cut = current_cut(table)
    return UsageAtCut(cut, span, hourly(table, cut, customer=contract.customer, period=span))
