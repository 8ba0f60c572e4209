"""Calendar months as `YYYY-MM` text and spans of them; no time zone, because books close by month.

A span is written `YYYY-MM` (one month) or `YYYY-MM/YYYY-MM` (both included), after ISO 8601.
"""

import re
from typing import NamedTuple

from quartermaster.kernel.errors import UsageError

MONTHS_A_YEAR = 12
# Language models were not sold before, and a later year is a typing error.
YEAR_MIN, YEAR_MAX = 1970, 2199
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)


def month_number(text: str, what: str = "") -> int:
    """Months since year 0, so that months subtract.

    Args:
        text: the month.
        what: what messages call it.

    Raises:
        UsageError: not `YYYY-MM`, or a year out of range.
    """
    match = _MONTH.fullmatch(text)
    said = f"{what} {text!r}".strip()
    if match is None:
        raise UsageError(f"{said} is not a month", hint="write it as 2024-03")
    year = int(match[1])
    if not YEAR_MIN <= year <= YEAR_MAX:
        raise UsageError(
            f"{said} is outside {YEAR_MIN} to {YEAR_MAX}", hint="look for a mistyped year"
        )
    return year * MONTHS_A_YEAR + int(match[2]) - 1


def month_text(number: int) -> str:
    """The month of that number as `YYYY-MM`."""
    return f"{number // MONTHS_A_YEAR:04d}-{number % MONTHS_A_YEAR + 1:02d}"


class Span(NamedTuple):
    """Months from `first` to `last`, both included, as month numbers."""

    first: int
    last: int

    @property
    def months(self) -> int:
        """How many months."""
        return self.last - self.first + 1

    @property
    def text(self) -> str:
        """`YYYY-MM` or `YYYY-MM/YYYY-MM`."""
        first, last = month_text(self.first), month_text(self.last)
        return first if first == last else f"{first}/{last}"

    def gap(self, other: "Span") -> int:
        """Months between the spans; 0 when they share a month."""
        return max(0, other.first - self.last, self.first - other.last)


def span(text: str) -> Span:
    """The months that the text names.

    Raises:
        UsageError: not `YYYY-MM` or `YYYY-MM/YYYY-MM`, or running backwards.
    """
    first, slash, last = text.partition("/")
    result = Span(month_number(first), month_number(last if slash else first))
    if result.first > result.last:
        raise UsageError(f"{text!r} runs backwards")
    return result
