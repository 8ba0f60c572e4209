"""Shapes of the documents about what is: exposure, disclosure, claims, capacity, payback.

The documents are made where the figures are, as the command line prints them; here stands what a
program may rely on. A test converts a real document of each kind and refuses unknown fields.
"""

from typing import Any, Literal

import msgspec

from quartermaster.exposure.bands import Plan
from quartermaster.exposure.control import Moved
from quartermaster.exposure.report import InputFile, Peak
from quartermaster.kernel.exchange import ExchangeRate


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money: a decimal string in major units, and an integer of minor units."""

    amount: str
    minor: int
    currency: str


class DenominatorShown(Amount, frozen=True, forbid_unknown_fields=True):
    """What shares are of."""

    words: str
    scope: str
    measure: str
    first: str
    last: str


class MemberShown(Amount, frozen=True, forbid_unknown_fields=True):
    """An entity of a group."""

    customer: str


class ExcludedShown(Amount, frozen=True, forbid_unknown_fields=True):
    """A group whose amount is not above zero, so that it has no share."""

    group: str


class GroupShare(Amount, frozen=True, forbid_unknown_fields=True):
    """A group and its share."""

    rank: int
    group: str
    share: float
    share_of: str
    share_range: tuple[float, float] | None
    at_least_10_percent: bool
    filled: bool
    sample: bool
    members: tuple[MemberShown, ...]


class ConcentrationShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Indices of one denominator."""

    of: str
    customers: int
    hhi_points: float
    hhi_fraction: float
    hhi_normalised_fraction: float | None
    hhi_fraction_bounds_whatever_the_fill: tuple[float, float] | None
    effective_number_of_customers: float
    largest_1_share: float
    largest_4_share: float
    largest_n_shares: dict[str, float]
    gini: float
    theil: float


class ControlShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By whose control entities were rolled up."""

    input: InputFile
    control_of: str
    changed_group_in_the_window: tuple[Moved, ...]
    named_without_revenue: tuple[str, ...]


class Against(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a band's ratio is of, and its edges."""

    of: str
    report_at: float
    breach_at: float
    amount: str | None = None
    minor: int | None = None
    currency: str | None = None


class RatioShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ratio and the band that it reaches."""

    ratio: float
    ratio_of: str
    band: str | None


class BandedGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group that reaches a band."""

    group: str
    annual: Amount
    ratios: dict[str, RatioShown]
    breach: bool
    plan: Plan | None
    missing: tuple[str, ...]
    overdue: bool


class BandsShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is reported, and who is in breach."""

    input: InputFile | None
    against: dict[str, Against]
    groups: tuple[BandedGroup, ...]


class HistoryInterval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the intervals of a history are."""

    level: float
    about: str
    method: str


class HistoryWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The largest share of one window."""

    first: str
    last: str
    group: str
    share: float
    minor: int
    of_minor: int
    interval: tuple[float, float] | None


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The largest share over time."""

    window_months: int
    interval: HistoryInterval
    windows: tuple[HistoryWindow, ...]


class TenPercent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who reaches the line of the disclosure rules."""

    name: str
    groups: tuple[str, ...]


class RunRate(Amount, frozen=True, forbid_unknown_fields=True):
    """A run-rate and how it was made."""

    method: str
    months: tuple[str, ...]
    claim: str | None
    per: str


class ExposureDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much hangs on whom."""

    schema: str
    title: str
    sample: bool
    filled: bool
    fill: str
    note: str
    seed: int | None
    input: InputFile | None
    data_sha256: str
    rows: int
    by: str
    denominator: DenominatorShown
    groups: tuple[GroupShare, ...]
    concentration: ConcentrationShown
    control: ControlShown | None
    bands: BandsShown | None
    top_share_over_time: History | None
    ten_percent_customers: TenPercent | None
    run_rates: tuple[RunRate, ...]
    peak: Peak | None
    excluded: tuple[ExcludedShown, ...]
    names_alike: tuple[tuple[str, ...], ...]
    missing_months: tuple[str, ...]
    claims: tuple[dict[str, Any], ...]
    """As the scenario states them; a field that was not stated is left out."""
    sources: tuple[dict[str, Any], ...]


class RuleShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A disclosure rule."""

    id: str
    citation: str
    line: float | None


class PeriodShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First and last month."""

    first: str
    last: str


class EntityRevenueShown(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"origin": "from"}
):
    """Revenue of the whole reporting entity, and where it comes from."""

    amount: str
    minor: int
    currency: str
    origin: str


class FileRevenue(Amount, frozen=True, forbid_unknown_fields=True):
    """What the rows come to."""

    of: str


class RowShown(Amount, frozen=True, forbid_unknown_fields=True):
    """One row that a figure was added up from."""

    line: int | None
    customer: str
    product: str | None
    month: str


class TestedCustomer(Amount, frozen=True, forbid_unknown_fields=True):
    """A customer beside the rule's line."""

    group: str
    share_of_entity_revenue: float
    share_of_file_revenue: float
    at_least_10_percent_of_entity_revenue: bool
    government: bool
    members: tuple[MemberShown, ...]
    rows: tuple[RowShown, ...]


class NoteShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look out for."""

    id: str
    words: str


class DraftWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A draft for counsel."""

    status: str
    paragraphs: tuple[str, ...]


class DisclosureDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a disclosure rule asks about single customers."""

    schema: str
    rule: RuleShown
    must_disclose: bool | None
    period: PeriodShown
    entity_revenue: EntityRevenueShown
    file_revenue: FileRevenue
    customers: tuple[TestedCustomer, ...]
    segment: str | None
    notes: tuple[NoteShown, ...]
    draft: DraftWords
    inputs: tuple[InputFile, ...]
    data_sha256: str


class QuantityShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure of a finding; shares and growth are fractions of one."""

    role: str
    point: float
    low: float
    high: float
    unit: str
    of: str | None
    claim: str | None


class FindingShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a check found."""

    kind: str
    verdict: str
    sentence: str
    claims: tuple[str, ...]
    sources: tuple[str, ...]
    reasons: tuple[str, ...]
    detail: str | None
    quantities: tuple[QuantityShown, ...]


class ClaimsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which claims agree, contradict, or cannot be compared."""

    schema: str
    scenario: str
    title: str
    sample: bool
    input_sha256: str
    contradictions: int
    findings: tuple[FindingShown, ...]
    claims: tuple[dict[str, Any], ...]
    sources: tuple[dict[str, Any], ...]
    hedges: tuple[dict[str, Any], ...]


class WindowShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours that a statement is about."""

    first_hour: str
    end: str
    hours: int


class HoursByUse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """GPU-hours by what they were for."""

    busy: str
    reserved_idle: str
    idle: str
    stranded: str


class CostByUse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money by what the hours were for."""

    customers: str
    reserved_idle: str
    idle: str
    stranded: str


class Throughput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a pool's speed is known from, and how well."""

    basis: str
    error: str


class BatchCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cost of a million tokens at a batch size."""

    batch: int
    prefill: str
    decode: str
    blended: str
    extrapolated: bool


class PoolShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pool of GPUs."""

    id: str
    gpu: str
    model: str
    gpus: int
    needed_gpus: int
    peak_gpus: str
    throughput: Throughput
    gpu_hours: str
    gpu_hours_by_use: HoursByUse
    gpu_hours_beyond: str
    cost: str
    depreciation: str
    lease: str
    power: str
    cost_per_million_tokens: tuple[BatchCost, ...]


class CapacityCustomer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's part."""

    customer: str
    prefill_tokens: int
    decode_tokens: int
    busy_gpu_hours: str
    reserved_idle_gpu_hours: str
    cost: str
    reserved_idle_cost: str
    revenue: str | None
    margin: str | None


class CapacityStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours and money by pool and customer; the parts sum to the whole."""

    fleet: str
    currency: str
    window: WindowShown
    gpu_hours: str
    gpu_hours_by_use: HoursByUse
    cost: str
    cost_by_use: CostByUse
    pools: tuple[PoolShown, ...]
    customers: tuple[CapacityCustomer, ...]
    warnings: tuple[str, ...]


class CapacityChange(CostByUse, frozen=True, forbid_unknown_fields=True):
    """What a departure does to the same capacity."""

    stranded_gpu_hours: str


class CapacityWithout(CapacityStatement, frozen=True, forbid_unknown_fields=True):
    """The statement without somebody."""

    left: tuple[str, ...]
    backfill_percent: int
    change: CapacityChange


class CapacityInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that was read."""

    name: str
    sha256: str


class RevenueElsewhere(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer pays in another currency than the fleet's: in no sum, and in no margin."""

    customer: str
    revenue: str
    currency: str


class CapacityDocument(CapacityStatement, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was built, who keeps it busy, what is stranded."""

    schema: str
    inputs: tuple[CapacityInput, ...]
    rates: tuple[ExchangeRate, ...] = ()
    """At which revenue in other currencies was converted."""
    other_currencies: tuple[RevenueElsewhere, ...] = ()
    without: CapacityWithout | None = None


class BackfilledMonths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payback where a part is sold to others."""

    backfill: str
    months_without: str | None


class PaybackOwed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same where notice and what is still owed under contract are counted."""

    amount: str
    months: str
    notice_months: str
    months_without: str | None
    by_backfill: tuple[BackfilledMonths, ...]
    break_even_backfill: str | None


class PaybackDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the money is back; null where it never is."""

    schema: Literal["quartermaster.payback/1"]
    currency: str
    capex: str
    annual_revenue: str
    contribution: str
    share: str
    backfill: str
    leaves_after_months: str
    months_with: str
    months_without: str | None
    stretch: str | None
    by_backfill: tuple[BackfilledMonths, ...]
    within_months: str | None
    break_even_backfill: str | None
    still_owed: PaybackOwed | None = None
    """Null where nothing is owed; all else counts nothing of it."""
