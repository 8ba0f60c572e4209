"""What a customer's own page asks: keys, projects, limits, usage and drafts of one account.

Every method names the customer of the session that asks; an answer never holds anything of another
one, and somebody else's key is as unknown as one that was never issued.
"""

from datetime import date
from decimal import Decimal
from typing import Protocol

import msgspec

from quartermaster.commands.budget_history import BudgetHistory
from quartermaster.commands.budget_shown import ShownBudget
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.limit import Limits, LimitScope
from quartermaster.kernel.units import ServiceClass


class AccountKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret."""

    id: str
    project: str
    contract: str
    models: tuple[str, ...]
    endpoints: tuple[str, ...]
    networks: tuple[str, ...]
    issued_at: Instant
    ends_at: Instant | None
    """When it stops by itself."""
    successor: str
    """The key that takes its place, or empty."""
    live: bool
    limits: Limits


class AccountProject(msgspec.Struct, frozen=True):
    """A project, and how many keys of it work."""

    id: str
    name: str
    live_keys: int
    limits: Limits = Limits()
    """Shared by all its keys."""


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one key used of one model in the month."""

    project: str
    key_id: str
    model: str
    service_class: ServiceClass
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int


class AccountDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a contract comes to in the month so far."""

    contract: str
    total_minor: int
    currency: str
    unpriced: int
    """Tokens and images that wait for a price; not in the total."""
    lines: tuple["DraftLine", ...]
    shortfalls: tuple["DraftShortfall", ...] = ()
    credits: tuple["DraftCredit", ...] = ()
    ahead: tuple["DraftShortfall", ...] = ()
    """What commitments lack so far whose time ends later in the month; in no total."""


class DraftShortfall(msgspec.Struct, frozen=True, kw_only=True):
    """What usage lacks of a commitment from a first to a last day."""

    first: date
    last: date
    floor_minor: int
    """Of these days."""
    counted_minor: int
    amount: Decimal
    minor: int


class DraftCredit(msgspec.Struct, frozen=True, kw_only=True):
    """What the invoice takes off for a case's service credit."""

    case: str
    minor: int
    """Below zero."""
    left_minor: int
    """Carried to the next invoice."""


class DraftLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a draft invoice."""

    model: str
    service_class: ServiceClass
    meter: str
    quantity: int
    price: str
    unit: str
    amount: Decimal
    minor: int


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's account in one month."""

    customer: str
    name: str
    standing: Standing
    month: str
    """The month `YYYY-MM` that usage and drafts are of, in the contracts' time zones."""
    contracts: tuple[str, ...]
    """Contracts that keys can be made for."""
    projects: tuple[AccountProject, ...]
    keys: tuple[AccountKey, ...]
    """Those that work first, newest first."""
    limits: Limits
    """Of the whole group."""
    budgets: tuple[ShownBudget, ...] = ()
    """Its keys' and projects', and its group's where nobody else belongs to it: what is spent of
    a budget that is shared with others says what they spend."""
    usage: tuple[UsageRow, ...]
    drafts: tuple[AccountDraft, ...]
    usage_missing: bool
    """Whether usage cannot be read on this machine."""


class OwnBudget(msgspec.Struct, frozen=True):
    """One of a customer's budgets, and a month of it."""

    shown: ShownBudget
    project: str
    """What its project is called; empty where it is not a project's."""
    history: BudgetHistory


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is wanted for."""

    contract: str
    project: str
    models: tuple[str, ...]
    networks: tuple[str, ...]


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new key; its secret is shown once."""

    id: str
    secret: str
    replaces: str = ""
    ends_at: Instant | None = None
    """When the key that it replaces stops."""
    served: bool
    """Whether every gateway that answers knows it already."""


class AccountBook(Protocol):
    """The accounts of customers. Refusals are `CallerError`s, with words for people."""

    def facts(self, customer: str, month: str, now: Instant) -> AccountFacts:
        """The account; without a month, the current one.

        Raises:
            UsageError: the month is none.
        """

    def budget(
        self, customer: str, scope: LimitScope, name: str, month: str, now: Instant
    ) -> OwnBudget:
        """One of `AccountFacts.budgets`, and a month of it; without a month, the current one.

        Raises:
            NotFoundError: it is not the customer's.
            UsageError: the budget was not there in the month.
            UnavailableError: usage cannot be read on this machine.
        """

    def issue(self, customer: str, user: str, wanted: NewKey, now: Instant) -> MadeKey:
        """Make a key, in the name of a user of the customer."""

    def rotate(
        self, customer: str, user: str, key_id: str, overlap_hours: int, now: Instant
    ) -> MadeKey:
        """Give a key a successor."""

    def revoke(self, customer: str, user: str, key_id: str, reason: str, now: Instant) -> None:
        """Stop a key for good."""

    def add_project(self, customer: str, user: str, project: str, name: str, now: Instant) -> None:
        """Add a project."""
