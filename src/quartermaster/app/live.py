"""What the clerk computed last, in one file that faces read without opening the usage table."""

import os
from decimal import Decimal
from pathlib import Path

import msgspec

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import Cut, UsageEvent

RECENT_EVENTS_MAX = 20
"""One screen of the overview; older requests are found with `quartermaster usage show`."""


class MonthRevenue(msgspec.Struct, frozen=True):
    """Rated revenue of one customer in one local month, exact, before the invoice's rounding."""

    customer: str
    customer_name: str
    group: str
    group_name: str
    month: str
    amount: Decimal
    currency: str
    requests: int
    tokens: int


class LiveBook(msgspec.Struct, frozen=True):
    """Real usage, rated at a cut."""

    cut: Cut
    computed_at: int
    revenue: tuple[MonthRevenue, ...] = ()
    unpriced: int = 0
    """Entries that wait for a price; never part of the revenue."""
    recent: tuple[UsageEvent, ...] = ()
    """Newest first."""


def live_path(var: Path) -> Path:
    """Where the clerk writes it."""
    return var / "views" / "live.json"


def write(var: Path, live: LiveBook) -> None:
    """Replace the file atomically. It is derived, so it needs no sync: the clerk makes it again."""
    path = live_path(var)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_bytes(msgspec.json.encode(live))
    beside.replace(path)


def read(var: Path) -> LiveBook | None:
    """The clerk's last word, or None before its first.

    Raises:
        IntegrityError: the file is not what the clerk writes.
    """
    try:
        data = live_path(var).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=LiveBook)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"{live_path(var)} cannot be read: {error}") from error
