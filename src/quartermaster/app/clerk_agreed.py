"""Whether what the clerk rated last is still agreed: terms, prices, rates, and the hour.

Usage that was shipped is rated anew anyway. Without any, a contract, a price or an exchange rate
changes what the same usage comes to, and every hour brings more of what accrues with time.
"""

from quartermaster.app.rooms import Rooms
from quartermaster.book.views import View
from quartermaster.kernel.clock import US_PER_HOUR, Instant

_Stamp = tuple[int, int, int, int, int, int]


class Agreed:
    """Looks once a turn; the book's view costs one question where nothing is new."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._known: _Stamp | None = None
        self.news = False
        """Whether there is something that was not rated yet."""

    def look(self) -> None:
        """Compare with the look before.

        Raises:
            UnavailableError: the book refuses.
        """
        found = _stamp(self._rooms.book.view(), self._rooms.now())
        self.news |= self._known is not None and found != self._known
        self._known = found


def _stamp(view: View, now: Instant) -> _Stamp:
    return (
        now // US_PER_HOUR,
        sum(len(versions) for versions in view.contracts.values()),
        sum(len(versions) for versions in view.price_books.values()),
        hash(tuple(view.rates.values())),
        len(view.customers),
        len(view.groups),
    )
