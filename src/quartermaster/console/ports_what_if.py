"""What the what-if page asks: one change, in the same scenarios as without it.

As in `ports_exposure`, amounts arrive computed; the console chooses words and pictures.
"""

from decimal import Decimal
from typing import Literal, Protocol, get_args

import msgspec

from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_exposure import LossMissing
from quartermaster.kernel.clock import Instant

Lever = Literal["leave", "cut", "price", "commit", "diversify"]
LEVERS: tuple[Lever, ...] = get_args(Lever)
Priced = Literal["commit_half", "commit_most", "ramp", "notice", "hazard", "backfill", "diversify"]
"""Levers of the tornado that may have a cost."""
PRICED: tuple[Priced, ...] = get_args(Priced)


class WhatIfQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What the page's address asks; None and the empty customer are left to the book."""

    lever: Lever = "leave"
    customer: str = ""
    """Id of the group that is asked about; empty: the largest."""
    size: Decimal | None = None
    """Cut: share of usage. Price: change of it. Commit: share of plan. Diversify: share to be."""
    month: int = 0
    """From now; when it leaves, cuts or pays another price."""
    until: int = 24
    """Months for which it commits."""
    suspend: bool = False
    """We end it: at once, and nothing more is owed."""
    everybody: bool = False
    """All prices, not only the customer's."""
    discount: Decimal = Decimal(0)
    """Price given up for a commitment."""
    elasticity: Decimal = Decimal(0)
    """Usage changes by the price ratio to this power."""
    hazard: Decimal | None = None
    """Departures a year of that customer, as a rate."""
    others: Decimal | None = None
    horizon_months: int = 24
    quantile: Decimal = Decimal("0.95")
    notice: Decimal = Decimal(0)
    """Months of notice, of everybody."""
    ramp: Decimal = Decimal(6)
    """Months in which the usage of who leaves falls to nothing."""
    backfill: Decimal = Decimal(0)
    """Of freed usage, how much is sold to others half a year later."""
    owed: Decimal | None = None
    """The customer's commitment today: least that it owes for a month, in major units; None is what
    its contracts say."""
    owed_months: int | None = None
    """Months for which it owes it."""
    costs: tuple[tuple[Priced, Decimal], ...] = ()
    """What a lever of the tornado costs over the horizon, in major units."""


class WhatIfAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The question as it was answered: nothing is left open."""

    question: WhatIfQuestion
    """With customer, size and rates filled in."""
    name: str
    hazard: Decimal
    others: Decimal
    owed: Decimal
    owed_months: int
    chosen: bool
    """Whether the reader set a rate; otherwise both are defaults that nobody measured."""


class WorldFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The book under one change; differences are with the change minus without it."""

    key: str
    """What the change is, and the message that says it."""
    name: str
    """Of the lever."""
    who: str
    """Name of the customer; empty: everybody."""
    figures: dict[str, Decimal]
    expected_minor: int
    expected_error_minor: int
    value_at_risk_minor: int
    shortfall_minor: int
    shortfall_error_minor: int
    expected_moved_minor: int
    expected_moved_error_minor: int
    shortfall_moved_minor: int
    shortfall_moved_error_minor: int
    top_share: Decimal
    """Of the largest customer in the shortfall."""
    top_share_at_equal_hazard: Decimal
    cost_minor: int | None
    cut_per_cost: Decimal | None
    """Shortfall that each unit of cost takes away."""
    losses: tuple[int, ...]
    """At each of the facts' `levels`, minor units."""


class BridgeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Revenue over the horizon before and after a departure, in minor units; steps add up."""

    months: int
    before_minor: int
    customer_minor: int
    """What the customer would bring; taken off."""
    before_leaving_minor: int
    kept_minor: int
    commitment_minor: int
    backfill_minor: int
    after_minor: int


class StrandedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Capacity that a departure leaves without use, at what it goes on costing."""

    minor: int
    """Over the horizon."""
    month_minor: int
    """A month of it, once all of the usage is gone and none is sold again."""
    gpu_hours: Decimal
    """Of such a month."""
    months: Decimal
    """Such months within the horizon."""
    fleet: str


class WhatIfFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the page shows of one book: all sample or all real."""

    sample: bool
    currency: str
    first: str
    last: str
    """The local months `YYYY-MM` whose mean is the month that is looked ahead from."""
    still_open: bool
    """Whether that is one month that has only begun: every amount ahead is then too small."""
    denominator: Bilingual
    origin: Bilingual
    data_sha256: str
    choices: tuple[tuple[str, str], ...]
    """Id and name of the customers that may be asked about, the largest first."""
    asked: WhatIfAsked
    missing: LossMissing | None
    reason: str
    """What to type where the simulation is not installed; what was refused."""
    top_name: str = ""
    """The largest customer."""
    top_hazard: Decimal = Decimal(0)
    equal_hazard: Decimal = Decimal(0)
    plan_minor: int = 0
    scenarios: int = 0
    seed: int = 0
    engine: Literal["full", "reduced"] = "full"
    pooled: int = 0
    levels: tuple[float, ...] = ()
    base: WorldFacts | None = None
    change: WorldFacts | None = None
    tornado: tuple[WorldFacts, ...] = ()
    """The strongest first."""
    bridge: BridgeFacts | None = None
    """Where the lever is a departure."""
    stranded: StrandedFacts | None = None
    """Where the lever is a departure and the capacity is known."""
    stranded_reason: str = ""
    """Why the capacity cannot be used, where it is described but wrong."""


class WhatIfBook(Protocol):
    """The book behind the what-if page. Calls compute for a while; the console uses threads."""

    def what_if(
        self, question: WhatIfQuestion, now: Instant, *, wait: bool = False
    ) -> WhatIfFacts | None:
        """The facts, or None when there is no revenue to show yet.

        Without `wait` the figures may be missing because the simulation is still being loaded.

        Raises:
            UsageError: `field` names what cannot be asked of this book.
        """


class NoWhatIf:
    """Nothing to ask about: the page says so."""

    def what_if(
        self, question: WhatIfQuestion, now: Instant, *, wait: bool = False
    ) -> WhatIfFacts | None:
        """None, whatever is asked."""
        del question, now, wait
        return None
