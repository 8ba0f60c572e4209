"""What the tap writes into the content ring: slices of sampled requests, and how many there were.

Bodies are cut, not parsed, on the gateway's side: of a long request its head and its tail, which is
where a system prompt and the last question stand; of an answer its beginning.
"""

from datetime import date
from typing import Final

import msgspec

from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.events import Endpoint

REQUEST_HEAD_BYTES: Final = 2_048
"""A system prompt and the beginning of what follows; four times what is read of one."""
REQUEST_TAIL_BYTES: Final = 6_144
"""The last question with its frame of 840 characters, in scripts of three bytes a character too."""
ANSWER_BYTES: Final = 2_048
"""Enough words to know an answer again by its hashes."""
SAMPLE: Final = 256
"""Requests a day and account whose text is read; `conduct.sketch` says what for."""


class Content(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """One sampled request."""

    request_id: str
    at: int
    """When it was opened, in microseconds UTC; its day is the sample's."""
    customer: str
    key_id: str
    model: str
    endpoint: Endpoint
    priority: float
    """Uniform in 0 to 1, drawn by a key: of a day those with the smallest are the sample."""
    head: bytes
    tail: bytes
    """Empty where the head is the whole request."""
    request_bytes: int
    answer: bytes
    http_status: int
    network: str = ""
    """Keyed hash of the client's network; empty where it is not known."""
    client: str = ""
    """Keyed hash of the client's program, as `User-Agent` names it; empty where it names none."""


class Tally(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """How many requests of a customer a worker has seen on a day so far; the last one counts."""

    customer: str
    day: str
    seen: int
    drawn: int
    """Whose text was to be read."""
    capped: int
    """Drawn, but over the limit of the processor time that reading may take."""
    overwritten: int
    """Frames that were lost before anybody read them."""


Message = Content | Tally

_EPOCH: Final = date(1970, 1, 1).toordinal()

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Message).decode


def day_of(at: int) -> int:
    """The UTC day of an instant, in days since 1970."""
    return at // (24 * US_PER_HOUR)


def named_day(day: int) -> str:
    """Such a day as `2026-11-23`."""
    return date.fromordinal(_EPOCH + day).isoformat()
