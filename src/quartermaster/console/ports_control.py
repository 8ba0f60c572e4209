"""What the pages of budgets, limits and standing ask; `app` hands over the book and the gateways.

The pages call the same commands as the command line and the API, in the name of who is signed in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from quartermaster.commands.budget_history import UsageOf
from quartermaster.commands.budget_shown import BudgetStates
from quartermaster.commands.ports import Book
from quartermaster.commands.publish import Acknowledgement
from quartermaster.commands.standing import RevenueShare
from quartermaster.commands.webhook_record import Webhooks
from quartermaster.kernel.clock import Instant


class Published(Protocol):
    """The snapshot that hands a change to the gateways."""

    @property
    def snapshot_version(self) -> int:
        """Its version."""


class Gateways(Protocol):
    """The gateway workers of this machine."""

    def workers(self) -> int:
        """How many share every limit."""

    def publish(self, now: Instant) -> Published:
        """Hand what the book says to the gateways, and wait shortly for them."""

    def serving(self, version: int) -> Acknowledgement:
        """Which workers serve a snapshot, or a later one, at this moment."""


class Weights(Protocol):
    """How much a customer group is of revenue, for who decides on its standing."""

    @property
    def sign_off_share(self) -> Decimal:
        """Above it, taking service away needs a second person."""

    def share(self, group: str) -> RevenueShare:
        """Of revenue, as far as it is known."""


@dataclass(frozen=True)
class Control:
    """Everything that these pages may use. Calls may block."""

    book: Book
    gateways: Gateways
    weights: Weights
    budget_states: Callable[[], BudgetStates]
    """What the clerk last knew of budgets."""
    usage: UsageOf
    """The usage table; may not be readable on this machine."""
    webhooks: Webhooks
    """Where alerts go."""
