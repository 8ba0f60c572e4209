"""What did it cost? The life of a request as a table, and what of a vendor's usage is believed."""

from enum import IntEnum
from typing import Final

import msgspec

from quartermaster.gateway.dialects import usage as dialect_usage
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.units import Counts, CountSource


class Life(IntEnum):
    """Where a request stands between its open frame and its last byte."""

    OPEN = 1
    SENT = 2
    ANSWERING = 3
    CLOSING = 4
    RELEASED = 5
    DELIVERED = 6
    UNCONFIRMED = 7
    LOST = 8


class Step(IntEnum):
    """What can happen to a request."""

    SEND = 1
    HEAD = 2
    END = 3
    DURABLE = 4
    NOT_DURABLE = 5
    DRAINED = 6
    GONE = 7
    ELSEWHERE = 8


class _Next(dict[Life, Life]):
    """The states that one step leads to."""

    def __init__(self, step: Step) -> None:
        self._step = step
        super().__init__()

    def __missing__(self, life: Life) -> Life:
        raise IntegrityError(f"a request cannot {self._step.name} while {life.name}")


# Only these steps exist. The one that matters: nothing reaches RELEASED except through DURABLE.
LIFE_CYCLE: Final[dict[tuple[Life, Step], Life]] = {
    (Life.OPEN, Step.SEND): Life.SENT,
    (Life.OPEN, Step.END): Life.CLOSING,
    (Life.OPEN, Step.NOT_DURABLE): Life.LOST,
    (Life.OPEN, Step.ELSEWHERE): Life.OPEN,
    (Life.SENT, Step.SEND): Life.SENT,
    (Life.SENT, Step.HEAD): Life.ANSWERING,
    (Life.SENT, Step.END): Life.CLOSING,
    (Life.SENT, Step.ELSEWHERE): Life.OPEN,
    (Life.ANSWERING, Step.END): Life.CLOSING,
    (Life.ANSWERING, Step.ELSEWHERE): Life.OPEN,
    (Life.CLOSING, Step.DURABLE): Life.RELEASED,
    (Life.CLOSING, Step.NOT_DURABLE): Life.LOST,
    (Life.RELEASED, Step.DRAINED): Life.DELIVERED,
    (Life.RELEASED, Step.GONE): Life.UNCONFIRMED,
}
RUNNING: Final = frozenset((Life.OPEN, Life.SENT, Life.ANSWERING))


def _after(step: Step) -> _Next:
    """The table's column of one step: `life = AFTER_SEND[life]`.

    Looking up a state that does not know the step raises IntegrityError: a defect of ours.
    """
    column = _Next(step)
    column.update({life: to for (life, by), to in LIFE_CYCLE.items() if by is step})
    return column


# One look-up a step on the hot path, instead of a call and a pair.
AFTER_SEND: Final = _after(Step.SEND)
AFTER_HEAD: Final = _after(Step.HEAD)
AFTER_END: Final = _after(Step.END)
AFTER_DURABLE: Final = _after(Step.DURABLE)
AFTER_NOT_DURABLE: Final = _after(Step.NOT_DURABLE)
AFTER_DRAINED: Final = _after(Step.DRAINED)
AFTER_GONE: Final = _after(Step.GONE)
AFTER_ELSEWHERE: Final = _after(Step.ELSEWHERE)


class Metered(msgspec.Struct, frozen=True, gc=False):
    """Counts with who counted; `note` says why a vendor's counts were not believed."""

    counts: Counts
    source: CountSource
    note: str = ""


NOTHING: Final = Metered(Counts(), "upstream")
"""A request that the upstream refused or never saw used nothing."""


def believed(usage: bytes) -> Metered | None:
    """The vendor's counts of one answer, or None when there are none or they are impossible.

    Args:
        usage: the upstream's usage object as it came; empty when there was none.
    """
    reading = dialect_usage.chat(usage)
    if reading.counts is None:
        return None
    return Metered(reading.counts, "engine" if reading.engine else "upstream")


def estimated(usage: bytes, input_tokens: int, output_tokens: int) -> Metered:
    """Counts where no vendor's can be used.

    Args:
        usage: what the upstream sent; the note says why it was not believed.
        input_tokens: an estimate of the request.
        output_tokens: of a stream by `pieces.tokens_of`, of an answer by `tokens_of_bytes`.
    """
    counts = Counts(input=input_tokens, output=output_tokens)
    problem = dialect_usage.chat(usage).problem
    return Metered(counts, "estimated", "" if problem == "usage_absent" else problem)


def at_least(metered: Metered, output_tokens: int) -> Metered:
    """What was delivered counts, where the vendor has told only the counts of the beginning.

    Args:
        metered: what is known before the end of a stream.
        output_tokens: an estimate of what went out.
    """
    counts = metered.counts
    missing = output_tokens - counts.output - counts.reasoning - counts.audio_output
    if missing <= 0:
        return metered
    more = msgspec.structs.replace(counts, output=counts.output + missing)
    return Metered(more, "estimated", metered.note)
