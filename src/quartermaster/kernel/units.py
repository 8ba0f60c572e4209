"""What a meter counts: disjoint axes, so that a price times a count is never counted twice.

Vendors report nested counts (cached inside input, reasoning inside output); the meter splits them
into these axes at the edge. Axes follow OpenTelemetry's GenAI `token.type`, `token.cache`,
`token.modality` and `token.phase`.
"""

from typing import Literal, get_args

import msgspec

Axis = Literal[
    "input",
    "cached_read",
    "cache_write",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "image",
]
AXES: tuple[Axis, ...] = get_args(Axis)

ServiceClass = Literal["standard", "batch", "priority", "provisioned"]
SERVICE_CLASSES: tuple[ServiceClass, ...] = get_args(ServiceClass)

CountSource = Literal["upstream", "engine", "tokenizer", "estimated"]
"""Who counted: the upstream's usage, our embedded engine's own ids, an exact tokenizer, a guess."""

# A count above this is absurd for one request (the longest contexts are near 10 million tokens)
# and is refused and queued for review instead of billed.
COUNT_MAX = 1_000_000_000


class Counts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Quantities of one request or one sum: tokens, except `image`, which counts images."""

    input: int = 0
    cached_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, axis) + getattr(other, axis) for axis in AXES))

    def items(self) -> list[tuple[Axis, int]]:
        """Axes with a non-zero quantity."""
        return [(axis, getattr(self, axis)) for axis in AXES if getattr(self, axis)]

    @property
    def tokens(self) -> int:
        """All tokens, without images."""
        total: int = sum(getattr(self, axis) for axis in AXES)
        return total - self.image
