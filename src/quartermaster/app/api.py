"""The JSON API's ports, answered from the book, the usage table and the gateways' status files."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial

from starlette.types import ASGIApp

from quartermaster.api import ports
from quartermaster.api.routes import OPERATIONS
from quartermaster.api.server import beside, build
from quartermaster.app.api_answers import RoomAnswers
from quartermaster.app.case_desk import OwnCaseDesk
from quartermaster.app.handing import Gateways
from quartermaster.app.revenue_share import revenue_share
from quartermaster.app.rooms import Rooms
from quartermaster.app.webhooks import OwnWebhooks
from quartermaster.billing.invoice import Invoice
from quartermaster.book.pepper import load_pepper
from quartermaster.book.views import View
from quartermaster.commands import invoice as invoices
from quartermaster.commands.budget_shown import read_states
from quartermaster.commands.publish import Acknowledgement
from quartermaster.commands.standing import RevenueShare
from quartermaster.gateway.status import WorkerStatus, read_status
from quartermaster.kernel.clock import Instant, Period
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.events import Cut, HourlyUsage, UsageEvent


def api_application(rooms: Rooms) -> ASGIApp:
    """The API over this data folder."""
    return build(
        ports.Ports(
            book=rooms.book,
            pepper=load_pepper(rooms.var / "secrets" / "key_pepper"),
            usage=MeteredUsage(rooms),
            gateways=OwnGateways(rooms),
            answers=RoomAnswers(rooms),
            weights=RatedWeights(rooms),
            cases=OwnCaseDesk(rooms),
            webhooks=OwnWebhooks(rooms.var),
            clock=rooms.now,
            budget_states=partial(read_states, rooms.var),
            hosts=rooms.settings.console.hosts,
        ),
        OPERATIONS,
    )


def with_api(rooms: Rooms) -> Callable[[ASGIApp], ASGIApp]:
    """Puts the API beside the console's pages, where the settings want it."""
    if not rooms.settings.api.enabled:
        return lambda pages: pages
    return partial(beside, api_application(rooms))


class MeteredUsage:
    """The usage table; its engine is loaded by the first question, and may not be installed."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def cut(self) -> Cut:
        """Everything shipped so far."""
        _need_engine()
        from quartermaster.usage.cut import current_cut

        return current_cut(self._rooms.usage)

    def hourly(self, cut: Cut, *, customer: str | None, period: Period) -> list[HourlyUsage]:
        """The rollup that rating reads."""
        _need_engine()
        from quartermaster.usage.query import hourly

        return hourly(self._rooms.usage, cut, customer=customer, period=period)

    def now(self, customer: str | None, period: Period) -> list[HourlyUsage]:
        """The rollup at the present cut."""
        return self.hourly(self.cut(), customer=customer, period=period)

    def request(self, request_id: str) -> list[UsageEvent]:
        """Every attempt of one request."""
        _need_engine()
        from quartermaster.usage.query import usage_rows

        return usage_rows(self._rooms.usage, request_id=request_id)

    def invoice(self, contract: str, period: str) -> Invoice:
        """The month's draft at the current cut."""
        view, cut = self._rooms.book.view(), self.cut()
        invoices.require_shipped(view, cut)
        _, month = invoices.contract_of(view, contract, period)
        invoices.require_begun(month, self._rooms.now())
        return self.draft(view, cut, contract, period)

    def draft(self, view: View, cut: Cut, contract: str, period: str) -> Invoice:
        """The month's draft at a cut, as a view of the book has it."""
        agreed, months = invoices.contract_of(view, contract, period)
        span = invoices.usage_span(view, agreed, months)
        rows = self.hourly(cut, customer=agreed.customer, period=span)
        return invoices.compute(view, agreed, months, cut, rows, until=self._rooms.now())


class OwnGateways:
    """The gateway workers of this data folder, and of machines that share a store with it."""

    def __init__(self, rooms: Rooms) -> None:
        self._var = rooms.var
        self._gateways = Gateways(rooms)

    def statuses(self) -> Sequence[WorkerStatus]:
        """What each of this machine last said of itself."""
        return [read_status(path) for path in sorted((self._var / "status").glob("*.json"))]

    def workers(self) -> int:
        """How many share every limit; one where none runs."""
        return max(sum(one.state != "stopped" for one in self.statuses()), 1)

    def serving(self, version: int) -> Acknowledgement:
        """Which workers serve a snapshot, or a later one, at this moment."""
        return self._gateways.serving(version)

    def publish(self, now: Instant) -> ports.Published:
        """Write a snapshot and wait shortly for the workers to serve it."""
        return ports.Published(*self._gateways.hand_over(now))


class RatedWeights:
    """Shares of revenue as the clerk last rated it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    @property
    def sign_off_share(self) -> Decimal:
        """Above it, taking service away needs a second person."""
        return self._rooms.settings.standing.share

    def share(self, group: str) -> RevenueShare:
        """Of revenue, as far as it is known."""
        return revenue_share(self._rooms.var, group)


def _need_engine() -> None:
    """Refuse in words where the usage table cannot be read.

    Raises:
        UnavailableError: the extra `usage` is not installed.
    """
    try:
        import deltalake  # noqa: F401
        import ibis  # noqa: F401
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"usage needs {error.name}, which is not installed here",
            hint="pip install 'quartermaster-ai[usage]'",
        ) from error
