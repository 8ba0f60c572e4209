"""Which part of a budget does this machine hold? What it has and wants in, a part out.

    parts of all machines <= budget;   settled + leased on one machine <= its part

A machine's part is for everything that its own usage table has settled and its clerk has leased, so
it is known again from its own files, whatever became of the store that the machines share. Parts
grow by the rule by which leases grow. Pure: the store only refuses to write on an old view.
"""

from collections.abc import Mapping

import msgspec

from quartermaster.billing.leases import Elsewhere, Wish, extension

SPARE_PARTS = 16
"""All idle machines together may keep this part of a budget, so that a worker's lease is extended
without a question to the store; they give it up where money is short."""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """What one machine says of one budget; nanos."""

    held: int
    settled: int
    used: int
    """Settled, or known to be spent."""


def elsewhere(parts: Mapping[str, Part], own: str) -> Elsewhere:
    """What all other machines hold."""
    others = [part for machine, part in parts.items() if machine != own]
    return Elsewhere(
        held=sum(part.held for part in others),
        settled=sum(part.settled for part in others),
        used=sum(part.used for part in others),
        grantors=len(others) + 1,
    )


def next_part(held: int, wish: Wish, others: Elsewhere, amount: int, *, may_grow: bool) -> int:
    """What to hold next.

    Args:
        held: now.
        wish: what the machine has and wants.
        others: what other machines hold.
        amount: of the budget.
        may_grow: whether what others hold is known.

    Returns:
        At least what is settled or leased, which cannot be taken back.
    """
    if not may_grow:
        return max(held, wish.liable)
    spare = amount // (SPARE_PARTS * others.grantors)
    if amount - others.held - wish.liable < 2 * spare:
        spare = 0
    goal = wish.goal + spare
    keep = held if held <= goal + spare else goal
    if wish.need > held:
        # What is too little for a refused request may be what another machine needs.
        keep = wish.liable
    keep = max(keep, wish.liable)
    room = amount - others.held - keep
    return keep + extension(keep, goal, wish.need, room, others.grantors)
