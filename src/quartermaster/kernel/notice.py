"""What takes service away, in one signed text, as machines hand it on through a shared store.

Whoever can write into that store must be able neither to forge a standing nor to bring an old one
back: a text carries a keyed hash under the installation's pepper and the version of the snapshot
that says the same, and whoever obeys that version or a later one does not look at it. What a worker
says that it obeys is signed in the same way.
"""

import hmac
from hashlib import blake2b
from typing import Final

import msgspec

from quartermaster.kernel.contract import Standing
from quartermaster.kernel.limit import Throttle
from quartermaster.kernel.snapshot import Snapshot

MAC_CHARS: Final = 64
"""Of 256 bits in hexadecimal, as of a customer's key."""

NOTICE_CHARS_MAX: Final = 1_048_576
"""Some ten thousand groups that are not simply active; a longer text is not even hashed."""

OBEYED_CHARS_MAX: Final = 128
"""Two versions and a hash."""

GONE: Final = 2**62
"""What a worker obeys that has ended: everything, because it serves nobody."""

_PURPOSE = b"standing notice"
_OBEYED_PURPOSE = b"standing obeyed"
_SEPARATOR = "."


class Notice(msgspec.Struct, frozen=True):
    """What a snapshot says of groups that are not simply active, and of keys that are over."""

    version: int
    """Of the snapshot."""
    standing: dict[str, Standing]
    throttles: dict[str, Throttle]
    investigated: tuple[str, ...]
    revoked: tuple[str, ...]
    """Keys that an older snapshot may still have."""


def notice_of(snapshot: Snapshot) -> Notice:
    """What other machines should hear of a snapshot at once."""
    return Notice(
        snapshot.version,
        snapshot.standing,
        snapshot.throttles,
        snapshot.investigated,
        snapshot.revoked,
    )


def held_to(snapshot: Snapshot, notice: Notice | None) -> Snapshot:
    """A snapshot with what a later one says; the same where the notice is not later."""
    if notice is None or notice.version <= snapshot.version:
        return snapshot
    revoked = frozenset(notice.revoked)
    return msgspec.structs.replace(
        snapshot,
        version=notice.version,
        keys=tuple(grant for grant in snapshot.keys if grant.key_id not in revoked),
        standing=notice.standing,
        throttles=notice.throttles,
        investigated=notice.investigated,
        revoked=notice.revoked,
    )


def sign(notice: Notice, pepper: bytes) -> str:
    """The text that goes into the store."""
    said = msgspec.json.encode(notice, order="sorted").decode()
    return f"{_mac(said, _PURPOSE, pepper)}{_SEPARATOR}{said}"


def read(text: str, pepper: bytes) -> Notice | None:
    """The notice in a text; None where it is forged, or of another installation."""
    mac, _, said = text.partition(_SEPARATOR)
    if len(text) > NOTICE_CHARS_MAX or not _is_signed(mac, said, _PURPOSE, pepper):
        return None
    try:
        return msgspec.json.decode(said, type=Notice)
    except msgspec.DecodeError:
        return None  # signed by another version of the program


class Obeyed(msgspec.Struct, frozen=True):
    """What a worker says of itself."""

    version: int
    """Of the newest snapshot of which it obeys what takes service away."""
    served: int
    """Of the snapshot that it serves in full, from its own machine's clerk or commands."""


NOTHING: Final = Obeyed(-1, -1)
"""What is known of a worker that has not said anything itself."""


def sign_obeyed(worker: str, obeyed: Obeyed, pepper: bytes) -> str:
    """What a worker says that it obeys."""
    said = f"{obeyed.version} {obeyed.served}"
    return f"{said}{_SEPARATOR}{_mac(f'{said} {worker}', _OBEYED_PURPOSE, pepper)}"


def read_obeyed(text: str, worker: str, pepper: bytes) -> Obeyed:
    """What a worker obeys; `NOTHING` where it did not say so itself."""
    said, _, mac = text.partition(_SEPARATOR)
    if len(text) > OBEYED_CHARS_MAX:
        return NOTHING
    if not _is_signed(mac, f"{said} {worker}", _OBEYED_PURPOSE, pepper):
        return NOTHING
    version, _, served = said.partition(" ")
    return Obeyed(int(version), int(served))


def _is_signed(mac: str, said: str, purpose: bytes, pepper: bytes) -> bool:
    return hmac.compare_digest(mac.encode(errors="replace"), _mac(said, purpose, pepper).encode())


def _mac(said: str, purpose: bytes, pepper: bytes) -> str:
    data = said.encode(errors="replace")
    return blake2b(data, key=pepper, digest_size=MAC_CHARS // 2, person=purpose).hexdigest()
