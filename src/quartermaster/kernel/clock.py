"""Instants are integer microseconds UTC; periods are half-open local months converted once."""

from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from time import time_ns
from typing import NewType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from quartermaster.kernel.errors import UsageError

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01 UTC."""

Clock = Callable[[], Instant]

US_PER_S = 1_000_000
US_PER_HOUR = 3_600 * US_PER_S


def system_clock() -> Instant:
    """The wall clock. Cores take `now` as an argument instead of calling this."""
    return Instant(time_ns() // 1_000)


def as_datetime(at: Instant) -> datetime:
    """The instant as an aware UTC datetime."""
    return datetime.fromtimestamp(at // US_PER_S, UTC).replace(microsecond=at % US_PER_S)


def as_instant(at: datetime) -> Instant:
    """Microseconds of an aware datetime.

    Raises:
        UsageError: the datetime has no time zone.
    """
    if at.tzinfo is None:
        raise UsageError(f"{at.isoformat()} has no time zone", hint="add an offset such as +00:00")
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return Instant((delta.days * 86_400 + delta.seconds) * US_PER_S + delta.microseconds)


def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name.

    Raises:
        UsageError: no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(
            f"unknown time zone {name!r}", hint="use an IANA name such as Europe/Berlin"
        ) from error


class Period(msgspec.Struct, frozen=True, order=True):
    """A half-open interval [start, end) and the label people use for it."""

    start: int
    end: int
    label: str
    zone: str

    def __contains__(self, at: int) -> bool:
        return self.start <= at < self.end

    @property
    def hours(self) -> int:
        """UTC hours in the period; 743 or 745 in a month with a clock change."""
        return (self.end - self.start) // US_PER_HOUR


def month(year: int, number: int, zone_name: str) -> Period:
    """The local calendar month, `number` 1-12, as a UTC interval.

    Local midnights are converted to UTC separately, so that March 2024 in New York has 743 hours.
    """
    local = zone(zone_name)
    start = datetime(year, number, 1, tzinfo=local)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=local)
    return Period(as_instant(start), as_instant(end), f"{year:04d}-{number:02d}", zone_name)


def month_named(label: str, zone_name: str) -> Period:
    """The local calendar month written as `2026-11`.

    Raises:
        UsageError: not a month.
    """
    year, _, number = label.partition("-")
    written = year.isdecimal() and number.isdecimal() and label.isascii()
    known = written and len(label) == len("2026-11") and 1 <= int(number) <= 12
    if not (known and MINYEAR < int(year) < MAXYEAR):
        raise UsageError(f"{label!r} is not a month", field="period", hint="write it as 2026-11")
    return month(int(year), int(number), zone_name)


def month_of(at: Instant, zone_name: str) -> Period:
    """The local calendar month that holds the instant."""
    local = as_datetime(at).astimezone(zone(zone_name))
    return month(local.year, local.month, zone_name)
