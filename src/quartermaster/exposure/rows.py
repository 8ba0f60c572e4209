"""Revenue by customer and month: the one input of every exposure figure, wherever it came from."""

import hashlib
from collections.abc import Sequence

import msgspec


class RevenueRow(msgspec.Struct, frozen=True, order=True):
    """What one legal entity paid for one month, in integer minor units.

    `group` is who controls the customer; a customer on its own is its own group. `sample` marks
    invented worlds, `filled` marks customers that a scenario made up because its sources name
    only some; both are shown wherever the row counts. `contract_end` is the last month that the
    customer is bound for, `least` what it owes for each month until then, used or not, in minor
    units; rows of one customer and month that state the same of both state it once. `line` is
    where the row stands in the file it was read from; 0: in none.
    """

    customer: str
    group: str
    month: str
    minor: int
    currency: str
    product: str = ""
    sample: bool = False
    filled: bool = False
    region: str = ""
    contract_end: str = ""
    line: int = 0
    least: int = 0
    evened: int = 0
    """What evens `minor` out: what a year's commitment lacked, taken from the month that billed it
    and put to the months that it was of. Over these it sums to zero."""

    @property
    def steady(self) -> int:
        """What a run-rate and a forecast go on from: twelve of it are a year."""
        return self.minor + self.evened


class _Hashed(msgspec.Struct, frozen=True):
    """What names a row: all of it but its place in a file, and nothing that was not stated."""

    customer: str
    group: str
    month: str
    minor: int
    currency: str
    product: str
    sample: bool
    filled: bool
    region: str | msgspec.UnsetType = msgspec.UNSET
    contract_end: str | msgspec.UnsetType = msgspec.UNSET
    least: int | msgspec.UnsetType = msgspec.UNSET
    evened: int | msgspec.UnsetType = msgspec.UNSET


def data_sha256(rows: Sequence[RevenueRow]) -> str:
    """A name for the data itself: the same rows in any order hash the same."""
    digest = hashlib.sha256()
    for row in sorted(rows):
        named = _Hashed(
            row.customer,
            row.group,
            row.month,
            row.minor,
            row.currency,
            row.product,
            row.sample,
            row.filled,
            row.region or msgspec.UNSET,
            row.contract_end or msgspec.UNSET,
            row.least or msgspec.UNSET,
            row.evened or msgspec.UNSET,
        )
        digest.update(msgspec.json.encode(named))
        digest.update(b"\n")
    return digest.hexdigest()
