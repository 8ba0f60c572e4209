"""Windows, groups and ranks."""

import msgspec
import pytest

from quartermaster.exposure.report import denominator_words
from quartermaster.exposure.rollup import Exposure, measure, monthly_totals
from quartermaster.exposure.rows import RevenueRow, data_sha256
from quartermaster.exposure.rows_by import Dimension
from quartermaster.kernel.errors import DataError


def row(
    customer: str, month: str, minor: int, group: str = "", currency: str = "USD"
) -> RevenueRow:
    return RevenueRow(customer, group or customer, month, minor, currency)


def shares(found: Exposure) -> dict[str, float]:
    return {group.group: group.share for group in found.groups}


def test_entities_of_a_group_are_one_customer() -> None:
    found = measure(
        [
            row("TikTok", "2024-03", 20, "ByteDance"),
            row("ByteDance", "2024-03", 4, "ByteDance"),
            row("Other", "2024-03", 76),
        ],
        scope="the division",
    )
    assert shares(found) == {"Other": 0.76, "ByteDance": 0.24}
    members = found.groups[1].members
    assert [(member.customer, member.minor) for member in members] == [
        ("TikTok", 20),
        ("ByteDance", 4),
    ]


def test_the_window_is_the_last_twelve_months() -> None:
    rows = [row("old", "2023-03", 1_000), row("new", "2023-04", 30), row("new", "2024-03", 10)]
    found = measure(rows, scope="x")
    assert shares(found) == {"new": 1.0}
    assert (found.denominator.first, found.denominator.last) == ("2023-04", "2024-03")
    assert denominator_words(found.denominator) == (
        "revenue of x, 12 months from 2023-04 to 2024-03"
    )


def test_as_of_looks_back_from_there() -> None:
    rows = [row("a", "2024-01", 1), row("b", "2024-02", 3), row("c", "2024-03", 90)]
    found = measure(rows, scope="x", months=2, as_of="2024-02")
    assert shares(found) == {"b": 0.75, "a": 0.25}


def test_as_of_before_the_data_is_refused() -> None:
    with pytest.raises(DataError, match="no revenue up to 2023-01"):
        measure([row("a", "2024-01", 1)], scope="x", as_of="2023-01")


def test_ties_share_a_rank() -> None:
    rows = [row(name, "2024-01", minor) for name, minor in zip("abcd", (9, 5, 5, 1), strict=True)]
    assert [group.rank for group in measure(rows, scope="x").groups] == [1, 2, 2, 4]


def test_credits_reduce_and_a_net_credit_has_no_share() -> None:
    rows = [
        row("a", "2024-01", 60),
        row("b", "2024-01", 50),
        row("b", "2024-02", -10),
        row("c", "2024-02", -5),
    ]
    found = measure(rows, scope="x")
    assert shares(found) == {"a": 0.6, "b": 0.4}
    assert [(member.customer, member.minor) for member in found.excluded] == [("c", -5)]
    assert sum(shares(found).values()) == pytest.approx(1)


def test_missing_months_are_named() -> None:
    found = measure([row("a", "2024-01", 1), row("a", "2024-04", 1)], scope="x")
    assert found.missing_months == ("2024-02", "2024-03")


def test_names_that_look_alike_are_named() -> None:
    found = measure([row("Tik Tok", "2024-01", 1), row("TIKTOK", "2024-01", 1)], scope="x")
    assert found.alike == (("TIKTOK", "Tik Tok"),)


def test_no_share_without_one_currency_and_some_revenue() -> None:
    with pytest.raises(DataError, match="EUR and USD"):
        measure([row("a", "2024-01", 1), row("b", "2024-01", 1, currency="EUR")], scope="x")
    with pytest.raises(DataError, match="no positive revenue"):
        measure([row("a", "2024-01", 0)], scope="x")
    with pytest.raises(DataError, match="no row"):
        measure([], scope="x")


def test_the_data_hash_names_the_data_not_its_order() -> None:
    rows = [row("a", "2024-01", 1), row("b", "2024-01", 2)]
    assert data_sha256(rows) == data_sha256(rows[::-1])
    assert data_sha256(rows) != data_sha256([rows[0], row("b", "2024-01", 3)])


def test_monthly_totals_have_no_gap() -> None:
    rows = [row("a", "2023-12", 1), row("b", "2023-12", 2), row("a", "2024-02", 5)]
    assert monthly_totals(rows) == {"2023-12": 3, "2024-01": 0, "2024-02": 5}
    assert monthly_totals([]) == {}


def test_the_hash_ignores_where_a_row_stood_and_what_it_does_not_say() -> None:
    plain = RevenueRow("a", "a", "2024-01", 1, "USD")
    assert data_sha256([plain]) == data_sha256([msgspec.structs.replace(plain, line=7)])
    assert data_sha256([plain]) != data_sha256([msgspec.structs.replace(plain, region="eu")])


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("group", {"G": 60, "c": 40}),
        ("entity", {"a": 30, "b": 30, "c": 40}),
        ("product", {"chat": 70, "": 30}),
        ("region", {"eu": 100}),
        ("contract_end", {"2025-06": 30, "": 30, "2025-12": 40}),
    ],
)
def test_revenue_can_be_divided_by(by: Dimension, expected: dict[str, int]) -> None:
    rows = [
        RevenueRow("a", "G", "2024-01", 10, "USD", "chat", region="eu", contract_end="2024-06"),
        RevenueRow("a", "G", "2024-02", 20, "USD", "chat", region="eu", contract_end="2025-06"),
        RevenueRow("b", "G", "2024-02", 30, "USD", region="eu"),
        RevenueRow("c", "c", "2024-02", 40, "USD", "chat", region="eu", contract_end="2025-12"),
    ]
    found = measure(rows, scope="us", by=by)
    assert found.by == by
    assert {group.group: group.minor for group in found.groups} == expected
    assert found.data_sha256 == data_sha256(rows)
    if by == "product":
        assert [member.customer for member in found.groups[0].members] == ["c", "G"]
