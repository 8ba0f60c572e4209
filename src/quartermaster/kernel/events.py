"""Facts: what happened, versioned, never changed after they are written.

Two families. *Usage frames* are written by gateway workers to their write-ahead logs and become
`UsageEvent` rows of the usage table. *Journal facts* are written by commands and the clerk to the
hash-chained journal of the book. Fields are only ever appended, with a default.
"""

from typing import Literal, NewType

import msgspec

from quartermaster.kernel.budget import Budget
from quartermaster.kernel.case import CaseDay, CaseEvent, CaseEvidence, CaseLink, CreditUsed
from quartermaster.kernel.contract import CancelledStream, Contract, Customer, Group
from quartermaster.kernel.exchange import RateRecorded
from quartermaster.kernel.fact import Fact
from quartermaster.kernel.guidance_facts import GuidanceRecorded
from quartermaster.kernel.limit import Limits, LimitScope
from quartermaster.kernel.price import PriceBook
from quartermaster.kernel.routing import Routing
from quartermaster.kernel.standing_facts import (
    InvestigationSet,
    StandingChanged,
    StandingDeclined,
    StandingProposed,
)
from quartermaster.kernel.units import Counts, CountSource, ServiceClass
from quartermaster.kernel.webhook_facts import (
    WebhookAdded,
    WebhookPaused,
    WebhookRemoved,
    WebhookSecretTurned,
)

Endpoint = Literal[
    "chat.completions",
    "completions",
    "embeddings",
    "responses",
    "messages",
    "moderations",
    "images.generations",
    "images.edits",
    "images.variations",
    "audio.transcriptions",
    "audio.translations",
    "audio.speech",
]
"""What the customer asked for, whatever the upstream was asked."""

DeploymentApi = Literal["openai", "openai-responses", "azure", "anthropic"]
"""What a model server speaks: any OpenAI-compatible server; one that has the Responses API as well;
Azure OpenAI's addresses under `/openai/deployments/`; Anthropic's Messages API."""

UsageStatus = Literal["closed", "closed_unconfirmed", "aborted"]
"""`closed_unconfirmed`: the close is on disk, but a crash hid whether the last byte left us.
`aborted`: the worker died or the request failed before a close; billed by the contract's policy
up to the last durable progress, never more."""


class Opened(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Written before the upstream is called."""

    request_id: str
    attempt: int
    opened_at: int
    customer: str
    project: str
    key_id: str
    contract: str
    contract_version: int
    price_book: str
    price_book_version: int
    model: str
    deployment: str
    endpoint: Endpoint
    service_class: ServiceClass
    stream: bool
    cancelled_stream: CancelledStream
    input_bytes: int
    """The bound of the request's input tokens: every token is at least one byte."""


class Progress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far a stream has been delivered; lets a crash bill what the client received."""

    at: int
    delivered_chunks: int
    counts: Counts
    count_source: CountSource


class Closed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Durable before the last byte is released to the client."""

    closed_at: int
    first_byte_at: int
    http_status: int
    counts: Counts
    count_source: CountSource
    finish_reason: str
    upstream_id: str
    upstream_usage: bytes
    """The upstream's usage object as it came, at most `UPSTREAM_USAGE_BYTES_MAX`."""
    delivered_chunks: int = 0
    failure: str = ""
    """Empty, or why the request ended without a complete answer (`upstream_dropped`, …)."""
    cost_only: bool = False
    """A later attempt served the request: this one is the seller's cost, never the customer's."""
    upstream_counts: Counts | None = None
    """What the model server counted, where it is not `counts`: of a stream that the customer left
    and that its server was heard out on."""


# Real usage objects are under 600 bytes; a longer one is cut and the row marked by its length.
UPSTREAM_USAGE_BYTES_MAX = 4_096
# Ids and finish reasons are under 64 characters; whatever an upstream sends in their place must not
# make a record longer than a reader of the log accepts.
UPSTREAM_TEXT_CHARS_MAX = 256


class UsageEvent(msgspec.Struct, frozen=True):
    """One row of the usage table: one attempt of one request."""

    app_id: str
    segment: int
    sequence: int
    status: UsageStatus
    opened: Opened
    closed: Closed
    event_hash: str
    """SHA-256 of the encoded open and close: the same id with another hash is quarantined."""


class HourlyUsage(msgspec.Struct, frozen=True, order=True):
    """One row of the hourly rollup at a cut; what rating reads. `hour` is microseconds UTC."""

    customer: str
    contract: str
    contract_version: int
    price_book: str
    project: str
    key_id: str
    model: str
    deployment: str
    service_class: ServiceClass
    hour: int
    requests: int
    counts: Counts


AppId = NewType("AppId", str)
Cut = dict[str, int]
"""A rating run's input, without a wall clock: the last segment taken of every gateway worker."""


class GroupAdded(Fact, frozen=True, tag=True):
    """A group of entities under common control."""

    group: Group


class CustomerAdded(Fact, frozen=True, tag=True):
    """A customer of a group."""

    customer: Customer


class PriceBookPublished(Fact, frozen=True, tag=True):
    """A version of a price book takes effect at its `valid_from`."""

    price_book: PriceBook


class ContractSigned(Fact, frozen=True, tag=True):
    """A version of a contract."""

    contract: Contract


class KeyIssued(Fact, frozen=True, tag=True):
    """A customer key, by its keyed hash only."""

    key_id: str
    key_hash: str
    customer: str
    contract: str
    project: str = "default"
    models: tuple[str, ...] = ("*",)
    expires_at: int | None = None
    data_zone: str = ""
    """Only deployments in this zone may be asked; empty is any."""
    endpoints: tuple[str, ...] = ()
    """What it may be used for, of `relayed_key.SCOPES`; empty is everything."""
    networks: tuple[str, ...] = ()
    """From where it may be used; empty is from anywhere."""


class KeyRotated(Fact, frozen=True, tag=True):
    """Another key takes a key's place; until `ends_at` both work."""

    key_id: str
    successor: str
    ends_at: int


class ProjectAdded(Fact, frozen=True, tag=True):
    """A customer's project: keys belong to it, and usage is told apart by it."""

    customer: str
    project: str
    name: str


class ProjectArchived(Fact, frozen=True, tag=True):
    """A project is over: its keys stop with the next snapshot, its usage stays."""

    customer: str
    project: str
    reason: str


class KeyRevoked(Fact, frozen=True, tag=True):
    """A key stops working with the next snapshot."""

    key_id: str
    reason: str


class LimitSet(Fact, frozen=True, tag=True):
    """Limits of a key, a project or a customer group, in place of all it had; none lifts them."""

    scope: LimitScope
    name: str
    limits: Limits
    reason: str = ""


class BudgetSet(Fact, frozen=True, tag=True):
    """The budget of a key, a project or a customer group, in place of its last; None lifts it."""

    scope: LimitScope
    name: str
    budget: Budget | None
    reason: str = ""


class BudgetToppedUp(Fact, frozen=True, tag=True):
    """Money was paid into a prepaid budget."""

    scope: LimitScope
    name: str
    top_up: str
    """What the payment is called elsewhere."""
    amount_minor: int
    currency: str


class BudgetCrossed(Fact, frozen=True, tag=True):
    """A share of a budget is spent, and whoever asked is told."""

    scope: LimitScope
    name: str
    epoch: str
    label: str
    """The period as people call it: `2026-11`, or empty."""
    percent: int
    spent_minor: int
    """Settled spending at that moment, rounded up."""
    amount_minor: int
    currency: str


class DeploymentSet(Fact, frozen=True, tag=True):
    """Where a model is served; the secret is named, never held."""

    name: str
    model: str
    url: str
    upstream_model: str
    secret_file: str = ""
    axes: tuple[str, ...] = ("input", "cached_read", "output", "reasoning")
    api: DeploymentApi = "openai"
    routing: Routing = Routing()
    cost_book: str = ""
    """The price book of what its owner charges us, by `upstream_model`; empty where unknown."""


class DeploymentDrained(Fact, frozen=True, tag=True):
    """A deployment takes no new requests, or takes them again; running ones end in peace."""

    name: str
    drained: bool
    reason: str


class SegmentShipped(Fact, frozen=True, tag=True):
    """A sealed segment is in the usage table."""

    app_id: str
    segment: int
    rows: int
    sha256: str


class InvoiceDrafted(Fact, frozen=True, tag=True):
    """A draft invoice of a period at a cut."""

    invoice: str
    contract: str
    period: str
    cut: Cut
    total_minor: int
    currency: str
    lines_sha256: str
    credits: tuple[CreditUsed, ...] = ()
    """What it redeemed; the total is what is left."""


class CostRated(Fact, frozen=True, tag=True):
    """What the owner of a model server charges for a UTC month, at a cut."""

    deployment: str
    period: str
    cut: Cut
    total_minor: int
    currency: str
    lines_sha256: str


class UserAdded(Fact, frozen=True, tag=True):
    """Somebody may sign in; the password hash lives in the book's user table, not here."""

    user: str
    name: str
    roles: tuple[str, ...]
    customer: str = ""
    """Whose account it sees, and no other; empty for the seller's own people."""


class RolesChanged(Fact, frozen=True, tag=True):
    """What a user may do from now on."""

    user: str
    roles: tuple[str, ...]


class ApiTokenMade(Fact, frozen=True, tag=True):
    """A token for the JSON API, by its keyed hash only: of a user, or of a customer."""

    token: str
    token_hash: str
    name: str
    roles: tuple[str, ...]
    expires_at: int
    user: str = ""
    """Whose actions it writes; empty for a customer's token."""
    customer: str = ""
    """Whose account it sees, and no other; empty for a user's token."""
    lent_by: str = ""
    """Of a user's token: who made it, or the one it was made with, where that was not the user."""


class ApiTokenRevoked(Fact, frozen=True, tag=True):
    """A token stops working at once."""

    token: str
    reason: str


StatedEvent = Literal["halved_in_a_year", "halved_in_a_quarter"]
"""What daily probabilities are of: that the last 13 weeks of so long a time hold less than half of
the daily use that was known when it was stated."""


class CustomerStated(msgspec.Struct, frozen=True):
    """What was said of one customer group."""

    customer: str
    probability: float
    usage_a_day: float
    """The yardstick of the event: tokens a day, as known on the day."""
    low: float | None = None
    high: float | None = None


class ProbabilitiesStated(Fact, frozen=True, tag=True):
    """What was said of every customer on a day, before anybody knew: to be scored later."""

    event: StatedEvent
    on: str
    """The last day that was known, `2026-11-22` in UTC; the time of the event begins after it."""
    customers: tuple[CustomerStated, ...]
    cut: Cut


class StatementsResolved(Fact, frozen=True, tag=True):
    """What came of the statements of a day, when their whole time had passed."""

    event: StatedEvent
    on: str
    resolved_on: str
    came: tuple[str, ...]
    stayed: tuple[str, ...]


class ConductObserved(Fact, frozen=True, tag=True):
    """What the daily analysis saw on a UTC day: one fact a day, with every account it judged.

    An account is a customer. Evidence accumulates from these days and from nothing else, so that
    it can be counted again from the journal. Keyed `conduct:observed:<day>`.
    """

    on: str
    """`2026-11-22` in UTC."""
    days: tuple[CaseDay, ...]
    """Accounts with enough of a past, `account` naming the customer; in the order of accounts."""
    explained: tuple[str, ...] = ()
    """Accounts whose every finding the contract explains; their day is no evidence."""
    links: tuple[CaseLink, ...] = ()
    """Accounts that are alike and share something besides text."""
    blind: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """What could not be seen, by account: each a code of `conduct.blind.WORDS`, with a figure
    after a colon where it has one (`no_consent`, `past_short:9`, `overwritten:12`)."""
    cut: Cut = msgspec.field(default_factory=dict)


class ConductAlarmed(Fact, frozen=True, tag=True):
    """The evidence on an account reached 1 / alpha: for a person to look at, never a verdict.

    One fact an account, and one more after each case that was closed without a finding. `evidence`
    holds the reasons as a case takes them: the account's judged days with p-values, the workload
    of the last of them with its findings in the light of the contract, links, ordinary tenants'
    scores, alpha, and what could not be seen. Keyed `conduct:alarmed:<account>:<day>`.
    """

    group: str
    account: str
    on: str
    evidence: CaseEvidence


class CaseStepped(Fact, frozen=True, tag=True):
    """One step of a conduct case. Keyed `case:<case>:<number>`; the journal's actor took it."""

    case: str
    number: int
    """From one, without a gap."""
    event: CaseEvent


JournalFact = (
    GroupAdded
    | CustomerAdded
    | PriceBookPublished
    | ContractSigned
    | KeyIssued
    | KeyRotated
    | KeyRevoked
    | ProjectAdded
    | ProjectArchived
    | StandingChanged
    | StandingProposed
    | StandingDeclined
    | InvestigationSet
    | LimitSet
    | BudgetSet
    | BudgetToppedUp
    | BudgetCrossed
    | WebhookAdded
    | WebhookPaused
    | WebhookSecretTurned
    | WebhookRemoved
    | DeploymentSet
    | DeploymentDrained
    | SegmentShipped
    | InvoiceDrafted
    | CostRated
    | UserAdded
    | RolesChanged
    | ApiTokenMade
    | ApiTokenRevoked
    | ProbabilitiesStated
    | StatementsResolved
    | ConductObserved
    | ConductAlarmed
    | CaseStepped
    | GuidanceRecorded
    | RateRecorded
)
