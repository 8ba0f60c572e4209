"""The hash chain, pure: how an entry is sealed and how a chain is checked.

Every entry's SHA-256 covers its own fields and its predecessor's hash, so changing one byte of one
entry breaks it and every later one. A chain alone cannot show that its newest entries were cut
off; whoever wants that notes a head elsewhere and passes it to `verify` as `expected`.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import JournalFact

GENESIS = "0" * 64
"""The predecessor of the first entry."""

# Length prefixes make the hashed bytes unambiguous: no two different entries share them.
_LENGTH_BYTES = 8

_DECODER: msgspec.json.Decoder[JournalFact] = msgspec.json.Decoder(JournalFact)


class Entry(msgspec.Struct, frozen=True):
    """One line of the journal; `fact` is its canonical JSON."""

    seq: int
    at: int
    actor: str
    key: str | None
    fact: bytes
    prev: str
    sha256: str


class Head(msgspec.Struct, frozen=True):
    """The newest entry of a chain: how many there are and the hash that covers all of them."""

    seq: int = 0
    sha256: str = GENESIS


class Recorded(msgspec.Struct, frozen=True):
    """A journal fact with when and by whom it was written."""

    seq: int
    at: int
    actor: str
    fact: JournalFact


def encode_fact(fact: JournalFact) -> bytes:
    """Canonical JSON: equal facts encode to equal bytes."""
    return msgspec.json.encode(fact, order="sorted")


def decode_fact(data: bytes) -> JournalFact:
    """The fact in canonical JSON.

    Raises:
        IntegrityError: not a fact this version knows.
    """
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"a journal fact cannot be read: {error}") from error


def seal(*, seq: int, at: int, actor: str, key: str | None, fact: bytes, prev: str) -> Entry:
    """The entry with its hash."""
    return Entry(seq, at, actor, key, fact, prev, _digest(seq, at, actor, key, fact, prev))


def recorded(entry: Entry) -> Recorded:
    """The entry with its fact decoded."""
    return Recorded(entry.seq, entry.at, entry.actor, decode_fact(entry.fact))


def verify(entries: Iterable[Entry], *, expected: Head | None = None) -> Head:
    """Check every hash and link from the first entry on.

    Args:
        entries: in order of `seq`, beginning with 1.
        expected: a head noted earlier; the chain must still contain it.

    Raises:
        IntegrityError: names the first entry that does not fit.
    """
    head = Head()
    found = expected is None or expected == head
    for entry in entries:
        if entry.seq != head.seq + 1:
            raise IntegrityError(f"journal entry {head.seq + 1} is missing", hint=_RESTORE)
        if entry.prev != head.sha256:
            raise IntegrityError(
                f"journal entry {entry.seq} does not follow its predecessor", hint=_RESTORE
            )
        digest = _digest(entry.seq, entry.at, entry.actor, entry.key, entry.fact, entry.prev)
        if entry.sha256 != digest:
            raise IntegrityError(f"journal entry {entry.seq} was changed", hint=_RESTORE)
        head = Head(entry.seq, entry.sha256)
        found = found or expected == head
    if not found and expected is not None:
        raise IntegrityError(
            f"the journal no longer holds entry {expected.seq} as it was noted", hint=_RESTORE
        )
    return head


_RESTORE = "compare with a backup or an exported journal; nothing repairs a journal in place"


def _digest(seq: int, at: int, actor: str, key: str | None, fact: bytes, prev: str) -> str:
    hasher = hashlib.sha256()
    # A missing key and an empty key are different entries.
    marked_key = b"\x00" if key is None else b"\x01" + key.encode()
    parts = (str(seq).encode(), str(at).encode(), actor.encode(), marked_key, fact, prev.encode())
    for part in parts:
        hasher.update(len(part).to_bytes(_LENGTH_BYTES, "big"))
        hasher.update(part)
    return hasher.hexdigest()
