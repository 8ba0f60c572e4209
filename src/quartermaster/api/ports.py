"""What the API asks of the rest of the product; `app` hands it the answers."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from quartermaster.billing.invoice import Invoice
from quartermaster.commands.ports import Book
from quartermaster.commands.publish import Acknowledgement
from quartermaster.gateway.status import WorkerStatus
from quartermaster.kernel.clock import Clock, Instant, Period
from quartermaster.kernel.events import Cut, HourlyUsage, UsageEvent


class Published(msgspec.Struct, frozen=True):
    """The snapshot that hands a change to the gateways, and which of them serve it."""

    snapshot_version: int
    gateways: Acknowledgement


class Usage(Protocol):
    """The usage table, asked for what nobody could compute beforehand."""

    def cut(self) -> Cut:
        """Everything shipped so far."""

    def hourly(self, cut: Cut, *, customer: str | None, period: Period) -> list[HourlyUsage]:
        """The rollup that rating reads, in a fixed order."""

    def request(self, request_id: str) -> list[UsageEvent]:
        """Every attempt of one request; none where nothing of it is shipped."""

    def invoice(self, contract: str, period: str) -> Invoice:
        """The month's draft at the current cut; writes nothing.

        Raises:
            NotFoundError: no such contract, or it begins later.
        """


class Gateways(Protocol):
    """The gateway workers of this machine."""

    def statuses(self) -> Sequence[WorkerStatus]:
        """What each last said of itself."""

    def publish(self, now: Instant) -> Published:
        """Hand what the book says to the gateways, and wait shortly for them."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a handler may use."""

    book: Book
    pepper: bytes
    usage: Usage
    gateways: Gateways
    clock: Clock
    hosts: frozenset[str]
    """Host names that a request may name, in lower case."""
