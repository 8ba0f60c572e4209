"""The states of a case as a table: which move leads where, what it needs, who hears of it.

The table is the only place that says it. `step` follows it, the console offers what stands in it,
and the diagram of the documentation is drawn from it.
"""

from collections.abc import Iterator
from typing import NamedTuple, get_args

from quartermaster.kernel.case import CaseState, Move
from quartermaster.kernel.contract import Standing


class Row(NamedTuple):
    """One move out of one state."""

    source: CaseState
    move: Move
    target: CaseState
    standing: Standing | None
    """The group's standing from then on; None leaves it as it is."""
    signers: int = 1
    hears: bool = False
    """Whether the customer's answer, or the end of the time for it, is waited for first."""
    urgent: bool = False
    """Whether steps are left out; allowed only when it is said to be urgent, and signed by two."""


ROWS: tuple[Row, ...] = (
    Row("observing", "inform", "informed", "active"),
    Row("observing", "throttle", "throttled", "throttled", 2, urgent=True),
    Row("observing", "suspend", "suspended", "suspended", 2, urgent=True),
    Row("observing", "dismiss", "dismissed", "active"),
    Row("informed", "warn", "warned", "warned", hears=True),
    Row("informed", "throttle", "throttled", "throttled", 2, urgent=True),
    Row("informed", "suspend", "suspended", "suspended", 2, urgent=True),
    Row("informed", "dismiss", "dismissed", "active"),
    Row("warned", "throttle", "throttled", "throttled", hears=True),
    Row("warned", "suspend", "suspended", "suspended", 2, urgent=True),
    Row("warned", "investigate", "investigating", None),
    Row("warned", "reinstate", "reinstated", "active"),
    Row("throttled", "throttle", "throttled", "throttled", 2),
    Row("throttled", "suspend", "suspended", "suspended", 2),
    Row("throttled", "investigate", "investigating", None),
    Row("throttled", "reinstate", "reinstated", "active"),
    Row("suspended", "investigate", "investigating", None),
    Row("suspended", "reinstate", "reinstated", "active"),
    Row("investigating", "suspend", "suspended", "suspended", 2),
    Row("investigating", "reinstate", "reinstated", "active"),
    Row("investigating", "terminate", "terminated", "terminated", 2, hears=True),
    Row("terminated", "reinstate", "reinstated", "active"),
)

STATES: tuple[CaseState, ...] = get_args(CaseState)
ENDED: frozenset[CaseState] = frozenset({"reinstated", "dismissed"})
"""Nothing follows; a new suspicion is a new case."""
HOLDING_BACK: frozenset[Move] = frozenset({"throttle", "suspend", "terminate"})
"""Moves that take something away from the customer: their expected cost is weighed."""
TELLS: frozenset[Move] = frozenset(
    {"inform", "warn", "throttle", "suspend", "investigate", "reinstate", "terminate"}
)
"""Moves that the customer gets a notice of."""


def row_of(state: CaseState, move: Move) -> Row | None:
    """The row of a move out of a state, or None where the move is not there."""
    return next((row for row in ROWS if (row.source, row.move) == (state, move)), None)


def rows_from(state: CaseState) -> tuple[Row, ...]:
    """What may follow a state."""
    return tuple(row for row in ROWS if row.source == state)


def diagram() -> str:
    """The table as a Mermaid state diagram; `2` marks two persons, `!` urgency."""
    return "\n".join(("stateDiagram-v2", "  [*] --> observing", *_edges(), *_ends())) + "\n"


def _edges() -> Iterator[str]:
    for row in ROWS:
        marks = [mark for mark, on in (("2", row.signers > 1), ("!", row.urgent)) if on]
        shown = f" ({' '.join(marks)})" if marks else ""
        yield f"  {row.source} --> {row.target}: {row.move}{shown}"


def _ends() -> Iterator[str]:
    yield from (f"  {state} --> [*]" for state in STATES if state in ENDED)
