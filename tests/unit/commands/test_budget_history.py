"""The history of a budget: days of its own time zone, amounts as they were, and what happened."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from tests.unit.commands.signed_book import signed_book

from quartermaster.billing.leases import BudgetState
from quartermaster.book.store import Book
from quartermaster.commands import budget as budgets
from quartermaster.commands.actor import CLERK, OPERATOR
from quartermaster.commands.budget import Terms
from quartermaster.commands.budget_history import BudgetHistory, history
from quartermaster.commands.budget_shown import BudgetStates
from quartermaster.kernel.budget import budget_id, epochs
from quartermaster.kernel.clock import Instant, Period, as_instant
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.events import BudgetCrossed, HourlyUsage
from quartermaster.kernel.limit import LimitScope
from quartermaster.kernel.units import Counts

TOKENS_A_DOLLAR = 6_666_667
"""At $0.15 a million, rounded up: a dollar, and less than a thousandth of a cent."""


def at(day: int, hour: int = 12, month: int = 3) -> Instant:
    return as_instant(datetime(2024, month, day, hour, tzinfo=UTC))


NOW = at(20)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with signed_book(tmp_path, at(1), {"acme": "acme-1"}, zone="Europe/Berlin") as book:
        yield book


def used(*hours: tuple[Instant, int]) -> list[HourlyUsage]:
    """So many dollars in the hour of an instant."""
    return [
        HourlyUsage(
            "acme", "acme-1", 1, "list", "default", "key_1", "m", "d", "standard", when, 1,
            Counts(input=dollars * TOKENS_A_DOLLAR),
        )
        for when, dollars in hours
    ]  # fmt: skip


def past(book: Book, rows: list[HourlyUsage], month: str = "") -> BudgetHistory:
    def usage(customer: str | None, period: Period) -> list[HourlyUsage]:
        assert customer == "acme"
        return [row for row in rows if row.hour in period]

    (budget,) = book.view().budgets.values()
    state = BudgetState(
        budget_id("group", "acme"), epochs(budget, NOW)[0].id, budget.amount, 0, 2 * 10**9, False
    )
    states = BudgetStates(int(NOW), (state,))
    found = history(book.view(), "group", "acme", month, usage, states, NOW)
    assert found is not None
    return found


def by_day(found: BudgetHistory) -> dict[int, tuple[Decimal, Decimal]]:
    cent = Decimal("0.01")
    return {one.on.day: (one.spent.quantize(cent), one.total.quantize(cent)) for one in found.days}


def test_spending_is_added_up_by_local_day(book: Book) -> None:
    budgets.set_budget(book, OPERATOR, "group", "acme", Terms(amount_minor=10_000), at(2))
    # 23:00 UTC of the last of February and of the 4th are the next day in Berlin.
    rows = used((at(29, 23, 2), 1), (at(4, 22), 2), (at(4, 23), 4), (at(20, 11), 8))
    found = past(book, rows)
    assert (found.month, found.time_zone, found.length) == ("2024-03", "Europe/Berlin", 31)
    days = by_day(found)
    assert list(days) == list(range(1, 21))
    assert [days[on] for on in (1, 2, 4, 5, 20)] == [
        (Decimal(one), Decimal(total)) for one, total in ((1, 1), (0, 1), (2, 3), (4, 7), (8, 15))
    ]
    assert (found.leased, found.earlier, found.later) == (Decimal("2.00"), "", "")
    assert [one.amount for one in found.days[:3]] == [None, Decimal("100.00"), Decimal("100.00")]


def test_amounts_pauses_and_alerts_stand_at_their_days(book: Book) -> None:
    who: tuple[LimitScope, str] = ("group", "acme")
    budgets.set_budget(book, OPERATOR, *who, Terms(amount_minor=10_000), at(2))
    budgets.pause_budget(book, OPERATOR, *who, at(5), paused=True, reason="a leaked key")
    budgets.pause_budget(book, OPERATOR, *who, at(7), paused=False)
    terms = Terms(amount_minor=25_000)
    budgets.set_budget(book, OPERATOR, *who, terms, at(9), reason="they asked")
    crossed = BudgetCrossed(
        scope="group", name="acme", epoch="e", label="2024-03", percent=50,
        spent_minor=13_000, amount_minor=25_000, currency="USD",
    )  # fmt: skip
    book.append(crossed, actor=CLERK, now=at(11))
    found = past(book, [])
    assert [one.on.day for one in found.days if one.paused] == [5, 6, 7]
    assert [one.on.day for one in found.days if one.alerts == (50,)] == [11]
    amounts = {one.on.day: one.amount for one in found.days}
    assert (amounts[8], amounts[9]) == (Decimal("100.00"), Decimal("250.00"))
    assert [(one.kind, one.reason) for one in found.moments] == [
        ("set", ""),
        ("paused", "a leaked key"),
        ("resumed", ""),
        ("changed", "they asked"),
        ("alert", ""),
    ]
    assert found.moments[-1].by == CLERK.id


def test_a_prepaid_budget_goes_on_from_month_to_month(book: Book) -> None:
    who: tuple[LimitScope, str] = ("group", "acme")
    budgets.set_budget(book, OPERATOR, *who, Terms(prepaid=True), at(10, month=2))
    budgets.top_up(book, OPERATOR, *who, 5_000, at(10, month=2), payment="wire-1")
    budgets.top_up(book, OPERATOR, *who, 3_000, at(6), payment="wire-2")
    rows = used((at(9, month=2), 64), (at(12, month=2), 10), (at(3), 5))
    found = past(book, rows)
    days = by_day(found)
    assert [days[on] for on in (1, 3)] == [(Decimal(0), Decimal(10)), (Decimal(5), Decimal(15))]
    amounts = {one.on.day: one.amount for one in found.days}
    assert (amounts[5], amounts[6]) == (Decimal(50), Decimal(80))
    assert (found.earlier, found.later) == ("2024-02", "")
    february = past(book, rows, "2024-02")
    assert by_day(february)[29] == (Decimal(0), Decimal(10))
    assert (february.leased, february.earlier, february.later) == (None, "", "2024-03")
    assert [one.reason for one in found.moments] == ["", "wire-1", "wire-2"]


def test_a_lifted_budget_keeps_what_was_decided(book: Book) -> None:
    who: tuple[LimitScope, str] = ("group", "acme")
    ask = partial(
        history, scope="group", name="acme", month="", usage=lambda customer, period: [],
        states=BudgetStates(), now=NOW,
    )  # fmt: skip
    assert ask(book.view()) is None
    budgets.set_budget(book, OPERATOR, *who, Terms(amount_minor=10_000), at(2))
    budgets.remove_budget(book, OPERATOR, *who, at(3), reason="over")
    found = ask(book.view())
    assert found is not None
    assert (found.days, [one.kind for one in found.moments]) == ((), ["set", "removed"])


@pytest.mark.parametrize("month", ["2024-02", "2024-04", "2024-3", "march"])
def test_a_month_without_the_budget_is_refused(book: Book, month: str) -> None:
    budgets.set_budget(book, OPERATOR, "group", "acme", Terms(amount_minor=10_000), at(2))
    with pytest.raises(UsageError):
        past(book, [], month)
