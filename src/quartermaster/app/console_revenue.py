"""The revenue page's port: what the clerk last rated, and the rates that the book holds."""

from quartermaster.app import live
from quartermaster.app.revenue_months import revenue_months
from quartermaster.app.rooms import Rooms
from quartermaster.commands.rate import recorded
from quartermaster.console.ports_revenue import RevenueFacts
from quartermaster.kernel.errors import NotFoundError


class RealRevenue:
    """Of the book of a data folder; there is no sample of it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def revenue(self, currency: str) -> RevenueFacts:
        """The facts, with totals in a currency; empty leaves it to the book.

        Raises:
            UsageError: not a currency.
        """
        rates = tuple(recorded(self._rooms.book.view()))
        try:
            return RevenueFacts(
                revenue_months(live.read(self._rooms.var), currency=currency), rates
            )
        except NotFoundError:
            return RevenueFacts(None, rates)
