"""How alerts fared at an address: what their sender keeps in the data folder, and faces show."""

from pathlib import Path
from typing import Protocol

import msgspec

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import IntegrityError, NotFoundError
from quartermaster.kernel.webhook_facts import WebhookAdded

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
    body: str = ""
    """What was sent; empty where it was before bodies were kept."""


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


class Webhooks(Protocol):
    """What faces ask of the sender, and may have done."""

    @property
    def secrets(self) -> Path:
        """The folder of the secrets that sign alerts."""

    def record(self, webhook: str) -> Record:
        """What became of an address's alerts."""

    def test(self, webhook: WebhookAdded, now: Instant) -> Tested:
        """Send one alert that says nothing; takes as long as the address does, but not minutes."""

    def redeliver(self, webhook: str, message: str) -> Waiting:
        """Have an alert sent again, or at once where it waits.

        Raises:
            NotFoundError: no such alert is kept.
        """


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


def again(record: Record, webhook: str, message: str) -> Waiting:
    """An alert of a record, due now: under the same id, so that its receiver knows it again.

    One that waits keeps the count of its attempts; one that was taken or given up begins anew.

    Raises:
        NotFoundError: no such alert is kept.
    """
    for one in record.waiting:
        if one.message == message:
            return msgspec.structs.replace(one, due=0)
    for sent in record.delivered.recent:
        if sent.message == message and sent.body:
            return Waiting(message, webhook, sent.body)
    raise NotFoundError(
        f"the alert {message!r} is not kept",
        field="message",
        hint=f"the newest {RECENT_MAX} attempts are",
    )


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
