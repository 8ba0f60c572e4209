"""What a board report is made from: every part computed, none of it in words yet.

`app` fills it from a CSV, a scenario, the sample or the live book; a part that is None was not
given, and the report says how to give it.
"""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from quartermaster.capacity.statement import Statement
from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_capacity import Owed
from quartermaster.console.ports_exposure import Fan
from quartermaster.console.ports_warning import WarningLook
from quartermaster.exposure.departure_bridge import Bridge
from quartermaster.exposure.report import InputFile, Report
from quartermaster.exposure.scenario import Scenario
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.money import Money
from quartermaster.revenue.scorecard import Scorecard

if TYPE_CHECKING:
    # They import numpy, which a machine without the simulation does not have.
    from quartermaster.exposure.departure_statements import Record
    from quartermaster.exposure.risk_levers import WhatIf
    from quartermaster.exposure.risk_measure import Risk
    from quartermaster.exposure.warning import Warnings

Origin = Literal["csv", "scenario", "sample", "live"]
Rates = Literal["chosen", "default", "sample"]


class Payback(msgspec.Struct, frozen=True, kw_only=True):
    """When an investment is back; months, None for never."""

    capex_minor: int
    contribution: Decimal
    with_everybody: Decimal
    without: Decimal | None
    stretch: Decimal | None
    within: Decimal
    """Months over which the fleet is written off."""
    break_even: Decimal | None
    """Part of the customer's revenue that others must replace so that it is back in time."""
    owes: bool = False
    """Whether the customer is still bound to pay for something."""
    without_owed: Decimal | None = None
    """As `without`, where notice and what is still owed under contract are counted."""


class CapacityFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was built, who keeps it busy, and when the money is back."""

    fleet: str
    currency: str
    inputs: tuple[tuple[str, InputFile], ...]
    before: Statement | None = None
    """None where no demand was given."""
    after: Statement | None = None
    """Without the largest customer; None where the demand does not name it."""
    payback: Payback | None = None
    missing: tuple[Literal["demand", "named", "contribution", "leased"], ...] = ()
    """Why there is no more of it."""
    names: dict[str, str] = {}
    """Of customers by id; an id that is missing is the name."""
    elsewhere: tuple[tuple[str, Money], ...] = ()
    """Group and what it pays in another currency than the fleet's; in no sum and no margin."""
    owed: Owed | None = None
    """Of the largest customer."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that come from files of their own."""

    guidance: Scorecard | None = None
    warnings: "Warnings | None" = None
    look: WarningLook | None = None
    """What the clerk last saw in metered usage; of the live book only."""
    statements: "Record | None" = None
    stated_here: bool = False
    """Whether the statements are the clerk's own, of the next twelve months."""
    capacity: CapacityFacts | None = None
    capacity_refused: str = ""
    """Why the configured fleet cannot be accounted for."""
    inputs: tuple[tuple[str, InputFile], ...] = ()
    """What each file is (a key of the catalogue), and its name and hash."""


class BoardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a board report says."""

    origin: Origin
    made_on: date
    report: Report
    rates: Rates
    """Who set the rates of departure."""
    source: Bilingual | None = None
    """Where the data come from, when that is no file."""
    still_open: bool = False
    """No month is over: every amount is what came so far."""
    scenario: Scenario | None = None
    risk: "Risk | None" = None
    risk_missing: Literal["", "not_installed", "refused", "loading"] = ""
    risk_reason: str = ""
    bridge: Bridge | None = None
    """What the departure of the largest customer takes, step by step."""
    levers: "WhatIf | None" = None
    fan: Fan | None = None
    months_known: int = 0
    months_needed: int = 0
    given: Given = Given()

    @property
    def sample(self) -> bool:
        """Whether any figure is of an invented world."""
        return self.report.exposure.sample

    @property
    def currency(self) -> str:
        """Of every amount but the fleet's."""
        return self.report.exposure.denominator.currency


class BoardBook(Protocol):
    """The book behind the board report of the console. Calls compute for seconds."""

    def board(self, made_on: date, *, wait: bool = False) -> BoardFacts | None:
        """The facts, or None while there is no revenue.

        Without `wait` the loss may be missing because the simulation is still being loaded.
        """

    def printed(self, page: str) -> bytes:
        """A page as PDF.

        Raises:
            UnavailableError: nothing on this machine prints.
        """


class NoBoard:
    """A console that was given no book: it has no report."""

    def board(self, made_on: date, *, wait: bool = False) -> BoardFacts | None:
        """Nothing."""
        del made_on, wait
        return None

    def printed(self, page: str) -> bytes:
        """Nothing is printed.

        Raises:
            UnavailableError: always.
        """
        del page
        raise UnavailableError("this console prints nothing")
