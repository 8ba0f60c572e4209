"""Commitments in time: the months, years or terms for which a floor is owed, as far as in force.

A part is a month, a year or a term of a commitment; its first and last are prorated by their hours.
What it comes to beside usage is `billing.commitment`.
"""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count, pairwise

import msgspec

from quartermaster.kernel.clock import Instant, Period, as_datetime, as_instant, month_of, zone
from quartermaster.kernel.contract import Commitment, Contract
from quartermaster.kernel.money import EXACT, exponent


class Part(msgspec.Struct, frozen=True):
    """A month, a year or a term of a commitment, as far as it was in force; half-open."""

    commitment: Commitment
    start: int
    end: int
    whole_us: int
    """How long it is where nothing is cut off."""

    @property
    def lasts_us(self) -> int:
        """How long it is."""
        return self.end - self.start

    def floor(self, currency: str) -> Decimal:
        """What is owed for it at least, in major units, exact."""
        minor = EXACT.divide(
            Decimal(self.commitment.floor_minor * self.lasts_us), Decimal(self.whole_us)
        )
        return minor.scaleb(-exponent(currency), context=EXACT)


def parts(versions: Sequence[Contract]) -> list[Part]:
    """Every part of every commitment of a contract, in the order in which they end.

    Args:
        versions: of one contract, in ascending order; each holds until the next. A commitment that
            the next version names too goes on, one that it leaves out ends there, prorated.
    """
    found = [
        Part(one, max(begins, start), min(ends, end), end - start)
        for one, begins, ends in _in_force(versions)
        for start, end in _wholes(one, versions[0].time_zone)
        if begins < end and start < ends
    ]
    return sorted(found, key=lambda part: (part.end, part.start, part.commitment.floor_minor))


def due_in(versions: Sequence[Contract], period: Period) -> list[Part]:
    """The parts whose last hour lies in a month."""
    return [part for part in parts(versions) if period.start < part.end <= period.end]


def _in_force(versions: Sequence[Contract]) -> list[tuple[Commitment, int, int]]:
    """Each commitment and from when until when versions without a gap name it."""
    found: dict[Commitment, list[tuple[int, int]]] = {}
    for version, following in pairwise([*versions, None]):
        assert version is not None, "only the last one has nothing after it"
        ends = [] if version.end is None else [version.end]
        ends += [] if following is None else [following.valid_from]
        for one in version.commitments:
            begin, end = max(one.start, version.valid_from), min([*ends, one.end])
            spans = found.setdefault(one, [])
            if spans and spans[-1][1] == begin:
                spans[-1] = (spans[-1][0], end)
            elif begin < end:
                spans.append((begin, end))
    return [(one, *span) for one, spans in found.items() for span in spans]


def _wholes(one: Commitment, zone_name: str) -> Iterator[tuple[int, int]]:
    """The months, years or the term that a commitment touches, whole."""
    if one.per == "term":
        yield one.start, one.end
        return
    at = one.start
    for number in count(1):
        if one.per == "month":
            month = month_of(Instant(at), zone_name)
            start, end = month.start, month.end
        else:
            start, end = at, _anniversary(one.start, number, zone_name)
        yield start, end
        if end >= one.end:
            return
        at = end


def _anniversary(start: int, years: int, zone_name: str) -> int:
    """The same local day and hour so many years later; the 28th for a 29 February."""
    local = as_datetime(Instant(start)).astimezone(zone(zone_name))
    year = local.year + years
    day = min(local.day, monthrange(year, local.month)[1])
    return as_instant(local.replace(year=year, day=day))
