"""Revenue by customer and month: the one input of every exposure figure, wherever it came from."""

import hashlib
from collections.abc import Sequence

import msgspec


class RevenueRow(msgspec.Struct, frozen=True, order=True):
    """What one legal entity paid for one month, in integer minor units.

    `group` is who controls the customer; a customer on its own is its own group. `sample` marks
    invented worlds, `filled` marks customers that a scenario made up because its sources name
    only some; both are shown wherever the row counts.
    """

    customer: str
    group: str
    month: str
    minor: int
    currency: str
    product: str = ""
    sample: bool = False
    filled: bool = False


def data_sha256(rows: Sequence[RevenueRow]) -> str:
    """A name for the data itself: the same rows in any order hash the same."""
    digest = hashlib.sha256()
    for row in sorted(rows):
        digest.update(msgspec.json.encode(row))
        digest.update(b"\n")
    return digest.hexdigest()
