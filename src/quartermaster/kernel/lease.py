"""Leases: parts of a budget that one gateway worker may spend, and the two files about them.

A worker and whoever grants leases talk through two files, each replaced atomically by its only
writer: the worker's *ask* and the grantor's *grant*. All amounts are cumulative nanos of one life
of a worker: a limit is everything that the worker may spend in its life, so a file that is read
twice, late or not at all grants nothing twice.

An ask says to what the worker holds itself (`held`), which may be less than it was granted; from
then on it takes no grant but the answer to this ask, or a later one. So a lowered limit can be
given to somebody else at once. The worker asks anew only when its ask has been answered.
"""

import os
from pathlib import Path

import msgspec

from quartermaster.kernel.errors import IntegrityError

LEASE_POLL_S = 0.05
"""How often both sides look: a lease is extended within a tenth of a second, and a look that finds
nothing new costs a `stat`."""

ASK, GRANT = ".ask", ".grant"

UNKNOWN = -1
"""Of a budget, where its grantor has not heard of it yet, or no more."""


class AskedLease(msgspec.Struct, frozen=True, array_like=True):
    """What a worker says of one budget in one period."""

    budget: str
    epoch: str
    first_segment: int
    """The first segment of the worker's log that holds nothing but leased spending."""
    held: int
    """It spends no more than this until it is granted more."""
    spent: int
    """What its closed requests cost."""
    reserved: int
    """What is set aside for requests that are running."""
    want: int
    """The limit that would let it serve what it expects."""
    need: int
    """The limit without which a request was refused; 0 when none was."""


class Ask(msgspec.Struct, frozen=True):
    """One worker's ask."""

    life: str
    """Names one life of the worker process."""
    first_segment: int
    """Segments before it were written in earlier lives."""
    number: int
    """Grows with every ask of a life."""
    leases: tuple[AskedLease, ...]


class GrantedLease(msgspec.Struct, frozen=True, array_like=True):
    """What one worker may spend of one budget in one period."""

    budget: str
    epoch: str
    first_segment: int
    limit: int
    left: int
    """What nobody has spent yet, as far as it is known, or `UNKNOWN`; says whether waiting can
    help."""
    standing: int
    """What a worker may keep for requests that it does not expect; 0 where money is short."""
    shipped_picos: int = 0
    """The grantor's note: what of the limit is in the usage table ..."""


class Life(msgspec.Struct, frozen=True):
    """The leases of one life of a worker."""

    life: str
    first_segment: int
    answers: int
    """The ask that this answers."""
    leases: tuple[GrantedLease, ...]


class Grant(msgspec.Struct, frozen=True):
    """The answer to one worker; earlier lives stay until their logs are in the usage table."""

    now: Life
    earlier: tuple[Life, ...] = ()
    shipped_segment: int = 0
    """... up to this segment."""


def write_ask(folder: Path, app_id: str, ask: Ask) -> None:
    """Replace a worker's ask; not synced, because a worker does not outlive its machine."""
    beside = folder / f"{app_id}{ASK}.new"
    beside.write_bytes(msgspec.json.encode(ask))
    beside.replace(folder / f"{app_id}{ASK}")


def write_grant(folder: Path, app_id: str, grant: Grant) -> None:
    """Replace a worker's grant, durably: what is granted must be known after a power loss."""
    beside = folder / f"{app_id}{GRANT}.new"
    with beside.open("wb") as file:
        file.write(msgspec.json.encode(grant))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / f"{app_id}{GRANT}")
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_ask(path: Path) -> Ask:
    """The ask in a file.

    Raises:
        IntegrityError: not an ask.
    """
    try:
        return _decode_ask(path.read_bytes())
    except msgspec.DecodeError as error:
        raise _unreadable(path, error) from error


def read_grant(path: Path) -> Grant:
    """The grant in a file.

    Raises:
        IntegrityError: not a grant.
    """
    try:
        return _decode_grant(path.read_bytes())
    except msgspec.DecodeError as error:
        raise _unreadable(path, error) from error


_decode_ask = msgspec.json.Decoder(Ask).decode
_decode_grant = msgspec.json.Decoder(Grant).decode


def _unreadable(path: Path, error: msgspec.DecodeError) -> IntegrityError:
    return IntegrityError(
        f"the lease file {path} cannot be read: {error}",
        hint="stop the gateway workers, ship their usage, then delete the file",
    )
