"""What keeps a conversation at one deployment, whose cache holds its beginning already.

A model server computes a prompt's beginning once and keeps it; only the same server can use it.
What belongs together is told by the customer (`prompt_cache_key`, else `user`), or by a long common
beginning of the prompts. Keys never share an affinity: whether another customer's prompt is cached
would otherwise show in the time of an answer.
"""

from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import msgspec

AffinitySource = Literal["prompt_cache_key", "user", "prefix", ""]

# Vendors cache prompts from 1,024 tokens on (OpenAI's and Azure's prompt caching guides), which are
# some 4 KiB of text; a shorter beginning says nothing, and would gather unrelated requests.
PREFIX_BYTES: Final = 4_096
_NAMED: Final[tuple[AffinitySource, ...]] = ("prompt_cache_key", "user")
_PROMPTS: Final = ("messages", "input", "prompt")
# Tools and instructions stand before the messages in what a server caches.
_BEFORE: Final = ("tools", "instructions", "system")
_EMPTY: Final = frozenset((b"", b"null", b'""'))
_DIGEST_BYTES: Final = 8


class Affinity(NamedTuple):
    """A hash of what belongs together; empty where nothing does."""

    token: bytes
    source: AffinitySource


NONE: Final = Affinity(b"", "")


def affinity_of(key_id: str, fields: dict[str, msgspec.Raw]) -> Affinity:
    """The affinity of a request.

    Args:
        key_id: whose request it is.
        fields: the top level of its body, undecoded.
    """
    for name in _NAMED:
        raw = fields.get(name)
        if raw is not None and bytes(raw) not in _EMPTY:
            return Affinity(_token(key_id, name, bytes(raw)), name)
    for prompt in _PROMPTS:
        raw = fields.get(prompt)
        if raw is not None:
            before = b"".join(bytes(fields[part]) for part in _BEFORE if part in fields)
            start = before[:PREFIX_BYTES] + bytes(memoryview(raw)[:PREFIX_BYTES])
            if len(start) >= PREFIX_BYTES:
                return Affinity(_token(key_id, "prefix", start[:PREFIX_BYTES]), "prefix")
            return NONE
    return NONE


def _token(key_id: str, source: str, value: bytes) -> bytes:
    digest = blake2b(f"{key_id}\0{source}\0".encode(), digest_size=_DIGEST_BYTES)
    digest.update(value)
    return digest.digest()
