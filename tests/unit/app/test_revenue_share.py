"""A group's share of revenue, for who decides on its standing."""

from decimal import Decimal
from pathlib import Path

from quartermaster.app import live
from quartermaster.app.revenue_share import revenue_share


def month(group: str, month_: str, minor: int, currency: str = "USD") -> live.MonthRevenue:
    return live.MonthRevenue(
        group, group, group, group, group, month_, "UTC", currency, Decimal(minor), minor, 1, 1, 0
    )


def rated(var: Path, *revenue: live.MonthRevenue) -> None:
    live.write(var, live.LiveBook({}, 0, revenue))


def test_the_share_is_of_the_newest_twelve_months(tmp_path: Path) -> None:
    rated(
        tmp_path,
        month("acme", "2025-10", 1_000_000),
        *(month(who, f"2026-{number:02}", minor) for number in range(1, 12)
          for who, minor in (("acme", 24), ("globex", 76))),
        month("acme", "2025-12", 24), month("globex", "2025-12", 76),
    )  # fmt: skip
    found = revenue_share(tmp_path, "acme")
    assert (found.share, found.of) == (Decimal("0.24"), "USD, 2025-12 to 2026-11")
    assert revenue_share(tmp_path, "nobody").share == 0


def test_of_several_currencies_the_largest_share_counts(tmp_path: Path) -> None:
    rated(
        tmp_path,
        month("acme", "2026-11", 1),
        month("globex", "2026-11", 99),
        month("acme", "2026-11", 30, "EUR"),
        month("globex", "2026-11", 70, "EUR"),
    )
    assert revenue_share(tmp_path, "acme").share == Decimal("0.3")


def test_what_nobody_rated_is_not_known_and_no_revenue_is_nothing(tmp_path: Path) -> None:
    assert revenue_share(tmp_path, "acme").share is None
    rated(tmp_path)
    assert revenue_share(tmp_path, "acme").share == 0
    live.live_path(tmp_path).write_text("{")
    assert revenue_share(tmp_path, "acme").share is None
