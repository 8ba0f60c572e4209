"""What the clerk computed last, in one file that faces read without opening the usage table."""

import os
from decimal import Decimal
from pathlib import Path

import msgspec

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import Cut, UsageEvent
from quartermaster.kernel.exchange import ExchangeRate

RECENT_EVENTS_MAX = 20
"""One screen of the overview; older requests are found with `quartermaster usage show`."""


class Charged(msgspec.Struct, frozen=True):
    """What a month was charged because usage of some months lacked of a commitment."""

    first: str
    last: str
    minor: int


class Accrued(msgspec.Struct, frozen=True):
    """What a running part of a commitment lacks for the hours that have passed: on no invoice yet.

    It is what would be charged if the part ended now. Later usage may still take it off, so it is
    no revenue.
    """

    contract: str
    customer: str
    group: str
    currency: str
    first: str
    last: str
    """The months of the part."""
    minor: int


class Owed(msgspec.Struct, frozen=True):
    """What a commitment asks for some months together, used or not."""

    contract: str
    customer: str
    group: str
    currency: str
    first: str
    last: str
    minor: int
    """Of a year or term that runs, what its closed months did not use of it is in the others."""


class MonthRevenue(msgspec.Struct, frozen=True):
    """What one contract used in one month of its own time zone, and what that comes to."""

    contract: str
    customer: str
    customer_name: str
    group: str
    group_name: str
    month: str
    time_zone: str
    currency: str
    amount: Decimal
    """Exact, before the invoice's rounding."""
    minor: int
    """What the month's draft invoice at the same cut comes to before credits."""
    requests: int
    tokens: int
    unpriced: int
    """Tokens and images that wait for a price; in neither amount."""
    charged: tuple[Charged, ...] = ()
    """The part of `minor` that was not used: shortfalls of commitments that ended in the month."""

    @property
    def used_minor(self) -> int:
        """What usage and provisioned units came to, without shortfalls."""
        return self.minor - sum(one.minor for one in self.charged)


class LiveBook(msgspec.Struct, frozen=True):
    """Real usage, rated at a cut."""

    cut: Cut
    computed_at: int
    revenue: tuple[MonthRevenue, ...] = ()
    recent: tuple[UsageEvent, ...] = ()
    """Newest first."""
    owed: tuple[Owed, ...] = ()
    """By contract, in the order in which they end."""
    accrued: tuple[Accrued, ...] = ()
    """By contract, in the order in which they end; nothing of it is in `revenue`."""
    rates: tuple[ExchangeRate, ...] = ()
    """Every recorded rate, so that faces convert without opening the book."""


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


def forget(var: Path) -> None:
    """Remove what another version, or a torn write, may have left; the clerk makes it again."""
    live_path(var).unlink(missing_ok=True)


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
        raise IntegrityError(
            f"{live_path(var)} cannot be read: {error}",
            hint="start the clerk again: it makes the file from the usage table",
        ) from error
