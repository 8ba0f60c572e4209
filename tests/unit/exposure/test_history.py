"""The largest share of every trailing window."""

import pytest

from quartermaster.exposure.history import share_history, share_interval
from quartermaster.exposure.rows import RevenueRow


def rows(**months: list[int]) -> list[RevenueRow]:
    return [
        RevenueRow(name, name, f"{2023 + at // 12}-{at % 12 + 1:02}", minor, "USD")
        for name, amounts in months.items()
        for at, minor in enumerate(amounts)
    ]


def test_the_leader_may_change_and_shares_are_of_the_window() -> None:
    book = rows(A=[60] * 4 + [10] * 4, B=[40] * 4 + [90] * 4)
    found = share_history(book, months=2, last="2023-08")
    assert found is not None
    assert [point.share for point in found.points] == [0.6, 0.6, 0.6, 0.65, 0.9, 0.9, 0.9]
    assert found.leaders == ("A", "B")
    assert (found.points[0].first, found.points[0].last) == ("2023-01", "2023-02")
    assert all(point.low is None for point in found.points)


def test_one_window_is_no_history() -> None:
    assert share_history(rows(A=[1] * 12), months=12, last="2023-12") is None
    assert share_history([], months=12, last="2023-12") is None


def test_who_has_no_positive_revenue_is_not_in_the_denominator() -> None:
    found = share_history(rows(A=[6, 6, 6], B=[4, 4, 4], C=[-3, -3, -3]), months=2, last="2023-03")
    assert found is not None
    assert [point.share for point in found.points] == [0.6, 0.6]


def test_intervals_hold_the_share_and_are_the_same_again() -> None:
    book = rows(A=[24, 30, 20, 26, 22, 28] * 4, B=[76] * 24)
    found = share_history(book, months=12, last="2024-12")
    assert found is not None
    assert len(found.points) == 13
    for point in found.points:
        assert point.low is not None
        assert point.high is not None
        assert point.low < point.share < point.high
    assert share_history(book, months=12, last="2024-12") == found


def test_a_share_that_never_moves_has_no_width_even_when_all_grow() -> None:
    months = [(24 * 2**n, 100 * 2**n) for n in range(12)]
    interval = share_interval(months)
    assert interval == pytest.approx((0.24, 0.24))


def test_too_few_months_give_no_interval() -> None:
    assert share_interval([(1, 2)] * 11) is None
