"""Facts about whether a customer group is served: decided, proposed, declined, investigated."""

from quartermaster.kernel.contract import Standing
from quartermaster.kernel.fact import Fact
from quartermaster.kernel.limit import Throttle


class StandingChanged(Fact, frozen=True, tag=True):
    """A group's standing, with its reason. The journal's actor is who made it so."""

    group: str
    standing: Standing
    reason: str
    throttle: Throttle | None = None
    """Of `throttled` alone."""
    case: str = ""
    """The conduct case that it follows from, where it follows from one."""
    revenue_share: str = ""
    """Of revenue when it was decided, as a decimal; empty where it was not known."""
    proposal: str = ""
    """What a second person signed off; empty where one person was enough."""
    proposed_by: str = ""


class StandingProposed(Fact, frozen=True, tag=True):
    """A change of standing that waits for a second person."""

    proposal: str
    group: str
    standing: Standing
    reason: str
    throttle: Throttle | None = None
    case: str = ""
    revenue_share: str = ""
    lent_by: str = ""
    """Who made the token that proposed it, where that was not its user."""


class StandingDeclined(Fact, frozen=True, tag=True):
    """A proposed change of standing that will not be made."""

    proposal: str
    group: str
    reason: str


class InvestigationSet(Fact, frozen=True, tag=True):
    """A group is under investigation, or not any more. Its standing is a fact of its own."""

    group: str
    open: bool
    reason: str
    case: str = ""
