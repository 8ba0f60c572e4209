"""What is owed, and what is kept as evidence, where the customer hung up. Pure.

The model server is heard out for a short time, because only its own count is an authority and many
who hang up do so at the very end; then it is told to stop. What the customer owes follows from the
contract; what the server counted is kept beside it, because the seller pays for it.
"""

from typing import Final, NamedTuple

import msgspec

from quartermaster.gateway.meter import Metered
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.units import Counts

# What nginx logs when the client closed first; it is never sent.
STATUS_CLIENT_GONE: Final = 499
# Failures of the model server for which who waits owes only what was delivered; so does who left.
NOTHING_SERVED: Final = frozenset(
    ("upstream_error", "upstream_malformed", "upstream_dropped", "upstream_unreachable")
)


class Settled(NamedTuple):
    """What the row says: the counts by the contract, and the server's own where they differ."""

    metered: Metered
    upstream_counts: Counts | None


def heard_out_s(policy: CancelledStream, settings: GatewaySettings) -> int:
    """For how many seconds the model server may go on after its customer has left.

    Who pays in full has a right to the whole count; for whom it is free, every further token is
    only the seller's cost.
    """
    if policy == "free":
        return 0
    return settings.hear_out_full_s if policy == "bill_full" else settings.hear_out_s


def settle(policy: CancelledStream, heard: Metered, delivered: int, deltas: int) -> Settled:
    """The counts of a request whose customer left.

    Args:
        policy: of the contract.
        heard: what the model server counted, or an estimate of what it had made until it stopped.
        delivered: content deltas that had been handed over when the customer left.
        deltas: content deltas that the model server has sent in all.
    """
    if policy == "bill_full":
        return Settled(heard, None)
    owed = _part(heard.counts, delivered, deltas)
    if owed == heard.counts:
        return Settled(heard, None)
    return Settled(Metered(owed, "estimated", heard.note), heard.counts)


def _part(counts: Counts, delivered: int, deltas: int) -> Counts:
    """The whole input, and of the output the part that was handed over, rounded down.

    A delta is not always a token, so the part is taken of what was counted. Reasoning comes before
    what is said, so it is what the part holds first.
    """
    if delivered >= deltas > 0:
        return counts
    made = counts.output + counts.reasoning + counts.audio_output
    kept = made * delivered // deltas if deltas else 0
    reasoning = min(counts.reasoning, kept)
    said = counts.output + counts.audio_output
    audio = (kept - reasoning) * counts.audio_output // said if said else 0
    return msgspec.structs.replace(
        counts, output=kept - reasoning - audio, reasoning=reasoning, audio_output=audio
    )
