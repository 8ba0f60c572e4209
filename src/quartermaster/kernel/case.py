"""Conduct cases: what is known, what was done, what the customer said. Values of journal facts.

Nothing here holds text of a request: evidence is counts, shares and scores. Words that people write
(reasons, answers, appeals) are theirs and are kept as they are.
"""

from typing import Literal

import msgspec

from quartermaster.kernel.limit import Throttle

CaseState = Literal[
    "observing",
    "informed",
    "warned",
    "throttled",
    "suspended",
    "investigating",
    "reinstated",
    "terminated",
    "dismissed",
]
"""`dismissed`: closed without a finding, before anything was held back."""

Move = Literal[
    "inform", "warn", "throttle", "suspend", "investigate", "reinstate", "terminate", "dismiss"
]
"""What staff may do with a case."""

FindingStatus = Literal["open", "explained", "contradicted"]
"""In the light of the contract."""


class CaseFinding(msgspec.Struct, frozen=True):
    """What a detector, or a person with a source, says."""

    kind: str
    """Of `conduct.detectors`, or `reported`."""
    strength: float
    share: float
    status: FindingStatus = "open"
    observe_only: bool = False
    """Whether this alone may never lead beyond observation."""
    source: str = ""
    """Of `reported` alone: who said what, and where."""
    account: str = ""
    """Whom it is of; empty where nobody of the group in particular."""


class CaseDay(msgspec.Struct, frozen=True, kw_only=True):
    """One account-day as it was judged."""

    account: str
    day: str
    requests: int
    sampled_fraction: float = 1.0
    new_share: float = 0.0
    newness: float = 0.0
    """Standard errors."""
    score: float = 0.0
    over_line: bool = False
    output_ratio: float | None = None
    """Output tokens for each input token; None where tokens were not recorded."""
    models: dict[str, int] = {}
    """Requests by model."""
    p_population: float | None = None
    p_own: float | None = None
    evidence: float | None = None
    """The e-value so far; see `conduct.alarm`."""


class CaseReason(msgspec.Struct, frozen=True):
    """What one feature adds to a score, in log-odds."""

    feature: str
    adds: float


class CaseCluster(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that was judged by itself."""

    account: str
    kind: str
    requests: int
    share: float
    score: float
    findings: tuple[CaseFinding, ...] = ()
    reasons: tuple[CaseReason, ...] = ()
    cells: tuple[int, ...] = ()
    """Requests read in each cell of the space of topics."""


class CaseLink(msgspec.Struct, frozen=True):
    """Two accounts that are alike, and what they share besides text."""

    left: str
    right: str
    p: float
    reasons: tuple[str, ...] = ()


class CaseNeighbour(msgspec.Struct, frozen=True):
    """An ordinary tenant that looks like this one, under a name that says nothing."""

    label: str
    distance: float
    score: float


class CasePart(msgspec.Struct, frozen=True):
    """A measure of a stratum: whole, in what was read, and in the cluster's part of that."""

    total: float
    read: float
    read_squares: float
    hit: float
    hit_squares: float


class CaseStratum(msgspec.Struct, frozen=True, kw_only=True):
    """An account-day as `conduct.extent` takes it: what the meter counted, and what was read."""

    cluster: str
    account: str
    day: str
    requests: int
    read: int
    hits: int
    parts: dict[str, CasePart] = {}
    """By measure: `output_tokens`, and `minor` units of the currency."""
    currency: str = ""
    """Of `minor`; empty where nothing is priced."""


class CaseStatement(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said about how much it was."""

    text: str
    said_by: str
    source: str = ""
    on: str = ""
    low: float | None = None
    high: float | None = None
    """Shares of the requests, of one, where a number was said."""


class CaseEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a case stands on at one time."""

    findings: tuple[CaseFinding, ...] = ()
    days: tuple[CaseDay, ...] = ()
    clusters: tuple[CaseCluster, ...] = ()
    links: tuple[CaseLink, ...] = ()
    neighbours: tuple[CaseNeighbour, ...] = ()
    ordinary: tuple[float, ...] = ()
    """Scores of the operator's ordinary tenants, one a tenant, in rising order."""
    past_cells: tuple[int, ...] = ()
    """What the account asked before, in the cells of the clusters."""
    fleet_cells: tuple[int, ...] = ()
    """What everybody else asks."""
    strata: tuple[CaseStratum, ...] = ()
    statements: tuple[CaseStatement, ...] = ()
    even_chance: float | None = None
    """Probability if every second account-day were a harvest."""
    alpha: float | None = None
    """The chance of ever alarming on an ordinary account that the evidence is held to."""
    line: float | None = None
    """The score above which a day is looked at."""
    blind: tuple[str, ...] = ()
    """What could not be seen."""
    source: str = ""
    """Where it came from: a file's name, or the daily analysis."""
    source_sha256: str = ""

    @property
    def actionable(self) -> tuple[CaseFinding, ...]:
        """Findings that may lead beyond observation."""
        return tuple(
            one for one in self.findings if not one.observe_only and one.status != "explained"
        )


class StakeElsewhere(msgspec.Struct, frozen=True):
    """What hangs on the customer in a further currency: never added to another one."""

    currency: str
    revenue_a_year_minor: int
    harvested_minor: int = 0


class CaseStake(msgspec.Struct, frozen=True, kw_only=True):
    """What hangs on the customer and what was taken, in minor units of one currency.

    Handed over by the composition root from revenue, exposure and the extent; `origin` says how.
    """

    currency: str
    revenue_a_year_minor: int
    share: float | None = None
    """Of the seller's revenue."""
    churn_wrongful: float
    """Probability that an innocent customer leaves after a suspension."""
    suspended_days: int
    """How long a suspension lasts until it is lifted."""
    harvested_minor: int
    """What the harvested answers were billed at."""
    damage_multiple: float
    """Damage for each unit of money that the answers were billed at."""
    probability: float | None = None
    """That this is a harvest, in the operator's own population."""
    probability_origin: str = ""
    origin: str = ""
    others: tuple[StakeElsewhere, ...] = ()
    """What it pays in further currencies; no rate between them is anybody's figure here."""
    months: tuple[str, ...] = ()
    """The first and the last month that the revenue is of, as `2026-11`."""
    leaves_anyway: float = 0.0
    """That it leaves within a year without any suspension: that revenue is not lost by one."""
    leaves_stated_on: str = ""
    """The day on which exposure stated it, `2026-11-22`; empty where it stated nothing."""
    churn_setting: float | None = None
    """The operator's own assumption of `churn_wrongful`."""
    churn_left: int = 0
    """Of the seller's reinstated customers, those that used less than half a quarter later."""
    churn_of: int = 0
    """How many of them were followed for that quarter; 0 leaves the setting alone."""
    harvest_measured: bool = False
    """Whether `harvested_minor` is money of the extent, not requests times revenue."""
    unpriced: int = 0
    """Tokens and images of those months that wait for a price: revenue is more than it says."""


class CaseOpened(msgspec.Struct, frozen=True, tag_field="event", tag="opened", kw_only=True):
    """Somebody, or the daily analysis, looks at a customer group."""

    group: str
    reason: str
    evidence: CaseEvidence
    stake: CaseStake | None = None
    sample: bool = False
    addressee: str = ""
    """The customer of the group that notices go to, and that alone answers and appeals."""


class EvidenceAdded(msgspec.Struct, frozen=True, tag_field="event", tag="evidence", kw_only=True):
    """What is known now; it takes the place of what was known, which stays in the journal."""

    evidence: CaseEvidence
    stake: CaseStake | None = None
    reason: str = ""


class Noted(msgspec.Struct, frozen=True, tag_field="event", tag="noted"):
    """Something that somebody writes down."""

    text: str


class MoveAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A move with what it needs."""

    move: Move
    reason: str
    throttle: Throttle | None = None
    """Of `throttle` alone: the offending slice, and how much of it passes."""
    urgent: bool = False
    """Whether steps are left out; then a second person signs."""


class Proposed(msgspec.Struct, frozen=True, tag_field="event", tag="proposed", kw_only=True):
    """A move that waits for a second person."""

    asked: MoveAsked
    until: int


class Withdrawn(msgspec.Struct, frozen=True, tag_field="event", tag="withdrawn", kw_only=True):
    """The proposed move will not be made."""

    reason: str


class Notice(msgspec.Struct, frozen=True):
    """What the customer was told, word for word."""

    de: str
    en: str


class Moved(msgspec.Struct, frozen=True, tag_field="event", tag="moved", kw_only=True):
    """A move was made; the journal's actor made it."""

    asked: MoveAsked
    proposed_by: str = ""
    """The first person, where two were needed."""
    automatic: bool = False
    notice: Notice | None = None
    answer_until: int | None = None
    appeal_until: int | None = None
    review_until: int | None = None
    """Until when a person must look, else an automatic suspension ends by itself."""
    credits: tuple["Credit", ...] = ()


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """What the customer gets for the time it was held back wrongly."""

    customer: str
    contract: str
    period: str
    minor: int
    currency: str
    held_back_us: int
    revenue_a_day_minor: int
    percent: int


class CreditGrant(msgspec.Struct, frozen=True):
    """A credit and the case that granted it."""

    case: str
    credit: Credit


class CreditRedeemed(msgspec.Struct, frozen=True):
    """What the draft of a contract's month took off for a case's credit."""

    contract: str
    period: str
    minor: int
    currency: str


class CreditUsed(msgspec.Struct, frozen=True):
    """What an invoice redeemed of a case's credit."""

    case: str
    minor: int


class Answered(msgspec.Struct, frozen=True, tag_field="event", tag="answered", kw_only=True):
    """What the customer says."""

    text: str
    statement: CaseStatement | None = None


class Appealed(msgspec.Struct, frozen=True, tag_field="event", tag="appealed", kw_only=True):
    """The customer asks another person to decide."""

    text: str
    decide_until: int


class AppealDecided(
    msgspec.Struct, frozen=True, tag_field="event", tag="appeal_decided", kw_only=True
):
    """Another person decided; an appeal that is granted is followed by reinstatement."""

    granted: bool
    reason: str


class FileMade(msgspec.Struct, frozen=True, tag_field="event", tag="file_made", kw_only=True):
    """A case file was made; its hash holds it to the journal as it was."""

    sha256: str
    journal_seq: int
    journal_sha256: str


CaseEvent = (
    CaseOpened
    | EvidenceAdded
    | Noted
    | Proposed
    | Withdrawn
    | Moved
    | Answered
    | Appealed
    | AppealDecided
    | FileMade
)
