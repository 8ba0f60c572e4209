"""By what revenue is divided: rows relabelled so that the roll-up adds along another dimension."""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from quartermaster.exposure.rows import RevenueRow

Dimension = Literal["group", "entity", "product", "region", "contract_end"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)


def by_dimension(rows: Sequence[RevenueRow], by: Dimension) -> Sequence[RevenueRow]:
    """The rows with `group` holding the value of the dimension, and `customer` what it sums.

    Args:
        rows: of the months that count.
        by: `entity` is the one that pays. `contract_end` is the end that a customer's latest row
            states for a product: what a renewal moved is where it was moved to.
    """
    if by == "group":
        return rows
    if by == "entity":
        return [msgspec.structs.replace(row, group=row.customer) for row in rows]
    if by == "contract_end":
        ends = _latest_ends(rows)
        return [
            msgspec.structs.replace(row, group=ends[_contract(row)], customer=row.group)
            for row in rows
        ]
    return [
        msgspec.structs.replace(row, group=getattr(row, by), customer=row.group) for row in rows
    ]


def _contract(row: RevenueRow) -> tuple[str, str, str]:
    return row.customer, row.product, row.region


def _latest_ends(rows: Sequence[RevenueRow]) -> dict[tuple[str, str, str], str]:
    """The contract end of each contract; two ends in its latest month are two contracts there."""
    latest: dict[tuple[str, str, str], tuple[str, str]] = {}
    for row in rows:
        key, found = _contract(row), (row.month, row.contract_end)
        if found > latest.get(key, ("", "")):
            latest[key] = found
    return {key: end for key, (_, end) in latest.items()}
