"""What the exposure page asks: how much hangs on whom, and what if they go.

As in `ports`, every share and amount arrives computed; the console chooses words and pictures.
"""

from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from quartermaster.console.ports import Bilingual
from quartermaster.kernel.clock import Instant

Band = Literal["report", "breach"]
LossMissing = Literal["not_installed", "loading", "refused"]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the page's address asks; None and the empty customer are left to the book."""

    customer: str = ""
    """Id of the group that may go; empty: the largest."""
    hazard: Decimal | None = None
    """Departures a year of that customer, as a rate."""
    others: Decimal | None = None
    """The same for everybody else."""
    horizon_months: int = 24
    quantile: Decimal = Decimal("0.95")
    """Where the tail of losses begins."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The question as it was answered: nothing is left open."""

    customer: str
    name: str
    hazard: Decimal
    others: Decimal
    horizon_months: int
    quantile: Decimal
    chosen: bool
    """Whether the reader set a rate; otherwise both are defaults that nobody measured."""


class GroupShare(msgspec.Struct, frozen=True, kw_only=True):
    """One group under common control, and the band that its share reaches."""

    group: str
    name: str
    minor: int
    share: Decimal
    band: Band | None
    entities: tuple[str, ...] = ()
    """Names of the customers that were rolled up; empty where the group is one customer."""


class ShareWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The largest group of the window that ends with `last`."""

    last: str
    name: str
    share: float
    low: float | None
    high: float | None


class ShareHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The largest share of every full window, oldest first, at least two."""

    window_months: int
    level: Decimal
    """Of the intervals."""
    windows: tuple[ShareWindow, ...]


class LossPart(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's part of revenue and of the loss; shares of one."""

    group: str
    name: str
    revenue_share: Decimal
    loss_share: Decimal
    """Euler contribution to the expected shortfall, over the expected shortfall."""
    loss_share_at_equal_hazard: Decimal
    contribution_minor: int
    hazard: Decimal | None
    """A year; None for a sum of many."""
    count: int = 1
    """Customers in it, where it is a sum."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Expected shortfall over the horizon and who makes it up."""

    parts: tuple[LossPart, ...]
    """Largest revenue first, the asked customer among them."""
    others: LossPart | None
    asked: LossPart
    """The part of the asked customer."""
    plan_minor: int
    """What the book brings over the horizon with nobody leaving."""
    expected_minor: int
    shortfall_minor: int
    shortfall_error_minor: int
    """Its Monte Carlo standard error."""
    shortfall_at_equal_hazard_minor: int
    equal_hazard: Decimal
    """One rate for all, weighted by revenue: as much revenue departs on average."""
    ramp_months: Decimal
    """Months in which the usage of who leaves falls to nothing."""
    notice_months: Decimal
    backfill_share: Decimal
    """Of the freed usage, how much is sold to others."""
    bound: int = 0
    """Customers whose contracts oblige them to something, which is counted."""
    engine: Literal["full", "reduced"]
    scenarios: int
    seed: int


class FanMonth(msgspec.Struct, frozen=True, kw_only=True):
    """One month ahead, or the sum of all; bounds are None where nothing measures them."""

    minor: int
    low: int | None
    high: int | None
    measured: bool
    """False: the interval of a shorter window, stretched by the square root of time."""


class Fan(msgspec.Struct, frozen=True, kw_only=True):
    """Revenue ahead with and without the asked customer."""

    known: tuple[tuple[str, int, int], ...]
    """Month, minor units, minor units without the customer."""
    months: tuple[str, ...]
    whole: tuple[FanMonth, ...]
    without: tuple[FanMonth, ...]
    whole_total: FanMonth
    without_total: FanMonth
    level: Decimal
    held: int | None
    """Of `checked` past intervals; None where none could be checked."""
    checked: int
    owed_minor: int = 0
    """Of `without_total`, what the customer left out owes under its commitments."""


class ExposureFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the page shows of one book: all sample or all real."""

    sample: bool
    currency: str
    first: str
    last: str
    """The local months `YYYY-MM` of the window that shares are of."""
    still_open: bool
    """Whether no month is over yet, so that the window is what came so far."""
    denominator: Bilingual
    origin: Bilingual
    data_sha256: str
    total_minor: int
    groups: tuple[GroupShare, ...]
    """Largest first."""
    choices: tuple[tuple[str, str], ...]
    """Id and name of the customers that may be asked about."""
    gini: Decimal
    effective_number: Decimal
    lorenz: tuple[tuple[float, float], ...]
    report_at: Decimal
    breach_at: Decimal
    history: ShareHistory | None
    asked: Asked
    loss: Loss | None
    loss_missing: LossMissing | None
    loss_reason: str
    """What to type where the simulation is not installed; what was refused."""
    fan: Fan | None
    fan_months_needed: int
    """Closed months a forecast starts from."""
    fan_months_known: int


class ExposureBook(Protocol):
    """The book behind the exposure page. Calls compute for a while; the console uses threads."""

    def exposure(
        self, question: Question, now: Instant, *, wait: bool = False
    ) -> ExposureFacts | None:
        """The facts, or None when there is no revenue to show yet.

        Without `wait` the loss may be missing because the simulation is still being loaded.

        Raises:
            UsageError: `field` names what cannot be asked of this book.
        """
