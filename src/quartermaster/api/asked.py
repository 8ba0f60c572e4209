"""What may be asked of revenue, usage and capacity: the options of the command line as queries.

One struct a question; an operation leaves out the fields that do not apply to it (`without`), such
as how a file is written where no file is sent.
"""

from typing import Annotated, Literal

import msgspec

from quartermaster.exposure.disclosure import RuleId
from quartermaster.exposure.risk_assumptions import HORIZON_MONTHS_MAX
from quartermaster.exposure.rollup import WINDOW_MONTHS_MAX
from quartermaster.exposure.rows_by import Dimension
from quartermaster.revenue.forecast import LEVEL, STEPS_MAX, TOP, TOP_MAX

TEXT_CHARS_MAX = 200
"""As in files: longer than any registered company name."""
COLUMNS_MAX = 20
"""A revenue file has eight columns that mean something; the others are a spreadsheet's."""
GROUPS_MAX = 100
"""Customers named one by one in an address; more of them belong into a file of assumptions."""
SCENARIOS = 20_000
"""A thousand of them lie beyond the 95 % quantile: the shortfall is known to half a per cent."""
SCENARIOS_MAX = 100_000
"""Ten seconds of one processor for the books that a year of customers fills; for more there is the
command line, which does not keep others waiting."""
SEED = 20240801
"""As on the command line: the date of the article that the reference scenario retells."""
SEED_MAX = 2**63 - 1
"""What an integer of every client can hold."""
MONTHS_AHEAD = 12
QUARTER_MONTHS = 3
MISS = 0.2
"""One miss in five: what the range of a seller that guides honestly and tightly comes to."""

BookName = Annotated[
    Literal["live", "sample"],
    msgspec.Meta(description="`live`: what was metered and rated here; `sample`: an invented one."),
]
Lang = Annotated[Literal["en", "de"], msgspec.Meta(description="Language of the sentences.")]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]
FileName = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=TEXT_CHARS_MAX,
        description="What the file is called in the answer and in messages.",
    ),
]
Month = Annotated[
    str, msgspec.Meta(pattern="^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$", description="Such as 2026-11.")
]
Window = Annotated[
    int,
    msgspec.Meta(
        ge=1, le=WINDOW_MONTHS_MAX, description="Months that shares are of; 12 unless told."
    ),
]
Horizon = Annotated[int, msgspec.Meta(ge=1, le=HORIZON_MONTHS_MAX)]
MonthAhead = Annotated[int, msgspec.Meta(ge=0, le=HORIZON_MONTHS_MAX)]
Rate = Annotated[
    str,
    msgspec.Meta(pattern="^-?[0-9]{1,9}([.][0-9]{1,9})?%?$", description="Such as 35% or 0.35."),
]
HazardOf = Annotated[str, msgspec.Meta(pattern="^.{1,200}=[0-9]{1,9}([.][0-9]{1,9})?%?$")]
CommitmentOf = Annotated[
    str, msgspec.Meta(pattern="^.{1,200}=[0-9]{1,15}([.][0-9]{1,6})?:[0-9]{1,3}$")
]
PlainAmount = Annotated[
    str,
    msgspec.Meta(pattern="^-?[0-9]{1,15}([.][0-9]{1,6})?$", description="In major units."),
]
Frailty = Annotated[float, msgspec.Meta(ge=0, le=4, description="Variance of hazards.")]
Months = Annotated[float, msgspec.Meta(ge=0, le=HORIZON_MONTHS_MAX)]
Rates = Annotated[
    tuple[HazardOf, ...],
    msgspec.Meta(
        max_length=GROUPS_MAX,
        description="Departures a year: top=35%, rest=10%, or GROUP=20%.",
    ),
]
Commitments = Annotated[
    tuple[CommitmentOf, ...],
    msgspec.Meta(max_length=GROUPS_MAX, description="GROUP=AMOUNT:MONTHS, the least a month."),
]

Engine = Annotated[
    Literal["full", "reduced"],
    msgspec.Meta(description="`reduced`: the small customers in closed form."),
]

FILE_FIELDS = frozenset({"name", "scope", "decimal_comma", "ignore_column"})
"""Only where a file is sent: how it is called, and how it is written."""
BOOK_FIELDS = frozenset({"book"})
"""Only where one of our books is asked."""


class RevenueAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose revenue, of which months."""

    book: BookName = "live"
    name: FileName = "upload"
    scope: Text = ""
    months: Window | None = None
    as_of: Month | None = None
    decimal_comma: bool = False
    ignore_column: Annotated[tuple[Text, ...], msgspec.Meta(max_length=COLUMNS_MAX)] = ()


class ExposureAsked(RevenueAsked, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is ranked, and from which shares on it is reported."""

    by: Dimension = "group"
    report_at: Text = ""
    breach_at: Text = ""
    absorbing: Text = ""
    absorbing_name: Text = ""


class LossAsked(RevenueAsked, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a loss is made of; every figure states it again."""

    hazard: Rates = ()
    horizon: Horizon | None = None
    quantile: Rate | None = None
    ramp: Months | None = None
    notice: Months | None = None
    frailty: Frailty | None = None
    commitment: Commitments = ()
    scenarios: Annotated[int, msgspec.Meta(ge=1, le=SCENARIOS_MAX)] = SCENARIOS
    seed: Annotated[int, msgspec.Meta(ge=0, le=SEED_MAX)] = SEED
    engine: Engine = "full"


class RiskAsked(LossAsked, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Revenue at risk."""

    against: Literal["path", "plan"] = "path"


Lever = Literal["leave", "cut", "price", "commit", "diversify", "tornado"]


class WhatIfAsked(LossAsked, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One change; each lever has its own fields."""

    group: Text = ""
    month: MonthAhead = 0
    suspend: bool = False
    by: Rate | None = None
    change: Rate | None = None
    elasticity: Annotated[float, msgspec.Meta(ge=-10, le=0)] = 0.0
    everybody: bool = False
    share: Rate | None = None
    until: Horizon = 24
    discount: Rate = "0"
    cost: Annotated[tuple[Text, ...], msgspec.Meta(max_length=COLUMNS_MAX)] = ()


LEVER_FIELDS: dict[Lever, frozenset[str]] = {
    "leave": frozenset({"month", "suspend"}),
    "cut": frozenset({"by", "month"}),
    "price": frozenset({"change", "elasticity", "month", "everybody"}),
    "commit": frozenset({"share", "until", "discount"}),
    "diversify": frozenset({"share"}),
    "tornado": frozenset({"cost"}),
}
"""What only this lever can be asked."""


class ForecastAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far ahead, and without whom."""

    book: BookName = "live"
    name: FileName = "upload"
    customer_without: Text = ""
    commitment: Commitments = ()
    months: Annotated[int, msgspec.Meta(ge=1, le=STEPS_MAX)] = MONTHS_AHEAD
    top: Annotated[int, msgspec.Meta(ge=1, le=TOP_MAX)] = TOP
    level: Annotated[float, msgspec.Meta(ge=0.5, le=0.95)] = LEVEL
    as_of: Month | None = None
    decimal_comma: bool = False
    ignore_column: Annotated[tuple[Text, ...], msgspec.Meta(max_length=COLUMNS_MAX)] = ()


class SuggestionAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A range to promise, with a stated chance of a miss."""

    book: BookName = "live"
    name: FileName = "upload"
    months: Annotated[int, msgspec.Meta(ge=1, le=STEPS_MAX)] = QUARTER_MONTHS
    miss: Annotated[float, msgspec.Meta(ge=0, le=1)] = MISS
    beat: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    as_of: Month | None = None
    decimal_comma: bool = False
    ignore_column: Annotated[tuple[Text, ...], msgspec.Meta(max_length=COLUMNS_MAX)] = ()


class DisclosureAsked(RevenueAsked, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rule, and of which entity's revenue."""

    rule: RuleId
    entity_revenue: PlainAmount | None = None
    whole_entity: bool = False
    government: Annotated[tuple[Text, ...], msgspec.Meta(max_length=GROUPS_MAX)] = ()
    segment: Text = ""
    lang: Lang = "en"


class ClaimsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of a scenario, or of the one that ships with the product."""

    name: FileName = "upload"
    lang: Lang = "en"


class FileAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file and nothing else."""

    name: FileName = "upload"


class BookAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of our books and nothing else."""

    book: BookName = "live"


class PanelAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Daily use by tenant: of our customers, or of a file."""

    book: BookName = "live"
    name: FileName = "upload"


class CaseAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A case of a departure, on its last known day or another."""

    name: FileName = "upload"
    as_of: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None


class CapacityAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which month, and without whom."""

    without: Annotated[tuple[Text, ...], msgspec.Meta(max_length=GROUPS_MAX)] = ()
    backfill: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    period: Month | None = None


class CapacityFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Texts of the files that `quartermaster capacity` reads; without demand, what was metered."""

    fleet: str
    """TOML."""
    demand: str = ""
    """CSV of tokens by hour."""
    revenue: str = ""
    """CSV of what customers paid."""
    points: str = ""
    """CSV of measured points."""


class PaybackAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An investment, what it earns, and who leaves."""

    annual_revenue: PlainAmount
    contribution: Rate
    share: Rate
    capex: PlainAmount | None = None
    backfill: Rate = "0"
    leaves_after: PlainAmount = "0"
    within: PlainAmount | None = None
    still_owed: PlainAmount = "0"
    """By the leaver under its contract, after its notice, used or not."""
    owed_months: PlainAmount = "0"
    """Over which that comes in."""
    notice_months: PlainAmount = "0"
    """In which the leaver goes on as before."""
    currency: Annotated[str, msgspec.Meta(max_length=3)] = "USD"
    name: FileName = "upload"
