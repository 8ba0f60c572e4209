"""What the console asks of the rest of the product; `app` hands it the answers.

The console computes no business number: every amount, share and count below arrives computed, from
the same functions that feed invoices and reports. The console chooses words, order and pictures.
"""

from datetime import date
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import UsageStatus
from quartermaster.kernel.units import CountSource
from quartermaster.revenue.guidance import Reason
from quartermaster.revenue.scorecard import Scorecard

Role = Literal["viewer", "finance", "trust", "admin", "customer"]


class Bilingual(msgspec.Struct, frozen=True):
    """Words that come with the data, in both languages of the console."""

    de: str
    en: str


class SignedIn(Protocol):
    """A session that is valid now."""

    @property
    def user(self) -> str:
        """Id of the user."""

    @property
    def name(self) -> str:
        """The name they sign in with."""

    @property
    def roles(self) -> tuple[str, ...]:
        """What they may do; of `Role`."""

    @property
    def csrf(self) -> str:
        """Secret of this session that every POST must carry."""

    @property
    def customer(self) -> str:
        """Whose account it sees, and no other; empty for the seller's own people."""


class Identity(Protocol):
    """Who may come in. Calls may block (database, password hash); the console uses threads."""

    def has_users(self) -> bool:
        """Whether somebody has ever joined."""

    def redeem_link(self, token: str, name: str, password: str, now: Instant) -> str:
        """Use a one-time link: create the user with the link's roles and open a session.

        Returns:
            The session token.

        Raises:
            NotFoundError: the link is unknown, used or too old.
            ConflictError: the name is taken.
            CallerError: name or password cannot be used.
        """

    def sign_in(self, name: str, password: str, now: Instant) -> str | None:
        """A session token, or None for a wrong name or password (never which).

        Raises:
            CallerError: too many attempts; try later.
        """

    def session(self, token: str, now: Instant, *, active: bool = True) -> SignedIn | None:
        """Who holds the token, or None when it is unknown, ended or too old.

        `active` is False for what a page asks by itself: it does not keep the session alive.
        """

    def sign_out(self, token: str) -> None:
        """End the session; an unknown token is no error."""


class RunRate(msgspec.Struct, frozen=True):
    """Run-rate of a month: what its revenue comes to in a year, in minor units."""

    period: str
    """Local month `YYYY-MM` in the time zone of `OverviewFacts`."""
    annual_minor: int


def day_or_none(text: str) -> date | None:
    """A full date, or None where a source names a month or a year only."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


class Guidance(msgspec.Struct, frozen=True):
    """A promised range of the run-rate for the months `first`..`last`, minor units a year."""

    first: str
    last: str
    low_minor: int
    high_minor: int
    basis: Bilingual
    """What the range is measured on, for example "as reported" or "constant currency"."""
    said_by: str
    """Who promised it."""
    said_on: date | None = None
    """The day they did."""
    reasons: tuple[Reason, ...] = ()
    """Why the run-rate does not compare with it; empty where it does."""


class GroupRevenue(msgspec.Struct, frozen=True):
    """Revenue of one group (entities under common control) in the period."""

    group: str
    """Id."""
    name: str
    minor: int
    share: Decimal
    """Of `OverviewFacts.total_minor`; all groups together sum to one."""
    entities: tuple[str, ...] = ()
    """Names of the customers that were rolled up; empty where the group is one customer."""


class OverviewFacts(msgspec.Struct, frozen=True):
    """How the business does and on whom it hangs, for one book: all sample or all real."""

    sample: bool
    """True: every number below is from the sample book and is labelled so wherever it shows."""
    currency: str
    as_of: Instant
    period: str
    """The local month `YYYY-MM` that `revenue` is of."""
    time_zone: str
    """Whose months they are; several where contracts have several, separated by commas."""
    denominator: Bilingual
    """What shares are shares of, without an article: "revenue of Azure OpenAI, excl. tax"; German
    in the nominative: "Umsatz von Azure OpenAI, ohne Steuern"."""
    total_minor: int
    revenue: tuple[GroupRevenue, ...]
    """Largest first, at least one; the minor units sum to `total_minor`."""
    effective_number: Decimal
    """1/HHI: how many customers of equal size would be as concentrated."""
    run_rate: tuple[RunRate, ...]
    """In time order, at least one; the last month is `period`."""
    guidance: Guidance | None = None
    still_open: bool = False
    """Whether `period` has not ended yet at `as_of`, so that its revenue is what came so far."""
    promises: Scorecard | None = None
    """All recorded guidance with its verdicts; None where none is, and beside sample data."""
    origin: Bilingual | None = None
    """Where the book comes from: for a sample its scenario and seed, for a real one the cut."""


class WorkerLive(msgspec.Struct, frozen=True):
    """What one gateway worker last said about itself."""

    app_id: str
    requests_per_s: Decimal
    """Mean over the worker's last ten seconds."""
    in_flight: int
    reported_at: Instant
    """When it said so; the console shows a worker as silent after `SILENT_AFTER_S`."""
    out_of_contact: bool = False
    """Whether it cannot read what was published of late, such as a suspension."""


class Refusals(msgspec.Struct, frozen=True):
    """Requests that were refused for one reason since the workers started."""

    reason: str
    """Error code as the caller saw it, such as `invalid_api_key`."""
    requests: int


class MeteredRequest(msgspec.Struct, frozen=True):
    """One row of the usage table, as the overview shows it."""

    request_id: str
    at: Instant
    customer: str
    """Name."""
    model: str
    input_tokens: int
    output_tokens: int
    status: UsageStatus
    count_source: CountSource


class MeteredTotal(msgspec.Struct, frozen=True):
    """All real usage of the open month."""

    period: str
    requests: int
    tokens: int
    rated: Decimal | None = None
    """Exact major units by the price book, before the invoice's rounding; None: not yet rated."""
    currency: str = ""
    unpriced: int = 0
    """Tokens and images that wait for a price; not in `rated`."""


class LiveFacts(msgspec.Struct, frozen=True):
    """What the gateways do now. Always real traffic, whatever book the overview shows."""

    workers: tuple[WorkerLive, ...] = ()
    refusals: tuple[Refusals, ...] = ()
    last: tuple[MeteredRequest, ...] = ()
    """Newest first; the console shows `LAST_REQUESTS_MAX`."""
    total: MeteredTotal | None = None


class Overview(Protocol):
    """The book behind the overview."""

    def overview(self, now: Instant) -> OverviewFacts | None:
        """The facts, or None when there is no revenue to show yet."""


class Live(Protocol):
    """The gateways behind the live panel. Called every two seconds by every open page."""

    def live(self, now: Instant) -> LiveFacts:
        """The facts; cheap to ask."""
