"""How alerts fared at an address: what their sender keeps in the data folder, and faces show."""

from pathlib import Path

import msgspec

from quartermaster.kernel.errors import IntegrityError

RECENT_MAX = 20
"""Of one address: what went wrong lately is in them, and a list of a year is the receiver's."""


class Waiting(msgspec.Struct, frozen=True):
    """One alert for one address."""

    message: str
    webhook: str
    body: str
    attempts: int = 0
    due: int = 0
    """Microseconds UTC."""
    error: str = ""

    @property
    def kind(self) -> str:
        """What it says: `budget.exhausted`."""
        return msgspec.json.decode(self.body, type=_Body).type


class _Body(msgspec.Struct):
    type: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """One attempt that came to an end."""

    message: str
    kind: str
    at: int
    """Microseconds UTC."""
    attempt: int
    """From 1."""
    error: str = ""
    """Empty where it was taken."""


class Delivered(msgspec.Struct, frozen=True):
    """How an address has done so far."""

    delivered: int = 0
    given_up: int = 0
    last_at: int = 0
    error: str = ""
    """Of the last attempt; empty where it was taken."""
    recent: tuple[Delivery, ...] = ()
    """The newest attempts, the latest first."""

    def after(self, one: Delivery, *, given_up: bool = False) -> "Delivered":
        """The record with one more attempt."""
        return Delivered(
            self.delivered + (not one.error),
            self.given_up + given_up,
            one.at,
            one.error,
            (one, *self.recent)[:RECENT_MAX],
        )


class Record(msgspec.Struct, frozen=True):
    """What became of alerts, and what still waits, the next one first."""

    delivered: Delivered
    waiting: tuple[Waiting, ...]


class Tested(msgspec.Struct, frozen=True):
    """Whether an address takes alerts."""

    error: str = ""
    """Empty where it took one."""
    hint: str = ""


def outbox(var: Path) -> Path:
    """Where alerts wait, one file an address and alert."""
    return var / "webhooks" / "outbox"


def delivered_path(var: Path, webhook: str) -> Path:
    """Where the record of an address is."""
    return var / "webhooks" / f"{webhook}.json"


def read_delivered(var: Path, webhook: str) -> Delivered:
    """How an address has done so far.

    Raises:
        IntegrityError: the record is damaged.
    """
    try:
        data = delivered_path(var, webhook).read_bytes()
    except FileNotFoundError:
        return Delivered()
    try:
        return msgspec.json.decode(data, type=Delivered)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"the record of webhook {webhook} cannot be read: {error}") from error


def read_record(var: Path, webhook: str) -> Record:
    """What became of an address's alerts; one that cannot be read is its sender's to lay aside.

    Raises:
        IntegrityError: the record is damaged.
    """
    waiting = []
    for path in outbox(var).glob(f"*.{webhook}.json"):
        try:
            waiting.append(msgspec.json.decode(path.read_bytes(), type=Waiting))
        except (FileNotFoundError, msgspec.DecodeError):
            continue  # delivered meanwhile, or damaged: the sender says so in its log
    waiting.sort(key=lambda one: (one.due, one.message))
    return Record(read_delivered(var, webhook), tuple(waiting))
