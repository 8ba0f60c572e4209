"""What the API asks of the rest of the product; `app` hands it the answers."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from quartermaster.api import asked
from quartermaster.billing.invoice import Invoice
from quartermaster.commands.budget_shown import BudgetStates
from quartermaster.commands.case import Rules
from quartermaster.commands.ports import Book
from quartermaster.commands.publish import Acknowledgement
from quartermaster.commands.standing import RevenueShare
from quartermaster.commands.webhook_record import Webhooks
from quartermaster.conduct.case_file import CaseFile
from quartermaster.exposure.daily_statements import EventScores
from quartermaster.gateway.status import WorkerStatus
from quartermaster.kernel.case import CaseEvidence, CaseStake
from quartermaster.kernel.clock import Clock, Instant, Period
from quartermaster.kernel.events import Cut, HourlyUsage, UsageEvent
from quartermaster.revenue.by_month import RevenueMonths

Json = Any
"""A document as plain values; its shape is the operation's `answer`."""


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

    def workers(self) -> int:
        """How many share every limit; one where none runs."""

    def publish(self, now: Instant) -> Published:
        """Hand what the book says to the gateways, and wait shortly for them."""


class Weights(Protocol):
    """How much a customer group is of revenue, for who decides on its standing."""

    @property
    def sign_off_share(self) -> Decimal:
        """Above it, taking service away needs a second person."""

    def share(self, group: str) -> RevenueShare:
        """Of revenue, as far as it is known."""


class CaseDesk(Protocol):
    """What a conduct case needs to know of revenue and settings."""

    def rules(self, group: str) -> Rules:
        """What the operator has set, and what the group's contracts bring in on a day."""

    def stake(self, group: str, evidence: CaseEvidence) -> CaseStake | None:
        """What hangs on the group and what was taken; None while nothing of it is rated."""

    def file(self, case_id: str, now: Instant) -> CaseFile:
        """The case file as it is now.

        Raises:
            NotFoundError: there is no such case.
        """


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a question is asked of: one of our books, or a file."""

    book: str = ""
    """`live` or `sample`; empty for a file."""
    name: str = ""
    """How messages call the file."""
    media_type: str = ""
    data: bytes = b""


class OwnRecord(msgspec.Struct, frozen=True):
    """How good our own weekly statements were, by event."""

    book: str
    events: tuple[EventScores, ...]


class Answers(Protocol):
    """Documents that several rooms make together, the same that the command line prints.

    Every method may refuse with a `CallerError` that names the line or the field, and with an
    `UnavailableError` where an extra is not installed.
    """

    def exposure(self, source: Source, asked: asked.ExposureAsked) -> Json:
        """How much hangs on whom."""

    def risk(self, source: Source, asked: asked.RiskAsked) -> Json:
        """What revenue is at risk."""

    def what_if(self, source: Source, lever: asked.Lever, asked: asked.WhatIfAsked) -> Json:
        """What one change would do to it."""

    def forecast(self, source: Source, asked: asked.ForecastAsked) -> Json:
        """Revenue ahead, with and without one customer."""

    def suggestion(self, source: Source, asked: asked.SuggestionAsked) -> Json:
        """A range to promise."""

    def score(self, source: Source) -> Json:
        """Verdicts on what was promised."""

    def disclosure(self, source: Source, asked: asked.DisclosureAsked) -> Json:
        """What a disclosure rule asks, and a draft for counsel."""

    def claims(self, source: Source, asked: asked.ClaimsAsked) -> Json:
        """Which claims agree, contradict, or cannot be compared."""

    def warnings(self, source: Source) -> Json:
        """Who is leaving, by what usage says."""

    def backtest(self, source: Source) -> Json:
        """How good those probabilities would have been."""

    def departure(self, source: Source, asked: asked.CaseAsked) -> Json:
        """How likely a customer leaves, and every step to that figure."""

    def statements(self, source: Source) -> Json:
        """How good past statements were."""

    def own_record(self, book: str) -> OwnRecord:
        """How good our own weekly statements were."""

    def revenue_months(self, currency: str) -> RevenueMonths:
        """What months came to, as last rated; in a currency, or that of most requests.

        Raises:
            NotFoundError: nothing has been rated here yet.
            UsageError: not a currency.
        """

    def capacity(self, files: asked.CapacityFiles, asked: asked.CapacityAsked) -> Json:
        """What was built, who keeps it busy, what is stranded."""

    def payback(self, fleet: Source | None, asked: asked.PaybackAsked) -> Json:
        """When the money is back, with a customer and without it."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a handler may use."""

    book: Book
    pepper: bytes
    usage: Usage
    gateways: Gateways
    answers: Answers
    weights: Weights
    cases: CaseDesk
    webhooks: Webhooks
    clock: Clock
    budget_states: Callable[[], BudgetStates] = BudgetStates
    """What the clerk last knew of budgets."""
    hosts: frozenset[str]
    """Host names that a request may name, in lower case."""
