"""What hedging words mean, as data: each word widens a figure by stated factors.

The factors are conventions, not measurements. They are wide enough that two honest reporters who
round the same number agree, and narrow enough that a different denominator does not. A claims
file may add words or narrow these with `[[hedge]]`.
"""

import msgspec


class Hedge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The true figure lies between `low` and `high` times the stated one (decimal strings)."""

    word: str
    low: str
    high: str
    why: str = ""


_UNDER = "whoever means less than nine tenths names another number"
_AROUND = "a tenth to either side: the coarsest rounding that still names this number"
_OVER = "whoever means a quarter more names another number"

HEDGES: tuple[Hedge, ...] = (
    Hedge("exactly", "1", "1", "no hedge: the figure as stated"),
    Hedge("nearly", "0.90", "1", _UNDER),
    Hedge("almost", "0.90", "1", _UNDER),
    Hedge("just under", "0.95", "1", "closer than nearly"),
    Hedge("about", "0.90", "1.10", _AROUND),
    Hedge("around", "0.90", "1.10", _AROUND),
    Hedge("roughly", "0.90", "1.10", _AROUND),
    Hedge("on track to", "0.90", "1.10", "a rate that is heading for the figure: as about"),
    Hedge("over", "1", "1.25", _OVER),
    Hedge("more than", "1", "1.25", _OVER),
    Hedge("up to", "0", "1", "an upper bound and nothing else"),
)
