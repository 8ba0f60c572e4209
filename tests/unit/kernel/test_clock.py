"""Instants, local months and their edges."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest

from quartermaster.kernel.clock import (
    Instant,
    as_datetime,
    as_instant,
    month,
    month_named,
    month_of,
    system_clock,
)
from quartermaster.kernel.errors import UsageError


@pytest.mark.parametrize(
    ("year", "number", "zone", "hours"),
    [
        (2024, 3, "America/New_York", 743),
        (2024, 11, "America/New_York", 721),
        (2024, 2, "Europe/Berlin", 696),
        (2026, 3, "Europe/Berlin", 743),
        (2026, 10, "Europe/Berlin", 745),
        (2026, 12, "UTC", 744),
    ],
)
def test_months_have_their_real_hours(year: int, number: int, zone: str, hours: int) -> None:
    assert month(year, number, zone).hours == hours


def test_months_are_half_open_and_leave_no_gap() -> None:
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"):
        months = [month(year, number, zone) for year in (2025, 2026) for number in range(1, 13)]
        for before, after in pairwise(months):
            assert before.end == after.start
            assert before.end not in before
            assert before.end in after


def test_the_month_of_an_instant_is_the_local_one() -> None:
    midnight = as_instant(datetime(2026, 11, 1, tzinfo=UTC))
    assert month_of(midnight, "America/New_York").label == "2026-10"
    assert month_of(midnight, "Europe/Berlin").label == "2026-11"
    assert midnight in month_of(midnight, "America/New_York")


def test_datetimes_convert_exactly_both_ways() -> None:
    at = datetime(2026, 11, 23, 13, 5, 7, 123_456, tzinfo=timezone(timedelta(hours=5.5)))
    assert as_datetime(as_instant(at)) == at
    before = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert as_instant(before) == -1
    assert as_datetime(Instant(-1)) == before
    with pytest.raises(UsageError, match="no time zone"):
        as_instant(datetime(2026, 1, 1))  # noqa: DTZ001


def test_months_are_read_as_people_write_them() -> None:
    assert month_named("2026-11", "Europe/Berlin") == month(2026, 11, "Europe/Berlin")
    for text in (
        "2026-13",
        "2026-00",
        "0000-01",
        "0001-01",  # begins in the year before
        "9999-12",  # ends in the year after
        "2026-1",
        "2026/11",
        "11-2026",
        "",
        "２０２６-11",
    ):
        with pytest.raises(UsageError, match="is not a month"):
            month_named(text, "UTC")
    for zone in ("Mars/Olympus", "", "../etc/passwd"):
        with pytest.raises(UsageError, match="unknown time zone"):
            month_named("2026-11", zone)


def test_the_wall_clock_counts_microseconds() -> None:
    assert abs(as_datetime(system_clock()) - datetime.now(UTC)) < timedelta(seconds=5)
