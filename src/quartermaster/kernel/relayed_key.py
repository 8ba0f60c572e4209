"""What shows the API role that a gateway let a key through, and what a key may be held to there.

A key may be held to networks, and only the gateway knows where its client is. Whoever sends such a
key to the API role past the gateway is refused, because nobody else can make the proof: a keyed
hash, under the installation's pepper, of the key's id and of the time until which it counts.
"""

import hmac
from hashlib import blake2b
from typing import get_args

from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.events import Endpoint

HEADER = "x-quartermaster-passed"
"""A client's own header of this name goes nowhere: gateways write the head that they relay."""

RELAYED_SCOPES = ("files", "batches", "usage")
"""What the API role answers: a key that is held to endpoints has to name these, too."""

SCOPES = (*get_args(Endpoint), *RELAYED_SCOPES)
"""Everything that a key may be held to."""

VALID_S = 300
"""Clocks of two machines that anybody looks after differ by less."""

PROOF_CHARS_MAX = 96
"""A time and a hash; longer text is no proof and is not hashed."""

_PURPOSE = b"relayed key"
_MAC_BYTES = 32


def prove(key_id: str, pepper: bytes, now: int) -> str:
    """What goes with a key that was let through at this instant, microseconds UTC."""
    until = str(now + VALID_S * US_PER_S)
    return f"{until}.{_mac(until, key_id, pepper)}"


def proven(proof: str, key_id: str, pepper: bytes, now: int) -> bool:
    """Whether a gateway of this installation let this key through just now."""
    until, _, mac = proof.partition(".")
    if len(proof) > PROOF_CHARS_MAX or not (until.isascii() and until.isdecimal()):
        return False
    expected = _mac(until, key_id, pepper)
    return hmac.compare_digest(mac.encode(), expected.encode()) and now < int(until)


def _mac(until: str, key_id: str, pepper: bytes) -> str:
    said = f"{until}.{key_id}".encode()
    return blake2b(said, key=pepper, digest_size=_MAC_BYTES, person=_PURPOSE).hexdigest()
