"""Seal an answer so that only the caller's own token opens it.

An answer may show a secret that is stored nowhere, and still the same request must get the same
answer again. So it is kept, but sealed: XOR with a stream of keyed BLAKE2b blocks in counter mode,
and a keyed BLAKE2b tag over the result. The key comes from the token, which is not stored; every
seal has its own random salt, so no stream is used twice.

Source: RFC 7693 (BLAKE2, keyed mode); a pseudo-random function in counter mode is the construction
of NIST SP 800-38A, encrypt-then-MAC that of RFC 7366.
"""

import hmac
import secrets
from hashlib import blake2b

from quartermaster.kernel.errors import IntegrityError

SALT_BYTES = 16
# 128 bits: a tag that is guessed once in 2**128 tries.
TAG_BYTES = 16
_BLOCK_BYTES = 64
_COUNTER_BYTES = 8


def seal(plain: bytes, secret: str) -> bytes:
    """The answer, readable only with the token's secret."""
    salt = secrets.token_bytes(SALT_BYTES)
    hidden = _stream(plain, secret, salt)
    return salt + _tag(hidden, secret, salt) + hidden


def unseal(sealed: bytes, secret: str) -> bytes:
    """The answer again.

    Raises:
        IntegrityError: another secret, or the bytes were changed.
    """
    salt, tag = sealed[:SALT_BYTES], sealed[SALT_BYTES : SALT_BYTES + TAG_BYTES]
    hidden = sealed[SALT_BYTES + TAG_BYTES :]
    if not hmac.compare_digest(tag, _tag(hidden, secret, salt)):
        raise IntegrityError("a kept answer was changed", hint="send the request under a new key")
    return _stream(hidden, secret, salt)


def _stream(data: bytes, secret: str, salt: bytes) -> bytes:
    key = _key(secret, salt, b"stream")
    blocks = (
        blake2b(number.to_bytes(_COUNTER_BYTES, "big"), key=key, digest_size=_BLOCK_BYTES).digest()
        for number in range(-(-len(data) // _BLOCK_BYTES))
    )
    pad = b"".join(blocks)[: len(data)]
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")
    return mixed.to_bytes(len(data), "big")


def _tag(hidden: bytes, secret: str, salt: bytes) -> bytes:
    return blake2b(hidden, key=_key(secret, salt, b"tag"), digest_size=TAG_BYTES).digest()


def _key(secret: str, salt: bytes, purpose: bytes) -> bytes:
    return blake2b(secret.encode(), salt=salt, person=purpose, digest_size=_BLOCK_BYTES).digest()
