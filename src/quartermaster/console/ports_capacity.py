"""What the capacity page asks: what was built, who kept it busy, and what a departure strands."""

from decimal import Decimal
from typing import Protocol

import msgspec

from quartermaster.capacity.payback import NOTHING_OWED, Loss, Owing, Plan
from quartermaster.capacity.statement import Statement
from quartermaster.console.ports import Bilingual
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.money import Money


class CapacityQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What the page's address asks; None and the empty text are left to the book."""

    month: str = ""
    """`YYYY-MM`, UTC; empty: the newest that is over, or what there is."""
    customer: str = ""
    """Id of the group that may go; empty: the most costly."""
    backfill_percent: int = 0
    """Of what it used, how much others use instead."""
    contribution: Decimal | None = None
    """Margin on revenue before the capacity was paid for; None: revenue less lease and power."""


class PaybackFacts(msgspec.Struct, frozen=True, kw_only=True):
    """When what was spent is back."""

    plan: Plan
    loss: Loss
    """The asked customer's share of the window's revenue, and the asked backfill."""
    within_months: int
    """The longest time over which a pool is written off."""
    owing: Owing = NOTHING_OWED
    """What the asked customer is still bound to pay from the first month on."""
    derived: bool
    """Whether the contribution is the window's own; otherwise the reader set it."""


class Owed(msgspec.Struct, frozen=True):
    """What a group still owes under its commitments and for its units if it uses nothing."""

    group: str
    amount: Money
    months: int


class CapacityFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one fleet, with and without one customer: all sample or all real."""

    sample: bool
    question: CapacityQuestion
    """With month and customer filled in."""
    months: tuple[str, ...]
    """That may be asked about, the newest first."""
    whole_month: bool
    """Otherwise the window runs from the first to the last hour with demand."""
    choices: tuple[tuple[str, str], ...]
    """Id and name of the groups in the window, the most costly first."""
    names: dict[str, str]
    """Of groups by id; an id that is missing is the name."""
    before: Statement
    """Customers are groups under common control."""
    after: Statement
    """Without the asked group, with the asked backfill; the window is the same."""
    revenue_minor: int
    unpriced: int
    """Quantities without a price: their revenue is missing."""
    elsewhere: tuple[tuple[str, Money], ...] = ()
    """Group and what it pays in another currency than the fleet's; in no sum and no margin."""
    owed: Owed | None = None
    """Of the asked group; None where it owes nothing."""
    payback: PaybackFacts | None
    """None where nothing was bought, or nothing is earned before its cost."""
    fleet_sha256: str
    origin: Bilingual

    @property
    def customer_name(self) -> str:
        """Of the asked group."""
        return self.names.get(self.question.customer, self.question.customer)


class CapacityMissing(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is nothing to show."""

    reason: str
    """The key of a message: `not_configured`, `no_demand`."""


class CapacityBook(Protocol):
    """The book behind the capacity page. Calls compute for a while; the console uses threads."""

    def capacity(self, question: CapacityQuestion, now: Instant) -> CapacityFacts | CapacityMissing:
        """The facts.

        Raises:
            UsageError: `field` names what cannot be asked.
            DataError: the fleet document cannot be used.
        """


class NoCapacity:
    """No fleet and no sample: the page says how to describe one."""

    def capacity(self, question: CapacityQuestion, now: Instant) -> CapacityFacts | CapacityMissing:
        """That nothing is configured, whatever is asked."""
        del question, now
        return CapacityMissing(reason="not_configured")
