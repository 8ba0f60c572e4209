"""What the warning and reliability pages ask: who is leaving, and how good such statements were.

As in `ports`, every probability and amount arrives computed; the console chooses words and
pictures. A `WarningLook` is also what the clerk keeps in a file between two looks.
"""

from datetime import date
from typing import Literal, Protocol

import msgspec

from quartermaster.console.ports import Bilingual
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import StatedEvent

NoticeState = Literal["any_day", "ahead", "near", "passed"]
WarningMissing = Literal["not_installed", "loading", "not_yet"]
Figure = float | str


class Chance(msgspec.Struct, frozen=True):
    """A probability and the ends of its interval."""

    probability: float
    low: float
    high: float


class WarningStep(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence: what it is worth alone, what of it counts, and the chance after it."""

    kind: str
    on: date
    source: str
    figures: dict[str, Figure]
    block: str
    origin: str
    """Where its ratio comes from: `counted`, `default`, `judgement`, `case_files`."""
    ratio: float
    low: float
    high: float
    counted: float
    before: float
    alone: float
    """The chance after it, had it counted in full."""
    after: float
    fact: Bilingual | None = None
    """Published words, where the fact came with them."""


class WarningLedger(msgspec.Struct, frozen=True, kw_only=True):
    """From the prior through likelihood ratios to a probability."""

    prior: Chance
    prior_by: str
    prior_figures: dict[str, Figure]
    steps: tuple[WarningStep, ...]
    stale: tuple[str, ...]
    """Kinds of evidence that are known and too old to count."""
    joint: float
    joint_low: float
    joint_high: float
    stated: Chance
    if_independent: float
    """What it would be, had every piece counted in full."""


class AlarmUp(msgspec.Struct, frozen=True):
    """A detector in alarm; score and threshold in spreads of the series' own history."""

    detector: str
    since: date
    score: float
    threshold: float


class LevelChange(msgspec.Struct, frozen=True):
    """First day of a new level, and its mean week over that of the level before."""

    on: date
    ratio: float


class UsageReason(msgspec.Struct, frozen=True):
    """One fact about usage that moved the chance of the next quarter, and which way."""

    feature: str
    value: float
    effect: float


class NoticeLine(msgspec.Struct, frozen=True):
    """When one contract can be left."""

    contract: str
    notice_days: int
    state: NoticeState
    ends_on: date | None
    notice_by: date | None


class DetectorTimeline(msgspec.Struct, frozen=True):
    """Days of use with the score of every detector; None before a detector is warm."""

    first_day: date
    usage: tuple[float, ...]
    scores: dict[str, tuple[float | None, ...]]
    thresholds: dict[str, float]
    changes: tuple[LevelChange, ...]


class CustomerLook(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one customer group, and everything that it is said from."""

    customer: str
    name: str
    usage_a_day: float
    known_days: int
    ledger: WarningLedger
    quarter: float | None
    """Chance by usage alone that the next quarter holds less than half of the last."""
    alarms: tuple[AlarmUp, ...]
    reasons: tuple[UsageReason, ...]
    notices: tuple[NoticeLine, ...]
    timeline: DetectorTimeline


class WarningLook(msgspec.Struct, frozen=True, kw_only=True):
    """One look at all customers, on the last day that is over."""

    on: date
    customers: tuple[CustomerLook, ...]
    learnt_rows: int = 0
    base_rate: float | None = None
    """Of the quarter's event, in the rows that were learnt from."""
    false_alarms_a_year: float | None = None
    """Of the whole bank, for each customer, on the history that it was set on."""
    found: float | None = None
    tried: float | None = None
    """Fades put into the same history, and how many of them were found within `window_days`."""
    window_days: float | None = None
    days: int = 0
    """Of history."""
    alarm_days_min: int = 0
    """Days of history that the detectors need."""


class AtStake(msgspec.Struct, frozen=True, kw_only=True):
    """A customer with the revenue that hangs on it; None where it has none in this currency."""

    look: CustomerLook
    minor: int | None
    expected_minor: int | None
    """Probability times revenue, and the same at the ends of the interval."""
    expected_low_minor: int | None
    expected_high_minor: int | None

    @property
    def alarm(self) -> bool:
        """Whether a detector is up."""
        return bool(self.look.alarms)


class WarningFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the warning pages show of one book: all sample or all real."""

    sample: bool
    look: WarningLook | None
    missing: WarningMissing | None
    """Why there is no look."""
    customers: tuple[AtStake, ...] = ()
    """Alarms first, then by expected loss."""
    currency: str = ""
    first: str = ""
    last: str = ""
    """The months whose revenue stands beside the probabilities."""
    still_open: bool = False
    """Whether that is one month that has only begun."""
    denominator: Bilingual = Bilingual("", "")
    origin: Bilingual = Bilingual("", "")


class ReliabilityBin(msgspec.Struct, frozen=True):
    """Statements of about one probability: what was said, what came, and its interval."""

    statements: int
    stated: float
    came: float
    low: float
    high: float


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of a set of statements whose time has passed."""

    statements: int
    came: int
    customers: int
    days: int
    """On which they were stated."""
    brier: float
    log_score: float
    brier_base_rate: float
    brier_if_calibrated: float
    brier_if_calibrated_sd: float
    calibration_error: float
    stated: float
    """On average."""
    low: float
    high: float
    """The interval of what came."""
    beyond_chance: bool
    """Whether what was stated lies outside of it, and there is enough of it to say so."""
    bins: tuple[ReliabilityBin, ...]


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Statements of one event: all of them, those resolved, and those that do not overlap."""

    event: StatedEvent
    stated: int
    days: int
    first_on: date | None
    last_on: date | None
    open: int
    next_due: date | None
    """When the next statements come to term."""
    scored: Scored | None
    apart: Scored | None
    """Of days whose times do not overlap, which alone say something about calibration."""
    enough: bool
    """Whether `apart` has enough statements."""
    statements_min: int


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One past statement, for the tables."""

    event: StatedEvent
    on: date
    customer: str
    name: str
    probability: float
    low: float | None
    high: float | None
    due: date
    came: bool | None


class ReliabilityFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The record of our own past probabilities, of one book."""

    sample: bool
    missing: WarningMissing | None
    records: tuple[EventRecord, ...] = ()
    statements: tuple[StatementLine, ...] = ()
    origin: Bilingual = Bilingual("", "")


class WarningBook(Protocol):
    """The book behind the warning and reliability pages. Calls may block."""

    def warning(self, now: Instant, *, wait: bool = False) -> WarningFacts:
        """Who is leaving. Without `wait` the look may be missing because it is being made."""

    def reliability(self, now: Instant, *, wait: bool = False) -> ReliabilityFacts:
        """How good past statements were."""


class NoWarning:
    """Nobody has been looked at: the pages say so."""

    def warning(self, now: Instant, *, wait: bool = False) -> WarningFacts:
        """No look, whatever the time."""
        del now, wait
        return WarningFacts(sample=False, look=None, missing="not_yet")

    def reliability(self, now: Instant, *, wait: bool = False) -> ReliabilityFacts:
        """No statements."""
        del now, wait
        return ReliabilityFacts(sample=False, missing=None)
