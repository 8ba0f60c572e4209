"""Shapes of the documents about what may come: forecast, guidance, warning, departure.

See `documents`: a test converts a real document of each kind and refuses unknown fields.
"""

from datetime import date
from typing import Any, Literal

import msgspec

from quartermaster.revenue.guidance import Actual, Guidance
from quartermaster.stats.likelihood_scores import Scores


class BookInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that were read."""

    name: str
    data_sha256: str


class MonthAmount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a month brought."""

    month: str
    amount: str


class PointShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A forecast with its interval; null where none could be measured."""

    amount: str
    low: str | None
    high: str | None
    interval_measured: bool


class MonthAhead(PointShown, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A month ahead."""

    month: str


class CoverageShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often past intervals held."""

    hits: int
    windows: int
    rate: float
    bootstrap_low: float
    bootstrap_high: float
    block: int
    seed: int


class FanShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Months ahead and their sum."""

    months: tuple[MonthAhead, ...]
    sum: PointShown
    commitments_add: str
    """What commitments add to usage, in the sum."""
    still_owed: str
    """What the customer left out still owes under its commitments, in the sum."""
    coverage: CoverageShown | None


class CustomerFan(FanShown, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of one customer, or without it."""

    customer: str


class CommitmentAhead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer owes at least for each month from `first` to `last`, of those ahead."""

    customer: str
    least_a_month: str
    first: str
    last: str
    ends_later: bool


class OfBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Months that were looked at."""

    input: BookInput
    sample: bool
    currency: str
    first: str
    last: str
    missing_months: tuple[str, ...]


class ForecastDocument(
    OfBook, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"whole": "all"}
):
    """Revenue ahead, with and without one customer."""

    schema: str
    method: str
    level: float
    origins: int
    history: tuple[MonthAmount, ...]
    commitments: tuple[CommitmentAhead, ...]
    whole: FanShown
    without: CustomerFan | None
    customers: tuple[CustomerFan, ...]


class SuggestionRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How such ranges would have done."""

    suggestions: int
    bias: float
    mean_absolute_error: float
    mean_absolute_error_bias_corrected: float | None
    misses: int
    misses_expected: float
    brier: float
    miss_rate: CoverageShown


class SuggestionDocument(OfBook, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A range to promise, with a stated chance of a miss."""

    schema: str
    metric: str
    basis: str
    period: str
    low: str
    high: str
    forecast: str
    chance_of_miss: float
    chance_of_beat: float
    past_windows: int
    track_record: SuggestionRecord | None


class ScoreInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of promises."""

    name: str


class MetricRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The track record of one metric."""

    metric: str
    unit: str
    scored: int
    bias: float
    mean_absolute_error: float
    mean_absolute_error_bias_corrected: float | None


class StatedChances(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the chances of a miss that were stated."""

    scored: int
    misses: int
    misses_expected: float
    brier: float


class PromiseShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A promise and how it turned out."""

    line: int
    verdict: str
    reasons: tuple[str, ...]
    inferred: bool
    guidance: Guidance
    actual: Actual | None


class ScoreDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every promise with its verdict."""

    schema: str
    input: ScoreInput
    counts: dict[str, int]
    track_record: tuple[MetricRecord, ...]
    stated_chances: StatedChances | None
    guidance: tuple[PromiseShown, ...]


class AlarmShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One detector in alarm."""

    detector: str
    since: date
    score: float
    threshold: float


class LevelChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest change of level."""

    week_from: date
    ratio: float | None
    """None: there was nothing before."""


class ReasonShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact and what it did to the probability."""

    feature: str
    effect: float
    words: str
    value: float


class TenantWarning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one tenant."""

    tenant: str
    usage_13_weeks: float
    share: float
    probability: float | None
    alarms: tuple[AlarmShown, ...]
    change: LevelChange | None
    reasons: tuple[ReasonShown, ...]
    note: str


class WarningsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is leaving, by what usage says."""

    schema: Literal["quartermaster.warnings/1"]
    as_of: date
    tenants: tuple[TenantWarning, ...]
    learnt_rows: int
    base_rate: float | None
    false_alarms_per_year: float | None
    notes: tuple[str, ...]


class MethodScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How good one method's probabilities were."""

    method: str
    brier: float
    log_loss: float
    ece: float
    auc: float | None
    revenue_auc: float | None
    captured: float
    gap_closed: float | None


class BacktestDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rolling-origin backtest measured."""

    schema: Literal["quartermaster.backtest/1"]
    tenants: int
    weeks: int
    origins: int
    rows: int
    event_share: float
    captured_by_size: float
    captured_by_oracle: float
    ece_calibrated_p95: float
    scores: tuple[MethodScore, ...]
    reliability: tuple[tuple[float, float, int], ...]


class StatementsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How good the statements of a file were."""

    schema: str
    statements: int
    open: int
    subjects: int
    scores: Scores | None


class RatioShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A likelihood ratio with its uncertainty."""

    central: float
    low: float
    high: float


class LedgerLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One piece of evidence and what it did."""

    on: str
    kind: str
    block: str
    fact: str
    source: str
    ratio: RatioShown
    ratio_from: str
    why: str
    counted: float
    probability_after: float


class StatedOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was stated on a day."""

    on: str
    probability: float
    low: float
    high: float


class CaseDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How likely the customer of a case leaves, and every step to that figure."""

    id: str
    title: str
    subject: str
    seller: str
    event: str
    horizon_months: int
    file: str
    data_sha256: str
    stated_on: str
    probability: float
    low: float
    high: float
    moved: bool
    finding: str
    prior: dict[str, Any]
    """The belief before the evidence, and the figures that it came from."""
    ledger: tuple[LedgerLine, ...]
    stale: tuple[dict[str, Any], ...]
    rule: dict[str, Any]
    joint_ratio: RatioShown
    if_independent: float
    sensitivity: tuple[dict[str, Any], ...]
    tipping_prior: float
    history: tuple[StatedOn, ...]
    alarm_on: str | None
    warned_days: int | None
    outcome: dict[str, Any] | None


class FileRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record of the statements."""

    statements: int
    open: int
    subjects: int
    scores: Scores | None


class DepartureDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Opinions on cases, and the score of those that are resolved."""

    schema: str
    alarm_probability: float
    cases: tuple[CaseDocument, ...]
    record: FileRecord
