"""Time-ordered ids, made by us and never taken from a client.

A client-chosen id lets one customer collide with another's usage, so `request_id` ignores what a
client sends. Ids are ULIDs: 48 bits of milliseconds, 80 bits of randomness, Crockford base 32.
"""

import os
import secrets
import time
from hashlib import blake2b

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Two characters a look-up: the hot path makes one id a request.
_PAIRS = tuple(a + b for a in CROCKFORD for b in CROCKFORD)
_ULID_PAIRS = 13

# 256 bits: the key is looked up by hash alone, so guessing must be out of reach for ever.
KEY_SECRET_BYTES = 32
KEY_PREFIX = "qm-"
KEY_HASH_BYTES = 32
PEPPER_BYTES = 32


def ulid(unix_ms: int, randomness: bytes) -> str:
    """26 characters that sort by time.

    Args:
        unix_ms: milliseconds since 1970, under 2**48.
        randomness: 10 bytes.

    Source: github.com/ulid/spec, binary layout.
    """
    value = (unix_ms << 80) | int.from_bytes(randomness, "big")
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in _ULID_SHIFTS])


_ULID_SHIFTS = tuple(range(10 * (_ULID_PAIRS - 1), -1, -10))


def new_id(prefix: str) -> str:
    """A fresh id such as `req_01J…`; `prefix` names the kind."""
    return f"{prefix}_{ulid(time.time_ns() // 1_000_000, os.urandom(10))}"


def new_key_secret() -> str:
    """A customer key, shown once and stored only as `key_hash`."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_SECRET_BYTES)


def key_hash(secret: bytes, pepper: bytes) -> bytes:
    """Keyed hash under which a key is stored and looked up.

    The pepper lives outside the book, so a stolen book does not allow offline checks of guesses;
    with 256-bit secrets a slow password hash would add cost to every request and no safety.
    Source: RFC 7693 (BLAKE2), keyed mode.
    """
    return blake2b(secret, key=pepper, digest_size=KEY_HASH_BYTES).digest()
